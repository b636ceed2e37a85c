#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The front door with what cannot be: bad_input.py BUILD-DIRECTORY. One clear line each, the documented status, nothing left behind.

What goes wrong in a guest that boots is in faults.py; kernels without an option are in docs/machines.md, "negative".
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.test_basics import bzimage  # noqa: E402

CHECKOUT = Path(__file__).resolve().parents[2]
build = Path("build/default")


class BadInput(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = Path(holder.name)
        self.out = self.dir / "out"
        self.kernel = self.dir / "bzImage"
        self.kernel.write_bytes(bzimage("6.99.0"))

    def command(self, word: str, *more: str) -> list[str]:
        return [sys.executable, str(CHECKOUT / "netns-conformance"), word, "--no-build", f"--build-dir={build}", f"--output={self.out}", *more]

    def refused(self, status: int, pattern: str, *words: str, environment: Optional[dict[str, str]] = None) -> None:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, env=environment, timeout=250)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertRegex(done.stderr, f"^netns-conformance: {pattern}\n$")

    def no_leftover(self) -> None:
        left = [path.name for path in self.out.iterdir() if path.stat().st_size] if self.out.exists() else []
        self.assertEqual(left, [])

    def test_no_qemu(self) -> None:
        empty = self.dir / "bin"
        empty.mkdir()
        # PATH keeps what else may be asked for out of the way; the message must be of QEMU.
        self.refused(3, "qemu-system-x86_64 is not installed; install the package qemu-system-x86", "vm", f"--kernel={self.kernel}", environment={**os.environ, "PATH": str(empty)})
        self.no_leftover()

    def test_a_file_that_is_no_kernel(self) -> None:
        text = self.dir / "notes.txt"
        text.write_text("not a kernel")
        self.refused(2, f"{text}: not a kernel; --kernel wants an x86 bzImage .*", "vm", f"--kernel={text}")
        self.refused(2, f"{self.dir}/none: No such file or directory; --kernel wants a readable bzImage", "vm", f"--kernel={self.dir}/none")
        self.no_leftover()

    def test_a_filter_that_no_test_matches(self) -> None:
        for word in (["run"], ["vm", f"--kernel={self.kernel}"]):
            self.refused(2, r"--filter Nosuch\.\*: no test has such a name; see them with: ./netns-conformance list", *word, "--filter=Nosuch.*")
        self.no_leftover()

    def test_a_profile_that_cannot_be_read(self) -> None:
        bad = self.dir / "bad.yaml"
        bad.write_text("profile: x\nmis: allowed\n")
        for word in ("run", "vm"):
            more = [f"--kernel={self.kernel}"] if word == "vm" else []
            self.refused(2, "--profile: profile 'strict' is not known; known are ci, developer, distribution, or give a file", word, *more, "--profile=strict")
            self.refused(2, f"--profile: {self.dir}/none.yaml: No such file or directory", word, *more, f"--profile={self.dir}/none.yaml")
            self.refused(2, f"--profile: {bad}:2: 'mis' is not known in a profile; .*", word, *more, f"--profile={bad}")
        self.no_leftover()

    def test_an_output_that_is_a_file(self) -> None:
        self.out.write_text("mine")
        self.refused(2, f"--output {self.out}: there is a file in the way; name a directory", "run")
        self.assertEqual(self.out.read_text(), "mine")

    def test_no_space_for_results(self) -> None:
        self.out.mkdir()
        # 64 KiB that only these commands see: less than the header of a stream, or than a guest's files.
        mount = f'mount -t tmpfs -o size=64k none {self.out} && exec "$@"'
        private = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m", "sh", "-c", mount, "sh"]
        if subprocess.run([*private, "true"], capture_output=True).returncode:
            self.skipTest("no private mount namespace can be made here")
        done = subprocess.run([*private, *self.command("run", "--filter=Create.CloneStartsTheChildInANewNamespace")], capture_output=True, text=True, timeout=250)
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn("No space left on device); make room there, or name another place", done.stderr)
        self.assertIn("INCOMPLETE", done.stdout)

    def test_user_namespaces_are_forbidden(self) -> None:
        # Below a user namespace that allows no more of them, without any capability: an ordinary user's lot on such a machine.
        forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
        private = ["unshare", "-U", "-r", "sh", "-c", forbid, "sh"]
        if subprocess.run([*private, "true"], capture_output=True).returncode:
            self.skipTest("no user namespace can be made here")
        done = subprocess.run([*private, *self.command("run", "--filter=Create.CloneStartsTheChildInANewNamespace")], capture_output=True, text=True, timeout=250)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("needs-userns", done.stdout)
        self.assertRegex(done.stdout.splitlines()[-1], "^MISS: ")


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        build = Path(sys.argv.pop(1)).absolute()
    unittest.main()
