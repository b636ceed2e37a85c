# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest's console says about how the guest ended."""

from __future__ import annotations

import dataclasses
import re
from typing import Optional

MARK = re.compile(r"netns-conformance: (start|end) (\S+)")
FINISHED = re.compile(r"netns-conformance: guest finished status=(\d+)")

# The first that matches names the fault: an oops is followed by a panic of its own making.
_PATTERNS = (
    ("machine", "ERROR", r"Kernel panic - not syncing: .*(?:[Oo]ut of memory|deadlocked on memory).*"),
    ("machine", "ERROR", r"Kernel panic - not syncing: Attempted to kill init!.*"),
    ("machine", "ERROR", r"Kernel panic - not syncing: No working init found.*"),
    ("machine", "ERROR", r"Kernel panic - not syncing: VFS: Unable to mount root fs.*"),
    ("lockup", "FAIL", r"(?:watchdog: )?BUG: (?:soft|workqueue) lockup.*|Watchdog detected hard LOCKUP.*|rcu.*(?:self-detected stall|detected stalls?).*"),
    ("hung-task", "FAIL", r"INFO: task .* blocked (?:in I/O wait )?for more than.*"),
    ("panic", "FAIL", r"sysrq: Trigger a crash.*"),
    ("oops", "FAIL", r"(?:Oops: )?int3: 0000.*"),
    ("oops", "FAIL", r"BUG: unable to handle.*|BUG: kernel NULL pointer.*|general protection fault.*|kernel BUG at.*|Oops: .*|BUG: KASAN.*|BUG: .*"),
    ("panic", "FAIL", r"Kernel panic - not syncing: .*"),
)
_COMPILED = tuple((kind, verdict, re.compile(pattern)) for kind, verdict, pattern in _PATTERNS)
PANIC = re.compile(rb"Kernel panic - not syncing")
EXCERPT_LINES = 120


@dataclasses.dataclass(frozen=True)
class Fault:
    """Why a boot ended early. `kind` and `verdict` are the words of docs/events.md."""

    kind: str
    verdict: str
    text: str


def plain(console: bytes) -> str:
    """The console as text that is safe to show: no carriage returns, no other control characters."""
    text = console.decode("utf-8", "replace").replace("\r", "")
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "?", text)


def without_timestamp(line: str) -> str:
    return re.sub(r"^\[\s*\d+\.\d+\]\s*(?:\[[^]]*\]\s*)?", "", line)


def diagnose(console: str) -> Optional[Fault]:
    """The fault that the console tells of after the last test's start, if it tells of one."""
    lines = console.splitlines()
    begin = 0
    for index, line in enumerate(lines):
        if " start " in line and MARK.search(line):
            begin = index
    for part in (lines[begin:], lines):
        panicked = any("Kernel panic - not syncing" in line for line in part)
        for kind, verdict, pattern in _COMPILED:
            for line in part:
                match = pattern.search(line)
                if match and panicked:
                    return Fault(kind, verdict, without_timestamp(match.group(0)))
    return None


def is_tcg_slip(console: str) -> bool:
    """What QEMU's TCG does now and then with code that the kernel patches while it runs. No fault of the kernel's.

    An int3 exception whose instruction is no int3: the kernel puts one in the place of an instruction while it patches it, and
    takes it out again; TCG still runs it afterwards. Or a CPU that is locked up at the no-op of a static key, which TCG never
    gets beyond; not at the one at the beginning of a function (of ftrace), where any endless loop comes by."""
    trapped = re.search(r"int3: 0000.*?\bCode: [^\n]*?([0-9a-f]{2}) <", console, re.DOTALL)
    if trapped is not None:
        return trapped.group(1) != "cc"
    stuck = re.search(r"soft lockup - CPU#.*?\bRIP: [^\n]*?\+(0x[0-9a-f]+)/[^\n]*\n[^\n]*\bCode: [^\n]*?<0f> 1f 44 00 00", console, re.DOTALL)
    return stuck is not None and int(stuck.group(1), 16) > 4


def excerpt(console: str) -> str:
    """The console from the last test's start on; its first and last lines where that is long."""
    lines = console.splitlines()
    begin = 0
    for index, line in enumerate(lines):
        if " start " in line and MARK.search(line):
            begin = index
    lines = lines[begin:]
    if len(lines) > EXCERPT_LINES:
        lines = lines[: EXCERPT_LINES // 3] + ["[...]"] + lines[-EXCERPT_LINES * 2 // 3 :]
    return "\n".join(lines)


def in_flight(console: str) -> list[str]:
    """The tests that the console saw start and not end, in the order of their starts."""
    running: dict[str, None] = {}
    for kind, test in MARK.findall(console):
        running.pop(test, None)
        if kind == "start":
            running[test] = None
    return list(running)
