# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's whole file system, as a few cpio archives one after the other. No root, no image tools, well under a second."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Sequence

from . import cpio
from .kernels import Kernel
from .modules import Chosen
from .problems import MachineProblem

PASSWD = b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
GROUP = b"root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n"


# The programs that are the subject of TOOL tests, where the host has them. Nothing else in the guest runs them.
TOOLS = ("usr/sbin/ip", "usr/sbin/bridge", "usr/sbin/tc", "usr/bin/nsenter", "usr/bin/unshare", "usr/bin/lsns")


def tools() -> dict[str, Path]:
    """Those that are here: a program that cannot be carried (its libraries are missing) stays out."""
    found: dict[str, Path] = {}
    for target in TOOLS:
        program = next((path for path in (Path("/", target), Path("/", target.replace("usr/", "", 1))) if path.is_file()), None)
        if program is None:
            continue
        try:
            shared_libraries(program)
        except MachineProblem:
            continue
        found[target] = program
    return found


def shared_libraries(program: Path) -> dict[str, Path]:
    """Maps each path in the guest to the host file that goes there: the loader and all libraries of `program`."""
    done = subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "LC_ALL": "C"})
    if "not a dynamic executable" in done.stdout or "statically linked" in done.stdout:
        return {}
    if done.returncode:
        raise MachineProblem(f"{program}: ldd cannot read it: {done.stdout.strip()}")
    found: dict[str, Path] = {}
    for line in done.stdout.splitlines():
        if "not found" in line:
            raise MachineProblem(f"{program}: needs {line.split()[0]}, which is not installed")
        match = re.search(r"(?:(\S+) => )?(/\S+) \(0x", line)
        if not match:
            continue
        name, path = match.groups()
        # The loader stands by the path that the program names; the rest goes to one place that the loader searches.
        found[path if name is None else "/lib/" + os.path.basename(name)] = Path(path)
    return found


def _programs(programs: dict[str, Path]) -> bytes:
    out = io.BytesIO()
    archive = cpio.Writer(out)
    for name in ("proc", "sys", "dev", "tmp", "run", "root", "etc", "var", "sbin", "usr/lib", "usr/bin", "usr/sbin", "boot"):
        archive.directory(name)
    # The kernel opens /dev/console for init before anything is mounted.
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3, 0o666)
    carried: dict[str, Path] = {}
    for target, source in programs.items():
        try:
            data = source.read_bytes()
        except OSError as error:
            raise MachineProblem(f"{source}: {error.strerror}; build it first (leave out --no-build)") from None
        archive.file(target, data, 0o755)
        carried.update(shared_libraries(source))
    for target, source in sorted(carried.items()):
        archive.file(target, source.read_bytes(), 0o755)
    archive.file("etc/passwd", PASSWD)
    archive.file("etc/group", GROUP)
    archive.file("etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n")
    for name in ("protocols", "services", "ethertypes"):
        if os.path.exists(f"/etc/{name}"):
            archive.file(f"etc/{name}", Path("/etc", name).read_bytes())
    archive.finish()
    return out.getvalue()


def _room(chosen: Chosen, programs: Sequence[Path]) -> int:
    """About how many MiB the archive takes."""
    files = [*programs, *(library for program in programs for library in shared_libraries(program).values()), *([chosen.archive] if chosen.archive else [])]
    return sum(file.stat().st_size for file in set(files)) // 2**20 + 1


def build(
    into: Path,
    kernel: Kernel,
    chosen: Chosen,
    init: Path,
    programs: dict[str, Path],
    command: Sequence[str],
    machine: dict[str, object],
    skip: Sequence[str],
    alone: Sequence[str],
) -> None:
    """Writes the initramfs to `into`. `command` is run by init; `skip` are tests that an earlier boot has dealt with, `alone`
    those that are to run first and one at a time."""
    small = io.BytesIO()
    archive = cpio.Writer(small)
    archive.file("etc/netns-command", b"".join(word.encode() + b"\0" for word in command))
    archive.file("etc/netns-modules", "".join(name + "\n" for name in chosen.eager).encode())
    archive.file("etc/machine.json", json.dumps(machine).encode())
    archive.file("etc/skip-tests", "".join(name + "\n" for name in skip).encode())
    archive.file("etc/alone-tests", "".join(name + "\n" for name in alone).encode())
    if kernel.config:
        archive.file(f"boot/config-{kernel.release}", kernel.config.read_bytes())
    archive.finish()
    try:
        with into.open("wb") as out:
            if chosen.archive:
                with chosen.archive.open("rb") as source:
                    shutil.copyfileobj(source, out, 1 << 20)
                out.write(b"\0" * (-out.tell() % 4))
            out.write(_programs({"init": init, "sbin/modprobe": init.with_name("netns-guest-modprobe"), **tools(), **programs}))
            out.write(b"\0" * (-out.tell() % 4))
            out.write(small.getvalue())
    except OSError as error:
        raise MachineProblem(f"{into}: {error.strerror}; the guest's files take {_room(chosen, [init, *tools().values(), *programs.values()])} MiB there while it runs; name another place with --output DIR") from None
