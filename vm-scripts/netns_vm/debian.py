# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels out of Debian packages: by file, by package name, by suite. The machine's own apt configuration stays as it is."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Optional, Sequence

from . import kernels, paths
from .kernels import Kernel
from .problems import MachineProblem, Problem, UsageProblem

SUITES = ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "forky", "sid", "experimental")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Since 7.x the configuration and modules.builtin are in a linux-base of that kernel; linux-base alone is a set of scripts.
KERNEL_PARTS = re.compile(r"^linux-(?:image|binary|modules)-|^linux-base-\d")


def _run(words: Sequence[str], cwd: Optional[Path] = None) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(list(words), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})
    except FileNotFoundError:
        raise MachineProblem(f"{words[0]} is not installed; kernels from packages need a Debian or Ubuntu machine (or use --kernel)") from None


class Apt:
    """apt with the machine's configuration, or (for a suite) with one of our own below the cache."""

    def __init__(self, options: Sequence[str] = (), origin: str = "") -> None:
        self._options = list(options)
        self.origin = origin

    def fields(self, package: str) -> dict[str, str]:
        """The newest version's control fields; {} for a package that apt does not know."""
        done = _run(["apt-cache", *self._options, "show", "--no-all-versions", package])
        fields: dict[str, str] = {}
        for line in done.stdout.split("\n\n")[0].splitlines():
            key, colon, value = line.partition(": ")
            if colon and not line.startswith(" "):
                fields[key] = value
        return fields if fields.get("Package") == package else {}

    def parts(self, package: str) -> list[tuple[str, str]]:
        """The packages (name, version) that make up the kernel that `package` stands for, following metapackages."""
        found: dict[str, str] = {}
        queue = [package]
        while queue:
            name = queue.pop(0)
            if name in found:
                continue
            fields = self.fields(name)
            if not fields:
                continue
            found[name] = fields["Version"]
            for clause in fields.get("Depends", "").split(","):
                wanted = re.match(r"\s*([a-z0-9.+-]+)", clause.split("|")[0])
                if wanted and KERNEL_PARTS.match(wanted.group(1)):
                    queue.append(wanted.group(1))
        return list(found.items())

    def download(self, package: str, version: str, into: Path) -> Path:
        """Fetches one package (apt verifies its checksum) unless the cache has it."""
        stem = f"{package}_{version.replace(':', '%3a')}_"
        for existing in into.glob(stem + "*.deb"):
            return existing
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=into) as scratch:
            os.chmod(scratch, 0o755)
            done = _run(["apt-get", *self._options, "-o", "APT::Sandbox::User=root", "-qq", "download", f"{package}={version}"], cwd=Path(scratch))
            files = list(Path(scratch).glob("*.deb"))
            if done.returncode or not files:
                raise MachineProblem(f"{package} {version} cannot be fetched: {_last(done.stderr)}")
            target = into / files[0].name
            files[0].rename(target)
            return target


def _last(text: str) -> str:
    errors = [line[3:] for line in text.splitlines() if line.startswith("E: ")]
    return errors[-1] if errors else (text.strip().splitlines() or ["no message"])[-1]


def architecture() -> str:
    return _run(["dpkg", "--print-architecture"]).stdout.strip() or "amd64"


def mirror() -> str:
    """The Debian mirror that this machine uses, else the well-known one."""
    for path in sorted(Path("/etc/apt").glob("sources.list")) + sorted(Path("/etc/apt/sources.list.d").glob("*")):
        try:
            text = path.read_text()
        except OSError:
            continue
        match = re.search(r"^(?:URIs:|deb(?:\s+\[[^]]*\])?)\s+(https?://\S+/debian)/?(?=\s|$)", text, re.MULTILINE)
        if match:
            return match.group(1)
    return "http://deb.debian.org/debian"


def suite_apt(suite: str, base: Optional[str] = None) -> Apt:
    """An apt of our own for `suite`, its package lists refreshed."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", suite):
        raise UsageProblem(f"--debian {suite}: no name of a suite; try one of {', '.join(SUITES)}")
    if not os.path.exists(KEYRING):
        raise MachineProblem(f"{KEYRING} is missing; install the package debian-archive-keyring")
    base = (base or mirror()).rstrip("/")
    root = paths.cache("apt", suite)
    for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "etc/trusted.gpg.d", "state/lists/partial", "cache/archives/partial", "log"):
        (root / name).mkdir(parents=True, exist_ok=True)
    lines = [f"deb [signed-by={KEYRING}] {base} {suite} main"]
    if suite in ("bullseye", "bookworm", "trixie"):
        lines.append(f"deb [signed-by={KEYRING}] {base}-security {suite}-security main")
    if suite == "experimental":
        lines.append(f"deb [signed-by={KEYRING}] {base} sid main")
    (root / "etc/sources.list").write_text("\n".join(lines) + "\n")
    (root / "etc/preferences.d/suite").write_text(f"Package: *\nPin: release a={suite}\nPin-Priority: 990\n" if suite == "experimental" else "")
    (root / "state/status").touch()
    options = []
    for key, value in {
        "Dir::Etc": root / "etc",
        "Dir::Etc::sourcelist": root / "etc/sources.list",
        "Dir::Etc::parts": root / "etc/apt.conf.d",
        "Dir::State": root / "state",
        "Dir::State::status": root / "state/status",
        "Dir::Cache": root / "cache",
        "Dir::Log": root / "log",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Retries": "1",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
    }.items():
        options += ["-o", f"{key}={value}"]
    done = _run(["apt-get", *options, "-qq", "update"])
    # apt exits 0 where only some lists fail, and then goes on with older ones.
    messages = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:")) and "ecurity" not in line]
    failed = [line[3:] for line in messages if "404" in line or "does not have a Release file" in line]
    if failed:
        raise UsageProblem(f"--debian {suite}: the mirror {base} has no such suite ({failed[0][:160]})")
    fresh = done.returncode == 0 and not any("Failed to fetch" in line or "Could not" in line or "Temporary failure" in line for line in messages)
    apt = Apt(options, origin=f"debian {suite}")
    if not fresh and not apt.fields(f"linux-image-{architecture()}"):
        raise MachineProblem(f"the mirror {base} cannot be reached: {(messages or ['no message'])[0][3:][:160]}")
    return apt


def kernel_of_package(package: str, apt: Apt) -> Kernel:
    """Fetches and unpacks `package` with the packages that carry its kernel. Falls back to the cached one when offline."""
    memory = _memory(package, apt.origin)
    try:
        parts = apt.parts(package)
        if not parts:
            raise UsageProblem(f"{package}: apt knows no such package{' in ' + apt.origin if apt.origin else ''} (is 'apt-get update' due?)")
        # The metapackage itself holds nothing.
        files = [apt.download(name, version, paths.cache("debs")) for name, version in parts if name != f"linux-image-{architecture()}"]
    except (MachineProblem, UsageProblem) as problem:
        return _remembered(memory, package, problem)
    kernel = kernel_of_files(files, f"{package} {parts[-1][1]}" + (f", {apt.origin}" if apt.origin else ""))
    memory.write_text(json.dumps([str(file) for file in files]))
    return kernel


def _memory(package: str, origin: str) -> Path:
    """Where it is kept which files a package's kernel came from, for a day without a mirror."""
    return paths.cache("kernels") / f"latest-{hashlib.sha256((origin + package).encode()).hexdigest()[:16]}.json"


def _remembered(memory: Path, package: str, problem: Problem) -> Kernel:
    try:
        files = [Path(name) for name in json.loads(memory.read_text())]
    except (OSError, ValueError):
        raise problem from None
    if not all(file.is_file() for file in files):
        raise problem
    print(f"using the cached kernel of {package}: {problem}", flush=True)
    return kernel_of_files(files, f"{package}, cached")


def default_kernel() -> Kernel:
    """The distribution's current kernel."""
    return kernel_of_package(f"linux-image-{architecture()}", Apt())


def kernel_of_files(files: Sequence[Path], origin: str) -> Kernel:
    """The kernel in a set of .deb files, unpacked into the cache (once)."""
    digest = hashlib.sha256()
    for file in files:
        try:
            status = file.stat()
            with file.open("rb") as stream:
                if stream.read(8) != b"!<arch>\n":
                    raise UsageProblem(f"{file}: not a Debian package; --deb wants .deb files of a kernel")
        except OSError as error:
            raise UsageProblem(f"{file}: {error.strerror}") from None
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}".encode())
    tree = paths.cache("kernels") / digest.hexdigest()[:24]
    if not tree.is_dir():
        stage = Path(tempfile.mkdtemp(prefix="stage-", dir=tree.parent))
        try:
            for file in files:
                done = _run(["dpkg-deb", "-x", str(file), str(stage)])
                if done.returncode and "No space" in done.stderr:
                    raise MachineProblem(f"{tree.parent}: no space left to unpack {file.name}; set XDG_CACHE_HOME to a place with room")
                if done.returncode:
                    raise UsageProblem(f"{file}: cannot be unpacked: {_last(done.stderr)}")
            find_in_tree(stage, ", ".join(file.name for file in files), origin)
            stage.rename(tree)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    os.utime(tree)
    return find_in_tree(tree, ", ".join(file.name for file in files), origin)


def find_in_tree(tree: Path, name: str, origin: str) -> Kernel:
    """A kernel in an unpacked package, in any of the layouts that Debian has had."""
    images = [path for pattern in ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz", "usr/lib/linux/*/vmlinuz*", "boot/bzImage*") for path in sorted(tree.glob(pattern)) if path.is_file()]
    if not images:
        raise UsageProblem(f"{name}: holds no kernel image (no boot/vmlinuz-* and no vmlinuz beside modules); give the linux-image package")
    image = images[0]
    release = kernels.release_of(image)
    modules = next((path for path in (tree / "lib/modules" / release, tree / "usr/lib/modules" / release) if path.is_dir()), None)
    config = next((path for path in (tree / "boot" / f"config-{release}", modules / "config" if modules else tree / "none") if path.is_file()), None)
    return Kernel(image, release, modules, config, origin)


def kernel_of_suite(suite: str, base: Optional[str]) -> Kernel:
    """The current kernel of a Debian suite; the cached one when the mirror cannot be reached."""
    package = f"linux-image-{architecture()}"
    try:
        apt = suite_apt(suite, base)
    except MachineProblem as problem:
        memory = _memory(package, f"debian {suite}")
        return _remembered(memory, package, problem)
    return kernel_of_package(package, apt)
