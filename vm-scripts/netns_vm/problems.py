# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors that a user can act on. Each carries one line and the exit status that DESIGN and the README promise."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
ERROR = 3
FORBIDDEN = 4


class Problem(Exception):
    """Something that one clear line explains; `status` is what the command exits with."""

    status = ERROR


class UsageProblem(Problem):
    """The user asked for something that cannot be: a bad option, a file that is no kernel."""

    status = USAGE


class MachineProblem(Problem):
    """This machine, its disk, its QEMU or its network does not let us go on."""

    status = ERROR
