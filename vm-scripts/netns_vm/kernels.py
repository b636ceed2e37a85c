# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel to boot: its image, its modules, its configuration, wherever they come from."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Optional

from .problems import MachineProblem, UsageProblem

# Kernels with everything built in make devices of their own at the start, which no test has asked for.
LEAN_START = "fb_tunnels=none dummy.numdummies=0 bonding.max_bonds=0 ifb.numifbs=0 mac80211_hwsim.radios=0"
MODULE_SUFFIXES = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """`modules` is the directory that holds modules of this release (…/lib/modules/RELEASE), or None."""

    image: Path
    release: str
    modules: Optional[Path]
    config: Optional[Path]
    origin: str


def release_of(image: Path) -> str:
    """The release string inside an x86 bzImage; says what the file is instead where it is none."""
    try:
        with image.open("rb") as file:
            head = file.read(0x10000)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise UsageProblem(f"{image}: {error.strerror}; --kernel wants a readable bzImage") from None
    if head[0x202:0x206] == b"HdrS":
        # The kernel's Documentation/arch/x86/boot.rst: setup_sects and syssize (in paragraphs) say how long the file must be.
        whole = ((head[0x1F1] or 4) + 1) * 512 + struct.unpack_from("<I", head, 0x1F4)[0] * 16
        if size < whole:
            raise UsageProblem(f"{image}: a bzImage of which {whole - size} of {whole} bytes are missing; copy or build it again")
        (offset,) = struct.unpack_from("<H", head, 0x20E)
        text = head[offset + 0x200 : offset + 0x300].split(b"\0")[0].decode("ascii", "replace")
        release = text.split(" ")[0]
        if offset and release:
            return release
        raise UsageProblem(f"{image}: a bzImage without a version string; it is damaged or not from Linux")
    raise UsageProblem(f"{image}: {_what_is_it(head)}; --kernel wants an x86 bzImage (arch/x86/boot/bzImage, /boot/vmlinuz-*)")


def _what_is_it(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head[:4] == b"\x7fELF":
        return "an ELF file (vmlinux?), not a bzImage"
    if head[0x38:0x3C] == b"ARM\x64":
        return "an arm64 Image, which this x86 QEMU cannot boot"
    if head[:8] == b"!<arch>\n":
        return "a Debian package (use --deb)"
    if head[4:8] == b"zimg":
        return "an EFI zboot image of another architecture, not an x86 bzImage"
    if head[:2] == b"\x1f\x8b":
        return "a gzip file, not a bzImage"
    return "not a kernel"


def modules_below(directory: Path, release: str) -> Path:
    """The modules directory for `release` that `directory` is or contains; refuses those of another release."""
    if not directory.is_dir():
        raise UsageProblem(f"--modules {directory}: no such directory")
    candidates = [directory / "lib/modules" / release, directory / "usr/lib/modules" / release, directory / release]
    if directory.name == release:
        candidates.insert(0, directory)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    # A flat directory of modules says its release only inside the modules.
    found = vermagic_release(directory)
    if found == release:
        return directory
    others = sorted({path.name for base in ("lib/modules", "usr/lib/modules", ".") for path in (directory / base).glob("*") if (path / "kernel").is_dir() or (path / "modules.dep").exists()})
    seen = found or ", ".join(others) or "none"
    raise UsageProblem(f"--modules {directory}: holds modules of {seen}, but the kernel is {release}; give the directory made by 'make modules_install' for this kernel")


def vermagic_release(directory: Path) -> Optional[str]:
    """The release that the first module below `directory` was built for."""
    from . import modules  # imported late: modules.py needs Kernel

    for path in sorted([*directory.glob("*.ko*"), *directory.glob("kernel/**/*.ko*")]):
        if path.name.endswith(MODULE_SUFFIXES):
            match = re.search(rb"\0vermagic=([^ \0]+)", modules.read_module(path))
            return match.group(1).decode() if match else None
    return None


def from_file(image: Path, modules: Optional[Path], origin: str = "--kernel") -> Kernel:
    """A kernel by file. Without a modules directory the kernel is taken to have everything built in."""
    if image.is_dir():
        raise UsageProblem(f"{image}: a directory; --kernel wants a bzImage file (--build-tree takes a kernel build tree)")
    release = release_of(image)
    found = modules_below(modules, release) if modules else None
    config = None
    places = [image.parent / f"config-{release}"]
    if image.absolute().parent.match("arch/*/boot"):
        places.append(image.absolute().parents[3] / ".config")
    for candidate in places:
        if candidate.is_file():
            config = candidate
            break
    if config is None and found and (found / "config").is_file():
        config = found / "config"
    if config is None and _is_config_of(image.parent / ".config", release):
        config = image.parent / ".config"  # where a CI put both
    return Kernel(image.absolute(), release, found.absolute() if found else None, config, origin)


def _is_config_of(path: Path, release: str) -> bool:
    """Whether a file is a kernel configuration of that version, as its third line says."""
    try:
        with path.open(errors="replace") as file:
            version = re.search(r"^# Linux/\S+ (\S+) Kernel Configuration", file.read(4096), re.MULTILINE)
    except OSError:
        return False
    return version is not None and re.match(re.escape(version.group(1)) + r"(?![\w.])", release) is not None


def from_build_tree(tree: Path) -> Kernel:
    """The kernel that 'make' left in `tree`, with its modules installed into the cache, stripped."""
    image = tree / "arch/x86/boot/bzImage"
    if not tree.is_dir():
        raise UsageProblem(f"--build-tree {tree}: no such directory")
    if not image.is_file():
        raise UsageProblem(f"--build-tree {tree}: no {image.relative_to(tree)}; run 'make' in it first, or name a kernel build tree")
    release = release_of(image)
    config = tree / ".config"
    modules: Optional[Path] = None
    if (tree / "modules.order").is_file() and (tree / "modules.order").stat().st_size:
        modules = _installed_modules(tree, release)
    return Kernel(image.absolute(), release, modules, config if config.is_file() else None, "--build-tree")


def _installed_modules(tree: Path, release: str) -> Path:
    from . import paths

    order = (tree / "modules.order").stat()
    key = hashlib.sha256(f"{tree.absolute()} {release} {order.st_mtime_ns} {order.st_size} {(tree / 'vmlinux').stat().st_mtime_ns if (tree / 'vmlinux').exists() else 0}".encode())
    target = paths.cache("trees") / key.hexdigest()[:24]
    found = target / "lib/modules" / release
    if not (target / "complete").exists():
        done = subprocess.run(
            ["make", "-C", str(tree), "-s", f"INSTALL_MOD_PATH={target.absolute()}", "INSTALL_MOD_STRIP=1", "DEPMOD=true", "modules_install"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode or not found.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            raise MachineProblem(f"--build-tree {tree}: 'make modules_install' failed: {(done.stdout.strip().splitlines() or ['no message'])[-1]}")
        (target / "complete").touch()
    return found


def running() -> Kernel:
    """The kernel that runs here, from the usual places."""
    release = os.uname().release
    for image in (Path(f"/boot/vmlinuz-{release}"), Path(f"/lib/modules/{release}/vmlinuz"), Path(f"/usr/lib/modules/{release}/vmlinuz")):
        if image.is_file():
            if not os.access(image, os.R_OK):
                raise MachineProblem(f"{image}: may not be read by this user; copy it, or: sudo chmod +r {image}")
            break
    else:
        raise MachineProblem(f"--running-kernel: no image of {release} in /boot or /lib/modules (a container?); give it with --kernel FILE --modules DIR")
    directory = Path("/lib/modules", release)
    kernel = from_file(image, directory if directory.is_dir() else None, "--running-kernel")
    return kernel
