# SPDX-License-Identifier: GPL-2.0-or-later
"""The front door's part of benchmarks."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import unittest
from pathlib import Path

from netns_vm import bench
from netns_vm.problems import UsageProblem


class Bench(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)

    def test_a_directory_stands_for_its_stream(self) -> None:
        stream = self.path / "events.jsonl"
        stream.write_text("")
        self.assertEqual(bench.stream_of(str(self.path)), stream)
        self.assertEqual(bench.stream_of(str(stream)), stream)
        with self.assertRaises(UsageProblem):
            bench.stream_of(str(self.path / "missing"))

    def test_compares_two_and_nothing_else(self) -> None:
        for words in ([], ["one"], ["one", "two", "three"]):
            with self.assertRaises(UsageProblem):
                bench.compare(self.path, words, None)

    def test_takes_the_guests_document_out_of_the_stream(self) -> None:
        document = {"context": {}, "benchmarks": [{"name": "create/unshare"}]}
        lines = [{"event": "header"}, {"event": "note", "text": 'says "google-benchmark"'}, {"event": "google-benchmark", "document": document}]
        (self.path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        bench.extract_json(self.path)
        self.assertEqual(json.loads((self.path / "benchmarks.json").read_text()), document)

    def test_says_to_the_program_what_was_asked_for(self) -> None:
        options = argparse.Namespace(quick=True, repetitions=3, scale=None)
        self.assertEqual(bench.program_arguments(options, ["--seed=1"]), ["--quick", "--repetitions=3", "--seed=1"])

    def test_passes_signals_on_and_waits(self) -> None:
        # The child sends its parent ^C's signal, and ends well only if it is given SIGTERM for it.
        child = (
            "import os, signal, sys\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
            "os.kill(os.getppid(), signal.SIGINT)\n"
            "signal.sigwait([signal.SIGTERM])\n"
            "sys.exit(7)\n"
        )
        self.assertEqual(bench.run_to_end([sys.executable, "-c", child]), 7)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)


if __name__ == "__main__":
    unittest.main()
