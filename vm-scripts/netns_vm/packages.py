# SPDX-License-Identifier: GPL-2.0-or-later
"""Which Debian packages are missing here, and getting them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from . import paths
from .problems import MachineProblem

LIST = paths.CHECKOUT / "vm-scripts" / "packages.txt"


def wanted(path: Path = LIST) -> list[str]:
    return [line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


def missing() -> list[str]:
    """The wanted packages that dpkg does not have installed; [] where there is no dpkg to ask."""
    if not shutil.which("dpkg-query"):
        return []
    names = wanted()
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def ensure(install: bool) -> None:
    """Says what is missing and installs it; with `install` false it only says so and gives up."""
    lacking = missing()
    if not lacking:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *lacking]
    if os.geteuid() != 0:
        command.insert(0, "sudo")
    print("missing packages: " + " ".join(lacking), flush=True)
    if not install:
        raise MachineProblem("packages are missing (--no-install); install them with: " + shlex.join(command))
    if os.geteuid() != 0 and not shutil.which("sudo"):
        raise MachineProblem("there is no sudo here; as root run: " + shlex.join(command[1:]))
    # A fresh machine has no package lists, and old lists name versions that are gone. Where there is no mirror the install says so.
    subprocess.run([*command[: command.index("install")], "update", "-qq"], stdout=subprocess.DEVNULL)
    if subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}).returncode:
        raise MachineProblem("apt could not install the missing packages (is 'apt-get update' due?): " + " ".join(lacking))
