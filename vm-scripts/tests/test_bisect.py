# SPDX-License-Identifier: GPL-2.0-or-later
"""What a step of 'git bisect run' exits with, with builds and boots that are played."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional, Sequence
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from netns_vm import bisect, cli, kernels, vm  # noqa: E402
from netns_vm.kernels import Kernel  # noqa: E402
from netns_vm.problems import MachineProblem, UsageProblem  # noqa: E402


def outcome(status: int, **verdicts: str) -> SimpleNamespace:
    """A run's result; verdicts by test."""
    counts = {word: list(verdicts.values()).count(word) for word in ("PASS", "FAIL", "ERROR", "MISS", "SKIP")}
    return SimpleNamespace(status=status, joined=SimpleNamespace(counts=counts, ended=dict(verdicts)))


class Steps(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.tree = Path(holder.name)
        for name in ("Makefile", "Kbuild", ".config"):
            (self.tree / name).touch()
        self.requests: list[Any] = []

    def step(self, runs: Sequence[object] = (), builds: bool = True, kernel: Optional[Exception] = None, judged: Optional[int] = None) -> tuple[int, str]:
        """Exit status and output of one step whose boots end as `runs` say (an exception: it is raised). `judged`: by the profile."""
        outcomes = iter(runs)

        class Run:
            def __init__(_, request: Any) -> None:
                self.requests.append(request)

            def run(_) -> object:
                result = next(outcomes)
                if isinstance(result, Exception):
                    raise result
                return result

        found = mock.Mock(return_value=Kernel(self.tree / "bzImage", "6.0", None, None, "test"), side_effect=kernel)
        options = cli.parse(["bisect", "--machines=1", f"--build-tree={self.tree}", f"--output={self.tree / 'out'}"])
        told = io.StringIO()

        def report(build: Path, output: Path, status: int, *_: object, **__: object) -> int:
            return status if judged is None else judged

        with mock.patch.object(cli, "report", report), mock.patch.object(bisect, "build_kernel", return_value=builds), mock.patch.object(cli, "prepare", return_value=self.tree / "no-build"), mock.patch.object(cli, "check_request"):
            with mock.patch.object(kernels, "from_build_tree", found), mock.patch.object(vm, "Run", Run), contextlib.redirect_stdout(told):
                status = bisect.main(options)
        return status, told.getvalue()

    def assert_one_line(self, text: str, word: str) -> None:
        self.assertEqual(len(text.splitlines()), 1, text)
        self.assertTrue(text.startswith(f"bisect: {word}: "), text)

    def test_good(self) -> None:
        status, text = self.step([outcome(0, A="PASS", B="MISS")])
        self.assertEqual(status, 0)
        self.assert_one_line(text, "good")

    def test_bad_only_when_it_fails_twice(self) -> None:
        status, text = self.step([outcome(1, A="PASS", B="FAIL"), outcome(1, B="FAIL")])
        self.assertEqual(status, 1)
        self.assert_one_line(text, "bad")
        self.assertIn(" B ", text)
        self.assertEqual([request.filter for request in self.requests], ["", "B"], "the repeat runs what failed")
        status, text = self.step([outcome(1, B="FAIL"), outcome(0, B="PASS")])
        self.assertEqual(status, 125)
        self.assertIn("once and not again", text)

    def test_skips_what_does_not_build(self) -> None:
        status, text = self.step(builds=False)
        self.assertEqual(status, 125)
        self.assert_one_line(text, "skip")
        self.assertEqual(self.requests, [], "nothing is booted")

    def test_skips_what_does_not_boot(self) -> None:
        for runs in ([outcome(3)], [MachineProblem("QEMU cannot be started")]):
            status, text = self.step(runs)
            self.assertEqual(status, 125)
            self.assert_one_line(text, "skip")

    def test_skips_where_nothing_could_run(self) -> None:
        status, text = self.step([outcome(0, A="MISS", B="MISS")])
        self.assertEqual(status, 125)
        self.assertIn("all 2 tests are MISS", text)

    def test_skips_what_the_profile_forbids(self) -> None:
        status, text = self.step([outcome(0, A="PASS", B="MISS")], judged=4)
        self.assertEqual(status, 125)
        self.assertIn("profile", text)

    def test_skips_an_incomplete_run_after_a_fail(self) -> None:
        self.assertEqual(self.step([outcome(1, A="FAIL"), outcome(3, A="ERROR")])[0], 125)

    def test_a_wrong_call_stops_the_bisection(self) -> None:
        (self.tree / "Kbuild").unlink()
        self.assertEqual(self.step()[0], 128)
        (self.tree / "Kbuild").touch()
        self.assertEqual(self.step(kernel=UsageProblem("no bzImage"))[0], 128)


if __name__ == "__main__":
    unittest.main()
