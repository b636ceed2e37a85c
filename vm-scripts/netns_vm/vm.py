# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job: a kernel in, a verdict out."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Optional, Sequence

from . import accelerator, faults, images, initramfs, modules, paths, qemu
from .faults import Fault
from .guest import Ending, Guest, Limits
from .kernels import Kernel
from .problems import ERROR, MachineProblem
from .progress import Progress
from .stream import Event, Joined

# Faults must end the boot, so that the next one can run the remaining tests; the user's own words come last and win.
GUEST_ARGUMENTS = (
    "console=ttyS0 panic=-1 oops=panic softlockup_panic=1 hung_task_panic=1 rcupdate.rcu_cpu_stall_timeout=30"
    " nokaslr net.ifnames=0 random.trust_cpu=on"
)
BUSY_BOOT_LIMIT = 10
FIRST_SILENCE_SECONDS = 60.0  # before the tests of the first boot begin
SHARED_FAULT_LIMIT = 2  # faults with several tests in flight before all run one at a time


@dataclasses.dataclass
class Request:
    """All that a VM run is asked for."""

    kernel: Kernel
    build: Path
    output: Path
    append: str = ""
    filter: str = ""
    nics: str = qemu.DEFAULT_NICS
    memory_mb: int = 1024
    cpus: int = 2
    jobs: int = 0  # 0: twice as many as CPUs, for a test mostly waits for the kernel
    accel: str = "auto"
    limits: Limits = dataclasses.field(default_factory=Limits)
    stop_on_crash: bool = False
    boots: int = BUSY_BOOT_LIMIT
    runner: Optional[Path] = None
    runner_arguments: Sequence[str] = ()
    again: Sequence[str] = ()  # the words after 'vm' that make this machine again, for reports
    label: str = ""
    extra_files: dict[str, Path] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Result:
    status: int
    complete: bool
    joined: Joined
    boots: int
    accelerator: str
    seconds: float
    first_test: Optional[float] = None


class Run:
    """A whole run: as many boots as faults make necessary."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._joined = Joined(request.output / "events.jsonl")
        self._progress = Progress(self._joined, label=request.label)
        self._deadline = time.monotonic() + request.limits.total
        self._nics = qemu.parse_nics(request.nics)
        self._runner = request.runner or request.build / "suites" / "netns-tests"
        self._init = request.build / "vm-scripts" / "netns-guest-init"
        self._jobs = request.jobs or 2 * request.cpus
        self._alone: list[str] = []  # in flight together when the machine came to grief; one of them is to blame
        self._unresolved = False  # none of them has been blamed yet
        self._shared_faults = 0
        self._accelerator = "tcg"
        self._reason = ""
        self._kvm_suspect = False
        self._plain_cpu = False
        self._fell_silent = False  # once, before the tests began

    def run(self) -> Result:
        begun = time.monotonic()
        request = self._request
        self._choose_accelerator()
        chosen = modules.choose(request.kernel, {qemu.MODELS[nic.model] for nic in self._nics})
        for name, cost in chosen.missing.items():
            self._progress.say(f"module {name} is not in this kernel: without it no {cost}")
        self._progress.say(
            f"booting {request.kernel.release} ({request.kernel.origin}) with {request.cpus} CPUs, {request.memory_mb} MiB, "
            f"{len(self._nics)} network cards, {self._accelerator}"
        )
        complete = False
        first_test: Optional[float] = None
        boot = 0
        image = request.output / "initramfs.cpio"
        try:
            with (request.output / "console.log").open("wb") as console_file:
                while boot < request.boots:
                    boot += 1
                    if boot > 1:
                        console_file.write(f"\n--- boot {boot} ---\n".encode())
                    initramfs.build(image, request.kernel, chosen, self._init, {"netns-tests": self._runner, **request.extra_files}, self._command(), self._facts(), list(self._joined.ended), self._alone)
                    self._joined.begin_boot()
                    ended_before = len(self._joined.ended)
                    ending = self._boot(image, console_file)
                    if self._is_kvm_to_blame(ending):
                        assert ending.fault
                        self._accelerator, self._kvm_suspect = "tcg", True
                        self._reason = f"/dev/kvm opens, but under it {ending.fault.text}"
                        self._progress.say(f"KVM does not work here: {self._reason}; going on with TCG")
                        self._joined.note(f"accelerator tcg: {self._reason}")
                        boot -= 1
                        continue
                    if self._kvm_suspect and self._joined.boot_header is not None:
                        # The same kernel runs tests under TCG: KVM it was.
                        accelerator.remember(self._reason)
                        self._kvm_suspect = False
                    if first_test is None:
                        first_test = ending.first_test
                    if ending.fault is None:
                        complete = self._finished(ending)
                        break
                    if not self._after_fault(ending, boot, len(self._joined.ended) > ended_before):
                        break
                    if self._joined.header is not None and not self._joined.remaining():
                        complete = True
                        break
                else:
                    self._progress.say(f"giving up after {request.boots} boots")
                    self._joined.note(f"given up after {request.boots} boots", "warning")
        except KeyboardInterrupt:
            self._progress.say("interrupted: the results are incomplete")
            self._joined.note("interrupted by the user", "warning")
        except OSError as error:
            raise MachineProblem(f"{error.filename or request.output}: {error.strerror}") from None
        finally:
            self._progress.clear()
            image.unlink(missing_ok=True)
        status = self._joined.finish(complete, self._own_header())
        return Result(status, complete, self._joined, boot, self._accelerator, time.monotonic() - begun, first_test)

    def _choose_accelerator(self) -> None:
        asked = self._request.accel
        if asked != "auto":
            self._accelerator, self._reason = asked, "--accel"
            return
        reason = accelerator.why_not_kvm()
        self._accelerator = "tcg" if reason else "kvm"
        self._reason = reason or "/dev/kvm opens"
        if reason:
            self._progress.say(f"accelerator: TCG, because {reason}")

    def _is_kvm_to_blame(self, ending: Ending) -> bool:
        """A guest that dies or falls silent before it reports a test may do so for KVM's sake; the same kernel under TCG tells."""
        if self._accelerator != "kvm" or self._request.accel != "auto" or ending.fault is None or ending.out_of_time:
            return False
        return self._joined.boot_header is None and ending.fault.kind in ("no-output", "machine", "silence", "reboot")

    def _facts(self) -> dict[str, object]:
        request = self._request
        return {
            "accelerator": self._accelerator,
            "accelerator_reason": self._reason,
            "qemu": qemu.version(),
            "memory_mb": request.memory_mb,
            "cpus": request.cpus,
            "kernel_from": request.kernel.origin,
            "append": request.append,
            "command": list(request.again),
            "nics": [{"model": nic.model, "driver": qemu.MODELS[nic.model], "mac": nic.mac, "wire": nic.wire} for nic in self._nics],
        }

    def _command(self) -> list[str]:
        words = ["/netns-tests", "--disposable-machine", "--stream=@STREAM@", "--machine-facts=/etc/machine.json", "--skip-file=/etc/skip-tests"]
        words += ["--progress=none", f"--jobs={self._jobs}"]
        if self._alone:
            words.append("--alone-file=/etc/alone-tests")
        if self._accelerator == "tcg":
            words.append("--deadline=120")  # a test that hangs, hangs; one that an emulated CPU slows down must not look so
        if self._request.filter:
            words.append(f"--gtest_filter={self._request.filter}")
        return words + list(self._request.runner_arguments)

    def _boot(self, image: Path, console_file) -> Ending:  # type: ignore[no-untyped-def]
        request = self._request
        command_line = " ".join(filter(None, (GUEST_ARGUMENTS, accelerator.kernel_arguments(self._accelerator), request.append.strip())))
        machine = qemu.Machine(images.direct(request.kernel.image), image, command_line, self._accelerator, request.memory_mb, request.cpus, self._nics, self._plain_cpu)
        limits = request.limits if self._fell_silent else dataclasses.replace(request.limits, silence_before_tests=FIRST_SILENCE_SECONDS)
        return Guest(machine, self._joined, console_file, limits, self._deadline, self._observe, self._progress.tick).run()

    def _observe(self, event: Event) -> None:
        self._progress.observe(event)

    def _own_header(self) -> Event:
        """What stands in for the runner's header where the guest never got that far."""
        return {
            "event": "header",
            "schema": "1.0",
            "tool": {"name": "netns-conformance", "version": paths.version()},
            "kernel": {"release": self._request.kernel.release, "version": "", "machine": os.uname().machine, "cmdline": self._request.append, "tainted": 0, "config": {"source": "", "digest": "", "options": {}}},
            "command": list(self._command()),
            "privilege": "root",
            "disposable": True,
            "machine": self._facts(),
            "nics": [],
            "jobs": self._jobs,
            "tests": [],
        }

    def _finished(self, ending: Ending) -> bool:
        """The guest's init said that the runner is done: is the run whole?"""
        if self._joined.boot_footer is not None and ending.status in (0, 1, 3):
            return True
        if ending.status == 2 and not self._joined.ended:
            raise_usage(ending)
        self._progress.say(f"the guest's test program ended with status {ending.status} and without its footer:\n" + last_lines(ending.console))
        self._joined.note(f"the guest's test program ended with status {ending.status} and without its footer", "warning")
        return False

    def _after_fault(self, ending: Ending, boot: int, progressed: bool) -> bool:
        """Records a fault; True if the machine is to boot again."""
        fault = ending.fault
        assert fault is not None
        joined = self._joined
        if self._accelerator == "tcg" and faults.is_tcg_slip(ending.console):
            # Nobody's fault but the emulator's: whatever was in flight gets another chance.
            self._progress.say(f"{fault.text}: TCG ran an instruction that the kernel had patched meanwhile; booting again")
            joined.note(f"boot {boot} ended by a slip of TCG ({fault.text}); the machine boots again", "warning")
            return True
        if ending.out_of_time:
            self._progress.say(f"{fault.text}; still running: {', '.join(joined.in_flight) or 'nothing'}; raise --timeout")
            joined.note(fault.text, "warning")
            return False
        if joined.boot_header is None and not joined.in_flight and self._accelerator == "tcg" and not self._plain_cpu and "invalid opcode" in ending.console:
            self._plain_cpu = True
            self._progress.say(f"{fault.text}: this kernel cannot do without what our emulated CPU leaves out; booting again with all of it")
            joined.note(f"boot {boot} ended before the first test ({fault.text}); the machine boots again with -cpu {accelerator.PLAIN_TCG_CPU}", "warning")
            return True
        if joined.boot_header is None and not joined.in_flight and self._accelerator == "tcg" and fault.kind == "silence" and not self._fell_silent:
            # Seen once under a heavy load: the kernel spun in the middle of its start. One that hangs does so again.
            self._fell_silent = True
            self._progress.say(f"{fault.text}; booting again, in case it was the emulator\n" + last_lines(ending.console))
            joined.note(f"boot {boot} fell silent before the first test ({fault.text}); the machine boots again", "warning")
            return True
        if joined.boot_header is None and not joined.in_flight:
            self._progress.say(f"{fault.kind} before the first test: {fault.text}\n" + last_lines(ending.console))
            joined.note(f"{fault.kind} before the first test: {fault.text}", "warning")
            return False
        suspects = self._suspects(ending)
        if len(suspects) > 1 and self._jobs > 1:
            self._isolate(suspects, fault)
            return not self._request.stop_on_crash
        self._unresolved = False
        self._blame(suspects[-1] if suspects else f"Machine.Boot{boot}", fault, ending)
        if self._request.stop_on_crash:
            return False
        if not suspects and not progressed:
            return False
        if joined.remaining():
            joined.note(f"boot {boot + 1}: the machine boots again for the {len(joined.remaining())} tests that are left")
        return True

    def _isolate(self, suspects: list[str], fault: Fault) -> None:
        """Several tests were in flight: one is blamed only when it was alone, so the next boot runs these first, one at a time.
        Where that found nobody, or the kernel is broken in many places (each would cost two boots), all run so from now on."""
        self._shared_faults += 1
        how = "these first, one at a time"
        if self._unresolved or self._shared_faults > SHARED_FAULT_LIMIT:
            self._jobs, how = 1, "one test at a time"
        self._alone, self._unresolved = suspects, True
        self._progress.say(f"{fault.kind} with {len(suspects)} tests in flight: {fault.text}; booting again, {how}")
        self._joined.note(f"{fault.kind} ({fault.text}) with several tests in flight: {', '.join(suspects)}; the machine boots again and runs {how}", "warning")

    def _suspects(self, ending: Ending) -> list[str]:
        """Tests in flight, the last to start at the end: by the stream, and by the console, which may know more."""
        by_console = [test for test in faults.in_flight(ending.console) if test not in self._joined.ended]
        by_stream = [test for test in self._joined.in_flight if test not in by_console]
        return by_stream + by_console

    def _blame(self, test: str, fault: Fault, ending: Ending) -> None:
        entry = self._joined.planned.get(test, {})
        started = self._joined.in_flight.get(test)
        failure = {"kind": fault.kind, "file": entry.get("file", ""), "line": entry.get("line", 0), "message": f"{fault.kind}: {fault.text}", "fatal": True, "where": ""}
        event: Event = {
            "event": "end",
            "test": test,
            "iteration": 1,
            "verdict": fault.verdict,
            "duration_ms": (time.monotonic() - started) * 1000.0 if started else 0.0,
            "covers": entry.get("covers", []),
            "needs": entry.get("needs", []),
            "failures": [failure],
            "properties": {},
            "kernel_log": faults.excerpt(ending.console),
        }
        if fault.verdict == "ERROR":
            event["reason"] = {"code": fault.kind, "text": fault.text, "remedy": "read console.log; run this test alone with --filter " + test}
        self._joined.end(event)
        self._progress.observe(event)


def raise_usage(ending: Ending) -> None:
    from .problems import UsageProblem

    lines = [line for line in ending.console.splitlines() if "netns-tests:" in line or "--" in line and "netns" in line]
    raise UsageProblem(lines[-1].strip() if lines else "the guest's test program refused its options; see console.log")


def last_lines(console: str, count: int = 12) -> str:
    return "\n".join("  | " + line for line in console.splitlines()[-count:])
