#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Time and memory of a report over many kernels: figures.py NETNS-REPORT REQUIREMENTS.YAML [KERNELS...]

Makes streams in which every requirement has a test, some of which fail, and prints a line for each format and number of
kernels. The figure to hold: 50 kernels in under 2 s and 200 MB, linear in the number of streams.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Tuple


def write_stream(path: Path, ids: List[str], kernel: int) -> None:
    """One run of one test per requirement on the kernel of this number."""
    tests = [{"name": f"Suite{i % 23}.Test{i}", "covers": [rid], "needs": ["config:VETH"], "file": f"suites/suite{i % 23}.cc",
              "line": i, "selected": True} for i, rid in enumerate(ids)]
    with path.open("w", encoding="utf-8") as out:
        header = {"event": "header", "time": 1700000000.0 + kernel, "schema": "1.0", "tool": {"name": "netns-conformance", "version": "0.1.0"},
                  "kernel": {"release": f"6.{kernel}.0", "version": "#1 SMP", "machine": "x86_64",
                             "config": {"digest": "d", "options": {"NET_NS": "y", "VETH": "m"}}},
                  "machine": {"accelerator": "tcg"}, "disposable": True, "tests": tests}
        print(json.dumps(header), file=out)
        counts = {"PASS": 0, "FAIL": 0, "MISS": 0}
        for i, test in enumerate(tests):
            print(json.dumps({"event": "start", "time": 1.0, "test": test["name"], "iteration": 1}), file=out)
            verdict = "FAIL" if (i * 7 + kernel) % 97 == 0 else "MISS" if i % 41 == 0 else "PASS"
            counts[verdict] += 1
            end = {"event": "end", "time": 2.0, "test": test["name"], "iteration": 1, "verdict": verdict, "duration_ms": 3 + i % 17,
                   "covers": test["covers"], "failures": [], "properties": {}, "kernel_log": "", "output": ""}
            if verdict == "FAIL":
                end["failures"] = [{"kind": "expectation", "file": test["file"], "line": i, "message": "Expected: EPERM\n  Actual: success", "fatal": False, "where": ""}]
                end["kernel_log"] = "[   12.3] WARNING: at net/core/dev.c:1234\n" * 20
            elif verdict == "MISS":
                end["reason"] = {"code": "needs-nic:igb", "text": "no igb here", "remedy": ""}
            print(json.dumps(end), file=out)
        print(json.dumps({"event": "footer", "time": 3.0, "counts": counts, "duration_ms": 9000, "exit_status": 1}), file=out)


def measure(command: List[str]) -> Tuple[float, float, float]:
    """Seconds by the clock, seconds of CPU and MB (peak resident) of a command."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.WEXITSTATUS(status) != 1:
        sys.exit(f"{command[0]}: exit status {os.WEXITSTATUS(status)} where the streams have failures (1)")
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    program, requirements = sys.argv[1:3]
    numbers = [int(word) for word in sys.argv[3:]] or [1, 25, 50, 100]
    ids = re.findall(r"^- id: (\S+)", Path(requirements).read_text(encoding="utf-8"), re.M)
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / f"{kernel}.jsonl" for kernel in range(max(numbers))]
        for kernel, path in enumerate(paths):
            write_stream(path, ids, kernel)
        print(f"{len(ids)} requirements, {paths[0].stat().st_size / 1024:.0f} KiB a stream")
        for form in ("terminal", "html", "junit", "json"):
            for number in numbers:
                seconds, cpu, megabytes = measure([program, "report", "--requirements", requirements, "--format", form, *map(str, paths[:number])])
                print(f"{form:<9} {number:>4} kernels: {seconds:6.2f} s ({cpu:5.2f} s of CPU), {megabytes:6.0f} MB")


if __name__ == "__main__":
    main()
