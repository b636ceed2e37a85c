# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tests notice the mechanical mutants: `netns-conformance mutants --mechanical`.

First all tests run once, one at a time, on the unchanged code of the image, which notes the mutants that each of them
gets to (netns_mutant=-1). A mutant that no test gets to cannot be killed; another is given the tests that get to it,
those of what its file is about first, the quick ones first, up to --seconds of them; with --thorough all of them.

Any test that passes there and fails with the mutant kills: these mutants break no requirement in particular. The results
are what the streams of the machines say, which all stay in the output directory: an interrupted run goes on from them.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Iterable, Optional

import mechanical
import plain_yaml
import run

OUTCOMES = ("killed", "broken", "splat", "lasting", "survived")
# The launcher's words for a machine that died while several tests ran, or none.
SHARED_FAULT = re.compile(r"\S+ (?:before the first test: (.*)$|\((.*)\) with several tests in flight)")
TRIAGE = run.HERE / "mechanical-triage.yaml"


@dataclasses.dataclass
class Known:
    """What one test did on the unchanged code."""

    verdict: str
    covers: list[str]
    seconds: float


@dataclasses.dataclass
class Trial:
    """What a machine said of one mutant."""

    outcome: str  # one of OUTCOMES; "" for an unfinished one
    tests: list[str]
    by: str = ""
    message: str = ""
    seconds: float = 0.0
    first: bool = False  # nothing had been done to the machine before


def numbers_of(text: str) -> set[int]:
    """The mutants in the kernel's notes: a bitmap in hexadecimal words, the highest first."""
    bits = int(text.replace(",", "") or "0", 16)
    found = set()
    while bits:
        lowest = bits & -bits
        found.add(mechanical.FIRST + lowest.bit_length() - 1)
        bits ^= lowest
    return found


def read_reach(directory: Path) -> tuple[dict[str, Known], dict[int, set[str]], bool]:
    """The tests, the mutants that each of them got to, and whether the run is whole."""
    tests: dict[str, Known] = {}
    reach: dict[int, set[str]] = {}
    whole = False
    for event in run.events(directory / "events.jsonl"):
        kind = event.get("event")
        if kind == "note":
            match = re.fullmatch(r"reached (\S+) ([0-9a-f,]*)", event.get("text", ""))
            for number in numbers_of(match[2]) if match else ():
                reach.setdefault(number, set()).add(match[1])
        elif kind == "end":
            name = event["test"].partition("/")[2]
            tests[name] = Known(event.get("verdict", "ERROR"), event.get("covers") or [], event.get("duration_ms", 0) / 1000)
        elif kind == "footer":
            whole = True
    return tests, reach, whole


def read_machine(directory: Path) -> dict[int, Trial]:
    """What one machine with many mutants said of each that it got to."""
    trials: dict[int, Trial] = {}
    current: Optional[Trial] = None
    begun = 0.0
    kinds: set[str] = set()
    for event in run.events(directory / "events.jsonl"):
        kind = event.get("event")
        if kind == "note":
            match = re.fullmatch(r"mutant (\d+) (begins|passes alone|not confirmed|ends)", event.get("text", ""))
            if match and match[2] == "begins":
                current = trials[int(match[1])] = Trial("", [], first=not trials)
                begun, kinds = event.get("time", 0.0), set()
            elif current is not None and not current.by and not current.outcome and (fault := SHARED_FAULT.match(event.get("text", ""))):
                current.outcome, current.by, current.message = "splat", "the kernel", fault[1] or fault[2]
                current.seconds = round(event.get("time", 0.0) - begun, 1)
            elif match and current is not None:
                current.seconds = round(event.get("time", 0.0) - begun, 1)
                if match[2] == "not confirmed":
                    current.outcome = "lasting"
                elif match[2] == "passes alone":
                    current.outcome, current.by, current.message = "", "", ""
                elif not current.by:
                    current.outcome = "survived"
        elif kind == "end" and current is not None:
            number, name = run.say_number(event["test"])
            if number.endswith("=0") or current.by:
                continue
            verdict = event.get("verdict", "ERROR")
            if verdict == "SKIP":
                continue
            current.tests.append(name or event["test"])
            # All of these pass on the unchanged code: MISS says that what they need has gone.
            if verdict in ("FAIL", "ERROR", "MISS"):
                failures = event.get("failures") or []
                kinds = {failure.get("kind", "") for failure in failures}
                current.by, current.message = current.tests[-1], (failures[0].get("message", "")[:300] if failures else "")
                faulty = bool(kinds) and kinds <= run.FAULTS
                current.outcome = "splat" if faulty else "killed" if verdict == "FAIL" else "broken"
    return trials


def fold(machines: Iterable[dict[int, Trial]]) -> dict[int, Trial]:
    """One trial for each mutant out of those of all machines: what noticed it, else the survival with all its tests."""
    folded: dict[int, Trial] = {}
    for trials in machines:
        for number, trial in trials.items():
            if trial.outcome == "lasting":
                # In a machine of which it was the first, nobody else can have done it.
                trial = dataclasses.replace(trial, outcome="killed" if trial.first else "lasting")
            old = folded.get(number)
            # A test that passes when it is tried again has not killed.
            retracted = old is not None and trial.outcome == "survived" and old.by in trial.tests
            if not trial.outcome or (old and old.outcome in ("killed", "broken", "splat") and not retracted):
                continue
            if old and trial.outcome == "survived":
                trial = dataclasses.replace(trial, tests=sorted({*old.tests, *trial.tests}), seconds=old.seconds + trial.seconds)
            folded[number] = trial
    return folded


def plan(mutant: dict[str, Any], tests: dict[str, Known], reach: set[str], seconds: float, done: Iterable[str] = ()) -> list[str]:
    """The tests for a mutant, as many as `seconds` have room for, but never fewer than three."""

    def about(name: str) -> bool:
        return any(covered in mutant["breaks"] or covered.partition("-")[0] in mutant["breaks"] for covered in tests[name].covers)

    able = sorted((name for name in reach if name in tests and tests[name].verdict == "PASS"), key=lambda name: (not about(name), tests[name].seconds, name))
    chosen: list[str] = []
    spent = 0.0
    for name in able:
        spent += tests[name].seconds
        if spent > seconds and len(chosen) >= 3:
            break
        chosen.append(name)
    return [name for name in chosen if name not in set(done)]


def read_triage(path: Path) -> dict[str, dict[str, str]]:
    """The survivors that somebody has looked at, by key()."""
    return {entry["mutant"]: entry for entry in plain_yaml.read(path)} if path.exists() else {}


def key(mutant: dict[str, Any]) -> str:
    """A name that outlives a change of the numbers."""
    return f"{mutant['operator']} {mutant['file']}:{mutant['line']} {mutant['text']}"


class Sweep:
    """The machines of one image and one test program."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        image = options.kernel or run.default_image().with_name("bzImage-6.12-mechanical")
        if not image.exists():
            raise run.Problem(f"{image}: no kernel with mechanical mutants; build it with 'netns-conformance mutants build --mechanical'")
        table = image.resolve().parent / "mechanical.json"
        self.table: list[dict[str, Any]] = json.loads(table.read_text(encoding="utf-8"))
        output = options.output or run.default_output().with_name("mechanical-results")
        self.laboratory = run.Laboratory(options, image, output)
        # A test gets 45 s; one that has not ended long after that hangs in the kernel.
        self.laboratory.extra = ["--test-timeout", "65", "--silence-timeout", "75"]
        # What was said of another image or another test program says nothing about these.
        self.output = output / self.laboratory.identity
        self.output.mkdir(parents=True, exist_ok=True)
        self.say = self.laboratory.say
        self.tests: dict[str, Known] = {}
        self.reach: dict[int, set[str]] = {}

    def take_reach(self) -> None:
        directory = self.output / "reach"
        if not (directory / "events.jsonl").exists() or not read_reach(directory)[2]:
            self.say(f"which test gets to which mutant; the stream is {directory / 'events.jsonl'}")
            schedule = self.output / "schedule"
            schedule.write_text(f"with --jobs=1\nreach {self.options.tests or '*'}\n", encoding="utf-8")
            self.laboratory.boot(0, directory, None, schedule)
        self.tests, self.reach, whole = read_reach(directory)
        verdicts = Counter(known.verdict for known in self.tests.values())
        self.say(f"{dict(verdicts)}; {len(self.reach)} of {len(self.table)} mutants are reached" + ("" if whole else "; the run was broken off"))
        if not verdicts["PASS"]:
            raise run.Problem(f"no test passes: see {directory}")

    def chosen(self) -> list[dict[str, Any]]:
        """Those to examine: of the reached ones --only, or a sample."""
        able = [mutant for mutant in self.table if any(self.tests[test].verdict == "PASS" for test in self.reach.get(mutant["number"], ()) if test in self.tests)]
        if self.options.only:
            if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", self.options.only):
                raise run.Problem(f"--only {self.options.only}: with --mechanical, numbers and ranges of numbers", 2)
            spans = [word.partition("-") for word in self.options.only.split(",")]
            wanted = {number for first, _, last in spans for number in range(int(first), int(last or first) + 1)}
            return [mutant for mutant in able if mutant["number"] in wanted]
        if self.options.sample:
            return mechanical.sample(able, self.options.sample, self.options.seed, lambda mutant: mutant["operator"])
        return able

    def trials(self) -> dict[int, Trial]:
        directories = sorted(self.output.glob("machine-*"), key=lambda path: int(path.name.partition("-")[2]))
        return fold(read_machine(directory) for directory in directories if (directory / "events.jsonl").exists())

    def examine(self, chosen: list[dict[str, Any]], seconds: float) -> None:
        """Machines until every chosen mutant has been tried with the tests that --seconds allows it."""
        while True:
            known = self.trials()
            lines: list[str] = []
            for mutant in sorted(chosen, key=lambda mutant: known[mutant["number"]].outcome != "lasting" if mutant["number"] in known else True):
                trial = known.get(mutant["number"])
                if trial and (trial.outcome in ("killed", "broken", "splat") or (trial.outcome == "lasting" and not self.options.thorough)):
                    continue
                done = trial.tests if trial and trial.outcome == "survived" else ()
                tests = plan(mutant, self.tests, self.reach[mutant["number"]], seconds, done)
                if tests:
                    lines.append(f"{mutant['number']}! {':'.join(tests)}\n")
            if not lines:
                return
            directory = self.output / f"machine-{len(list(self.output.glob('machine-*'))) + 1}"
            schedule = self.output / "schedule"
            schedule.write_text("with --deadline=45\n" + "".join(lines), encoding="utf-8")
            self.say(f"{len(lines)} mutants in one machine; its stream is {directory / 'events.jsonl'}")
            self.laboratory.boot(0, directory, None, schedule)
            trials = read_machine(directory)
            if not any(trial.outcome for trial in trials.values()):
                raise run.Problem(f"{directory}: the machine did not finish one mutant")
            counts = Counter(trial.outcome or "unfinished" for trial in trials.values())
            self.say(f"that machine: {dict(counts)}")
            self.write(chosen)

    def write(self, chosen: list[dict[str, Any]]) -> None:
        known = self.trials()
        results = [{**mutant, **dataclasses.asdict(known[mutant["number"]])} for mutant in chosen if mutant["number"] in known]
        (self.output / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        text = document(self.table, self.reach, self.tests, results, self.options, read_triage(TRIAGE))
        (self.output / "mechanical-mutants.md").write_text(text, encoding="utf-8")
        if self.options.document:
            self.options.document.write_text(text, encoding="utf-8")


def rate(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else ""


def document(
    table: list[dict[str, Any]], reach: dict[int, set[str]], tests: dict[str, Known], results: list[dict[str, Any]], options: argparse.Namespace, triage: dict[str, dict[str, str]]
) -> str:
    """docs/mechanical-mutants.md."""
    passing = sum(known.verdict == "PASS" for known in tests.values())
    lines = [
        "<!-- SPDX-License-Identifier: GPL-2.0-or-later -->",
        "# Mechanical mutants",
        "",
        f"Generated by `netns-conformance mutants --mechanical` on {datetime.date.today().isoformat()}: {len(table)} mutants that",
        "`vm-scripts/mutants/mechanical.py` derived from linux-source 6.12 and that compile, in one image. How: [mutants.md](mutants.md).",
        "",
        f"*reached*: one of the {passing} tests that pass on the unchanged code of this image gets to the place. *tried*: of these, "
        + (f"a sample (`--sample {options.sample} --seed {options.seed}`), as many of each operator as there are." if options.sample else "those that were chosen."),
        f"Each was given the tests that reach it, those of its subject first, for up to {options.seconds} s of them"
        + (", and what survived then all of them." if options.thorough else ".")
        + " *killed*: a test says FAIL, and passes again without the mutant. *broken*: a test could not even be set up, or lacked what it needs. *splat*:",
        "the kernel itself gave it away, by a warning, a crash or silence. *lasting*: a test failed, and went on failing when the",
        "mutant was gone: it has left the machine in disorder, in which nothing else was tried then. (`--thorough` tries it again,",
        "as the first in a fresh machine, where the failure can only be its own.)",
        *([f"Only tests that match `{options.tests}` were used."] if options.tests else []),
        "",
        "| operator | what it does | mutants | reached | tried | killed | broken | splat | lasting | survived | noticed |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for operator in [*mechanical.OPERATORS, "all"]:
        mine = [mutant for mutant in table if operator in ("all", mutant["operator"])]
        tried = [result for result in results if operator in ("all", result["operator"]) and result["outcome"] in OUTCOMES]
        counts = Counter(result["outcome"] for result in tried)
        reached = sum(mutant["number"] in reach for mutant in mine)
        cells = [len(mine), reached, len(tried), *[counts[outcome] for outcome in OUTCOMES], rate(len(tried) - counts["survived"], len(tried))]
        lines.append(f"| {operator} | {mechanical.OPERATORS.get(operator, '')} | " + " | ".join(str(cell) for cell in cells) + " |")
    survivors = [result for result in results if result["outcome"] == "survived"]
    judged = Counter(triage[key(result)]["verdict"] for result in survivors if key(result) in triage)
    lines += ["", f"## Survivors ({len(survivors)})", ""]
    if judged:
        lines += [f"{sum(judged.values())} of them have been looked at: {', '.join(f'{count} {verdict}' for verdict, count in sorted(judged.items()))}.", ""]
    lines += ["| nr | operator | where | the place | tests | verdict | why |", "|---:|---|---|---|---:|---|---|"]
    for result in sorted(survivors, key=lambda result: result["number"]):
        known = triage.get(key(result), {})
        where = f"{result['file']}:{result['line']} {result['function']}"
        lines.append(f"| {result['number']} | {result['operator']} | {where} | `{run.cell(result['text'])[:120]}` | {len(result['tests'])} | {known.get('verdict', '')} | {run.cell(known.get('why', ''))} |")
    noticed = [result for result in results if result["outcome"] in OUTCOMES and result["outcome"] != "survived"]
    lines += ["", f"## Noticed ({len(noticed)})", "", "| nr | operator | where | the place | outcome | by |", "|---:|---|---|---|---|---|"]
    for result in sorted(noticed, key=lambda result: result["number"]):
        where = f"{result['file']}:{result['line']} {result['function']}"
        lines.append(f"| {result['number']} | {result['operator']} | {where} | `{run.cell(result['text'])[:120]}` | {result['outcome']} | {result['by']} |")
    for operator, title in (("no-capability", "Rights that no test went without"), ("no-comparison", "Comparisons that no test made of two that differ")):
        unreached = [mutant for mutant in table if mutant["operator"] == operator and mutant["number"] not in reach]
        lines += ["", f"## {title} ({len(unreached)})", ""]
        for file in sorted({mutant["file"] for mutant in unreached}):
            places = sorted({(mutant["line"], mutant["function"]) for mutant in unreached if mutant["file"] == file})
            lines.append(f"- {file}: " + ", ".join(f"{line} {function}" for line, function in places))
    gone = [entry for name, entry in triage.items() if name not in {key(result) for result in survivors}]
    if gone:
        lines += ["", "## Survivors of earlier runs", "", "| mutant | verdict | why |", "|---|---|---|"]
        lines += [f"| `{run.cell(entry['mutant'])}` | {entry['verdict']} | {run.cell(entry['why'])} |" for entry in gone]
    return "\n".join(lines) + "\n"


def main(options: argparse.Namespace) -> int:
    """As run.py's, whose options these are; as a program it is another module than the one imported here."""
    try:
        return examine_all(options)
    except run.Problem as problem:
        print(f"mutants: {problem}", file=sys.stderr)
        return problem.status


def examine_all(options: argparse.Namespace) -> int:
    """0 every chosen mutant was noticed, 1 some survived."""
    sweep = Sweep(options)
    if options.list:
        for mutant in sweep.table:
            print(f"{mutant['number']} {key(mutant)} ({mutant['function']})")
        return 0
    sweep.take_reach()
    chosen = sweep.chosen()
    sweep.examine(chosen, options.seconds)
    if options.thorough:
        sweep.examine(chosen, float("inf"))
    sweep.write(chosen)
    known = sweep.trials()
    counts = Counter(known[mutant["number"]].outcome for mutant in chosen)
    print(f"{len(chosen)} mutants: {dict(counts)}; all of it in {sweep.output / 'mechanical-mutants.md'}")
    return 1 if counts["survived"] else 0
