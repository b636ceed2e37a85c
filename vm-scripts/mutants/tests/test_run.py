#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kill matrix tells the truth about streams whose meaning is known; the mutants and the series agree."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import run  # noqa: E402  (the path has to be set first)

MUTANT = run.Mutant(7, "a-name", ["SOCK-01", "SOCK-02"], "net/x.c f", "hard", "what")


def said(verdict: str, covers: list, kinds: tuple = ("expectation",)) -> run.Test:
    failed = verdict in ("FAIL", "ERROR")
    return run.Test(verdict, covers, list(kinds) if failed else [], "message" if failed else "")


def outcome(**tests: run.Test) -> str:
    """The outcome where Ports.A covers the broken requirement, Other.B does not, and both pass on mutant 0."""
    sound = run.Run({"Ports.A": said("PASS", ["SOCK-02"]), "Other.B": said("PASS", ["DEV-01"])}, True, "k", "t", False)
    mutated = dict(sound.tests)
    mutated.update({name.replace("_", "."): test for name, test in tests.items()})
    return run.judge(MUTANT, sound, [run.Run(mutated, True, "k", "t", True)])["outcome"]


class Judgement(unittest.TestCase):
    def test_all_pass_is_a_survivor(self) -> None:
        self.assertEqual(outcome(), "survived")

    def test_a_covering_test_kills(self) -> None:
        self.assertEqual(outcome(Ports_A=said("FAIL", ["SOCK-02"])), "killed")

    def test_another_test_kills_elsewhere(self) -> None:
        self.assertEqual(outcome(Other_B=said("FAIL", ["DEV-01"])), "elsewhere")

    def test_a_broken_set_up_is_no_kill_by_right(self) -> None:
        self.assertEqual(outcome(Ports_A=said("ERROR", ["SOCK-02"], ("setup",))), "elsewhere")

    def test_a_panic_is_a_splat(self) -> None:
        self.assertEqual(outcome(Ports_A=said("FAIL", ["SOCK-02"], ("panic",))), "splat")

    def test_a_test_that_fails_without_any_mutant_never_kills(self) -> None:
        sound = run.Run({"Ports.A": said("FAIL", ["SOCK-01"])}, True, "k", "t", False)
        self.assertEqual(run.judge(MUTANT, sound, [sound])["outcome"], "uncovered")

    def test_a_stream_without_footer_is_incomplete(self) -> None:
        sound = run.Run({"Ports.A": said("PASS", ["SOCK-01"])}, True, "k", "t", False)
        torn = run.Run({}, False, "k", "t", False)
        self.assertEqual(run.judge(MUTANT, sound, [torn])["outcome"], "incomplete")


class Streams(unittest.TestCase):
    def test_reads_verdicts_and_the_sign_of_life(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            lines = [
                {"event": "header", "kernel": {"release": "6.12"}, "tool": {"version": "1"}},
                {"event": "end", "test": "A.B", "verdict": "FAIL", "covers": ["X-1"], "failures": [{"kind": "panic", "message": "m"}]},
                {"event": "footer"},
            ]
            text = "\n".join(json.dumps(line) for line in lines)
            (directory / "events.jsonl").write_text(text + "\n")
            (directory / "console.log").write_text("[1.0] netns-mutant: 7 reached\n")
            got = run.read_run(directory, 7)
            self.assertTrue(got.complete and got.reached)
            self.assertEqual(got.tests["A.B"].kinds, ["panic"])
            (directory / "events.jsonl").write_text(text[:-3])
            self.assertFalse(run.read_run(directory, 8).complete)

    def test_no_stream_is_one_clear_line(self) -> None:
        with tempfile.TemporaryDirectory() as name, self.assertRaisesRegex(run.Problem, "left no events.jsonl"):
            run.read_run(Path(name), 1)


class Together(unittest.TestCase):
    """Streams of --together: a failure counts where the same test passed with mutant 0 right after it."""

    def read(self, *lines: dict) -> tuple:
        with tempfile.TemporaryDirectory() as name:
            Path(name, "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            Path(name, "console.log").write_text("netns-mutant: 7 reached\n")
            return run.read_together(Path(name))

    @staticmethod
    def note(text: str) -> dict:
        return {"event": "note", "text": text, "time": 1.0}

    @staticmethod
    def end(test: str, verdict: str) -> dict:
        return {"event": "end", "test": test, "verdict": verdict, "covers": ["SOCK-01"], "failures": []}

    def test_a_confirmed_failure(self) -> None:
        runs, ended_in = self.read(
            self.note("mutant 7 begins"), self.end("7/A.B", "FAIL"), self.end("7=0/A.B", "PASS"), self.note("mutant 7 confirmed"), self.note("mutant 7 ends"),
            self.note("mutant 8 begins"), self.end("8/A.B", "PASS"), self.note("mutant 8 ends"), {"event": "footer"},
        )  # fmt: skip
        self.assertIsNone(ended_in)
        self.assertEqual(runs[7].tests["A.B"].verdict, "FAIL")
        self.assertTrue(runs[7].complete and runs[7].reached)
        self.assertEqual(runs[8].tests["A.B"].verdict, "PASS")
        self.assertFalse(runs[8].reached)

    def test_a_failure_that_stays_is_no_kill(self) -> None:
        runs, ended_in = self.read(self.note("mutant 7 begins"), self.end("7/A.B", "FAIL"), self.end("7=0/A.B", "FAIL"), self.note("mutant 7 not confirmed"))
        self.assertEqual((runs[7].tests, runs[7].complete, ended_in), ({}, False, 7))

    def test_a_crash_is_of_the_mutant_that_was_selected(self) -> None:
        crash = {"event": "end", "test": "A.B", "verdict": "FAIL", "covers": [], "failures": [{"kind": "panic", "message": "m"}]}
        runs, ended_in = self.read(self.note("mutant 7 begins"), crash)
        self.assertEqual((runs[7].tests["A.B"].kinds, runs[7].complete, ended_in), (["panic"], False, 7))

    def test_names_with_a_slash_of_their_own(self) -> None:
        self.assertEqual(run.say_number("17/Dev.X/ByPid"), ("17", "Dev.X/ByPid"))
        self.assertEqual(run.say_number("17=0/Dev.X"), ("17=0", "Dev.X"))
        self.assertEqual(run.say_number("Dev.X/ByPid"), ("", "Dev.X/ByPid"))


class Known(unittest.TestCase):
    """What killed a mutant before is tried first."""

    def test_the_published_matrix_can_be_read_again(self) -> None:
        killers = [{"test": "A.B/c", "covers": True}, {"test": "D.E", "covers": True}]
        result = {"number": 7, "name": "n", "breaks": ["SOCK-01"], "difficulty": "hard", "outcome": "killed", "reached": True, "what": "a|b", "killers": killers}
        survivor = {**result, "number": 8, "outcome": "survived", "reached": False, "killers": []}
        with tempfile.TemporaryDirectory() as name:
            document = Path(name, "kill-matrix.md")
            document.write_text(run.matrix_markdown([result, survivor], run.Run({}, True, "k", "t", False), 2))
            self.assertEqual(run.published_killers(document), {7: {"A.B/c", "D.E"}, 8: set()})
            self.assertEqual(run.published_killers(Path(name, "none.md")), {})

    def test_known_tests_come_first_and_none_is_lost(self) -> None:
        self.assertEqual(run.in_groups(["A.A", "B.B", "C.C"], {"B.B", "X.X"}), "B.B A.A:C.C")
        self.assertEqual(run.in_groups(["A.A"], {"A.A"}), "A.A")
        self.assertEqual(run.in_groups(["A.A", "B.B"], set()), "A.A:B.B")


class Mutants(unittest.TestCase):
    mutants = run.read_mutants(HERE.parent / "mutants.yaml")

    def test_every_number_is_in_the_series_and_the_other_way_round(self) -> None:
        series = "".join(path.read_text() for path in sorted((HERE.parent / "series").glob("*.patch")))
        added = "\n".join(line for line in series.splitlines() if line.startswith("+"))
        used = {int(number) for number in re.findall(r"netns_mutant_is\((\d+)\)", added)}
        used |= {int(number) for number in re.findall(r"\{ (\d+), \"", added)}
        self.assertEqual(used, {mutant.number for mutant in self.mutants})

    def test_numbers_and_names_are_unique(self) -> None:
        self.assertEqual(len({mutant.number for mutant in self.mutants}), len(self.mutants))
        self.assertEqual(len({mutant.name for mutant in self.mutants}), len(self.mutants))

    def test_every_requirement_is_in_the_catalogue(self) -> None:
        catalogue = (HERE.parents[2] / "suites" / "requirements.yaml").read_text()
        known = set(re.findall(r"^- id: (\S+)", catalogue, re.MULTILINE))
        broken = {requirement for mutant in self.mutants for requirement in mutant.breaks}
        self.assertEqual(broken - known, set())

    def test_choice(self) -> None:
        self.assertEqual([mutant.number for mutant in run.choose(self.mutants, "1-3,PHYS-04")], [1, 2, 3, 59])
        with self.assertRaisesRegex(run.Problem, "no such mutant"):
            run.choose(self.mutants, "NONSENSE")


if __name__ == "__main__":
    unittest.main()
