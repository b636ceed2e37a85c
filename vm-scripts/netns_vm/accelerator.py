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


def options(name: str) -> list[str]:
    """QEMU's options for an accelerator by name."""
    if name == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi", "-cpu", "max"]
