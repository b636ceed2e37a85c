# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job: a kernel in, a verdict out."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from typing import Optional

from . import accelerator, modules, paths, qemu
from .problems import MachineProblem
from .progress import Progress
from .request import Request
from .shard import Plan, Shard
from .stream import Event, Joined


@dataclasses.dataclass
class Result:
    status: int
    complete: bool
    joined: Joined
    machines: int
    boots: int  # of all machines
    accelerator: str
    seconds: float
    first_test: Optional[float] = None


class Stopped(Exception):
    """A machine is to end, because the run does."""


class Run:
    """A whole run: its machines, each with its shard of the tests, and the one stream that they feed."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._joined = Joined(request.output / "events.jsonl")
        self._progress = Progress(self._joined, label=request.label)
        self._stopping = threading.Event()
        self._problems: list[BaseException] = []
        self._first_done = threading.Event()

    def run(self) -> Result:
        begun = time.monotonic()
        request = self._request
        nics = qemu.parse_nics(request.nics)
        chosen = modules.choose(request.kernel, {qemu.MODELS[nic.model] for nic in nics})
        name, reason = self._choose_accelerator()
        plan = Plan(request, chosen, nics, name, reason, begun + request.limits.total)
        for missing, cost in chosen.missing.items():
            self._progress.say(f"module {missing} is not in this kernel: without it no {cost}")
        cpus = f"{request.cpus} CPU" + ("s" if request.cpus > 1 else "")
        machines = f"in {request.machines} machines, each with " if request.machines > 1 else "with "
        self._progress.say(f"booting {request.kernel.release} ({request.kernel.origin}) {machines}{cpus}, {request.memory_mb} MiB, {len(nics)} network cards, {name}")
        shards = [Shard(plan, number, self._joined, self._progress, self._observe, self._tick) for number in range(1, request.machines + 1)]
        try:
            self._run_all(shards)
        except KeyboardInterrupt:
            self._progress.say("interrupted: the results are incomplete")
            self._joined.note("interrupted by the user", "warning")
        except OSError as error:
            raise MachineProblem(f"{error.filename or request.output}: {error.strerror}") from None
        finally:
            self._progress.clear()
        complete = all(shard.complete for shard in shards)
        status = self._joined.finish(complete, self._own_header(shards[0]))
        first_test = min((shard.first_test for shard in shards if shard.first_test is not None), default=None)
        return Result(status, complete, self._joined, request.machines, sum(shard.boots for shard in shards), shards[0].accelerator, time.monotonic() - begun, first_test)

    def _run_all(self, shards: list[Shard]) -> None:
        """Runs each shard in a thread of its own. One that gives up before its time, and what a thread raises, ends all."""
        threads = [threading.Thread(target=self._run_one, args=(shard, shards[0])) for shard in shards]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()
        if self._problems:
            raise self._problems[0]

    def _run_one(self, shard: Shard, first: Shard) -> None:
        try:
            # Where KVM is still to be tried, the first machine tries for all.
            while shard is not first and first.accelerator == "kvm" and not first.is_known_to_boot and not self._first_done.wait(0.1):
                self._tick()
            if shard is not first:
                shard.take_accelerator_of(first)
            shard.run()
            if not shard.complete and self._request.stop_on_crash:
                self._stopping.set()
        except Stopped:
            pass
        except BaseException as problem:  # the thread of main() raises it
            self._problems.append(problem)
            self._stopping.set()
        finally:
            if shard is first:
                self._first_done.set()

    def _tick(self) -> None:
        if self._stopping.is_set():
            raise Stopped
        self._progress.tick()

    def _observe(self, event: Event) -> None:
        self._progress.observe(event)

    def _choose_accelerator(self) -> tuple[str, str]:
        """The name, and why."""
        asked = self._request.accel
        if asked != "auto":
            return asked, "--accel"
        reason = accelerator.why_not_kvm()
        if not reason:
            return "kvm", "/dev/kvm opens"
        self._progress.say(f"accelerator: TCG, because {reason}")
        return "tcg", reason

    def _own_header(self, first: Shard) -> Event:
        """What stands in for the runner's header where no guest ever got that far."""
        return {
            "event": "header",
            "schema": "1.0",
            "tool": {"name": "netns-conformance", "version": paths.version()},
            "kernel": {"release": self._request.kernel.release, "version": "", "machine": os.uname().machine, "cmdline": self._request.append, "tainted": 0, "config": {"source": "", "digest": "", "options": {}}},
            "command": first.command(),
            "privilege": "root",
            "disposable": True,
            "machine": first.facts(),
            "nics": [],
            "jobs": first.jobs,
            "tests": [],
        }
