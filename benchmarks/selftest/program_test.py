#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""netns-bench from outside, with little time for each benchmark: no figure matters here, only that they are told."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

BENCH, REPORT = sys.argv[1], sys.argv[2]
DEADLINE = 180


def bench(*words: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([BENCH, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=DEADLINE, **more)


def events(path: Path) -> "list[dict[str, Any]]":
    return [json.loads(line) for line in path.read_text().splitlines()]


class Program(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.stream = Path(self.directory.name, "events.jsonl")
        self.json = Path(self.directory.name, "benchmarks.json")

    def short(self, filter_text: str, *words: str, repetitions: int = 2, **more: Any) -> "subprocess.CompletedProcess[str]":
        return bench(f"--filter={filter_text}", f"--repetitions={repetitions}", "--seconds-each=0.001", f"--stream={self.stream}", f"--json={self.json}", *words, **more)

    def test_tells_figures_as_events_and_as_google_benchmarks_json(self) -> None:
        done = self.short("^(create/unshare|veth/create|enter/setns)$")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = events(self.stream)
        self.assertEqual([lines[0]["event"], lines[-1]["event"]], ["header", "footer"])
        self.assertIn("governor", lines[0]["context"])
        values = {}  # type: dict[str, list[float]]
        for line in lines:
            if line["event"] == "measurement":
                values.setdefault(line["name"], []).append(line["value"])
        # The floor comes along, and so does the noise.
        self.assertEqual(set(values), {"create/unshare", "floor/unshare", "veth/create", "enter/setns", "noise/spin", "noise/memory", "noise/fork"})
        for name, figures in values.items():
            self.assertEqual(len(figures), 2, name)
            self.assertGreater(min(figures), 0, name)
        document = json.loads(self.json.read_text())
        self.assertEqual({one["name"] for one in document["benchmarks"]}, set(values))
        self.assertTrue(all(one["run_type"] == "iteration" for one in document["benchmarks"]))
        self.assertIn("kernel_release", document["context"])
        self.assertIn("noise floor", done.stderr)
        told = subprocess.run([REPORT, "speed", str(self.stream)], stdout=subprocess.PIPE, text=True)
        self.assertIn("x floor/unshare", told.stdout)

    def test_every_benchmark_has_a_name_of_its_own(self) -> None:
        names = bench("--list").stdout.split()
        self.assertGreater(len(names), 80)
        self.assertEqual(len(names), len(set(names)))
        for name in names:
            self.assertRegex(name, r"^[a-z]+/[A-Za-z0-9-]+(/[A-Za-z0-9-]+)?$")

    def test_ends_with_a_message_and_the_figures_so_far_at_a_limit(self) -> None:
        def few_descriptors() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))

        done = self.short("^(create/among/100|enter/setns)$", preexec_fn=few_descriptors)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"MISS create/among/100: reached: the limit of open files.*until then: \d+ namespaces, median [\d.]+ us each")
        measured = {line["name"] for line in events(self.stream) if line["event"] == "measurement"}
        self.assertIn("enter/setns", measured, "the others go on")

    def test_an_interrupted_run_frees_all_and_says_so(self) -> None:
        os.mkfifo(self.stream)  # so that the first figure can be waited for
        process = subprocess.Popen(
            [BENCH, "--filter=^free/until-done/1024$", "--repetitions=1000", f"--stream={self.stream}", f"--json={self.json}", "--progress=none"],
            stderr=subprocess.PIPE, text=True,
        )
        with self.stream.open() as pipe:
            lines = []
            for line in pipe:
                lines.append(json.loads(line))
                figures = [one for one in lines if one.get("name") == "free/until-done/1024"]
                if len(figures) == 1 and lines[-1] is figures[0]:
                    process.send_signal(signal.SIGINT)  # once: a second one would kill
        _, told = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 3, told)
        self.assertRegex(told, "all network namespaces are freed|still freeing network namespaces")
        self.assertNotEqual(lines[-1]["event"], "footer", "an interrupted run is incomplete")
        self.assertTrue(json.loads(self.json.read_text())["benchmarks"], "the figures so far")

    def test_wrong_usage_is_status_2(self) -> None:
        for words in (["--no-such"], ["--filter=("], ["--repetitions=0"]):
            self.assertEqual(bench(*words).returncode, 2, words)

    def test_a_slowdown_is_found_and_the_same_run_is_not_slower(self) -> None:
        def write(path: Path, factor: float) -> None:
            one = [{"name": "create/unshare", "run_type": "iteration", "real_time": (100 + i) * factor, "time_unit": "us"} for i in range(8)]
            path.write_text(json.dumps({"context": {}, "benchmarks": one}))

        slow = Path(self.directory.name, "slow.json")
        write(self.json, 1)
        write(slow, 1.2)
        compared = subprocess.run([REPORT, "compare-speed", str(self.json), str(slow)], stdout=subprocess.PIPE, text=True)
        self.assertEqual(compared.returncode, 1, compared.stdout)
        self.assertIn("slower create/unshare", compared.stdout)
        self.assertEqual(subprocess.run([REPORT, "compare-speed", str(slow), str(self.json)], stdout=subprocess.PIPE).returncode, 0)
        self.assertEqual(subprocess.run([REPORT, "compare-speed", str(self.json), str(self.json)], stdout=subprocess.PIPE).returncode, 0)


if __name__ == "__main__":
    tried = bench("--filter=^$", "--repetitions=1")
    if tried.returncode == 3 and "no namespaces to measure in" in tried.stderr:
        print(tried.stderr)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
