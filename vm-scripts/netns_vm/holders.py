# SPDX-License-Identifier: GPL-2.0-or-later
"""What keeps a network namespace alive, and with it the card that was moved into it: processes, threads, descriptors,
sockets and mounts, as far as /proc and the kernel tell."""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import fcntl
import os
import re
import stat
from pathlib import Path
from typing import Iterator, Optional

from .problems import OK, MachineProblem, UsageProblem

SYS_PIDFD_GETFD = 438
SIOCGSKNS = 0x894C  # socket -> descriptor of its network namespace
TUNGETDEVNETNS = 0x54E3  # the same for /dev/net/tun
NS_GET_NSTYPE = 0xB703
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

Identity = tuple[int, int]  # device and inode of an nsfs file


@dataclasses.dataclass(frozen=True)
class Holder:
    kind: str  # process, thread, descriptor, socket, tun, mount
    pid: int
    text: str


def identity(fd_or_path: int | str | Path) -> Identity:
    status = os.stat(fd_or_path)
    return status.st_dev, status.st_ino


def find(word: str) -> tuple[Identity, str]:
    """The namespace that PATH or PID stands for, and how it is called."""
    path = f"/proc/{word}/ns/net" if word.isdigit() else word
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UsageProblem(f"{word}: " + ("no such process" if word.isdigit() else "no such file; give a path like /run/netns/NAME or /proc/PID/ns/net, or a PID")) from None
    except PermissionError:
        raise MachineProblem(f"{path}: may not be opened by this user; run as root") from None
    except OSError as error:
        raise UsageProblem(f"{path}: {error.strerror}") from None
    try:
        kind = fcntl.ioctl(fd, NS_GET_NSTYPE) & 0xFFFFFFFF
    except OSError:
        raise UsageProblem(f"{path}: is no namespace" + (" (a left-over file: nothing is mounted on it)" if stat.S_ISREG(os.fstat(fd).st_mode) else "")) from None
    found = identity(fd)
    os.close(fd)
    if kind != CLONE_NEWNET:
        raise UsageProblem(f"{path}: is a namespace, but no network namespace")
    return found, f"net:[{found[1]}]"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _name(pid: int) -> str:
    return f"{pid} ({_read(f'/proc/{pid}/comm').strip() or '?'})"


def _borrow(pidfd: int, number: int) -> Optional[int]:
    """A copy of another process's descriptor; it has to be closed. None where that is not allowed."""
    fd = _libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
    return fd if fd >= 0 else None


def _namespace_of(fd: int, request: int) -> Optional[Identity]:
    try:
        namespace = fcntl.ioctl(fd, request)
    except OSError:
        return None
    try:
        return identity(namespace)
    finally:
        os.close(namespace)


def _descriptors(pid: int, wanted: Identity) -> Iterator[Holder]:
    try:
        numbers = sorted(map(int, os.listdir(f"/proc/{pid}/fd")))
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        for number in numbers:
            path = f"/proc/{pid}/fd/{number}"
            try:
                target = os.readlink(path)
                if target.startswith("net:["):
                    if identity(path) == wanted:
                        yield Holder("descriptor", pid, f"descriptor {number} of {_name(pid)} is the namespace itself")
                    continue
            except OSError:
                continue
            request = SIOCGSKNS if target.startswith("socket:") else TUNGETDEVNETNS if target.endswith("/net/tun") else 0
            copy = _borrow(pidfd, number) if request else None
            if copy is None:
                continue
            try:
                if _namespace_of(copy, request) == wanted:
                    what = f"a socket ({target})" if request == SIOCGSKNS else "a tun or tap device"
                    yield Holder("socket" if request == SIOCGSKNS else "tun", pid, f"descriptor {number} of {_name(pid)} is {what} born in it")
            finally:
                os.close(copy)
    finally:
        os.close(pidfd)


def _mounts(pid: int, wanted: Identity, name: str) -> Iterator[Holder]:
    device = f"{os.major(wanted[0])}:{os.minor(wanted[0])}"
    for line in _read(f"/proc/{pid}/mountinfo").splitlines():
        fields = line.split(" ")
        if len(fields) > 4 and fields[2] == device and fields[3] == name:
            place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), fields[4])
            yield Holder("mount", pid, f"mounted on {place}, as {_name(pid)} sees it (remedy: umount {place})")


def holders(wanted: Identity, name: str) -> tuple[list[Holder], int]:
    """All that can be seen, and how many processes could not be looked into."""
    found: list[Holder] = []
    closed = 0
    mount_namespaces: set[int] = set()
    for pid in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        try:
            own = identity(f"/proc/{pid}/ns/net")
            threads = sorted(map(int, os.listdir(f"/proc/{pid}/task")))
            mounts = os.stat(f"/proc/{pid}/ns/mnt").st_ino
            os.listdir(f"/proc/{pid}/fd")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile, or is a zombie, which holds nothing
        except PermissionError:
            closed += 1
            continue
        if own == wanted:
            found.append(Holder("process", pid, f"process {_name(pid)} is in it"))
        for thread in threads:
            try:
                inside = identity(f"/proc/{pid}/task/{thread}/ns/net")
            except OSError:
                continue
            if thread != pid and inside == wanted and own != wanted:
                found.append(Holder("thread", pid, f"thread {thread} of process {_name(pid)} is in it, unlike the process"))
        found += _descriptors(pid, wanted)
        if mounts not in mount_namespaces:
            mount_namespaces.add(mounts)
            found += _mounts(pid, wanted, name)
    return found, closed


def main(options: argparse.Namespace) -> int:
    wanted, name = find(options.what)
    found, closed = holders(wanted, name)
    print(f"{options.what} is {name}, held by {len(found) or 'nothing that can be seen'}")
    for kind in ("process", "thread", "descriptor", "socket", "tun", "mount"):
        for holder in found:
            if holder.kind == kind:
                print(f"  {kind:<11} {holder.text}")
    if closed:
        print(f"{closed} process(es) may not be looked into by this user; run as root to see all")
    print("not seen: descriptors on their way through unix sockets, and mounts in namespaces that no process is in")
    return OK
