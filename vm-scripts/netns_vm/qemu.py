# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine that QEMU is asked for: no network to the outside, no port on the host, no root."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path
from typing import Sequence

from . import accelerator
from .problems import MachineProblem, UsageProblem

# QEMU's device, and the driver that Linux has for it.
MODELS = {
    "e1000": "e1000",
    "e1000e": "e1000e",
    "igb": "igb",
    "virtio-net-pci": "virtio_net",
    "rtl8139": "8139cp",
    "vmxnet3": "vmxnet3",
    "pcnet": "pcnet32",
    "ne2k_pci": "ne2k-pci",
    "tulip": "tulip",
    "i82550": "e100",
}
ALIASES = {"virtio-net": "virtio-net-pci", "virtio": "virtio-net-pci", "i8255x": "i82550", "ne2k-pci": "ne2k_pci", "pcnet32": "pcnet", "e100": "i82550", "virtio_net": "virtio-net-pci", "8139cp": "rtl8139"}
DEFAULT_NICS = "e1000:2,e1000e:2,virtio-net-pci:2,rtl8139:2,vmxnet3:2"
CARD_LIMIT = 26  # slots on the root bus, less what the machine itself has


@dataclasses.dataclass(frozen=True)
class Nic:
    model: str
    mac: str
    wire: int  # cards on one wire reach each other


def binary() -> str:
    found = shutil.which("qemu-system-x86_64")
    if not found:
        raise MachineProblem("qemu-system-x86_64 is not installed; install the package qemu-system-x86")
    return found


def version() -> str:
    done = subprocess.run([binary(), "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    match = re.search(r"version (\S+)", done.stdout)
    return match.group(1) if match else "unknown"


def models_here() -> set[str]:
    """The card models that this QEMU has, out of those that we know."""
    done = subprocess.run([binary(), "-device", "help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return set(re.findall(r'name "([^"]+)"', done.stdout)) & set(MODELS)


def parse_nics(text: str) -> list[Nic]:
    """Cards from 'MODEL[:COUNT],...' ('none': no card; 'all': two of each that this QEMU has). Two cards share a wire, as 1+2, 3+4, ..."""
    if text in ("none", ""):
        return []
    if text == "all":
        here = models_here()
        text = ",".join(f"{model}:2" for model in MODELS if model in here)
    nics: list[Nic] = []
    wire = 0
    seen: dict[str, int] = {}
    for part in text.split(","):
        name, _, count_text = part.strip().partition(":")
        model = ALIASES.get(name, name)
        if model not in MODELS:
            raise UsageProblem(f"--nics: no card model '{name}'; known: {', '.join(MODELS)}")
        if count_text and not re.fullmatch(r"[0-9]{1,2}", count_text):
            raise UsageProblem(f"--nics: '{count_text}' in '{part}' is no number of cards; write MODEL:COUNT")
        for index in range(int(count_text or 2)):
            number = seen[model] = seen.get(model, -1) + 1
            if index % 2 == 0:
                wire += 1
            nics.append(Nic(model, f"52:54:00:{list(MODELS).index(model) + 1:02x}:00:{number + 1:02x}", wire))
    if len(nics) > CARD_LIMIT:
        raise UsageProblem(f"--nics: {len(nics)} cards, but the machine has room for {CARD_LIMIT}")
    return nics


def nic_options(nics: Sequence[Nic]) -> list[str]:
    options: list[str] = []
    for index, nic in enumerate(nics):
        # No romfile: the BIOS would try each card as a boot device, which takes seconds.
        options += ["-netdev", f"hubport,id=wire{index},hubid={nic.wire}"]
        options += ["-device", f"{nic.model},netdev=wire{index},mac={nic.mac},romfile="]
    return options


@dataclasses.dataclass(frozen=True)
class Machine:
    """What to boot; `console_fd`, `serial_fd` and `virtio_fd` are the write ends of pipes that QEMU inherits."""

    image: Path
    initramfs: Path
    command_line: str
    accelerator: str
    memory_mb: int
    cpus: int
    nics: Sequence[Nic]
    plain_cpu: bool = False

    def command(self, console_fd: int, serial_fd: int, virtio_fd: int) -> list[str]:
        words = [binary(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-name", "netns-conformance"]
        words += ["-machine", "q35"] + accelerator.options(self.accelerator, self.plain_cpu)
        words += ["-m", str(self.memory_mb), "-smp", str(self.cpus)]
        words += ["-kernel", str(self.image), "-initrd", str(self.initramfs), "-append", self.command_line]
        # append=on: QEMU would try to truncate the pipe.
        for number, (name, fd) in enumerate((("console", console_fd), ("serial", serial_fd), ("virtio", virtio_fd)), 1):
            words += ["-add-fd", f"fd={fd},set={number}", "-chardev", f"file,id={name},path=/dev/fdset/{number},append=on"]
        words += ["-device", "isa-serial,chardev=console,index=0", "-device", "isa-serial,chardev=serial,index=1"]
        # The guest prefers it, because a serial port traps for each byte; the port is for kernels without VIRTIO_CONSOLE.
        words += ["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=virtio,name=netns-conformance.stream"]
        return words + nic_options(self.nics)
