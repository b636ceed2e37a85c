# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds our own programs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Optional

from . import paths
from .problems import MachineProblem

DEFAULT = paths.CHECKOUT / "build" / "default"


def build(directory: Optional[Path], targets: list[str]) -> Path:
    """Configures (the preset 'default', or `directory` if that is given) and builds; returns the build directory."""
    where = directory or DEFAULT
    if not (where / "CMakeCache.txt").is_file():
        configure = ["cmake", "--preset", "default"] if directory is None else ["cmake", "-S", str(paths.CHECKOUT), "-B", str(where)]
        _step("configuring", configure)
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 1)
    command = ["cmake", "--build", str(where), "--parallel", jobs]
    if targets:
        command += ["--target", *targets]
    _step("building", command)
    return where


def _step(what: str, command: list[str]) -> None:
    """Runs a step of the build; shows how far it is, and all that it said where it fails."""
    said: list[str] = []
    live = sys.stderr.isatty()
    if not live:
        print(f"{what}: {' '.join(command)}", file=sys.stderr, flush=True)
    try:
        with subprocess.Popen(command, cwd=paths.CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as step:
            assert step.stdout
            for line in step.stdout:
                said.append(line)
                if live and (match := re.match(r"\[\d+/\d+\]", line)):
                    sys.stderr.write(f"\r{what} {match.group()}\x1b[K")
                    sys.stderr.flush()
        if live:
            sys.stderr.write("\r\x1b[K")
    except FileNotFoundError:
        raise MachineProblem(f"{command[0]} is not installed; install the packages of vm-scripts/packages.txt") from None
    if step.returncode:
        sys.stdout.write("".join(said)[-8000:])
        raise MachineProblem(f"{what} failed: {' '.join(command)}")


def program(build_directory: Path, name: str) -> Path:
    """A built program by its path below the build directory."""
    path = build_directory / name
    if not os.access(path, os.X_OK):
        raise MachineProblem(f"{path} is not there; build it first (leave out --no-build, or: cmake --preset default && cmake --build --preset default)")
    return path
