# SPDX-License-Identifier: GPL-2.0-or-later
"""One page on this machine: what works, what does not, what that costs, and the remedy."""

from __future__ import annotations

import argparse
import ctypes
import gzip
import os
import re
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Optional

from . import accelerator, building, images, kernels, packages, paths, qemu
from .problems import OK, Problem

CONFIG = {
    "NET_NS": "everything: without it there are no network namespaces",
    "USER_NS": "runs as an ordinary user, and the area USER",
    "VETH": "everything over veth pairs",
    "IPV6": "the IPv6 half of most areas",
    "NF_TABLES": "nftables (FW)",
    "IP_NF_IPTABLES": "iptables-legacy (FW)",
    "BRIDGE": "bridges",
    "VLAN_8021Q": "VLAN devices",
    "DUMMY": "dummy devices",
    "TUN": "tun and tap devices",
    "IP_SCTP": "SCTP sockets",
    "PACKET": "packet sockets",
    "UNIX_DIAG": "listing of unix sockets",
}
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
NOBODY = 65534
_bad = 0


def _line(good: Optional[bool], what: str, text: str, cost: str = "", remedy: str = "") -> None:
    global _bad
    word = {True: "ok  ", False: "MISS", None: "note"}[good]
    if good is False:
        _bad += 1
    print(f"  {word}  {what:<22} {text}")
    if cost:
        print(f"        {'':<22} costs: {cost}")
    if remedy:
        print(f"        {'':<22} remedy: {remedy}")


def read_config() -> tuple[dict[str, str], str]:
    """The running kernel's options and where they were read; ({}, "") where they are nowhere."""
    release = os.uname().release
    for path in (Path("/proc/config.gz"), Path(f"/boot/config-{release}"), Path(f"/lib/modules/{release}/config"), Path(f"/lib/modules/{release}/build/.config")):
        try:
            text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        except OSError:
            continue
        return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.MULTILINE)), str(path)
    return {}, ""


def _try_unshare(flags: int, user: Optional[int] = None) -> Optional[str]:
    """Why unshare(flags) fails in a child of ours (as `user`, for root can do what others may not); None where it works."""
    pid = os.fork()
    if pid == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        os._exit(ctypes.get_errno() if libc.unshare(flags) else 0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return None if status == 0 else os.strerror(status)


def _sysctl(name: str) -> Optional[str]:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def user_namespace_policy() -> str:
    """Which policy forbids user namespaces to ordinary users, as far as it can be told."""
    if not os.path.exists("/proc/self/ns/user"):
        return "a kernel without CONFIG_USER_NS; remedy: test another kernel with 'vm'"
    if _sysctl("user/max_user_namespaces") == "0":
        return "sysctl user.max_user_namespaces=0; remedy: sysctl -w user.max_user_namespaces=10000"
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return "sysctl kernel.unprivileged_userns_clone=0; remedy: sysctl -w kernel.unprivileged_userns_clone=1"
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "AppArmor (kernel.apparmor_restrict_unprivileged_userns=1); remedy: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return "a seccomp filter or security module (a container?); remedy: run outside of it, or in the VM"


def speaks(accel: str, image: Path, seconds: float) -> Optional[float]:
    """Seconds until a kernel says its first byte under `accel`; None where it does not within `seconds`."""
    read_fd, write_fd = os.pipe()
    command = [qemu.binary(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35", *accelerator.options(accel), "-m", "512", "-kernel", str(image)]
    command += ["-append", "console=ttyS0 panic=-1 nokaslr", "-add-fd", f"fd={write_fd},set=1", "-chardev", "file,id=console,path=/dev/fdset/1,append=on", "-device", "isa-serial,chardev=console"]
    begun = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[write_fd])
    os.close(write_fd)
    try:
        ready, _, _ = select.select([read_fd], [], [], seconds)
        return time.monotonic() - begun if ready and os.read(read_fd, 1) else None
    finally:
        process.kill()
        process.wait()
        os.close(read_fd)


def cached_kernel() -> Optional[Path]:
    for tree in sorted(paths.cache("kernels").glob("*/boot/vmlinuz-*")):
        return tree
    return None


def _kernel() -> None:
    print("kernel")
    names = os.uname()
    _line(None, "running", f"{names.release} {names.machine}")
    config, source = read_config()
    if not config:
        _line(None, "configuration", "not readable (no /proc/config.gz, nothing in /boot or /lib/modules)", "'run' probes instead; reasons for MISS are less exact")
    else:
        _line(True, "configuration", source)
        for option, cost in CONFIG.items():
            value = config.get(option)
            _line(value is not None, f"CONFIG_{option}", value or "not set", "" if value else cost, "" if value else "test another kernel with 'vm', or build one with it")


def _privileges() -> None:
    print("privileges")
    status = Path("/proc/self/status").read_text()
    effective = int(re.search(r"CapEff:\s+(\w+)", status).group(1), 16)  # type: ignore[union-attr]
    _line(None, "user", f"uid {os.geteuid()}, " + ", ".join(f"{'has' if effective >> bit & 1 else 'lacks'} {name}" for name, bit in (("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21))))
    if effective >> 21 & 1:
        why = _try_unshare(CLONE_NEWNET)
        _line(why is None, "network namespaces", "can be made" if why is None else f"unshare(CLONE_NEWNET): {why}", "" if why is None else "'run'", "" if why is None else "use 'vm'")
    users: list[tuple[str, Optional[int]]] = [("user namespaces", None)]
    if os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split()[2:] == ["4294967295"]:  # not root of a container
        users.append(("... of others", NOBODY))
    for what, user in users:
        why = _try_unshare(CLONE_NEWUSER | CLONE_NEWNET, user)
        by = "" if user is None else " by an ordinary user"
        if why is None:
            _line(True, what, f"can be made{by}, with a network namespace")
        else:
            policy, _, remedy = user_namespace_policy().partition("; remedy: ")
            _line(False, what, f"unshare(CLONE_NEWUSER|CLONE_NEWNET){by}: {why}; forbidden by {policy}", "'run' as an ordinary user, and the area USER", remedy)


def _machines(boot: bool) -> None:
    print("virtual machines")
    try:
        _line(True, "QEMU", f"{qemu.version()} ({qemu.binary()})")
    except Problem as problem:
        _line(False, "QEMU", str(problem), "'vm', 'matrix' and 'bisect'")
        return
    here = qemu.models_here()
    lacking = [model for model in qemu.MODELS if model not in here]
    _line(None, "network cards", ", ".join(model for model in qemu.MODELS if model in here) + (f"; not in this QEMU: {', '.join(lacking)}" if lacking else ""))
    image = cached_kernel()
    why = accelerator.why_not_kvm()
    if why:
        _line(False, "KVM", why, "speed: TCG is many times slower", "run on a machine whose (nested) virtualisation works")
    elif not boot or not image:
        _line(None, "KVM", "/dev/kvm opens; not tried" + ("" if image else " (no kernel in the cache yet; 'vm' fetches one)"))
    else:
        took = speaks("kvm", images.direct(image), accelerator.FIRST_OUTPUT_SECONDS)
        if took is None:
            why = f"/dev/kvm opens, but a guest says nothing within {accelerator.FIRST_OUTPUT_SECONDS:.0f} s under it"
            accelerator.remember(why)
            _line(False, "KVM", why, "speed: TCG is many times slower", "run on a machine whose (nested) virtualisation works")
        else:
            _line(True, "KVM", f"boots: first words after {took:.1f} s")
    if boot and image:
        took = speaks("tcg", images.direct(image), 60)
        _line(took is not None, "TCG", f"boots: first words after {took:.1f} s" if took else "no word from a kernel within 60 s", "" if took else "'vm'")
    elif not image:
        _line(None, "TCG", "not tried: no kernel in the cache yet ('vm' fetches one)")


def _tools() -> None:
    print("tools")
    lacking = packages.missing()
    _line(not lacking, "packages", "all there" if not lacking else "missing: " + " ".join(lacking), "" if not lacking else "building, or 'vm'", "" if not lacking else "apt-get install " + " ".join(lacking))
    for tool, cost in (("ccache", "slower builds ('bisect' most of all)"), ("depmod", "kernels with modules"), ("zstd", "kernels with .zst modules"), ("dpkg-deb", "kernels from packages")):
        found = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
        _line(bool(found), tool, found or "not found", "" if found else cost, "" if found else "install it with apt-get")
    built = (building.DEFAULT / "suites" / "netns-tests").exists()
    _line(None, "programs", f"built in {building.DEFAULT}" if built else "not built yet; 'vm' and 'test' build them")


def _disk() -> None:
    print("disk")
    for name, path, need in (("cache", paths.cache(), 2.0), ("here", Path.cwd(), 0.2)):
        free = shutil.disk_usage(path).free / 2**30
        writable = os.access(path, os.W_OK)
        good = free >= need and writable
        _line(good, name, f"{path}: {free:.1f} GiB free" + ("" if writable else ", not writable"), "" if good else "kernels and results", "" if good else "free some space, or set XDG_CACHE_HOME / --output")


def main(options: argparse.Namespace) -> int:
    _kernel()
    _privileges()
    _machines(boot=not options.no_boot)
    _tools()
    _disk()
    print(f"{_bad} pieces are missing" if _bad else "all pieces are there")
    return OK
