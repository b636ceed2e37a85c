#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Build kernels that lack something, and one that watches itself: Debian's linux-source 6.12, unchanged, configured by
lean.config (or what the variant says is its base) with one of variants/*.config over it.

Each image is cached by the content of all that goes into it, as $XDG_CACHE_HOME/netns-conformance/negative/DIGEST/bzImage,
and found under the steady name negative/NAME; a matrix knows it as negative:NAME. All variants of one
call are built in one tree, one after the other, so that only what an option changes is compiled again.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[0] / "mutants"))

import build as mutants  # noqa: E402  (its way of building, without its patches)

VARIANTS = HERE / "variants"
BASE = HERE / "lean.config"


def names() -> list[str]:
    """All variants, the cheapest to build after the one before it first."""
    order = ["no-veth", "no-user-ns", "no-nf-tables", "no-ipv6", "no-net-ns", "debug"]
    known = sorted(path.stem for path in VARIANTS.glob("*.config"))
    return [name for name in order if name in known] + [name for name in known if name not in order]


def cache() -> Path:
    path = mutants.cache().parent / "negative"
    path.mkdir(exist_ok=True)
    return path


def base_of(name: str) -> Path:
    """The common lines of a variant: those of its '# base: FILE', else lean.config."""
    named = re.search(r"^# base: (\S+)$", (VARIANTS / f"{name}.config").read_text(encoding="utf-8"), re.MULTILINE)
    return HERE / named.group(1) if named else BASE


def configuration(name: str) -> str:
    """What KCONFIG_ALLCONFIG gets: the common lines, then the variant's, of which the last wins."""
    return "\n".join([base_of(name).read_text(encoding="utf-8"), f'CONFIG_LOCALVERSION="-netns-{name}"', (VARIANTS / f"{name}.config").read_text(encoding="utf-8")])


def unmet(wanted: str, got: str) -> list[str]:
    """The variant's lines that Kconfig did not follow. 'is not set' is also met by an option that is not there at all."""
    have = set(got.splitlines())
    on = {line.split("=")[0] for line in have if line.startswith("CONFIG_")}
    lines = [line for line in wanted.splitlines() if line.startswith("CONFIG_") and line not in have]
    return lines + [line for line in wanted.splitlines() if line.startswith("# CONFIG_") and line.split()[1] in on]


def digest_of(name: str, source: Path) -> str:
    """One name for everything that decides what the image does. The archive by size and date: it is 150 MB."""
    status = source.stat()
    compiler = subprocess.run(["gcc", "--version"], capture_output=True, check=True).stdout
    return hashlib.sha256(f"{source.name} {status.st_size} {status.st_mtime_ns} {configuration(name)}".encode() + compiler).hexdigest()[:16]


def build_one(name: str, tree: Path, home: Path, jobs: int) -> None:
    """One variant in a tree that may hold the objects of another."""
    home.mkdir(exist_ok=True)
    log = home / "build.log"
    log.write_bytes(b"")
    wanted = home / "wanted.config"
    wanted.write_text(configuration(name), encoding="utf-8")
    begun = time.monotonic()
    mutants.run(tree, log, "make", "-s", f"KCONFIG_ALLCONFIG={wanted}", "allnoconfig")
    refused = unmet((VARIANTS / f"{name}.config").read_text(encoding="utf-8"), (tree / ".config").read_text(encoding="utf-8"))
    if refused:
        raise mutants.Problem(f"{name}.config asks for what Kconfig refuses: {'; '.join(refused)}; name what it depends on, or switch off what selects it")
    compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
    print(f"negative: building {name} with {jobs} jobs and {compiler}", flush=True)
    mutants.run(tree, log, "nice", "-n", "10", "make", "-s", f"-j{jobs}", f"CC={compiler}", f"HOSTCC={compiler}", "bzImage")
    # 'vm --kernel' finds a configuration beside the image under the kernel's release.
    release = (tree / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    shutil.copy(tree / ".config", home / f"config-{release}")
    shutil.copy(tree / "arch/x86/boot/bzImage", home / "bzImage.new")
    (home / "bzImage.new").rename(home / "bzImage")
    print(f"negative: {name} built in {time.monotonic() - begun:.0f} s", flush=True)


def build(wanted: list[str], source: Path, jobs: int, kept: Optional[Path]) -> dict[str, Path]:
    """The images by name, from the cache or new. `kept`: the source tree, unpacked there unless it is, and left."""
    mutants.check_tools(source)
    homes = {name: cache() / digest_of(name, source) for name in wanted}
    absent = [name for name in wanted if not (homes[name] / "bzImage").exists()]
    if absent:
        tree = kept or Path(tempfile.mkdtemp(prefix="tree-", dir=cache()))
        try:
            if not (tree / "Makefile").exists():
                print(f"negative: unpacking {source}", flush=True)
                tree.mkdir(parents=True, exist_ok=True)
                mutants.unpack(source, tree)
            for name in absent:
                build_one(name, tree, homes[name], jobs)
                point(name, homes[name])
        finally:
            if not kept:
                shutil.rmtree(tree, ignore_errors=True)
    for name in wanted:
        point(name, homes[name])
    return {name: homes[name] / "bzImage" for name in wanted}


def point(name: str, home: Path) -> None:
    """Lets the steady name stand for the newest build."""
    new = cache() / f".{name}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(home.name)
    new.rename(cache() / name)


def main(arguments: list[str] | None = None) -> int:
    """Print 'NAME IMAGE' a line; 0, or 2 and 3 with one line of reason."""
    parser = argparse.ArgumentParser(prog="netns-conformance negative", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="variants to build (default: all): " + ", ".join(names()))
    parser.add_argument("--list", action="store_true", help="print the variants and what each is for")
    parser.add_argument("--source", type=Path, default=mutants.SOURCE, help="the linux-source archive (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tree", type=Path, metavar="DIR", help="unpack the source there, or take what an earlier call left, and leave it")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in names()]
    if unknown:
        print(f"negative: no variant '{unknown[0]}'; known are {', '.join(names())}", file=sys.stderr)
        return 2
    if options.list:
        for name in names():
            told = [line[2:] for line in (VARIANTS / f"{name}.config").read_text(encoding="utf-8").splitlines() if line.startswith("# ") and not re.search("CONFIG_|SPDX|^# base:", line)]
            print(f"{name:<14} {' '.join(told)}")
        return 0
    try:
        for name, image in build(options.names or names(), options.source, options.jobs, options.tree).items():
            print(f"{name} {image}")
    except mutants.Problem as problem:
        print(f"negative: {problem}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"negative: {error.filename or cache()}: {error.strerror}; set XDG_CACHE_HOME to a directory with room (a tree takes 3 GiB)", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
