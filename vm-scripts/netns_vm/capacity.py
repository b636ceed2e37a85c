# SPDX-License-Identifier: GPL-2.0-or-later
"""How many emulated machines this one bears."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOM_MB = 384  # what QEMU itself takes beside the guest's memory


def available_mb() -> int:
    try:
        match = re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())
        return int(match.group(1)) // 1024 if match else 2048
    except OSError:
        return 2048


def machines(cpus: int, memory_mb: int) -> int:
    """As many machines with `cpus` and `memory_mb` each as there are CPUs and memory free; at least one."""
    return max(1, min(len(os.sched_getaffinity(0)) // cpus, available_mb() // (memory_mb + ROOM_MB)))
