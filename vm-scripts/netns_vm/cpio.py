# SPDX-License-Identifier: GPL-2.0-or-later
"""A writer for the cpio archives that the kernel unpacks as an initramfs ("newc", see the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst). Device nodes need no privilege this way."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO


class Writer:
    """Writes one archive to `out`; the kernel accepts several archives one after the other."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._inode = 0
        self._made: set[str] = set()

    def _entry(self, name: str, mode: int, data: bytes, rdev: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._out.write(header + encoded + b"\0" * (-(len(header) + len(encoded)) % 4))
        self._out.write(data)
        self._out.write(b"\0" * (-len(data) % 4))

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Makes `path` (no leading slash) and its parents; does nothing for those that are there."""
        path = path.strip("/")
        if not path or path in self._made:
            return
        self.directory(os.path.dirname(path))
        self._made.add(path)
        self._entry(path, stat.S_IFDIR | mode, b"")

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        path = path.strip("/")
        self.directory(os.path.dirname(path))
        self._entry(path, stat.S_IFREG | mode, data)

    def symlink(self, path: str, target: str) -> None:
        path = path.strip("/")
        self.directory(os.path.dirname(path))
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        path = path.strip("/")
        self.directory(os.path.dirname(path))
        self._entry(path, stat.S_IFCHR | mode, b"", (major, minor))

    def finish(self) -> None:
        self._entry("TRAILER!!!", 0, b"")
