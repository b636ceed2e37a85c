# SPDX-License-Identifier: GPL-2.0-or-later
"""matrix, with runs that a script plays: one result and status for all, several at once, and resumed where it stopped."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from netns_vm import cli, matrix, paths  # noqa: E402
from netns_vm.problems import UsageProblem  # noqa: E402

# Stands in for 'netns-conformance vm': notes its call, and ends as its --append says.
PLAYED = """
import re, sys
words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
with open({calls!r}, "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
print("played")
sys.exit(int(re.search("status=([0-9])", words.get("--append", "status=0")).group(1)))
"""


class Matrix(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = Path(holder.name)
        (self.dir / "netns-conformance").write_text(PLAYED.format(calls=str(self.dir / "calls")))

    def run_matrix(self, text: str, *words: str) -> tuple[int, list[str], str]:
        """Exit status, the calls that it made this time, and what it printed."""
        file = self.dir / "matrix.ini"
        file.write_text(text)
        calls = self.dir / "calls"
        calls.write_text("")
        options = cli.parse(["matrix", str(file), f"--output={self.dir / 'out'}", *words])
        told = io.StringIO()
        with mock.patch.object(paths, "CHECKOUT", self.dir), mock.patch.object(cli, "prepare", return_value=self.dir), mock.patch.object(cli, "check_request"), contextlib.redirect_stdout(told):
            status = matrix.main(options)
        return status, calls.read_text().splitlines(), told.getvalue()

    def test_the_worst_status_is_the_matrix_s(self) -> None:
        for statuses, expected in (((0, 0), 0), ((0, 4), 4), ((4, 3), 3), ((3, 1), 1)):
            text = "".join(f"[run{number}]\nappend = status={status} of={expected}\n" for number, status in enumerate(statuses))
            status, calls, told = self.run_matrix(text)
            self.assertEqual(status, expected)
            self.assertEqual(len(calls), 2)
            self.assertIn(f"; exit status {expected}", told)

    def test_a_second_call_runs_what_has_no_verdict(self) -> None:
        text = "[good]\nappend = status=0\n[bad]\nappend = status=1\n[broken]\nappend = status=3\n"
        self.assertEqual(len(self.run_matrix(text)[1]), 3)
        status, calls, told = self.run_matrix(text)
        self.assertEqual(status, 1)
        self.assertEqual(len(calls), 1, calls)
        self.assertIn("out/broken", calls[0])
        self.assertIn("good: done before, status 0", told)

    def test_what_was_asked_otherwise_runs_again(self) -> None:
        (self.dir / "suites").mkdir()
        program = self.dir / "suites" / "netns-tests"
        program.write_text("one")
        text = "[good]\nkernel = default\n"
        self.assertEqual(len(self.run_matrix(text)[1]), 1)
        self.assertEqual(len(self.run_matrix(text)[1]), 0)
        self.assertEqual(len(self.run_matrix(text, "--boot-timeout=300")[1]), 0, "how long it may take is not what is asked")
        self.assertEqual(len(self.run_matrix(text, "--filter=Sock.*")[1]), 1)
        program.write_text("another")
        self.assertEqual(len(self.run_matrix(text, "--filter=Sock.*")[1]), 1, "other tests")

    def test_a_suite_may_be_named_bare(self) -> None:
        self.assertIn("--debian trixie", self.run_matrix("[one]\nkernel = trixie\n")[1][0])
        (self.dir / "sid").write_bytes(b"kernel\0")
        self.assertIn(f"--kernel {self.dir / 'sid'}", self.run_matrix("[two]\nkernel = sid\n")[1][0], "a file of that name")
        self.assertIn("--debian sid", self.run_matrix("[three]\nkernel = debian:sid\n")[1][0])

    def test_a_kernel_that_was_built_again_runs_again(self) -> None:
        image = self.dir / "bzImage"
        image.write_bytes(b"one\0")
        text = "[mine]\nkernel = bzImage\n"
        self.assertEqual(len(self.run_matrix(text)[1]), 1)
        self.assertEqual(len(self.run_matrix(text)[1]), 0)
        os.utime(image, (1, 1))
        self.assertEqual(len(self.run_matrix(text)[1]), 1)

    def test_options_reach_every_run(self) -> None:
        _, calls, _ = self.run_matrix("[one]\nnics = none\n[two]\nmemory = 512\n", "--silence-timeout=900", "--boot-timeout=800", "--test-timeout=700", "--", "--full")
        for call in calls:
            for word in ("--silence-timeout=900", "--boot-timeout=800", "--test-timeout=700"):
                self.assertIn(word, call)
            self.assertTrue(call.endswith(" -- --full"), call)
        self.assertTrue(any(call.index("--nics=none") > call.index("--nics=e1000") for call in calls if "out/one" in call), "the entry's own come last")

    def test_bad_files_are_one_line(self) -> None:
        for text, says in (("", "names no run"), ("[a/b]\n", "letters"), ("[one]\nkernle = x\n", "'kernle'"), ("kernel = x\n", "no matrix file"), ("[one]\nkernel = negative:nothing\n", "is not built")):
            with self.subTest(text), self.assertRaises(UsageProblem) as caught:
                self.run_matrix(text)
            self.assertIn(says, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
