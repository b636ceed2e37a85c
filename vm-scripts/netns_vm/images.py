# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel proper out of a bzImage. QEMU can start an uncompressed kernel that has a PVH entry (CONFIG_PVH), which spares
the guest its decompression: under TCG that is two thirds of a boot."""

from __future__ import annotations

import hashlib
import lzma
import os
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Optional

from . import paths

PT_NOTE = 4
XEN_ELFNOTE_PHYS32_ENTRY = 18


def _payload(image: bytes) -> bytes:
    """The compressed kernel: see the kernel's Documentation/arch/x86/boot.rst, payload_offset and payload_length."""
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1F1] or 4) + 1) * 512 + offset
    return image[start : start + length]


def _decompress(payload: bytes) -> Optional[bytes]:
    try:
        if payload[:6] == b"\xfd7zXZ\0":
            return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(payload)
        if payload[:2] == b"\x1f\x8b":
            return zlib.decompressobj(31).decompress(payload)
        if payload[:4] == b"\x28\xb5\x2f\xfd":
            # The build appends the size in four bytes, which zstd takes for rubbish.
            return subprocess.run(["zstd", "-dcq"], input=payload[:-4], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    except (lzma.LZMAError, zlib.error, OSError, subprocess.CalledProcessError):
        pass
    return payload if payload[:4] == b"\x7fELF" else None


def has_pvh_entry(elf: bytes) -> bool:
    """Whether a 64-bit ELF kernel has the note by which QEMU finds its PVH entry."""
    if elf[:5] != b"\x7fELF\x02":
        return False
    (table,) = struct.unpack_from("<Q", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x36)
    for index in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", elf, table + index * size)
        if kind != PT_NOTE:
            continue
        end = min(offset + length, len(elf))
        while offset + 12 <= end:
            name_size, data_size, note = struct.unpack_from("<III", elf, offset)
            name = elf[offset + 12 : offset + 12 + name_size]
            if note == XEN_ELFNOTE_PHYS32_ENTRY and name.rstrip(b"\0") == b"Xen":
                return True
            offset += 12 + (name_size + 3 & ~3) + (data_size + 3 & ~3)
    return False


def direct(image: Path) -> Path:
    """The file that QEMU is to start for a bzImage: its kernel, uncompressed, where that has a PVH entry, else itself."""
    try:
        status = image.stat()
        key = hashlib.sha256(f"{image.absolute()} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:24]
        place = paths.cache("images") / key
        if place.exists():
            return place if place.stat().st_size else image
        try:
            elf = _decompress(_payload(image.read_bytes()))
            usable = elf is not None and has_pvh_entry(elf)
        except struct.error:
            elf, usable = None, False
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as out:
            out.write(elf if usable and elf else b"")  # an empty file remembers that there is nothing
        os.rename(out.name, place)
        return place if usable else image
    except OSError:
        return image  # no room in the cache: the bzImage boots as well
