#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""faults.py BUILD-DIR: makes guests come to grief and checks what the launcher makes of it. Boots the distribution's
kernel about ten times, several at once, since most of the time is spent in waiting for what a clock decides; exits 4
where that kernel is not in the cache and cannot be fetched."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "vm-scripts"))

from netns_vm import debian  # noqa: E402
from netns_vm.problems import Problem  # noqa: E402

build = Path("build/default")


class Faults(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.out = Path(holder.name)

    def command(self, *words: str) -> list[str]:
        runner = build / "vm-scripts" / "netns-fault-runner"
        return [sys.executable, str(CHECKOUT / "netns-conformance"), "vm", "--no-build", f"--build-dir={build}", "--nics=none", f"--runner={runner}", f"--output={self.out}", *words]

    def boot(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / "events.jsonl").read_text().splitlines()]

    def ends(self) -> dict[str, tuple[str, str]]:
        """test -> (verdict, kind of its first failure)"""
        return {event["test"]: (event["verdict"], event["failures"][0]["kind"] if event["failures"] else "") for event in self.events() if event["event"] == "end"}

    def test_each_fault_costs_one_test(self) -> None:
        status, text = self.boot("--filter=Fault.First:Fault.Panic:Fault.Fails:Fault.Reboot:Fault.Memory:Fault.Last", "--memory=256")
        self.assertEqual(status, 1, text)
        self.assertEqual(
            self.ends(),
            {
                "Fault.First": ("PASS", ""),
                "Fault.Panic": ("FAIL", "panic"),
                "Fault.Fails": ("FAIL", ""),
                "Fault.Reboot": ("ERROR", "reboot"),
                "Fault.Memory": ("ERROR", "machine"),
                "Fault.Last": ("PASS", ""),
            },
        )
        events = self.events()
        self.assertEqual([event["event"] for event in events].count("header"), 1)
        self.assertEqual(events[-1]["event"], "footer")
        panic = next(event for event in events if event.get("test") == "Fault.Panic" and event["event"] == "end")
        self.assertIn("sysrq: Trigger a crash", panic["kernel_log"])

    def test_silence_is_noticed(self) -> None:
        # The kernel's own detectors speak after 30 s, and then it is not silent any more: without them only we can notice.
        mute = "rcupdate.rcu_cpu_stall_suppress=1 nowatchdog workqueue.watchdog_thresh=0"
        status, text = self.boot("--filter=Fault.StarvedCpus:Fault.Silence:Fault.Last", "--silence-timeout=45", f"--append={mute}")
        self.assertEqual(status, 3, text)
        self.assertEqual(self.ends(), {"Fault.StarvedCpus": ("ERROR", "silence"), "Fault.Silence": ("ERROR", "silence"), "Fault.Last": ("PASS", "")})

    def test_stuck_cpus_are_a_lockup(self) -> None:
        # One CPU alone never waits for a grace period, and so none can stall.
        status, text = self.boot("--filter=Fault.StalledRcu:Fault.Last", "--cpus=2")
        self.assertEqual(status, 1, text)
        self.assertEqual(self.ends(), {"Fault.StalledRcu": ("FAIL", "lockup"), "Fault.Last": ("PASS", "")})

    def test_a_test_that_kills_init_and_one_that_hangs_in_the_kernel(self) -> None:
        status, text = self.boot("--filter=Fault.KillInit:Fault.HungTask:Fault.Last")
        self.assertEqual(status, 1, text)
        self.assertEqual(self.ends(), {"Fault.KillInit": ("ERROR", "machine"), "Fault.HungTask": ("FAIL", "hung-task"), "Fault.Last": ("PASS", "")}, text)
        hung = next(event for event in self.events() if event.get("test") == "Fault.HungTask" and event["event"] == "end")
        self.assertIn("blocked for more than", hung["kernel_log"])

    def test_stop_on_crash(self) -> None:
        status, text = self.boot("--filter=Fault.Panic:Fault.Last", "--stop-on-crash")
        self.assertEqual(status, 1, text)
        self.assertNotIn("Fault.Last", self.ends())
        self.assertNotEqual(self.events()[-1]["event"], "footer")

    def test_a_guest_that_never_gets_to_the_tests(self) -> None:
        for fault, word in (("hang", "did not begin within"), ("panic", "Trigger a crash"), ("exit", "Attempted to kill init"), ("reboot", "rebooted")):
            with self.subTest(fault):
                status, text = self.boot(f"--append=netns_guest.fault={fault}", "--boot-timeout=45")
                self.assertEqual(status, 3, text)
                self.assertIn(word, text)
                # Silence may be the emulator's doing, and gets one more boot; whatever the kernel says itself does not.
                self.assertEqual((self.out / "console.log").read_text(errors="replace").count("--- boot 2 ---"), int(fault == "hang"))
                self.assertEqual(self.events()[0]["event"], "header")

    def test_killed_qemu_is_the_machines_fault(self) -> None:
        process = subprocess.Popen(self.command("--filter=Fault.Silence:Fault.Last"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        limit = time.monotonic() + 120
        stream = self.out / "events.jsonl"
        while not (stream.exists() and '"Fault.Silence"' in stream.read_text().partition('"start"')[2]):
            self.assertLess(time.monotonic(), limit, "the guest never started the test")
            time.sleep(0.1)
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
        text = process.communicate()[0]
        self.assertEqual(process.returncode, 3, text)
        self.assertEqual(self.ends(), {"Fault.Silence": ("ERROR", "machine"), "Fault.Last": ("PASS", "")})


AT_ONCE = 3


def run_all() -> bool:
    """Runs each test in a process of its own, AT_ONCE of them at any time, and tells what each said when it is over."""
    names = [f"{Faults.__name__}.{name}" for name in unittest.defaultTestLoader.getTestCaseNames(Faults)]

    def run(name: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([sys.executable, __file__, str(build), name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    passed = True
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for done in pool.map(run, names):
            print(done.stdout, end="", flush=True)
            passed = passed and done.returncode == 0
    return passed


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        build = Path(sys.argv.pop(1)).absolute()
    try:
        debian.default_kernel()
    except Problem as problem:
        print(f"no kernel to boot: {problem}")
        sys.exit(4)
    if len(sys.argv) > 1:
        unittest.main(verbosity=2)
    sys.exit(0 if run_all() else 1)
