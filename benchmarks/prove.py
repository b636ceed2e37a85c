#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows that 'bench compare' finds a slowdown that is there and claims none that is not, by real measurements on this machine.

Each time it runs the benchmark three times: twice as it is, and once with every timed step made longer by --delay. Comparing
the first two, any claim is a false alarm; comparing the first and the last, the slowdown of the benchmark must be claimed."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def measure(options: argparse.Namespace, into: Path, delay: float) -> None:
    command = [options.bench, f"--filter=^{options.name}$", f"--repetitions={options.repetitions}", f"--seconds-each={options.seconds_each}", f"--stream={into}", "--progress=none", f"--inject-delay={delay}"]
    subprocess.run(command, check=True)


def compare(options: argparse.Namespace, before: Path, after: Path) -> "dict[str, object]":
    # Status 1 is an answer, too.
    done = subprocess.run([options.report, "compare-speed", "--json", str(before), str(after)], stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", help="the program netns-bench")
    parser.add_argument("report", help="the program netns-report")
    parser.add_argument("--name", default="create/unshare", help="the benchmark (default: %(default)s)")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--delay", type=float, default=0.1, help="default: 0.1, that is 10%%")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--seconds-each", type=float, default=0.1)
    options = parser.parse_args()
    found = alarms = 0
    with tempfile.TemporaryDirectory() as directory:
        first, second, slowed = (Path(directory, name) for name in ("first", "second", "slowed"))
        for time in range(1, options.times + 1):
            measure(options, first, 0)
            measure(options, second, 0)
            measure(options, slowed, options.delay)
            same, other = compare(options, first, second), compare(options, first, slowed)
            is_found = any(one["name"] == options.name and one["after"] > one["before"] for one in other["claimed"])  # type: ignore[union-attr,index]
            is_alarm = bool(same["claimed"])
            found, alarms = found + is_found, alarms + is_alarm
            changes = ", ".join(f"{one['name']} {one['after'] / one['before'] - 1:+.1%}" for one in [*same["claimed"], *same["below_noise"]]) or "nothing"  # type: ignore[misc,index]
            slower = ", ".join(f"{one['after'] / one['before'] - 1:+.1%}" for one in [*other["claimed"], *other["below_noise"]] if one["name"] == options.name) or "not significant"  # type: ignore[misc,index]
            print(f"{time:3}: the same {'CLAIMED' if is_alarm else 'not claimed'} ({changes}); slowed {'found' if is_found else 'MISSED'} ({slower}); noise {other['noise']:.1%}, machine {other['machine_shift']:.1%}", flush=True)
    print(f"a slowdown by {options.delay:.0%} was found in {found} of {options.times}; the same kernel differed in {alarms} of {options.times}")
    return 0 if found >= 0.95 * options.times and alarms <= 0.05 * options.times else 1


if __name__ == "__main__":
    sys.exit(main())
