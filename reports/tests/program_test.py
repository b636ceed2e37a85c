#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""netns-report from outside: exit statuses, bad input, results that cannot be written."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import List

PROGRAM = ""


def stream(release: str = "6.12.0", verdict: str = "PASS", footer: bool = True, time: float = 1.5, duration: float = 5.0) -> str:
    """An event stream of one test that covers VETH-01."""
    name = "Veth.Pipe"
    events: List[dict] = [
        {"event": "header", "time": time, "schema": "1.0", "kernel": {"release": release}, "machine": {},
         "tests": [{"name": name, "covers": ["VETH-01"], "selected": True}]},
        {"event": "start", "test": name, "iteration": 1},
        {"event": "end", "test": name, "iteration": 1, "verdict": verdict, "duration_ms": duration,
         "reason": {"code": "needs-machine"}},
    ]
    if footer:
        events.append({"event": "footer", "counts": {verdict: 1}, "duration_ms": duration})
    return "".join(json.dumps(event) + "\n" for event in events)


class Program(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = Path(directory.name)

    def file(self, name: str, text: str) -> str:
        path = self.dir / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def run_it(self, *arguments: str, status: int) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def told(self, *arguments: str) -> str:
        """What it says, as one line: where its lines break depends on the length of paths."""
        return " ".join(self.run_it(*arguments, status=0).stdout.split())

    def one_line(self, *arguments: str, status: int = 2) -> str:
        done = self.run_it(*arguments, status=status)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_exit_statuses(self) -> None:
        for verdict, profile, status in (("PASS", "ci", 0), ("FAIL", "ci", 1), ("ERROR", "ci", 3), ("MISS", "ci", 4),
                                         ("MISS", "developer", 0)):
            with self.subTest(verdict=verdict, profile=profile):
                path = self.file("s.jsonl", stream(verdict=verdict))
                self.run_it("report", path, "--profile", profile, status=status)

    def test_truncated_says_so(self) -> None:
        done = self.run_it("report", self.file("cut.jsonl", stream(footer=False)), status=3)
        self.assertIn("INCOMPLETE", done.stdout)

    def test_bad_input_is_one_line(self) -> None:
        good = self.file("good.jsonl", stream())
        self.assertIn("No such file", self.one_line("report", str(self.dir / "absent")))
        self.assertIn("s a directory", self.one_line("report", str(self.dir)).replace("Is a", "is a"))
        self.assertIn("no event stream", self.one_line("report", self.file("text", "hello\n")))
        self.assertIn("is empty", self.one_line("report", self.file("empty", "")))
        self.assertIn("schema 2.0", self.one_line("report", self.file("v2", stream().replace('"1.0"', '"2.0"'))))
        self.assertIn("profile 'strict' is not known", self.one_line("report", good, "--profile", "strict"))
        self.assertIn("'mis' is not known", self.one_line("report", good, "--profile", self.file("p.yaml", "profile: x\nmis: allowed\n")))
        self.assertIn("VTEH-01", self.one_line("report", good, "--profile", self.file("p.yaml", "profile: x\nrequire: {requirements: [VTEH-01]}\n")))
        self.assertIn("no catalogue", self.one_line("report", good, "--requirements", good))
        self.one_line("report")
        self.one_line("report", good, "--format", "morse")
        self.one_line("report", good, "--all")

    def test_a_bad_stream_among_good_ones_loses_nothing(self) -> None:
        done = self.run_it("report", self.file("bad", "x\n"), self.file("good.jsonl", stream()), status=2)
        self.assertIn("PASS: Linux 6.12.0", done.stdout)
        self.assertIn("no event stream", done.stderr)

    def test_all_formats(self) -> None:
        out = self.dir / "new" / "results"
        self.run_it("report", self.file("s.jsonl", stream()), "--all", "--output", str(out), status=0)
        names = sorted(path.name for path in out.iterdir())
        self.assertIn("report.txt", names)
        self.assertIn("report.junit.xml", names)
        self.assertFalse([name for name in names if name.endswith(".partial")])

    def test_list_check_trace_and_explain(self) -> None:
        tests = self.file("tests.json", json.dumps({"tests": [{"name": "Veth.Pipe", "covers": ["VETH-01"], "file": "a.cc", "line": 3}]}))
        self.assertIn("VETH-01", self.run_it("list", "--area", "VETH", status=0).stdout)
        self.assertIn("no such area; it has CREATE, ", self.one_line("list", "--area", "VTEH"))
        self.assertIn("no such priority; it has core, ", self.one_line("list", "--priority", "high"))
        self.run_it("check-profile", "distribution", status=0)
        self.assertIn("'strict' is not known", self.one_line("check-profile", "strict"))
        coverage = json.loads(self.run_it("list", "--coverage", "--json", "--tests", tests, status=0).stdout)
        self.assertEqual(coverage["areas"][-1]["covered"], 1)
        self.run_it("check-trace", "--tests", tests, status=0)
        self.assertIn("VETH-02: no test", self.run_it("check-trace", "--tests", tests, "--complete", "VETH", status=1).stderr)
        self.assertIn("no list of tests", self.one_line("check-trace", "--tests", self.file("x", "{}")))
        told = self.run_it("explain", "Veth.Pipe", "--stream", self.file("s.jsonl", stream()), status=0).stdout
        self.assertIn("PASS on Linux 6.12.0", told)
        self.assertIn("neither a requirement nor", self.one_line("explain", "VETH-1"))

    def test_verdict_of_one_test(self) -> None:
        for verdict, status in (("PASS", 0), ("FAIL", 1), ("MISS", 4), ("SKIP", 4), ("ERROR", 3)):
            with self.subTest(verdict=verdict):
                done = self.run_it("verdict", self.file("s", stream(verdict=verdict)), "Veth.Pipe", status=status)
                self.assertTrue(done.stdout.startswith(f"{verdict} Veth.Pipe\n"), done.stdout)
        # The worst of several iterations counts, and tells its failures.
        failed = json.dumps({"event": "end", "test": "Veth.Pipe", "iteration": 2, "verdict": "FAIL",
                             "failures": [{"kind": "expectation", "file": "x.cc", "line": 3, "message": "boom"}]}) + "\n"
        done = self.run_it("verdict", self.file("s", stream(footer=False) + failed), "Veth.Pipe", status=1)
        self.assertIn("x.cc:3: expectation: boom", done.stdout)

    def test_verdict_of_a_test_without_one(self) -> None:
        self.assertIn("not in", self.run_it("verdict", self.file("s", stream()), "Veth.Tube", status=4).stdout)
        self.assertIn("incomplete", self.run_it("verdict", self.file("s", stream(footer=False)), "Veth.Tube", status=3).stdout)
        started = "".join(stream().splitlines(keepends=True)[:2])
        self.assertIn("started and did not end", self.run_it("verdict", self.file("s", started), "Veth.Pipe", status=3).stdout)
        self.one_line("verdict", str(self.dir / "none"), "Veth.Pipe")

    def test_kill_matrix(self) -> None:
        mutant = {"number": 7, "name": "peer-stays", "breaks": ["VETH-02"], "outcome": "killed", "what": "<b>", "killers": [{"test": "Veth.Freed"}]}
        matrix = self.file("kill-matrix.json", json.dumps({"schema": "1.0", "kernel": "6.12", "mutants": [mutant]}))
        path = self.file("s.jsonl", stream())
        page = self.run_it("report", path, "--format", "html", "--kill-matrix", matrix, status=0).stdout
        self.assertIn("7 peer-stays", page)
        self.assertIn("Mutant <a href=\"#m7\">7</a> breaks it: killed", page)
        self.assertIn("no kill matrix", self.one_line("report", path, "--kill-matrix", self.file("x.json", "[]")))

    def test_compare(self) -> None:
        old, new = self.file("old.jsonl", stream()), self.file("new.jsonl", stream(verdict="FAIL", time=9.0))
        self.assertIn("REGRESSED", self.run_it("compare", old, new, status=1).stdout)
        self.assertIn("fixed", self.run_it("compare", new, old, status=0).stdout)
        self.assertEqual(json.loads(self.run_it("compare", old, new, "--format", "json", status=1).stdout)["exit_status"], 1)
        self.run_it("compare", old, self.file("cut.jsonl", stream(footer=False)), status=3)
        self.one_line("compare", old, str(self.dir / "absent"))
        for form, mark in (("markdown", "**REGRESSED"), ("html", "<!doctype html>")):
            self.assertTrue(self.run_it("compare", old, new, "--format", form, status=1).stdout.startswith(mark))
        # The same run on both sides; and a test that is there on one side only.
        self.assertIn("nothing changed", self.run_it("compare", old, old, status=0).stdout)
        other = self.file("other.jsonl", stream(time=3.0).replace("Veth.Pipe", "Veth.Tube"))
        self.assertIn("PASS -> absent   Veth.Pipe", self.run_it("compare", old, other, status=0).stdout)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_full_disk(self) -> None:
        path = self.file("s.jsonl", stream())
        self.assertIn("No space left", self.one_line("report", path, "--output", "/dev/full", status=3))
        self.assertIn("could not be written", self.one_line("report", path, "--output", "/proc/none/x", status=3))

    def test_disk_that_fills_up(self) -> None:
        path = self.file("s.jsonl", stream())
        disk = self.dir / "disk"
        disk.mkdir()
        # A file system of 16 KiB that this test alone sees: some formats fit, the HTML page does not.
        script = (f"mount -t tmpfs -o size=16k none {disk} && echo old > {disk}/report.html; '{PROGRAM}' report '{path}' --all --output {disk}; "
                  f"echo status $?; ls {disk}; cat {disk}/report.html")
        done = subprocess.run(["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
        if "status" not in done.stdout or "mount" in done.stderr:
            self.skipTest(f"no private mount namespace: {done.stderr.strip()}")
        self.assertIn("status 3", done.stdout)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertRegex(done.stderr, r"report\.[a-z.]+: could not be written: No space left on device")
        self.assertNotIn(".partial", done.stdout)
        self.assertTrue(done.stdout.endswith("old\n"), "the earlier report is as it was")

    def test_odd_streams_are_told_and_lose_nothing(self) -> None:
        twice = stream().replace('"tests": [', '"tests": [{"name": "Veth.Pipe", "covers": ["VETH-02"], "selected": true}, ')
        self.assertIn("the plan has the test Veth.Pipe twice", self.told("report", self.file("twice.jsonl", twice)))
        unknown = stream().replace("VETH-01", "VTEH-01")
        self.assertIn("the catalogue does not have: VTEH-01", self.told("report", self.file("unknown.jsonl", unknown)))
        path = self.file("one.jsonl", stream())
        told = self.told("report", path, path)
        self.assertIn("is a stream of the same run; counted once", told)
        self.assertIn("1 test (1 PASS)", told)
        # Two runs of one kernel are two runs.
        self.assertIn("2 tests (2 PASS)", self.run_it("report", path, self.file("two.jsonl", stream(time=7.5)), status=0).stdout)

    def test_the_result_names_the_profile_and_its_digest(self) -> None:
        path = self.file("s.jsonl", stream(verdict="MISS"))
        profile = self.file("mine.yaml", "profile: mine\nmiss: forbidden\nrequire: {config: [VETH]}\n")
        told = self.run_it("report", path, "--profile", profile, status=4).stdout
        self.assertRegex(told, r"profile mine \([0-9a-f]{12}\)")
        self.assertIn("CONFIG_VETH is required, and the stream says nothing of it; remedy: ", told)
        self.assertIn("Veth.Pipe must run, and is MISS (needs-machine); remedy: run in a machine of its own", told)
        self.assertEqual(len(json.loads(self.run_it("report", path, "--format", "json", "--profile", profile, status=4).stdout)["profile"]["sha256"]), 64)

    def test_five_hundred_streams(self) -> None:
        paths = [self.file(f"{i}.jsonl", stream(release=f"6.{i}.0", time=i + 1)) for i in range(500)]
        done = self.run_it("report", *paths, status=0)
        self.assertIn("PASS: 500 runs", done.stdout)
        self.assertEqual(done.stdout.count("\n6."), 500)
        self.run_it("report", *paths, "--format", "html", "--output", str(self.dir / "500.html"), status=0)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
