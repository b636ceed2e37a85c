# SPDX-License-Identifier: GPL-2.0-or-later
"""Benchmarks: here, in a VM, and compared. What they time is in benchmarks/, what figures mean in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Optional, Sequence

from . import building, paths
from .problems import ERROR, MachineProblem, UsageProblem

PR_SET_PDEATHSIG = 1
# What a guest needs to time what a user would take instead.
PEER_PROGRAMS = ("ip", "unshare", "true")


def stream_of(text: str) -> Path:
    """A file as it is; of a result directory its event stream."""
    path = Path(text)
    if path.is_dir():
        path = path / "events.jsonl"
    if not path.exists():
        raise UsageProblem(f"{path}: no such file")
    return path


def compare(build: Path, words: Sequence[str], least_effect: Optional[float]) -> int:
    if len(words) != 2:
        raise UsageProblem("bench compare takes two results: files (event streams or Google Benchmark's JSON) or directories")
    effect = [] if least_effect is None else ["--least-effect", str(least_effect)]
    return subprocess.run([str(building.program(build, "reports/netns-report")), "compare-speed", *effect, *(str(stream_of(word)) for word in words)]).returncode


def _follow_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def run_to_end(command: Sequence[str]) -> int:
    """Runs the program and passes SIGINT and SIGTERM on: it ends in its own time, with nothing left behind."""
    started: "list[subprocess.Popen[bytes]]" = []
    asked: "list[int]" = []

    def pass_on(number: int, _frame: object) -> None:
        asked.append(number)
        for process in started:
            process.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # In a session of its own, or a terminal's ^C would reach it twice, and the second one kills.
        started.append(subprocess.Popen(list(command), start_new_session=True, preexec_fn=_follow_parent))
        if asked:
            started[0].send_signal(signal.SIGTERM)
        return started[0].wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def program_arguments(options: argparse.Namespace, extra: Sequence[str]) -> list[str]:
    words = ["--quick"] if options.quick else []
    if options.repetitions:
        words.append(f"--repetitions={options.repetitions}")
    if options.scale:
        words.append(f"--scale={options.scale}")
    return [*words, *extra]


def show(build: Path, output: Path) -> None:
    program = build / "reports" / "netns-report"
    if os.access(program, os.X_OK) and (output / "events.jsonl").exists():
        subprocess.run([str(program), "speed", str(output / "events.jsonl")])
    print(f"results in {output}")


def here(options: argparse.Namespace, build: Path, extra: Sequence[str]) -> int:
    program = building.program(build, "benchmarks/netns-bench")
    output = paths.new_results(options.output)
    command = [str(program), f"--stream={output / 'events.jsonl'}", f"--json={output / 'benchmarks.json'}"]
    if options.filter:
        command.append(f"--filter={options.filter}")
    status = run_to_end([*command, *program_arguments(options, extra)])
    if status < 0:
        raise MachineProblem(f"{program} was killed by {signal.Signals(-status).name}; {output}/events.jsonl has what it measured until then")
    if status != 2:
        show(build, output)
    return status


def peers() -> dict[str, Path]:
    found = {}
    for name in PEER_PROGRAMS:
        path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if path:
            found[f"usr/bin/{name}"] = Path(path)
    return found


def extract_json(output: Path) -> None:
    """The guest has no files: its Google Benchmark JSON came as an event."""
    with (output / "events.jsonl").open("rb") as stream:
        for line in stream:
            if b'"google-benchmark"' not in line:
                continue
            event = json.loads(line)
            if event.get("event") == "google-benchmark":
                (output / "benchmarks.json").write_text(json.dumps(event["document"], indent=1) + "\n")


def in_vm(request, build: Path) -> int:  # type: ignore[no-untyped-def]
    from . import vm

    result = vm.Run(request).run()
    extract_json(request.output)
    show(build, request.output)
    return result.status if result.complete else ERROR
