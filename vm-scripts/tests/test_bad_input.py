# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels that are none, mirrors that are down, disks that are full: one line each, and the promised exit status."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Callable, Sequence
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from netns_vm import cli, debian, initramfs, modules, paths  # noqa: E402
from netns_vm.kernels import Kernel  # noqa: E402
from netns_vm.problems import MachineProblem, Problem, UsageProblem  # noqa: E402


class Input(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = Path(holder.name)
        environment = mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(self.dir / "cache")})
        environment.start()
        self.addCleanup(environment.stop)

    def refused(self, says: str, step: Callable[[], object], kind: type[Problem] = UsageProblem) -> None:
        with self.assertRaises(kind) as caught:
            step()
        self.assertIn(says, str(caught.exception))
        self.assertEqual(len(str(caught.exception).splitlines()), 1)

    def deb(self, name: str, files: dict[str, bytes]) -> Path:
        tree = self.dir / name
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n")
        for path, data in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(data)
        subprocess.run(["dpkg-deb", "-b", str(tree), str(self.dir / f"{name}.deb")], stdout=subprocess.DEVNULL, check=True)
        return self.dir / f"{name}.deb"


class Files(Input):
    def test_the_front_door_exits_2_with_one_line(self) -> None:
        elf = self.dir / "vmlinux"
        elf.write_bytes(b"\x7fELF" + bytes(64))
        for words, says in (([f"--kernel={elf}"], "an ELF file"), (["--kernel=/no/such"], "No such file"), (["--modules=x"], "goes with --kernel"), (["bzImage"], "unknown argument")):
            with self.subTest(words), contextlib.redirect_stderr(io.StringIO()) as told:
                try:
                    status = cli.main(["vm", "--no-build", *words])
                except SystemExit as end:
                    status = int(str(end.code))
                self.assertEqual(status, 2)
                self.assertIn(says, told.getvalue())
                self.assertEqual(len(told.getvalue().splitlines()), 1)

    @unittest.skipIf(os.geteuid() == 0, "root reads every file")
    def test_an_unreadable_image(self) -> None:
        secret = self.dir / "bzImage"
        secret.touch(0o000)
        self.refused("Permission denied", lambda: cli.choose_kernel(cli.parse(["vm", f"--kernel={secret}"])))

    def test_a_matrix_refuses_before_it_builds(self) -> None:
        image = self.dir / "Image"
        image.write_bytes(bytes(0x38) + b"ARM\x64" + bytes(64))
        self.refused("arm64", lambda: cli.do_matrix(cli.parse(["matrix", str(image)])))


@unittest.skipUnless(shutil.which("dpkg-deb"), "needs dpkg-deb")
class Packages(Input):
    def test_a_package_without_a_kernel(self) -> None:
        package = self.deb("nothing", {"usr/share/doc/nothing/README": b"hello"})
        self.refused("holds no kernel image", lambda: debian.kernel_of_files([package], "--deb"))

    def test_a_package_that_is_cut_off(self) -> None:
        package = self.deb("nothing", {"boot/vmlinuz-1": bytes(70000)})
        package.write_bytes(package.read_bytes()[:200])
        self.refused("cannot be unpacked", lambda: debian.kernel_of_files([package], "--deb"))

    def test_a_file_that_is_no_package(self) -> None:
        (self.dir / "x.deb").write_text("hello")
        self.refused("not a Debian package", lambda: debian.kernel_of_files([self.dir / "x.deb"], "--deb"))
        self.refused("No such file", lambda: debian.kernel_of_files([self.dir / "y.deb"], "--deb"))

    def test_a_disk_that_is_full(self) -> None:
        package = self.deb("nothing", {"usr/share/doc/nothing/README": b"hello"})
        full = subprocess.CompletedProcess([], 2, "", "tar: ./boot/vmlinuz: Cannot write: No space left on device\ndpkg-deb: error: tar subprocess returned error exit status 2\n")
        with mock.patch.object(debian, "_run", return_value=full):
            self.refused("no space left", lambda: debian.kernel_of_files([package], "--deb"), MachineProblem)

    def test_three_generations_of_layout(self) -> None:
        index = {
            "linux-image-amd64": "linux-base-amd64, linux-image-7.2-amd64 (= 1)",
            "linux-image-7.2-amd64": "dracut | linux-initramfs-tool, linux-base-7.2-amd64 (= 1), linux-binary-7.2-amd64 (= 1), linux-modules-7.2-amd64",
            "linux-base-7.2-amd64": "linux-base (>= 4)",
            "linux-binary-7.2-amd64": "linux-base-7.2-amd64",
            "linux-modules-7.2-amd64": "kmod, linux-base-7.2-amd64",
            "linux-base": "",
            "linux-base-amd64": "",
            "linux-image-6.1-amd64": "kmod, linux-base (>= 4.3~), initramfs-tools | linux-initramfs-tool",
        }
        apt = debian.Apt()
        with mock.patch.object(apt, "fields", lambda name: {"Package": name, "Version": "1", "Depends": index[name]} if name in index else {}):
            self.assertEqual({name for name, _ in apt.parts("linux-image-amd64")}, {"linux-image-amd64", "linux-image-7.2-amd64", "linux-base-7.2-amd64", "linux-binary-7.2-amd64", "linux-modules-7.2-amd64"})
            self.assertEqual([name for name, _ in apt.parts("linux-image-6.1-amd64")], ["linux-image-6.1-amd64"])
            self.assertEqual(apt.parts("no-such"), [])


class Mirrors(Input):
    def answer(self, stderr: str, status: int = 0) -> Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]:
        return lambda words, cwd=None: subprocess.CompletedProcess(list(words), status, "", stderr)

    @unittest.skipUnless(os.path.exists(debian.KEYRING), "needs Debian's keyring")
    def test_a_suite_that_the_mirror_lacks(self) -> None:
        lacking = "E: The repository 'http://mirror/debian nosuch Release' does not have a Release file.\n"
        with mock.patch.object(debian, "_run", self.answer(lacking, 100)):
            self.refused("has no such suite", lambda: debian.kernel_of_suite("nosuch", "http://mirror/debian"))
        self.refused("no name of a suite", lambda: debian.kernel_of_suite("no such", None))

    @unittest.skipUnless(os.path.exists(debian.KEYRING), "needs Debian's keyring")
    def test_a_mirror_that_is_down(self) -> None:
        down = "W: Failed to fetch http://mirror/debian/dists/trixie/InRelease  Could not connect to mirror:80\n"
        with mock.patch.object(debian, "_run", self.answer(down)):
            self.refused("cannot be reached", lambda: debian.kernel_of_suite("trixie", "http://mirror/debian"), MachineProblem)
            # With a kernel from an earlier day it is used, and said so.
            kept = self.dir / "linux-image.deb"
            kept.touch()
            memory = debian._memory(f"linux-image-{debian.architecture()}", "debian trixie")
            memory.write_text(f'["{kept}"]')
            kernel = Kernel(self.dir / "vmlinuz", "6.12", None, None, "cached")
            told = io.StringIO()
            with mock.patch.object(debian, "kernel_of_files", return_value=kernel) as unpacked, contextlib.redirect_stdout(told):
                self.assertIs(debian.kernel_of_suite("trixie", "http://mirror/debian"), kernel)
            self.assertEqual(unpacked.call_args.args[0], [kept])
            self.assertIn("using the cached kernel", told.getvalue())


class Disks(Input):
    def test_results_that_cannot_be_written(self) -> None:
        (self.dir / "file").touch()
        self.refused("a file in the way", lambda: paths.new_results(str(self.dir / "file")))
        with mock.patch.object(Path, "write_bytes", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            self.refused("No space left", lambda: paths.new_results(str(self.dir / "out")), MachineProblem)

    def test_an_initramfs_that_does_not_fit(self) -> None:
        program = self.dir / "program"
        program.write_bytes(b"hello")
        kernel = Kernel(self.dir / "bzImage", "6.0", None, None, "test")
        with mock.patch.object(Path, "open", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            with mock.patch.object(initramfs, "_programs", return_value=b""):
                self.refused("No space left", lambda: initramfs.build(self.dir / "i", kernel, modules.Chosen(None, [], {}), program, {}, [], {}, [], []), MachineProblem)

    def test_a_cache_that_cannot_be_made(self) -> None:
        (self.dir / "cache").touch()
        self.refused("set XDG_CACHE_HOME", lambda: paths.cache("kernels"), MachineProblem)


if __name__ == "__main__":
    unittest.main()
