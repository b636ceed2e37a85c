# SPDX-License-Identifier: GPL-2.0-or-later
"""What a VM run is asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Optional, Sequence

from . import qemu
from .guest import Limits
from .kernels import Kernel

BUSY_BOOT_LIMIT = 10


@dataclasses.dataclass
class Request:
    """All that a VM run is asked for."""

    kernel: Kernel
    build: Path
    output: Path
    append: str = ""
    filter: str = ""
    quick: bool = False  # only so many of these tests that each requirement is checked
    nics: str = qemu.DEFAULT_NICS
    memory_mb: int = 1024
    machines: int = 1  # that share the tests
    cpus: int = 2  # of each
    jobs: int = 0  # tests at once in each machine; 0: some for each CPU, for a test mostly waits for the kernel
    accel: str = "auto"
    limits: Limits = dataclasses.field(default_factory=Limits)
    stop_on_crash: bool = False
    boots: int = BUSY_BOOT_LIMIT
    runner: Optional[Path] = None
    runner_arguments: Sequence[str] = ()
    again: Sequence[str] = ()  # the words after 'vm' that make this machine again, for reports
    label: str = ""
    extra_files: dict[str, Path] = dataclasses.field(default_factory=dict)
