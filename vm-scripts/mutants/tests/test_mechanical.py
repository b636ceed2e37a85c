#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What mechanical.py makes of small C texts, and what mechanical_sweep.py reads from streams whose meaning is known."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import mechanical  # noqa: E402  (the path has to be set first)
import mechanical_sweep as sweep  # noqa: E402
import run  # noqa: E402

# As much of the kernel as the texts below need. The functions that an edit calls are real enough to compile.
KERNEL = """
#include <stdbool.h>
#define NULL ((void *)0)
#define unlikely(x) (x)
#define for_each_netdev(net, d) for (d = (net)->first; d; d = d->next)
#define for_each_net(VAR) for (VAR = all; VAR; VAR = VAR->after)
#define INC_STATS(net, what) ((net)->count++)
struct user_namespace { int x; };
struct list_head { struct list_head *next; };
struct net_device;
struct net { struct net *after; struct net_device *first; struct user_namespace *user_ns; int count; struct list_head list, dev_base_head; };
struct net_device { struct net *nd_net; struct net_device *next; int flags; struct list_head dev_list; };
extern struct net init_net, *all;
extern struct user_namespace init_user_ns;
extern struct list_head net_namespace_list;
struct net *dev_net(const struct net_device *dev);
bool net_eq(const struct net *a, const struct net *b);
bool ns_capable(struct user_namespace *ns, int cap);
bool list_is_last(const struct list_head *a, const struct list_head *b);
void rtmsg_ifinfo(struct net_device *dev);
void spin_lock_net(struct net *net);
void put_net(struct net *net);
"""
HELPERS = """
#define IS_ERR_OR_NULL(x) (!(x))
bool netns_mech(int number);
struct net *netns_mech_init(int number, const struct net *net);
struct net *netns_mech_other(int number, const struct net *net, const struct net *other);
bool netns_mech_or(int number, bool value), netns_mech_unless(int number, bool value), netns_mech_not(int number, bool value);
bool netns_mech_last(int number, bool value, bool last);
"""


def found(body: str, whole: str = "f", file: str = "f.c") -> list:
    """The edits that a text leads to, after a check that the text with all of them is C."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, file)
        path.write_text(f'#include "kernel.h"\n{body}\n')
        Path(name, "kernel.h").write_text(KERNEL + HELPERS)
        index = mechanical.cindex.Index.create()
        mechanical.prepare()
        unit = index.parse(str(path), args=["-std=gnu11", "-Wno-everything"])
        problems = [each.spelling for each in unit.diagnostics if each.severity >= mechanical.cindex.Diagnostic.Error]
        assert not problems, problems
        finder = mechanical.Finder(mechanical.Place(file, ["X"], [whole]), unit, path)
        edits = mechanical.nested(finder.find())
        for number, edit in enumerate(edits, mechanical.FIRST):
            edit.number = number
        path.write_text(mechanical.apply(finder.text, edits))
        compiler = subprocess.run(["gcc", "-std=gnu11", "-w", "-fsyntax-only", str(path)], capture_output=True, text=True)
        assert compiler.returncode == 0, compiler.stderr + path.read_text()
        for edit in edits:
            edit.text = finder.text[edit.begin : edit.end]
        return edits


def by(operator: str, edits: list) -> list:
    return [edit.text for edit in edits if edit.operator == operator]


@unittest.skipIf(mechanical.cindex is None, "python3-clang-14 is not installed")
class Operators(unittest.TestCase):
    def test_a_namespace_is_replaced_where_it_is_read(self) -> None:
        edits = found("int f(struct net_device *dev, struct net *net) { struct net *mine; mine = dev_net(dev); net->count = 1; return net_eq(mine, net); }")
        self.assertEqual(by("init-net", edits), ["dev_net(dev)", "net", "mine", "net"])

    def test_not_where_a_macro_writes_it_or_only_counts(self) -> None:
        edits = found("void f(struct net *net) { INC_STATS(net, 1); for_each_net(net) rtmsg_ifinfo(net->first); }")
        self.assertEqual(by("init-net", edits), ["net"])

    def test_in_the_argument_of_a_macro(self) -> None:
        edits = found("void f(struct net *net) { struct net_device *d; for_each_netdev(net, d) rtmsg_ifinfo(d); }")
        self.assertEqual(by("init-net", edits), ["net"])

    def test_another_namespace_is_one_that_is_known_there(self) -> None:
        edits = found("int f(struct net_device *dev, struct net *to) { struct net *net = dev_net(dev); return net_eq(net, dev_net(dev)) || net_eq(to, to); }")
        others = [(edit.text, edit.after) for edit in edits if edit.operator == "other-net"]
        # What is made from the device is no other than the device's.
        self.assertEqual(others, [("dev_net(dev)", ", to)"), ("net", ", to)"), ("dev_net(dev)", ", to)"), ("to", ", net)"), ("to", ", net)")])

    def test_comparisons(self) -> None:
        edits = found("int f(struct net *a, struct net *b) { return net_eq(a, b) || a != b || b->user_ns == &init_user_ns; }")
        self.assertEqual([(edit.text, edit.before.partition("(")[0]) for edit in edits if edit.operator == "no-comparison"], [
            ("net_eq(a, b)", "netns_mech_or"), ("a != b", "netns_mech_unless"), ("b->user_ns == &init_user_ns", "netns_mech_or"),
        ])  # fmt: skip

    def test_rights(self) -> None:
        edits = found("int f(struct net *net) { if (!ns_capable(net->user_ns, 12)) return -1; return 0; }")
        self.assertEqual(by("no-capability", edits), ["ns_capable(net->user_ns, 12)"])
        self.assertEqual(by("no-check", edits), ["!ns_capable(net->user_ns, 12)"])
        self.assertEqual(by("negated", edits), ["!ns_capable(net->user_ns, 12)"])

    def test_a_condition_that_guards_a_pointer_is_left_alone(self) -> None:
        edits = found("int f(struct net *net, struct net_device *dev) { int err = 1; if (!dev) return 1; if (err) return 2; if (dev->flags) return 3; return 0; }")
        self.assertEqual(by("negated", edits), ["dev->flags"])

    def test_statements(self) -> None:
        edits = found("void f(struct net *net, struct net_device *dev) { spin_lock_net(net); if (dev->flags) rtmsg_ifinfo(dev); else put_net(net); dev->nd_net = net; }")
        self.assertEqual(by("dropped", edits), ["rtmsg_ifinfo(dev);", "put_net(net);", "dev->nd_net = net;"])

    def test_loops(self) -> None:
        edits = found("int f(struct net *net, int n) { struct net_device *d; int i; for_each_netdev(net, d) { rtmsg_ifinfo(d); } for (i = 0; i < n; i++) net->count++; return i; }")
        loops = [edit.before + edit.after for edit in edits if edit.operator == "short-loop"]
        self.assertEqual(loops[0], " if ((list_is_last(&(d)->dev_list, &(net)->dev_base_head)) && netns_mech(NUMBER)) continue;")
        self.assertEqual(loops[1], " netns_mech_last(NUMBER,, i + 1 >= n)")

    def test_other_functions_are_mutated_only_where_they_name_a_namespace(self) -> None:
        edits = found("int f(struct net_device *a, struct net_device *b) { if (a->flags) return 1; if (dev_net(a) != dev_net(b)) return 2; return 0; }", whole="another")
        self.assertEqual(by("negated", edits), ["dev_net(a) != dev_net(b)"])

    def test_a_mutant_made_by_hand_is_left_alone(self) -> None:
        edits = found("bool netns_mutant_is(int); int f(struct net *net) { if (net->count && netns_mutant_is(3)) net = &init_net; return 0; }")
        self.assertEqual(edits, [])


class Text(unittest.TestCase):
    def test_parentheses_in_strings_and_comments_do_not_count(self) -> None:
        text = "f(a, \")\", /* ) */ ')', (b))"
        self.assertEqual(mechanical.closing(text, 1), len(text) - 1)

    def test_edits_nest(self) -> None:
        edits = [mechanical.Edit("o", "f", 0, 5, "A(NUMBER, ", ")", 1), mechanical.Edit("o", "f", 0, 1, "B(NUMBER, ", ")", 2), mechanical.Edit("o", "f", 0, 5, "C(NUMBER, ", ")", 3)]
        self.assertEqual(mechanical.apply("a + b;", edits), "A(1, C(3, B(2, a) + b));")

    def test_edits_that_cross_are_not_both_taken(self) -> None:
        edits = [mechanical.Edit("o", "f", 0, 5, "", ""), mechanical.Edit("o", "f", 3, 8, "", "")]
        self.assertEqual(mechanical.nested(edits), edits[:1])

    def test_the_header_leaves_the_line_numbers(self) -> None:
        text = mechanical.with_header("/* x */\n#include <a.h>\nint i;\n")
        self.assertEqual(text, "/* x */\n#include <a.h>\n#include <net/netns_mechanical.h>\n#line 3\nint i;\n")

    def test_the_compiler_blames_a_line_or_else_the_file(self) -> None:
        table = [{"number": 1, "file": "net/a.c", "line": 4, "last_line": 5}, {"number": 2, "file": "net/a.c", "line": 9, "last_line": 9}]
        self.assertEqual(mechanical.blamed(table, "net/a.c:5:3: error: no\nnet/b.c:1:1: error: no\n"), {1})
        self.assertEqual(mechanical.blamed(table, "net/a.c:7:3: error: no\n"), {1, 2})
        self.assertEqual(mechanical.blamed(table, "net/a.c:5:3: warning: no\n"), set())

    def test_a_sample_has_of_each_operator_and_is_the_same_again(self) -> None:
        mutants = [("a", number) for number in range(20)] + [("b", number) for number in range(3)]
        one = mechanical.sample(mutants, 10, 7, lambda mutant: mutant[0])
        self.assertEqual(one, mechanical.sample(mutants, 10, 7, lambda mutant: mutant[0]))
        self.assertEqual(sum(mutant[0] == "b" for mutant in one), 3)
        self.assertEqual(len(set(one)), 10)

    def test_every_place_is_about_something_in_the_catalogue(self) -> None:
        catalogue = (HERE.parents[2] / "suites" / "requirements.yaml").read_text()
        known = set(re.findall(r"^- id: (\S+)", catalogue, re.MULTILINE))
        known |= {one.partition("-")[0] for one in known}
        places = mechanical.read_places(HERE.parent / "mechanical.yaml")
        self.assertEqual({name for place in places for name in place.breaks} - known, set())
        self.assertEqual(len({place.file for place in places}), len(places))


class Streams(unittest.TestCase):
    @staticmethod
    def write(directory: str, *lines: dict) -> Path:
        Path(directory, "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return Path(directory)

    @staticmethod
    def note(text: str) -> dict:
        return {"event": "note", "text": text, "time": 1.0}

    @staticmethod
    def end(test: str, verdict: str, *kinds: str) -> dict:
        return {"event": "end", "test": test, "verdict": verdict, "covers": ["SOCK-01"], "duration_ms": 1500, "failures": [{"kind": kind, "message": "m"} for kind in kinds]}

    def test_the_kernels_notes(self) -> None:
        self.assertEqual(sweep.numbers_of("1,00000005"), {10001, 10003, 10033})
        self.assertEqual(sweep.numbers_of(""), set())

    def test_which_test_reaches_what(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            directory = self.write(name, self.note("reached A.B 5"), self.end("0/A.B", "PASS"), self.note("reached A.C "), self.end("0/A.C", "MISS"), {"event": "footer"})
            tests, reach, whole = sweep.read_reach(directory)
        self.assertEqual((tests["A.B"].seconds, tests["A.C"].verdict, reach, whole), (1.5, "MISS", {10001: {"A.B"}, 10003: {"A.B"}}, True))

    def machine(self, *lines: dict) -> dict:
        with tempfile.TemporaryDirectory() as name:
            return sweep.read_machine(self.write(name, *lines))

    def test_what_becomes_of_a_mutant(self) -> None:
        trials = self.machine(
            self.note("mutant 1 begins"), self.end("1/A.B", "PASS"), self.end("1/A.C", "FAIL", "expectation"), self.end("1=0/A.C", "PASS"), self.note("mutant 1 confirmed"), self.note("mutant 1 ends"),
            self.note("mutant 2 begins"), self.end("2/A.B", "ERROR", "setup"), self.end("2=0/A.B", "PASS"), self.note("mutant 2 confirmed"), self.note("mutant 2 ends"),
            self.note("mutant 3 begins"), self.end("3/A.B", "PASS"), self.end("3/A.C", "SKIP"), self.note("mutant 3 ends"),
            self.note("mutant 4 begins"), self.end("4/A.B", "FAIL", "kernel-log"), self.end("4=0/A.B", "PASS"), self.note("mutant 4 confirmed"), self.note("mutant 4 ends"),
            self.note("mutant 5 begins"), self.end("5/A.B", "FAIL", "expectation"), self.end("5=0/A.B", "FAIL", "expectation"), self.note("mutant 5 not confirmed"),
        )  # fmt: skip
        self.assertEqual([trial.outcome for trial in trials.values()], ["killed", "broken", "survived", "splat", "lasting"])
        self.assertEqual((trials[1].by, trials[3].tests, trials[1].first, trials[2].first), ("A.C", ["A.B"], True, False))

    def test_a_need_that_is_gone_is_noticed(self) -> None:
        trials = self.machine(self.note("mutant 1 begins"), self.end("1/A.B", "MISS"), self.note("mutant 1 ends"))
        self.assertEqual((trials[1].outcome, trials[1].by), ("broken", "A.B"))

    def test_a_machine_that_was_switched_off_says_nothing_of_its_last_mutant(self) -> None:
        trials = self.machine(self.note("mutant 1 begins"), self.end("1/A.B", "PASS"))
        self.assertEqual((trials[1].outcome, sweep.fold([trials])), ("", {}))

    def test_a_machine_that_died_with_several_tests_in_flight(self) -> None:
        trials = self.machine(self.note("mutant 1 begins"), self.note("oops (BUG: unable to) with several tests in flight: 1/A.B, 1/A.C; the machine boots again"))
        self.assertEqual((trials[1].outcome, trials[1].message), ("splat", "BUG: unable to"))
        trials = self.machine(self.note("mutant 1 begins"), self.note("oops before the first test: BUG: NULL"))
        self.assertEqual((trials[1].outcome, trials[1].message), ("splat", "BUG: NULL"))

    def test_a_failure_only_next_to_others_is_no_kill(self) -> None:
        trials = self.machine(
            self.note("mutant 1 begins"), self.end("1/A.B", "FAIL", "expectation"), self.end("1=0/A.B", "PASS"),
            self.end("1/A.B", "PASS"), self.note("mutant 1 passes alone"), self.note("mutant 1 confirmed"), self.note("mutant 1 ends"),
        )  # fmt: skip
        self.assertEqual((trials[1].outcome, trials[1].by), ("survived", ""))

    def test_a_lasting_failure_counts_in_a_fresh_machine(self) -> None:
        later = sweep.Trial("lasting", ["A.B"], by="A.B")
        self.assertEqual(sweep.fold([{1: later}])[1].outcome, "lasting")
        self.assertEqual(sweep.fold([{1: later}, {1: sweep.Trial("lasting", ["A.B"], by="A.B", first=True)}])[1].outcome, "killed")

    def test_survivals_add_up(self) -> None:
        trial = sweep.fold([{1: sweep.Trial("survived", ["A.B"])}, {1: sweep.Trial("survived", ["A.C"])}])[1]
        self.assertEqual(trial.tests, ["A.B", "A.C"])
        self.assertEqual(sweep.fold([{1: trial}, {1: sweep.Trial("killed", ["A.D"], by="A.D")}])[1].outcome, "killed")

    def test_a_kill_is_retracted_by_its_own_test(self) -> None:
        kill = sweep.Trial("killed", ["A.B"], by="A.B")
        self.assertEqual(sweep.fold([{1: kill}, {1: sweep.Trial("survived", ["A.C"])}])[1].outcome, "killed")
        self.assertEqual(sweep.fold([{1: kill}, {1: sweep.Trial("survived", ["A.B"])}])[1].outcome, "survived")

    def test_the_tests_of_the_subject_come_first_and_the_quick_ones(self) -> None:
        tests = {"A": sweep.Known("PASS", ["DEV-01"], 9), "B": sweep.Known("PASS", ["SOCK-01"], 5), "C": sweep.Known("PASS", ["SOCK-02"], 1), "D": sweep.Known("MISS", ["SOCK-01"], 1), "E": sweep.Known("PASS", ["X-1"], 8)}
        mutant = {"breaks": ["SOCK"]}
        self.assertEqual(sweep.plan(mutant, tests, set("ABCDE"), 10), ["C", "B", "E"])
        self.assertEqual(sweep.plan(mutant, tests, set("ABCDE"), float("inf"), done=["C"]), ["B", "E", "A"])

    def test_the_document_counts(self) -> None:
        mutant = {"number": 10001, "operator": "negated", "file": "net/a.c", "function": "f", "line": 3, "text": "a | b", "breaks": ["SOCK"]}
        options = argparse.Namespace(sample=5, seed=1, seconds=20, thorough=True, tests=None)
        result = {**mutant, "outcome": "survived", "tests": ["A.B"], "by": ""}
        triage = {sweep.key(mutant): {"mutant": sweep.key(mutant), "verdict": "equivalent", "why": "because"}}
        text = sweep.document([mutant, {**mutant, "number": 10002}], {10001: {"A.B"}}, {"A.B": sweep.Known("PASS", [], 1)}, [result], options, triage)
        self.assertIn("| negated | a condition is turned round | 2 | 1 | 1 | 0 | 0 | 0 | 0 | 1 | 0 % |", text)
        self.assertIn("| equivalent | because |", text)


if __name__ == "__main__":
    unittest.main()
