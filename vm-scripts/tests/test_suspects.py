# SPDX-License-Identifier: GPL-2.0-or-later
"""Which test is blamed for a crash, and what the next boot runs: no machine, only what the launcher concludes."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from netns_vm import modules, progress, request, shard, stream  # noqa: E402
from netns_vm.faults import Fault  # noqa: E402
from netns_vm.guest import Ending  # noqa: E402
from netns_vm.kernels import Kernel  # noqa: E402

TESTS = [f"A.T{number}" for number in range(9)]
PANIC = Fault("panic", "FAIL", "Kernel panic - not syncing: broken")


class Suspects(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.out = Path(holder.name)
        kernel = Kernel(image=self.out / "bzImage", release="6.0", modules=None, config=None, origin="here")
        self.request = request.Request(kernel=kernel, build=self.out, output=self.out, nics="none", jobs=3)
        self.joined = stream.Joined(self.out / "events.jsonl")
        self.addCleanup(self.joined._file.close)
        plan = shard.Plan(self.request, modules.Chosen(None, [], {}), [], "tcg", "", 0.0)
        self.shard = shard.Shard(plan, 1, self.joined, progress.Progress(self.joined, io.StringIO()), lambda event: None, lambda: None)
        self.boots = 0

    def take(self, **event: Any) -> None:
        self.shard._feed.take(json.dumps(event).encode())

    def boot(self, passed: list[str], in_flight: list[str]) -> bool:
        """A boot in which these tests passed and these were running when the kernel panicked; whether another one follows."""
        self.boots += 1
        self.shard._feed.begin_boot()
        self.take(event="header", schema="1.0", tests=[{"name": name, "selected": True} for name in TESTS])
        for test in [*passed, *in_flight]:
            self.take(event="start", test=test, iteration=1)
        for test in passed:
            self.take(event="end", test=test, iteration=1, verdict="PASS")
        return self.shard._after_fault(Ending(status=None, fault=PANIC, console=""), self.boots, True)

    def ended(self) -> dict[str, str]:
        return self.joined.ended

    def test_one_in_flight_is_blamed(self) -> None:
        self.assertTrue(self.boot(["A.T0"], ["A.T1"]))
        self.assertEqual(self.ended(), {"A.T0": "PASS", "A.T1": "FAIL"})
        self.assertNotIn("--alone-file=/etc/alone-tests", self.shard.command())

    def test_several_run_first_and_alone_and_the_rest_as_before(self) -> None:
        self.assertTrue(self.boot(["A.T0"], ["A.T1", "A.T2", "A.T3"]))
        self.assertEqual(self.ended(), {"A.T0": "PASS"}, "none is blamed yet")
        self.assertEqual(self.shard._alone, ["A.T1", "A.T2", "A.T3"])
        self.assertIn("--alone-file=/etc/alone-tests", self.shard.command())
        self.assertIn("--jobs=3", self.shard.command())
        self.assertTrue(self.boot(["A.T1"], ["A.T2"]))
        self.assertEqual(self.ended()["A.T2"], "FAIL")
        self.assertIn("A.T3", self.shard._alone, "it was a suspect and has not run")
        self.assertIn("--jobs=3", self.shard.command())

    def test_what_only_happens_in_company_ends_the_company(self) -> None:
        self.boot([], ["A.T1", "A.T2"])
        self.boot(["A.T1", "A.T2"], ["A.T3", "A.T4"])
        self.assertIn("--jobs=1", self.shard.command())
        self.boot(["A.T3"], ["A.T4"])
        self.assertEqual(self.ended()["A.T4"], "FAIL")

    def test_a_kernel_that_is_broken_in_many_places_costs_no_two_boots_for_each(self) -> None:
        for first, second in (("A.T0", "A.T1"), ("A.T2", "A.T3")):
            self.boot([], [first, second])
            self.boot([], [first])
            self.assertIn("--jobs=3", self.shard.command())
        self.boot(["A.T1", "A.T3"], ["A.T4", "A.T5"])
        self.assertIn("--jobs=1", self.shard.command())

    def test_stops_where_asked(self) -> None:
        self.request.stop_on_crash = True
        self.assertFalse(self.boot([], ["A.T1", "A.T2"]))


if __name__ == "__main__":
    unittest.main()
