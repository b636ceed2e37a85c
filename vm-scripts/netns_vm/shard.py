# SPDX-License-Identifier: GPL-2.0-or-later
"""One machine's share of a run: a shard of the tests, and as many boots as faults make necessary."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Callable, Optional

from . import accelerator, faults, images, initramfs, qemu
from .faults import Fault
from .guest import Ending, Guest
from .modules import Chosen
from .problems import UsageProblem
from .progress import Progress
from .request import Request
from .stream import Event, Feed, Joined

# Faults must end the boot, so that the next one can run the remaining tests; the user's own words come last and win.
GUEST_ARGUMENTS = (
    "console=ttyS0 panic=-1 oops=panic softlockup_panic=1 hung_task_panic=1 rcupdate.rcu_cpu_stall_timeout=30"
    " nokaslr net.ifnames=0 random.trust_cpu=on"
)
FIRST_SILENCE_SECONDS = 60.0  # before the tests of the first boot begin
SHARED_FAULT_LIMIT = 2  # faults with several tests in flight before all run one at a time
JOBS_OF_ONE_CPU, JOBS_PER_CPU = 4, 2


@dataclasses.dataclass
class Plan:
    """What all machines of a run have in common."""

    request: Request
    chosen: Chosen
    nics: list[qemu.Nic]
    accelerator: str
    reason: str  # for the accelerator
    deadline: float  # monotonic


class Shard:
    """The `number`th machine of the run. `observe` sees each event, `tick` is called several times a second and may raise."""

    def __init__(self, plan: Plan, number: int, joined: Joined, progress: Progress, observe: Callable[[Event], None], tick: Callable[[], None]) -> None:
        self._plan = plan
        self._number = number
        self._joined = joined
        self._suffix = f"-{number}" if number > 1 else ""
        self._console_name = f"console{self._suffix}.log"
        self._feed = Feed(joined, number, plan.request.machines)
        self._progress = progress
        self._observe = observe
        self._tick = tick
        self._accelerator = plan.accelerator
        self._reason = plan.reason
        request = plan.request
        self._runner = request.runner or request.build / "suites" / "netns-tests"
        self._init = request.build / "vm-scripts" / "netns-guest-init"
        self.jobs = request.jobs or (JOBS_OF_ONE_CPU if request.cpus == 1 else JOBS_PER_CPU * request.cpus)
        self._alone: list[str] = []  # in flight together when the machine came to grief; one of them is to blame
        self._unresolved = False  # none of them has been blamed yet
        self._shared_faults = 0
        self._kvm_suspect = False
        self._plain_cpu = False
        self._fell_silent = False  # once, before the tests began
        self.boots = 0
        self.complete = False
        self.first_test: Optional[float] = None

    @property
    def accelerator(self) -> str:
        return self._accelerator

    def take_accelerator_of(self, other: "Shard") -> None:
        self._accelerator, self._reason = other._accelerator, other._reason

    @property
    def is_known_to_boot(self) -> bool:
        """Whether the accelerator has shown that it can."""
        return self._feed.boot_header is not None

    def run(self) -> None:
        """Boots until the tests of this shard are done, or it must give up."""
        request = self._plan.request
        image = request.output / f"initramfs{self._suffix}.cpio"
        try:
            with (request.output / self._console_name).open("wb") as console_file:
                while self.boots < request.boots:
                    if not self._boot_once(image, console_file):
                        return
                self._progress.say(f"giving up after {request.boots} boots")
                self._joined.note(f"given up after {request.boots} boots", "warning")
        finally:
            image.unlink(missing_ok=True)

    def _boot_once(self, image: Path, console_file) -> bool:  # type: ignore[no-untyped-def]
        """One boot; True if another one is to follow."""
        self.boots += 1
        plan, request = self._plan, self._plan.request
        if self.boots > 1:
            console_file.write(f"\n--- boot {self.boots} ---\n".encode())
        programs = {"netns-tests": self._runner, **request.extra_files}
        initramfs.build(image, request.kernel, plan.chosen, self._init, programs, self.command(), self.facts(), list(self._joined.ended), self._alone)
        self._feed.begin_boot()
        done_before = self._feed.done()
        ending = self._boot(image, console_file)
        if self._is_kvm_to_blame(ending):
            assert ending.fault
            self._accelerator, self._kvm_suspect = "tcg", True
            self._reason = f"/dev/kvm opens, but under it {ending.fault.text}"
            self._progress.say(f"KVM does not work here: {self._reason}; going on with TCG")
            self._joined.note(f"accelerator tcg: {self._reason}")
            self.boots -= 1
            return True
        if self._kvm_suspect and self._feed.boot_header is not None:
            # The same kernel runs tests under TCG: KVM it was.
            accelerator.remember(self._reason)
            self._kvm_suspect = False
        if self.first_test is None:
            self.first_test = ending.first_test
        if ending.fault is None:
            self.complete = self._finished(ending)
            return False
        if not self._after_fault(ending, self.boots, self._feed.done() > done_before):
            return False
        self.complete = self._joined.header is not None and not self._feed.remaining()
        return not self.complete

    def _is_kvm_to_blame(self, ending: Ending) -> bool:
        """A guest that dies or falls silent before it reports a test may do so for KVM's sake; the same kernel under TCG tells."""
        if self._accelerator != "kvm" or self._plan.request.accel != "auto" or ending.fault is None or ending.out_of_time:
            return False
        return self._feed.boot_header is None and ending.fault.kind in ("no-output", "machine", "silence", "reboot")

    def facts(self) -> dict[str, object]:
        request = self._plan.request
        return {
            "accelerator": self._accelerator,
            "accelerator_reason": self._reason,
            "qemu": qemu.version(),
            "memory_mb": request.memory_mb,
            "cpus": request.cpus,
            "machines": request.machines,
            "kernel_from": request.kernel.origin,
            "append": request.append,
            "command": list(request.again),
            "nics": [{"model": nic.model, "driver": qemu.MODELS[nic.model], "mac": nic.mac, "wire": nic.wire} for nic in self._plan.nics],
        }

    def command(self) -> list[str]:
        words = ["/netns-tests", "--disposable-machine", "--stream=@STREAM@", "--machine-facts=/etc/machine.json", "--skip-file=/etc/skip-tests"]
        words += ["--progress=none", f"--jobs={self.jobs}"]
        if self._plan.request.machines > 1:
            words.append(f"--shard={self._number}/{self._plan.request.machines}")
        if self._alone:
            words.append("--alone-file=/etc/alone-tests")
        if self._accelerator == "tcg":
            words.append("--deadline=120")  # a test that hangs, hangs; one that an emulated CPU slows down must not look so
        if self._plan.request.filter:
            words.append(f"--gtest_filter={self._plan.request.filter}")
        if self._plan.request.quick:
            words.append("--quick")
        return words + list(self._plan.request.runner_arguments)

    def _boot(self, image: Path, console_file) -> Ending:  # type: ignore[no-untyped-def]
        request = self._plan.request
        command_line = " ".join(filter(None, (GUEST_ARGUMENTS, accelerator.kernel_arguments(self._accelerator), request.append.strip())))
        machine = qemu.Machine(images.direct(request.kernel.image), image, command_line, self._accelerator, request.memory_mb, request.cpus, self._plan.nics, self._plain_cpu)
        limits = request.limits if self._fell_silent else dataclasses.replace(request.limits, silence_before_tests=FIRST_SILENCE_SECONDS)
        return Guest(machine, self._feed, console_file, limits, self._plan.deadline, self._observe, self._tick).run()

    def _finished(self, ending: Ending) -> bool:
        """The guest's init said that the runner is done: is the run whole?"""
        if self._feed.boot_footer is not None and ending.status in (0, 1, 3):
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
        joined, feed = self._joined, self._feed
        if self._accelerator == "tcg" and faults.is_tcg_slip(ending.console):
            # Nobody's fault but the emulator's: whatever was in flight gets another chance.
            self._progress.say(f"{fault.text}: TCG ran an instruction that the kernel had patched meanwhile; booting again")
            joined.note(f"boot {boot} ended by a slip of TCG ({fault.text}); the machine boots again", "warning")
            return True
        if ending.out_of_time:
            self._progress.say(f"{fault.text}; still running: {', '.join(feed.in_flight) or 'nothing'}; raise --timeout")
            joined.note(fault.text, "warning")
            return False
        if feed.boot_header is None and not feed.in_flight and self._accelerator == "tcg" and not self._plain_cpu and "invalid opcode" in ending.console:
            self._plain_cpu = True
            self._progress.say(f"{fault.text}: this kernel cannot do without what our emulated CPU leaves out; booting again with all of it")
            joined.note(f"boot {boot} ended before the first test ({fault.text}); the machine boots again with -cpu {accelerator.PLAIN_TCG_CPU}", "warning")
            return True
        if feed.boot_header is None and not feed.in_flight and self._accelerator == "tcg" and fault.kind == "silence" and not self._fell_silent:
            # Seen once under a heavy load: the kernel spun in the middle of its start. One that hangs does so again.
            self._fell_silent = True
            self._progress.say(f"{fault.text}; booting again, in case it was the emulator\n" + last_lines(ending.console))
            joined.note(f"boot {boot} fell silent before the first test ({fault.text}); the machine boots again", "warning")
            return True
        if feed.boot_header is None and not feed.in_flight:
            self._progress.say(f"{fault.kind} before the first test: {fault.text}\n" + last_lines(ending.console))
            joined.note(f"{fault.kind} before the first test: {fault.text}", "warning")
            return False
        suspects = self._suspects(ending)
        if len(suspects) > 1 and self.jobs > 1:
            self._isolate(suspects, fault)
            return not self._plan.request.stop_on_crash
        self._unresolved = False
        self._blame(suspects[-1] if suspects else f"Machine.Boot{boot}" + (f"Of{self._number}" if self._number > 1 else ""), fault, ending)
        if self._plan.request.stop_on_crash:
            return False
        if not suspects and not progressed:
            return False
        if feed.remaining():
            joined.note(f"boot {boot + 1}: the machine boots again for the {len(feed.remaining())} tests that are left")
        return True

    def _isolate(self, suspects: list[str], fault: Fault) -> None:
        """Several tests were in flight: one is blamed only when it was alone, so the next boot runs these first, one at a time.
        Where that found nobody, or the kernel is broken in many places (each would cost two boots), all run so from now on."""
        self._shared_faults += 1
        how = "these first, one at a time"
        if self._unresolved or self._shared_faults > SHARED_FAULT_LIMIT:
            self.jobs, how = 1, "one test at a time"
        self._alone, self._unresolved = suspects, True
        self._progress.say(f"{fault.kind} with {len(suspects)} tests in flight: {fault.text}; booting again, {how}")
        self._joined.note(f"{fault.kind} ({fault.text}) with several tests in flight: {', '.join(suspects)}; the machine boots again and runs {how}", "warning")

    def _suspects(self, ending: Ending) -> list[str]:
        """Tests in flight, the last to start at the end: by the stream, and by the console, which may know more."""
        by_console = [test for test in faults.in_flight(ending.console) if test not in self._joined.ended]
        by_stream = [test for test in self._feed.in_flight if test not in by_console]
        return by_stream + by_console

    def _blame(self, test: str, fault: Fault, ending: Ending) -> None:
        entry = self._joined.planned.get(test, {})
        started = self._feed.in_flight.get(test)
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
            event["reason"] = {"code": fault.kind, "text": fault.text, "remedy": f"read {self._console_name}; run this test alone with --filter {test}"}
        self._feed.end(event)
        self._progress.observe(event)


def raise_usage(ending: Ending) -> None:
    lines = [line for line in ending.console.splitlines() if "netns-tests:" in line or "--" in line and "netns" in line]
    raise UsageProblem(lines[-1].strip() if lines else "the guest's test program refused its options; see console.log")


def last_lines(console: str, count: int = 12) -> str:
    return "\n".join("  | " + line for line in console.splitlines()[-count:])
