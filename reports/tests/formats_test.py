#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The formats for other programs, by those programs' own rules: formats_test.py NETNS-REPORT CACHE-DIRECTORY Junit|Ktap|Kcidb [STREAM...]

Junit: the schema junit.xsd, with xmllint. Ktap: the kernel's own tools/testing/kunit/kunit.py, out of Debian's linux-source.
Kcidb: the rules of kcidb-io's schema 5.3, written anew below. Without STREAMs it makes one with all verdicts and hostile text, and one
that is cut short. Exit status 77, with the reason, where the other program is not there.
"""

from __future__ import annotations

import collections
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

PROGRAM = ""
CACHE = Path()
STREAMS: List[str] = []

HOSTILE = "ok 7 - not ours # SKIP\nnot ok 8\n    1..9\nKTAP version 1\n<b>]]>&amp;\u0001\u001b[31m \ufffe \u202e # TODO"
OUTCOMES = ("PASS", "PASS", "FAIL", "ERROR", "MISS", "PASS", "MISS")


def events(cut: bool) -> str:
    """A run with every verdict, text that looks like the format that it ends up in, and a measurement."""
    tests = [{"name": f"Suite{i % 2}.Case{i}/a#b..c", "covers": ["VETH-01"], "file": "suites/a.cc", "line": i, "selected": True} for i in range(len(OUTCOMES))]
    tests.append({"name": "Suite0.NotAskedFor", "covers": ["VETH-02"], "selected": False})
    lines: List[Dict[str, Any]] = [
        {"event": "header", "time": 1700000000.5 + cut, "schema": "1.0", "kernel": {"release": "6.12.0+#1", "version": HOSTILE, "machine": "x86_64"},
         "machine": {"accelerator": HOSTILE, "command": ["--append=a b"]}, "disposable": True, "tests": tests}]
    for test, verdict in zip(tests, OUTCOMES):
        lines.append({"event": "start", "test": test["name"], "iteration": 1})
        lines.append({"event": "end", "test": test["name"], "iteration": 1, "verdict": verdict, "duration_ms": 3.25, "output": HOSTILE, "kernel_log": HOSTILE + "x" * 20000,
                      "failures": [{"kind": "expectation", "file": "suites/a.cc", "line": 1, "message": HOSTILE}] if verdict in ("FAIL", "ERROR") else [],
                      "reason": {"code": "needs-nic:igb", "text": HOSTILE} if verdict == "MISS" else {}})
    lines.append({"event": "measurement", "name": "Create/unshare", "unit": "us", "value": 12.5, "repetition": 1})
    if not cut:
        lines.append({"event": "footer", "counts": dict(collections.Counter(OUTCOMES)), "duration_ms": 90})
    return "".join(json.dumps(line) + "\n" for line in lines)


class Formats(unittest.TestCase):
    """What all three share: the report in a format, and the counts that it must have."""

    def streams(self) -> List[str]:
        if STREAMS:
            return STREAMS
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        paths = [Path(directory.name, name) for name in ("whole.jsonl", "cut.jsonl")]
        for path in paths:
            path.write_text(events(path.name == "cut.jsonl"), encoding="utf-8")
        return [str(path) for path in paths]

    def report(self, form: str, *streams: str) -> str:
        done = subprocess.run([PROGRAM, "report", "--format", form, *streams], stdout=subprocess.PIPE, check=False)
        self.assertIn(done.returncode, (0, 1, 3))
        return done.stdout.decode("utf-8")

    def counts(self, *streams: str) -> "collections.Counter[str]":
        """How many tests of each verdict, by the JSON report; an incomplete run is one ERROR more."""
        counts: "collections.Counter[str]" = collections.Counter()
        for run in json.loads(self.report("json", *streams))["runs"]:
            counts.update(run["counts"]["tests"])
            counts["ERROR"] += 0 if run["complete"] else 1
        return counts


class Junit(Formats):
    def test_valid_and_counted(self) -> None:
        streams = self.streams()
        text = self.report("junit", *streams)
        with tempfile.NamedTemporaryFile("w", suffix=".xml", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            schema = Path(__file__).with_name("junit.xsd")
            done = subprocess.run(["xmllint", "--huge", "--noout", "--schema", str(schema), file.name], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        counts = self.counts(*streams)
        suites = ElementTree.fromstring(text).findall("testsuite")
        for attribute, element, verdicts in (("failures", "failure", ["FAIL"]), ("errors", "error", ["ERROR"]), ("skipped", "skipped", ["MISS", "SKIP"])):
            expected = sum(counts[verdict] for verdict in verdicts)
            self.assertEqual(sum(int(suite.attrib[attribute]) for suite in suites), expected, attribute)
            self.assertEqual(sum(len(suite.findall(f"testcase/{element}")) for suite in suites), expected, element)
        self.assertEqual(sum(int(suite.attrib["tests"]) for suite in suites), sum(len(suite.findall("testcase")) for suite in suites))
        for skipped in ElementTree.fromstring(text).iter("skipped"):
            self.assertRegex(skipped.attrib["message"], r"(?s)^(MISS|SKIP): \S+.*; remedy: .")

    def test_the_schema_can_say_no(self) -> None:
        schema = Path(__file__).with_name("junit.xsd")
        bad = "<testsuites><testsuite name='x' tests='one'/></testsuites>"
        self.assertNotEqual(subprocess.run(["xmllint", "--noout", "--schema", str(schema), "-"], input=bad.encode(), stderr=subprocess.DEVNULL, check=False).returncode, 0)


class Ktap(Formats):
    def test_kunit_counts_as_we_do(self) -> None:
        for stream in self.streams():
            with self.subTest(stream=stream):
                counts = self.counts(stream)
                expected = {"passed": counts["PASS"], "failed": counts["FAIL"] + counts["ERROR"], "skipped": counts["MISS"] + counts["SKIP"]}
                told = self.parse(self.report("ktap", stream))
                self.assertEqual(told.pop("Ran"), sum(expected.values()))
                self.assertEqual(told, {word: number for word, number in expected.items() if number})

    def test_several_kernels(self) -> None:
        streams = self.streams()
        self.assertEqual(self.parse(self.report("ktap", *streams))["Ran"], sum(self.counts(*streams).values()))

    def parse(self, text: str) -> Dict[str, int]:
        with tempfile.NamedTemporaryFile("w", suffix=".ktap", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            done = subprocess.run([sys.executable, str(kunit()), "parse", file.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertNotIn("[ERROR]", done.stdout)
        last = done.stdout.strip().splitlines()[-1]
        self.assertIn("Testing complete. Ran ", last)
        return {word: int(number) for word, number in re.findall(r"(passed|failed|crashed|errors|skipped): (\d+)", last)} | {"Ran": int(re.findall(r"Ran (\d+)", last)[0])}


def kunit() -> Optional[Path]:
    """The kernel's parser, unpacked once; None without Debian's linux-source."""
    sources = sorted(Path("/usr/src").glob("linux-source-*.tar.xz"))
    if not sources:
        return None
    status = sources[-1].stat()
    place = CACHE / f"kunit-{status.st_size}-{int(status.st_mtime)}"
    program = place / "tools/testing/kunit/kunit.py"  # it finds its tree by this path
    if not program.exists():
        stage = Path(tempfile.mkdtemp(dir=CACHE))
        with tarfile.open(sources[-1], "r|xz") as archive:
            for member in archive:
                if re.search(r"/tools/testing/kunit/[^/]+\.py$", member.name):
                    content = archive.extractfile(member)
                    assert content is not None
                    file = stage / "tools/testing/kunit" / Path(member.name).name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content.read())
        shutil.rmtree(place, ignore_errors=True)
        stage.rename(place)
    return program


Rule = Callable[[Any], bool]


def text(pattern: str = r"[^\0]*", most: Optional[int] = None) -> Rule:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None and (most is None or len(value) <= most)


def number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def moment(value: Any) -> bool:
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def free(value: Any) -> bool:
    return isinstance(value, dict)


def one_of(*words: str) -> Rule:
    return lambda value: value in words


def fields(required: List[str], **rules: Rule) -> Rule:
    """An object that has all of `required`, and nothing that `rules` does not know."""

    def check(value: Any) -> bool:
        if not isinstance(value, dict) or not set(required) <= set(value):
            return False
        for key, inner in value.items():
            if key not in rules or not rules[key](inner):
                raise AssertionError(f"{key}: {json.dumps(inner)[:200]}")
        return True

    return check


IDENTIFIER = text(r"[a-z0-9_]+:[^\0]*")
ORIGIN = text("[a-z0-9_]+")
STATUS = one_of("FAIL", "ERROR", "MISS", "PASS", "DONE", "SKIP")
PATH = text(r"([a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*)?")

# Those of the schema's properties that have no URL or file in them; we write none of the others.
OBJECTS = {
    "checkouts": fields(["id", "origin"], id=IDENTIFIER, origin=ORIGIN, tree_name=text(), git_commit_hash=text("[0-9a-f]{40}|[0-9a-f]{64}"), git_commit_name=text(),
                        comment=text(), start_time=moment, valid=lambda value: isinstance(value, bool), misc=free),
    "builds": fields(["checkout_id", "id", "origin"], checkout_id=IDENTIFIER, id=IDENTIFIER, origin=ORIGIN, comment=text(), start_time=moment, duration=number,
                     architecture=text("[a-z0-9_]*"), command=text(), compiler=text(), config_name=text(), log_excerpt=text(most=16384), status=STATUS, misc=free),
    "tests": fields(["build_id", "id", "origin"], build_id=IDENTIFIER, id=IDENTIFIER, origin=ORIGIN, environment=fields([], comment=text(), misc=free), path=PATH,
                    comment=text(), log_excerpt=text(most=16384), status=STATUS, number=fields(["value"], value=number, unit=text(), prefix=one_of("metric", "binary")),
                    start_time=moment, duration=number, misc=free),
}


def no_nulls(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is not None and all(no_nulls(one) for one in inner)


class Kcidb(Formats):
    def test_valid_and_counted(self) -> None:
        streams = self.streams()
        data = json.loads(self.report("kcidb", *streams))
        self.assertEqual(data.pop("version"), {"major": 5, "minor": 3})
        self.assertEqual(set(data), set(OBJECTS))
        self.assertTrue(no_nulls(data))
        ids: Dict[str, set] = {}
        for kind, objects in data.items():
            for one in objects:
                with self.subTest(kind=kind, id=one.get("id")):
                    self.assertTrue(OBJECTS[kind](one), one)
            ids[kind] = {one["id"] for one in objects}
            self.assertEqual(len(ids[kind]), len(objects), f"an id of {kind} is there twice")
        self.assertLessEqual({one["checkout_id"] for one in data["builds"]}, ids["checkouts"])
        self.assertLessEqual({one["build_id"] for one in data["tests"]}, ids["builds"])
        told = collections.Counter(one["status"] for one in data["tests"] if one["path"] != "netns_conformance" and one["status"] != "DONE")
        counts = self.counts(*streams)
        counts["ERROR"] -= sum(not run["complete"] for run in json.loads(self.report("json", *streams))["runs"])
        self.assertEqual(told, +counts)

    def test_the_rules_can_say_no(self) -> None:
        good = {"id": "a:1", "origin": "a", "build_id": "a:2", "path": "x.y"}
        self.assertTrue(OBJECTS["tests"](good))
        for bad in ({"path": "x..y"}, {"status": "OK"}, {"valid": True}, {"log_excerpt": "x" * 16385}, {"number": {"unit": "s"}}):
            with self.subTest(bad=bad):
                try:
                    self.assertFalse(OBJECTS["tests"]({**good, **bad}))
                except AssertionError as error:
                    self.assertIn(next(iter(bad)), str(error))


def missing(what: str) -> str:
    """The reason and remedy where the other program is not there."""
    if what == "Junit" and shutil.which("xmllint") is None:
        return "no xmllint; remedy: apt install libxml2-utils"
    if what == "Ktap" and kunit() is None:
        return "no kernel source with kunit.py; remedy: apt install linux-source-6.12 (bookworm-backports)"
    return ""


if __name__ == "__main__":
    PROGRAM, CACHE = sys.argv[1], Path(sys.argv[2])
    STREAMS = sys.argv[4:]
    reason = missing(sys.argv[3])
    if reason:
        print(f"MISS: {reason}")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], sys.argv[3]])
