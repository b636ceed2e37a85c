# SPDX-License-Identifier: GPL-2.0-or-later
"""Which accelerator boots a guest here. Only trying tells: a /dev/kvm that opens may still never run a kernel."""

from __future__ import annotations

import json
import os
from typing import Optional

from . import paths

CHOICES = ("auto", "kvm", "tcg")
FIRST_OUTPUT_SECONDS = 8.0  # a kernel under a KVM that works speaks within one or two


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def why_not_kvm() -> Optional[str]:
    """Why KVM cannot be used, without booting anything; None where it is worth a try."""
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return "there is no /dev/kvm (no virtualisation in this CPU or machine, or the module kvm is not loaded)"
    except PermissionError:
        return "/dev/kvm may not be opened by this user (remedy: join the group kvm)"
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    try:
        remembered = json.loads((paths.cache() / "accelerator.json").read_text())
        if remembered.get("boot_id") == _boot_id():
            return str(remembered["reason"])
    except (OSError, ValueError, KeyError, AttributeError):
        pass
    return None


def remember(reason: str) -> None:
    """Remembers, until this machine boots again, that KVM does not work and why."""
    try:
        (paths.cache() / "accelerator.json").write_text(json.dumps({"boot_id": _boot_id(), "reason": reason}))
    except OSError:
        pass  # only costs the next run its try


# What TCG pays dearly for, and no test asks for: SMAP ends a block of code at each access to user memory and keeps the TLB
# twice; a rep with ERMS moves byte by byte; XSAVE (with AVX and keys) is saved and loaded register by register at each switch.
# Without XSAVE a CPU has no AVX either, which QEMU does not see to: Linux 7.2's polyval asks for AVX alone.
TCG_CPU = "max,-smap,-erms,-fsrm,-xsave,-avx,-avx2,-f16c,-fma,-vaes,-vpclmulqdq,-pku,-la57"
PLAIN_TCG_CPU = "max"  # for a kernel that cannot do with less


def options(name: str, plain_cpu: bool = False) -> list[str]:
    """QEMU's options for an accelerator by name; with `plain_cpu` TCG leaves nothing out that it can emulate."""
    if name == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi", "-cpu", PLAIN_TCG_CPU if plain_cpu else TCG_CPU]


def kernel_arguments(name: str) -> str:
    """Words for the kernel's command line that make an emulated machine faster and surer to boot, and nothing else different."""
    # Without tsc=reliable two emulated CPUs fail the synchrony check, and each look at the time goes to the emulated HPET.
    # Without no_timer_check the kernel panics ("IO-APIC + timer doesn't work") where a busy host lets the first ticks come late.
    return "tsc=reliable mitigations=off no_timer_check" if name == "tcg" else ""
