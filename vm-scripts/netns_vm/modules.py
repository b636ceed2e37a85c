# SPDX-License-Identifier: GPL-2.0-or-later
"""Picks out of a kernel's modules those that the guest needs, in dependency order and decompressed."""

from __future__ import annotations

import dataclasses
import fnmatch
import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Collection, Optional

from . import cpio, paths
from .kernels import MODULE_SUFFIXES, Kernel
from .problems import MachineProblem, UsageProblem

LIST = paths.CHECKOUT / "vm-scripts" / "guest-modules.txt"
FORMAT = 5  # of the cache; a change of it makes older entries unused


def read_module(path: Path) -> bytes:
    """A module's ELF image, whatever it is compressed with."""
    try:
        raw = path.read_bytes()
        if path.name.endswith(".xz"):
            return lzma.decompress(raw)
        if path.name.endswith(".gz"):
            return gzip.decompress(raw)
        if path.name.endswith(".zst"):
            return subprocess.run(["zstd", "-dcq"], input=raw, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout
        return raw
    except FileNotFoundError as error:
        if error.filename == "zstd":
            raise MachineProblem(f"{path}: is compressed with zstd; install the package zstd") from None
        raise UsageProblem(f"{path}: {error.strerror}") from None
    except (OSError, lzma.LZMAError, EOFError, subprocess.CalledProcessError) as error:
        raise UsageProblem(f"{path}: cannot be read as a kernel module: {error}") from None


def name_of(path: str) -> str:
    """The module's name as the kernel spells it."""
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


@dataclasses.dataclass
class WantList:
    """What guest-modules.txt says: patterns that init loads at once, and patterns that are carried for autoload."""

    eager: list[str] = dataclasses.field(default_factory=list)
    nic: list[str] = dataclasses.field(default_factory=list)
    carried: list[str] = dataclasses.field(default_factory=list)
    never: list[str] = dataclasses.field(default_factory=list)
    cost: dict[str, str] = dataclasses.field(default_factory=dict)


def read_list(path: Path = LIST) -> WantList:
    """Reads lines of 'WORD PATTERN [what is lost without it]', WORD being eager, nic, carry or never."""
    wanted = WantList()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fields = line.split("#")[0].split(None, 2)
        if not fields:
            continue
        into = {"eager": wanted.eager, "nic": wanted.nic, "carry": wanted.carried, "never": wanted.never}.get(fields[0])
        if into is None or len(fields) < 2:
            raise MachineProblem(f"{path}:{number}: expected 'eager|nic|carry|never PATTERN [cost]', found '{line}'")
        pattern = fields[1].replace("-", "_")
        into.append(pattern)
        if len(fields) == 3:
            wanted.cost[pattern] = fields[2]
    return wanted


@dataclasses.dataclass
class Chosen:
    """`archive` is a cpio file with /lib/modules; `eager` are the names for init; `missing` maps name to cost."""

    archive: Optional[Path]
    eager: list[str]
    missing: dict[str, str]
    count: int = 0


def _field(image: bytes, key: bytes) -> list[str]:
    return [value.decode("ascii", "replace") for value in re.findall(rb"[\0\x01-\x1f]" + key + rb"=([^\0]*)\0", b"\0" + image)]


def _needs_of(image: bytes) -> list[str]:
    needs = [name for value in _field(image, b"depends") for name in value.split(",") if name]
    for value in _field(image, b"softdep"):
        match = re.search(r"pre:((?:\s+[\w-]+)+)", value.split("post:")[0])
        if match:
            needs.extend(match.group(1).split())
    return [name.replace("-", "_") for name in needs]


def builtin_names(directory: Path) -> set[str]:
    try:
        return {name_of(line.strip()) for line in (directory / "modules.builtin").read_text().splitlines()}
    except OSError:
        return set()


def _key(kernel: Kernel) -> str:
    assert kernel.modules
    digest = hashlib.sha256()
    digest.update(json.dumps([FORMAT, str(kernel.modules), kernel.release]).encode())
    digest.update(LIST.read_bytes())
    for name in ("modules.dep", "modules.order", "modules.builtin", "."):
        try:
            status = (kernel.modules / name).stat()
            digest.update(f"{name} {status.st_size if name != '.' else 0} {status.st_mtime_ns}".encode())
        except OSError:
            pass
    return digest.hexdigest()[:24]


def choose(kernel: Kernel, drivers: Collection[str]) -> Chosen:
    """The modules for `kernel`, from the cache if they were gathered before. `drivers` are those of the machine's cards."""
    if kernel.modules is None:
        return Chosen(None, [], {})
    wanted = read_list()
    directory = paths.cache("modules") / _key(kernel)
    if not (directory / "chosen.json").is_file():
        _gather(kernel, wanted, directory)
    data = json.loads((directory / "chosen.json").read_text())
    os.utime(directory)
    drivers = {name.replace("-", "_") for name in drivers}
    eager = [name for name in data["eager"] if name in drivers or not any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted.nic)]
    missing = {name: cost for name, cost in data["missing"].items() if name in drivers or name not in wanted.nic}
    return Chosen(directory / "modules.cpio", eager, missing, data["count"])


def _gather(kernel: Kernel, wanted: WantList, into: Path) -> None:
    assert kernel.modules
    available: dict[str, Path] = {}
    for path in sorted(kernel.modules.rglob("*.ko*")):
        if path.name.endswith(MODULE_SUFFIXES) and "/build/" not in str(path) and "/source/" not in str(path):
            available.setdefault(name_of(path.name), path)
    if not available:
        raise UsageProblem(f"{kernel.modules}: no kernel modules below it (looked for *.ko, *.ko.xz, *.ko.zst, *.ko.gz)")
    builtin = builtin_names(kernel.modules)

    images: dict[str, bytes] = {}

    def take(name: str) -> None:
        if name in images or name not in available:
            return
        images[name] = read_module(available[name])  # before its needs: they may go in circles
        for need in _needs_of(images[name]):
            take(need)

    eager_patterns = wanted.eager + wanted.nic
    eager: list[str] = []
    missing: dict[str, str] = {}
    for pattern in eager_patterns + wanted.carried:
        names = [name for name in fnmatch.filter(available, pattern) if not any(fnmatch.fnmatchcase(name, never) for never in wanted.never)]
        for name in names:
            take(name)
        if pattern in eager_patterns:
            eager.extend(name for name in names if name not in eager)
        if not names and pattern in wanted.cost and not fnmatch.filter(builtin, pattern):
            missing[pattern] = wanted.cost[pattern]

    vermagic = re.search(rb"[\0\x01-\x1f]vermagic=([^ \0]+)", next(iter(images.values()), b""))
    if vermagic and vermagic.group(1).decode() != kernel.release:
        raise UsageProblem(f"{kernel.modules}: modules were built for {vermagic.group(1).decode()}, but the kernel is {kernel.release}")

    stage = Path(tempfile.mkdtemp(prefix="stage-", dir=into.parent))
    try:
        base = stage / "lib/modules" / kernel.release
        for name, image in images.items():
            place = base / "kernel" / f"{name}.ko"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(image)
        for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            if (kernel.modules / name).is_file():
                shutil.copy(kernel.modules / name, base / name)
        run_depmod(stage, kernel.release)
        with open(stage / "modules.cpio", "wb") as out:
            archive = cpio.Writer(out)
            for path in sorted(base.rglob("*")):
                if path.is_file() and (path.suffix in (".ko", ".bin") or path.name in ("modules.alias", "modules.dep")):
                    archive.file(str(path.relative_to(stage)), path.read_bytes())
            archive.finish()
        shutil.rmtree(stage / "lib")
        (stage / "chosen.json").write_text(json.dumps({"eager": eager, "missing": missing, "count": len(images)}))
        try:
            stage.rename(into)
        except OSError:
            if not (into / "chosen.json").is_file():  # else another run of ours was quicker
                raise
    except OSError as error:
        raise MachineProblem(f"{into}: {error.strerror}; the module cache cannot be written") from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def run_depmod(root: Path, release: str) -> None:
    """Writes the module indexes below root/lib/modules/release."""
    program = shutil.which("depmod") or shutil.which("depmod", path="/usr/sbin:/sbin")
    if not program:
        raise MachineProblem("depmod is not installed; install the package kmod")
    done = subprocess.run([program, "-b", str(root), release], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise MachineProblem(f"depmod failed on the modules of {release}: {done.stdout.strip().splitlines()[-1:] or 'no message'}")
