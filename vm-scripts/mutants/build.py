#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Build the mutant kernel: Debian's linux-source 6.12 with series/ applied, configured by kernel.config.

The image is cached by the content of all that goes into it, as
$XDG_CACHE_HOME/netns-conformance/mutants/DIGEST/bzImage, and found under the steady name mutants/bzImage-6.12.
ccache, where installed, makes a rebuild after a change of the series short.

--mechanical builds another image, mutants/bzImage-6.12-mechanical: the same with the mutants that mechanical.py derives
from the source, and their table, mechanical.json, beside it. What does not compile is left out and built again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import mechanical

HERE = Path(__file__).resolve().parent
SOURCE = Path("/usr/src/linux-source-6.12.tar.xz")
TOOLS = {"gcc": "gcc", "make": "make", "flex": "flex", "bison": "bison", "bc": "bc", "patch": "patch", "lz4": "lz4"}
ROUNDS = 8  # of builds, each without what did not compile in the one before


class Problem(Exception):
    """What one clear line explains."""


def cache() -> Path:
    """Our directory below the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(base, "netns-conformance", "mutants")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}; set XDG_CACHE_HOME to a directory that can be written") from None
    return path


def series() -> list[Path]:
    """The patches in the order in which they apply."""
    lines = (HERE / "series" / "order").read_text(encoding="utf-8").splitlines()
    return [HERE / "series" / line for line in lines if line and not line.startswith("#")]


def digest_of(source: Path, with_mechanical: bool = False) -> str:
    """One name for everything that decides what the image does."""
    total = hashlib.sha256()
    generator = [HERE / "mechanical.py", HERE / "mechanical.yaml", *sorted((HERE / "mechanical").iterdir())]
    for path in [source, HERE / "kernel.config", *series(), *(generator if with_mechanical else [])]:
        part = hashlib.sha256()
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                part.update(block)
        total.update(part.digest())
    total.update(subprocess.run(["gcc", "--version"], capture_output=True, check=True).stdout)
    return total.hexdigest()[:16]


def check_tools(source: Path, with_mechanical: bool = False) -> None:
    """Name everything that is missing at once, with the way to get it."""
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    missing += mechanical.missing_packages() if with_mechanical else []
    if not Path("/usr/include/libelf.h").exists():
        missing.append("libelf-dev")
    if not source.exists():
        missing.append("linux-source-6.12")
    if missing:
        raise Problem(f"missing: {' '.join(missing)}; apt-get install {' '.join(missing)}")


def wanted_options() -> list[str]:
    """The lines of kernel.config that have to be in the finished configuration."""
    lines = (HERE / "kernel.config").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("CONFIG_")]


def attempt(tree: Path, log: Path, *command: str) -> int:
    """One step in the source tree, its output at the end of the log; the exit status."""
    environment = dict(
        os.environ,
        LC_ALL="C",
        KBUILD_BUILD_TIMESTAMP="2026-01-01",
        KBUILD_BUILD_USER="netns",
        KBUILD_BUILD_HOST="conformance",
    )
    environment.setdefault("CCACHE_DIR", str(cache().parent / "ccache"))
    with log.open("ab") as output:
        return subprocess.run(command, cwd=tree, env=environment, stdout=output, stderr=output, check=False).returncode


def run(tree: Path, log: Path, *command: str) -> None:
    """One step that has to succeed; the end of the log is shown where it does not."""
    status = attempt(tree, log, *command)
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        telling = [line for line in lines if "error" in line.lower() or "FAILED" in line] or lines
        raise Problem(f"{' '.join(command[:3])} failed with status {status} (all of it in {log}):\n" + "\n".join(telling[-15:]))


def unpack(source: Path, tree: Path) -> None:
    """The source, without its outermost directory."""
    with tarfile.open(source) as archive:
        for member in archive:
            _, _, member.name = member.name.partition("/")
            if member.name:
                if member.islnk():
                    _, _, member.linkname = member.linkname.partition("/")
                archive.extract(member, tree)


def make_mutated(tree: Path, log: Path, make: list[str]) -> list[dict[str, Any]]:
    """The image with mechanical mutants, as many as compile; their table."""
    run(tree, log, *make, "prepare")
    table = mechanical.generate(tree, mechanical.read_places(HERE / "mechanical.yaml"), lambda text: print(f"mutants: {text}", flush=True))
    dropped: set[int] = set()
    for _ in range(ROUNDS):
        mechanical.emit(tree, table, dropped)
        before = log.stat().st_size
        if attempt(tree, log, *make, "-k", "bzImage") == 0:
            break
        blamed = mechanical.blamed(table, log.read_bytes()[before:].decode("utf-8", "replace")) - dropped
        if not blamed:
            run(tree, log, *make, "bzImage")  # fails once more, and says why
        print(f"mutants: {len(blamed)} mutants do not compile and are left out", flush=True)
        dropped |= blamed
    else:
        raise Problem(f"mutants still do not compile after {ROUNDS} rounds (all of it in {log})")
    return mechanical.in_image(tree, table, dropped)


def build(source: Path, jobs: int, keep: bool, with_mechanical: bool = False) -> Path:
    """The image, from the cache or new."""
    check_tools(source, with_mechanical)
    home = cache() / digest_of(source, with_mechanical)
    image = home / "bzImage"
    if not image.exists():
        home.mkdir(exist_ok=True)
        log = home / "build.log"
        log.write_bytes(b"")
        begun = time.monotonic()
        tree = Path(tempfile.mkdtemp(prefix="tree-", dir=cache()))
        try:
            print(f"mutants: unpacking {source}", flush=True)
            unpack(source, tree)
            for patch in series():
                run(tree, log, "patch", "-p1", "--no-backup-if-mismatch", "-i", str(patch))
            run(tree, log, "make", "-s", f"KCONFIG_ALLCONFIG={HERE / 'kernel.config'}", "allnoconfig")
            config = set((tree / ".config").read_text(encoding="utf-8").splitlines())
            absent = [option for option in wanted_options() if option not in config]
            if absent:
                raise Problem(f"kernel.config asks for what Kconfig refuses: {' '.join(absent)}; name what it depends on too")
            compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
            print(f"mutants: building with {jobs} jobs and {compiler}", flush=True)
            make = ["nice", "-n", "10", "make", "-s", f"-j{jobs}", f"CC={compiler}", f"HOSTCC={compiler}"]
            if with_mechanical:
                table = make_mutated(tree, log, make)
                (home / "mechanical.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
            else:
                run(tree, log, *make, "bzImage")
            shutil.copy(tree / ".config", home / "config")
            shutil.copy(tree / "System.map", home / "System.map")
            shutil.copy(tree / "arch/x86/boot/bzImage", home / "bzImage.new")
            (home / "bzImage.new").rename(image)
        finally:
            if keep:
                print(f"mutants: tree kept in {tree}")
            else:
                shutil.rmtree(tree, ignore_errors=True)
        print(f"mutants: built in {time.monotonic() - begun:.0f} s", flush=True)
    steady = cache() / ("bzImage-6.12-mechanical" if with_mechanical else "bzImage-6.12")
    new = steady.with_name(f".{steady.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(Path(home.name, "bzImage"))
    new.rename(steady)
    return image


def main(arguments: list[str] | None = None) -> int:
    """Print the path of the image; 0, or 3 with one line of reason."""
    parser = argparse.ArgumentParser(prog="netns-conformance mutants build", description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE, help="the linux-source archive (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", action="store_true", help="keep the source tree")
    parser.add_argument("--mechanical", action="store_true", help="with the mutants that mechanical.py derives from the source")
    options = parser.parse_args(arguments)
    try:
        print(build(options.source, options.jobs, options.keep, options.mechanical))
    except (Problem, mechanical.Problem) as problem:
        print(f"mutants: {problem}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
