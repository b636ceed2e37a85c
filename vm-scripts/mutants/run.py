#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot each mutant kernel, run the suites in it, and tell which tests noticed: the kill matrix.

A test kills a mutant when it passes with mutant 0 of the same image and does not pass with the mutant. Results are kept
per mutant below the output directory, so that an interrupted run goes on where it stopped; a result is made again when
the kernel image or the test program has changed since (with --keep-kills: unless it is a kill).

--together selects the mutants one after the other in one machine, which saves the boots. It runs only the tests that
cover what is broken, and believes a failure only if the test passes with mutant 0 right after it.

Exit status: 0 all chosen mutants were killed by a test that covers what they break; 1 some were not; 2 usage; 3 a boot
or a tool failed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Iterator, Optional

import plain_yaml

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
PUBLISHED = CHECKOUT / "docs" / "kill-matrix.md"
FAULTS = {"panic", "oops", "lockup", "hung-task", "silence", "reboot", "kernel-log"}
OUTCOMES = ("killed", "elsewhere", "splat", "survived", "uncovered", "incomplete")


class Problem(Exception):
    """What one clear line explains; `status` is the exit status."""

    def __init__(self, text: str, status: int = 3) -> None:
        super().__init__(text)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One entry of mutants.yaml."""

    number: int
    name: str
    breaks: list[str]
    where: str
    difficulty: str
    what: str

    @property
    def area(self) -> str:
        """The chapter of the requirement that is meant."""
        return self.breaks[0].partition("-")[0]


@dataclasses.dataclass
class Test:
    """What a run said of one test."""

    verdict: str
    covers: list[str]
    kinds: list[str]
    message: str


@dataclasses.dataclass
class Run:
    """One boot, as its event stream tells it."""

    tests: dict[str, Test]
    complete: bool
    kernel: str
    tool: str
    reached: bool
    seconds: float = 0.0


def read_mutants(path: Path) -> list[Mutant]:
    """mutants.yaml, in the plain form that its head describes."""
    try:
        return [Mutant(**entry) for entry in plain_yaml.read(path)]
    except ValueError as error:
        raise Problem(str(error), 2) from None
    except TypeError as error:
        raise Problem(f"{path}: {error}", 2) from None


def choose(mutants: list[Mutant], only: Optional[str]) -> list[Mutant]:
    """--only: numbers, ranges of numbers, names, areas and requirements, separated by commas."""
    if not only:
        return mutants
    chosen: list[Mutant] = []
    for word in only.split(","):
        first, dash, last = word.partition("-")
        if first.isdigit() and (not dash or last.isdigit()):
            numbers = range(int(first), int(last or first) + 1)
            found = [mutant for mutant in mutants if mutant.number in numbers]
        else:
            found = [mutant for mutant in mutants if word in (mutant.name, mutant.area) or word in mutant.breaks]
        if not found:
            raise Problem(f"--only {word}: no such mutant; see {HERE / 'mutants.yaml'}", 2)
        chosen += [mutant for mutant in found if mutant not in chosen]
    return chosen


def say_number(test: str) -> tuple[str, str]:
    """The parts of a name in a stream of --together: "17/Nsid.X" and, with mutant 0, "17=0/Nsid.X"."""
    number, slash, name = test.partition("/")
    return (number, name) if slash and number.removesuffix("=0").isdigit() else ("", test)


def events(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of an event stream; a torn last line ends it."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                return


def read_run(directory: Path, mutant: int) -> Run:
    """The stream and the console of one boot."""
    stream = directory / "events.jsonl"
    tests: dict[str, Test] = {}
    complete, kernel, tool = False, "", ""
    if not stream.exists():
        raise Problem(f"{directory}: the machine left no events.jsonl; its own words are in {directory / 'vm.log'}")
    for event in events(stream):
        kind = event.get("event")
        if kind == "header":
            kernel = event.get("kernel", {}).get("release", "")
            tool = event.get("tool", {}).get("version", "")
        elif kind == "end":
            failures = event.get("failures") or []
            old = tests.get(event["test"])
            if old is None or old.verdict == "PASS":
                tests[event["test"]] = Test(
                    event.get("verdict", "ERROR"),
                    event.get("covers") or [],
                    [failure.get("kind", "") for failure in failures],
                    (failures[0].get("message", "") if failures else ""),
                )
        elif kind == "footer":
            complete = True
    return Run(tests, complete, kernel, tool, was_reached(directory, mutant))


def was_reached(directory: Path, mutant: int) -> bool:
    """Whether the console has the line that the mutated place writes."""
    line = f"netns-mutant: {mutant} reached".encode()
    return any(line in path.read_bytes() for path in directory.iterdir() if path.is_file())


def read_together(directory: Path) -> tuple[dict[int, Run], Optional[int]]:
    """What one machine said of many mutants, and the mutant in whose time it came to an end (None: it got through).

    A failure that the same test shows with mutant 0 afterwards, or that could not be tried again, is left out.
    """
    runs: dict[int, Run] = {}
    current: Optional[int] = None
    kernel, tool, begun, complete = "", "", 0.0, False
    for event in events(directory / "events.jsonl"):
        kind = event.get("event")
        if kind == "header":
            kernel = event.get("kernel", {}).get("release", "")
            tool = event.get("tool", {}).get("version", "")
        elif kind == "note":
            match = re.fullmatch(r"mutant (\d+) (begins|not confirmed|confirmed|ends)", event.get("text", ""))
            if match and match[2] == "begins":
                current, begun = int(match[1]), event.get("time", 0.0)
                runs[current] = Run({}, False, kernel, tool, was_reached(directory, current))
            elif match and match[2] == "not confirmed":
                runs[int(match[1])].tests.clear()
            elif match and match[2] == "ends" and current is not None:
                runs[current].complete = True
                runs[current].seconds = event.get("time", 0.0) - begun
                current = None
        elif kind == "end" and current is not None:
            number, name = say_number(event["test"])
            if number.endswith("=0"):
                continue
            failures = event.get("failures") or []
            message = failures[0].get("message", "") if failures else ""
            kinds = [failure.get("kind", "") for failure in failures]
            runs[current].tests.setdefault(name, Test(event.get("verdict", "ERROR"), event.get("covers") or [], kinds, message))
        elif kind == "footer":
            complete = True
    return runs, None if complete else current


def judge(mutant: Mutant, baseline: Run, runs: list[Run]) -> dict[str, Any]:
    """What became of a mutant: who noticed, and by right of which requirement."""
    killers: list[dict[str, Any]] = []
    covering = sorted(name for name, test in baseline.tests.items() if test.verdict == "PASS" and set(test.covers) & set(mutant.breaks))
    ran: set[str] = set()
    for run in runs:
        for name, test in run.tests.items():
            ran.add(name)
            before = baseline.tests.get(name)
            if before is None or before.verdict != "PASS" or test.verdict in ("PASS", "SKIP"):
                continue
            killers.append(
                {
                    "test": name,
                    "verdict": test.verdict,
                    "kinds": sorted(set(test.kinds)),
                    "covers": name in covering,
                    "requirements": test.covers,
                    "message": test.message[:400],
                }
            )
    # A setup step that breaks (ERROR) or a lost feature (MISS) is a weaker sign than a verdict on the kernel.
    by_right = [killer for killer in killers if killer["covers"] and killer["verdict"] == "FAIL"]
    if by_right:
        outcome = "splat" if all(set(killer["kinds"]) <= FAULTS and killer["kinds"] for killer in by_right) else "killed"
    elif killers:
        outcome = "splat" if all(killer["kinds"] and set(killer["kinds"]) <= FAULTS for killer in killers) else "elsewhere"
    elif not all(run.complete for run in runs):
        outcome = "incomplete"
    else:
        outcome = "survived" if covering else "uncovered"
    return {
        "number": mutant.number,
        "name": mutant.name,
        "breaks": mutant.breaks,
        "difficulty": mutant.difficulty,
        "what": mutant.what,
        "where": mutant.where,
        "outcome": outcome,
        "reached": any(run.reached for run in runs),
        "covering": covering,
        "ran": len(ran),
        "killers": sorted(killers, key=lambda killer: (not killer["covers"], killer["test"])),
    }


class Laboratory:
    """Boots mutants through the front door and keeps what they said."""

    def __init__(self, options: argparse.Namespace, image: Path, output: Path) -> None:
        self.options = options
        self.image = image
        self.output = output
        self.lock = threading.Lock()
        self.baseline = Run({}, False, "", "", False)
        self.breaks: dict[str, list[str]] = {}
        self.extra: list[str] = []  # options for 'vm'
        self.published = published_killers(PUBLISHED)
        total = hashlib.sha256(image.read_bytes())
        self.program = options.runner or (options.build_dir or CHECKOUT / "build" / "default") / "suites" / "netns-tests"
        if not self.program.exists():
            raise Problem(f"{self.program}: no test program; build it with 'cmake --preset default && cmake --build --preset default'")
        total.update(self.program.read_bytes())
        self.identity = total.hexdigest()[:16]

    def boot(self, number: int, directory: Path, names: Optional[list[str]], schedule: Optional[Path] = None) -> Run:
        """One VM with one mutant, running the named tests (None: all), or with all mutants of a schedule."""
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.iterdir():
            if old.is_file():
                old.unlink()
        # The fallback devices of built-in tunnels would be in every namespace; a modular kernel has none of them.
        append = f"netns_mutant={number} fb_tunnels=none dummy.numdummies=0 bonding.max_bonds=0 ifb.numifbs=0 mac80211_hwsim.radios=0"
        command = [str(CHECKOUT / "netns-conformance"), "vm", "--no-build", "--kernel", str(self.image)]
        command += ["--append", append, "--output", str(directory)]
        runner = self.options.runner
        if schedule is not None:
            runner = self.options.sweeper or (self.options.build_dir or CHECKOUT / "build" / "default") / "vm-scripts" / "netns-mutant-sweep"
            command += ["--carry", f"netns-program={self.program}", "--carry", f"netns-schedule={schedule}", "--stop-on-crash", "--timeout", "36000"]
        if names is not None:
            command += ["--filter", ":".join(names)]
        for option, value in (("--runner", runner), ("--build-dir", self.options.build_dir), ("--nics", self.options.nics)):
            if value:
                command += [option, str(value)]
        if self.options.timeout:
            command += ["--timeout", str(self.options.timeout)]
        command += self.extra
        deadline = time.monotonic() + (self.options.limit if schedule is None else 36000)
        with (directory / "vm.log").open("wb") as log:
            try:
                machine = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            except OSError as error:
                raise Problem(f"{command[0]}: {error.strerror}") from None
            try:
                while machine.poll() is None:
                    if time.monotonic() > deadline or (self.options.fast and number and self.killed_by_right(directory)):
                        machine.terminate()
                        machine.wait()
                        break
                    try:
                        machine.wait(timeout=0.5)
                    except subprocess.TimeoutExpired:
                        continue
            finally:
                if machine.poll() is None:
                    machine.terminate()
                    machine.wait()
        return read_run(directory, number)

    def killed_by_right(self, directory: Path) -> bool:
        """Whether the stream of a machine that still runs has a FAIL of a test that covers what is broken."""
        breaks = set(self.breaks.get(directory.parent.name, []))
        stream = directory / "events.jsonl"
        for event in events(stream) if stream.exists() else []:
            if event.get("event") == "end" and event.get("verdict") == "FAIL" and breaks & set(event.get("covers") or []):
                before = self.baseline.tests.get(event["test"])
                if before is not None and before.verdict == "PASS":
                    return True
        return False

    def take_baseline(self) -> None:
        """Mutant 0: what passes on the unchanged kernel. Only that can kill."""
        directory = self.output / "0"
        stamp = directory / "identity"
        if not (stamp.exists() and stamp.read_text() == self.identity and (directory / "events.jsonl").exists()):
            self.say("mutant 0: the unchanged kernel")
            self.boot(0, directory, None)
            stamp.write_text(self.identity)
        self.baseline = read_run(directory, 0)
        passed = sum(test.verdict == "PASS" for test in self.baseline.tests.values())
        if not passed:
            raise Problem(f"nothing passes with mutant 0: see {directory}")
        verdicts = {verdict: sum(test.verdict == verdict for test in self.baseline.tests.values()) for verdict in ("FAIL", "ERROR", "MISS")}
        self.say(f"mutant 0: {passed} tests pass; {verdicts}")

    def last_result(self, mutant: Mutant) -> dict[str, Any]:
        """What is in the output directory of it, by whatever image and test program; {} where there is nothing."""
        path = self.output / str(mutant.number) / "result.json"
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return result

    def kept(self, mutant: Mutant) -> Optional[dict[str, Any]]:
        """The result in the output directory, where it still holds."""
        result = self.last_result(mutant)
        if self.options.again or result.get("breaks") != mutant.breaks:
            return None
        if result["outcome"] == "incomplete" or (result["outcome"] == "splat" and result.get("together")):
            return None  # a machine of its own will tell
        if result["outcome"] == "killed" and (self.options.keep_kills or result.get("identity") == self.identity):
            return result
        if result.get("identity") != self.identity or (result.get("fast") and not self.options.fast):
            return None
        enough = self.options.only_covering or self.options.together or not result.get("rest_left", False)
        return result if enough else None

    def keep(self, result: dict[str, Any]) -> None:
        """Writes a result where the next run finds it."""
        result.update(identity=self.identity, date=datetime.date.today().isoformat())
        directory = self.output / str(result["number"])
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "result.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def covering(self, mutant: Mutant) -> list[str]:
        """The tests that can kill a mutant by right."""
        return [name for name, test in self.baseline.tests.items() if test.verdict == "PASS" and set(test.covers) & set(mutant.breaks)]

    def groups(self, mutant: Mutant) -> str:
        """What covers a mutant, as the sweep wants it."""
        known = {killer["test"] for killer in self.last_result(mutant).get("killers", [])} | self.published.get(mutant.number, set())
        return in_groups(self.covering(mutant), known)

    def examine_together(self, mutants: list[Mutant]) -> None:
        """Many mutants in as few machines as there are crashes; the results are kept for examine()."""
        left = [mutant for mutant in mutants if self.kept(mutant) is None and self.covering(mutant)]
        directory = self.output / "together"
        directory.mkdir(parents=True, exist_ok=True)
        schedule = self.output / "schedule"
        while left:
            self.say(f"{len(left)} mutants in one machine; its stream is {directory / 'events.jsonl'}")
            schedule.write_text("".join(f"{mutant.number} {self.groups(mutant)}\n" for mutant in left), encoding="utf-8")
            self.boot(0, directory, None, schedule)
            runs, ended_in = read_together(directory)
            for mutant in left:
                run = runs.get(mutant.number)
                if run is None or not (run.complete or mutant.number == ended_in):
                    continue
                result = judge(mutant, self.baseline, [run])
                result.update(fast=True, rest_left=True, together=True, seconds=round(run.seconds, 1))
                self.keep(result)
                first = f" by {result['killers'][0]['test']}" if result["killers"] else ""
                self.say(f"{mutant.number} {mutant.name}: {result['outcome']}{first}")
            remaining = [mutant for mutant in left if mutant.number not in runs]
            if len(remaining) == len(left):
                raise Problem(f"{directory}: the machine did not get to the first mutant")
            left = remaining

    def examine(self, mutant: Mutant) -> dict[str, Any]:
        """The result of one mutant, from the output directory or new."""
        self.breaks[str(mutant.number)] = mutant.breaks
        directory = self.output / str(mutant.number)
        known = self.kept(mutant)
        if known is not None:
            return known
        covering = self.covering(mutant)
        passing = [name for name, test in self.baseline.tests.items() if test.verdict == "PASS"]
        begun = time.monotonic()
        runs: list[Run] = []
        rest_left = False
        if self.options.fast and covering:
            runs.append(self.boot(mutant.number, directory / "fast", covering))
        if not self.options.fast:
            runs.append(self.boot(mutant.number, directory / "full", None))
        elif judge(mutant, self.baseline, runs)["outcome"] not in ("killed", "splat"):
            rest_left = self.options.only_covering
            if not rest_left:
                runs.append(self.boot(mutant.number, directory / "rest", [name for name in passing if name not in covering]))
        result = judge(mutant, self.baseline, runs)
        result.update(fast=self.options.fast, rest_left=rest_left, seconds=round(time.monotonic() - begun, 1))
        self.keep(result)
        return result

    def say(self, text: str) -> None:
        """One line of progress."""
        with self.lock:
            print(f"{datetime.datetime.now():%H:%M:%S} {text}", flush=True)


def in_groups(tests: list[str], known: set[str]) -> str:
    """The tests for a line of the sweep's schedule: those that are known to kill come first, in a group of their own."""
    first = [name for name in tests if name in known]
    rest = [name for name in tests if name not in known]
    return " ".join(":".join(group) for group in (first, rest) if group)


def published_killers(document: Path) -> dict[int, set[str]]:
    """By mutant, the tests that a kill matrix names in the column `killed by`; none where there is no matrix."""
    if not document.exists():
        return {}
    rows = re.findall(r"^\| (\d+) \|(?:[^|]*\|){4}([^|]*)\|", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {int(number): set(re.findall(r"`([^`]+)`", cell)) for number, cell in rows}


def table(results: list[dict[str, Any]]) -> list[str]:
    """Areas against outcomes."""
    lines = ["| area | mutants | " + " | ".join(OUTCOMES) + " |", "|---|---:|" + "---:|" * len(OUTCOMES)]
    areas = sorted({result["breaks"][0].partition("-")[0] for result in results})
    for area in [*areas, "all"]:
        mine = [result for result in results if area in ("all", result["breaks"][0].partition("-")[0])]
        counts = [sum(result["outcome"] == outcome for result in mine) for outcome in OUTCOMES]
        lines.append(f"| {area} | {len(mine)} | " + " | ".join(str(count) for count in counts) + " |")
    return lines


def cell(text: str) -> str:
    """Text that stays within one cell of a Markdown table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def provenance(results: list[dict[str, Any]]) -> list[str]:
    """With which builds, and how, the results were made."""
    builds: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        builds.setdefault(result.get("identity", ""), []).append(result)
    together = sum(bool(result.get("together")) for result in results)
    lines = [f"{together} of them shared a machine with others (each failure confirmed with mutant 0), {len(results) - together} had a machine of their own."]
    if len(builds) > 1:
        parts = sorted(f"{len(made)} on {min(result.get('date', '?') for result in made)} with {name}" for name, made in builds.items())
        lines.append(f"Images and test programs (digests) that made them: {'; '.join(parts)}.")
    if any(result.get("fast") for result in results):
        lines.append("A mutant's tests stop at the first kill: a test that is listed as having killed nothing may only have come second.")
    return [*lines, ""]


def matrix_markdown(results: list[dict[str, Any]], baseline: Run, total: int) -> str:
    """docs/kill-matrix.md."""
    killers: dict[str, int] = {name: 0 for name, test in baseline.tests.items() if test.verdict == "PASS"}
    for result in results:
        for killer in result["killers"]:
            if killer["covers"]:
                killers[killer["test"]] = killers.get(killer["test"], 0) + 1
    lines = [
        "<!-- SPDX-License-Identifier: GPL-2.0-or-later -->",
        "# The kill matrix",
        "",
        f"Generated by `netns-conformance mutants` on {datetime.date.today().isoformat()}; kernel {baseline.kernel}"
        f" (Debian linux-source 6.12 with `vm-scripts/mutants/series/`), tool version {baseline.tool}.",
        f"With mutant 0 of the same image {len(killers)} tests pass; only these can kill. {len(results)} of {total} mutants were examined.",
        "",
        *provenance(results),
        "*killed*: a test that covers what the mutant breaks says FAIL. *elsewhere*: only tests of other requirements noticed,",
        "or a covering test broke in its set-up. *splat*: only a kernel fault or a silent machine gave it away. *survived*:",
        "tests cover the requirement and all passed. *uncovered*: no test that passes on mutant 0 covers it yet.",
        "",
        *table(results),
        "",
        "## Mutant by mutant",
        "",
        "| nr | mutant | breaks | difficulty | outcome | killed by | what is wrong in this kernel |",
        "|---:|---|---|---|---|---|---|",
    ]
    for result in sorted(results, key=lambda result: result["number"]):
        named = [killer["test"] for killer in result["killers"]]
        by = ", ".join(f"`{name}`" for name in named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        if not named:
            by = "" if result["reached"] else "(its code was never reached)"
        lines.append(
            f"| {result['number']} | {result['name']} | {' '.join(result['breaks'])} | {result['difficulty']} |"
            f" {result['outcome']} | {by} | {cell(result['what'])} |"
        )
    idle = sorted(name for name, count in killers.items() if not count)
    lines += ["", f"## Tests that killed no mutant ({len(idle)} of {len(killers)})", "", *[f"- `{name}`" for name in idle], ""]
    return "\n".join(lines)


def survivors_markdown(results: list[dict[str, Any]]) -> str:
    """What is left to catch, worst first: covered and reached, covered, noticed elsewhere, uncovered."""
    order = {"survived": 0, "elsewhere": 1, "splat": 2, "incomplete": 3, "uncovered": 4}
    left = sorted((result for result in results if result["outcome"] in order), key=lambda result: (order[result["outcome"]], result["number"]))
    lines = [f"# {len(left)} of {len(results)} mutants are not killed by right", ""]
    for result in left:
        lines.append(f"- **{result['number']} {result['name']}** ({result['outcome']}, {'reached' if result['reached'] else 'NOT reached'}), breaks {' '.join(result['breaks'])}")
        lines.append(f"  - {result['what']} ({result['where']})")
        if result["covering"]:
            lines.append(f"  - covered by {', '.join(result['covering'][:6])}")
        if result["killers"]:
            lines.append(f"  - noticed by {', '.join(killer['test'] + ' ' + killer['verdict'] for killer in result['killers'][:6])}")
    return "\n".join(lines) + "\n"


def default_output() -> Path:
    """Kept in the cache, since a run takes long and is gone on with."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "netns-conformance", "mutants", "results")


def default_image() -> Path:
    """What build.py made last."""
    return default_output().parent / "bzImage-6.12"


def main(arguments: Optional[list[str]] = None) -> int:
    """Run, report, judge."""
    parser = argparse.ArgumentParser(prog="netns-conformance mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="LIST", help="numbers, ranges (40-58), names, areas or requirements, separated by commas")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="machines at once (default 1)")
    parser.add_argument("--fast", action="store_true", help="the tests of the broken requirement first, until one fails; the rest only where they notice nothing")
    parser.add_argument("--only-covering", action="store_true", help="with --fast: leave the rest out altogether")
    parser.add_argument("--together", action="store_true", help="all mutants in one machine, with the tests of what they break; then as --fast --only-covering")
    parser.add_argument("--keep-kills", action="store_true", help="do not examine again what an earlier image or test program has killed")
    parser.add_argument("--kept-only", action="store_true", help="examine nothing: write the matrix of the results that are kept, by whatever image and test program")
    parser.add_argument("--again", action="store_true", help="do not reuse kept results")
    parser.add_argument("--list", action="store_true", help="list the chosen mutants and stop")
    parser.add_argument("--kernel", type=Path, metavar="FILE", help="the mutant image (default: the one that build.py made last)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where results are kept (default: in the cache)")
    parser.add_argument("--document", type=Path, metavar="FILE", help="write the kill matrix there too, as docs/kill-matrix.md")
    parser.add_argument("--build-dir", type=Path, metavar="DIR", help="passed on to 'vm'")
    parser.add_argument("--runner", type=Path, metavar="FILE", help="passed on to 'vm'")
    parser.add_argument("--sweeper", type=Path, metavar="FILE", help="with --together: netns-mutant-sweep, where it is not in the build directory")
    parser.add_argument("--nics", metavar="LIST", help="passed on to 'vm'")
    parser.add_argument("--timeout", type=int, metavar="S", help="passed on to 'vm'")
    parser.add_argument("--limit", type=int, default=1200, metavar="S", help="give up on one machine after this time (default %(default)s)")
    group = parser.add_argument_group("mutants derived from the kernel's source (mechanical.py), always together in one machine")
    group.add_argument("--mechanical", action="store_true", help="these instead; with --only (numbers), --list, --kernel, --output, --document and what is passed on to 'vm'")
    group.add_argument("--sample", type=int, metavar="N", help="N of those that a test gets to, of each operator the same number")
    group.add_argument("--seed", type=int, default=1, metavar="S", help="another sample (default %(default)s)")
    group.add_argument("--seconds", type=float, default=20, metavar="S", help="of tests for each mutant (default %(default)s)")
    group.add_argument("--thorough", action="store_true", help="then all tests that get to it for each that survives")
    group.add_argument("--tests", metavar="PATTERN", help="use these tests only")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error("--jobs wants 1 or more")
    try:
        if options.mechanical:
            import mechanical_sweep  # which needs what is in this file

            return mechanical_sweep.main(options)
        return examine_all(options)
    except Problem as problem:
        print(f"mutants: {problem}", file=sys.stderr)
        return problem.status
    except KeyboardInterrupt:
        print("mutants: interrupted; the same command goes on from here", file=sys.stderr)
        return 3


def examine_all(options: argparse.Namespace) -> int:
    """The whole of it, with progress."""
    chosen = choose(read_mutants(HERE / "mutants.yaml"), options.only)
    if options.list:
        for mutant in chosen:
            print(f"{mutant.number:4} {mutant.name:32} {mutant.difficulty:7} {' '.join(mutant.breaks):24} {mutant.what}")
        return 0
    image = options.kernel or default_image()
    if not image.exists():
        raise Problem(f"{image}: no mutant kernel; build it with {HERE / 'build.py'}")
    output = options.output or default_output()
    output.mkdir(parents=True, exist_ok=True)
    laboratory = Laboratory(options, image, output)
    if options.kept_only:
        return tell_kept(options, laboratory, chosen)
    laboratory.take_baseline()
    if options.together:
        laboratory.examine_together(chosen)
        options.fast = options.only_covering = True
    results: list[dict[str, Any]] = []
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        waiting = {pool.submit(laboratory.examine, mutant): mutant for mutant in chosen}
        try:
            for done in concurrent.futures.as_completed(waiting):
                mutant = waiting[done]
                try:
                    result = done.result()
                except Problem as problem:
                    laboratory.say(f"{mutant.number} {mutant.name}: {problem}")
                    continue
                results.append(result)
                left = len(chosen) - len(results)
                rate = (time.monotonic() - begun) / len(results)
                first = f" by {result['killers'][0]['test']}" if result["killers"] else ""
                laboratory.say(f"[{len(results)}/{len(chosen)}] {mutant.number} {mutant.name}: {result['outcome']}{first}; about {left * rate / 60:.0f} min left")
                write(results, laboratory, options)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if not results:
        raise Problem("no mutant gave a result")
    write(results, laboratory, options)
    print("\n".join(table(results)))
    if len(results) < len(chosen) or any(result["outcome"] == "incomplete" for result in results):
        return 3
    return 0 if all(result["outcome"] == "killed" for result in results) else 1


def tell_kept(options: argparse.Namespace, laboratory: Laboratory, chosen: list[Mutant]) -> int:
    """The matrix of what earlier runs found, of the mutants that are as they were then."""
    if not (laboratory.output / "0" / "events.jsonl").exists():
        raise Problem(f"{laboratory.output}: no run with mutant 0 is kept there; leave out --kept-only")
    laboratory.baseline = read_run(laboratory.output / "0", 0)
    results = [result for mutant in chosen if (result := laboratory.last_result(mutant)).get("breaks") == mutant.breaks]
    if not results:
        raise Problem(f"{laboratory.output}: no result of these mutants is kept there; leave out --kept-only")
    write(results, laboratory, options)
    print("\n".join(table(results)))
    return 0 if len(results) == len(chosen) and all(result["outcome"] == "killed" for result in results) else 1


def write(results: list[dict[str, Any]], laboratory: Laboratory, options: argparse.Namespace) -> None:
    """The matrix as far as it is known, after every mutant."""
    text = matrix_markdown(results, laboratory.baseline, len(read_mutants(HERE / "mutants.yaml")))
    (laboratory.output / "kill-matrix.md").write_text(text, encoding="utf-8")
    (laboratory.output / "survivors.md").write_text(survivors_markdown(results), encoding="utf-8")
    document = {
        "schema": "1.0",
        "kernel": laboratory.baseline.kernel,
        "tool": laboratory.baseline.tool,
        "date": datetime.date.today().isoformat(),
        "mutants": sorted(results, key=lambda result: result["number"]),
    }
    (laboratory.output / "kill-matrix.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.document:
        options.document.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
