# SPDX-License-Identifier: GPL-2.0-or-later
"""One boot of a guest: starts QEMU, reads its channels live, and says how it ended."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import BinaryIO, Callable, Optional

from . import accelerator, faults
from .faults import Fault
from .problems import MachineProblem
from .qemu import Machine
from .stream import Event, Feed

PR_SET_PDEATHSIG = 1
AFTER_PANIC_SECONDS = 5.0  # panic=-1 reboots at once; a command line that overrides it must not make us wait
POWER_OFF_SECONDS = 15.0
MID_RUN = "the guest rebooted or switched itself off in mid-run"
WITHOUT_A_WORD = "the guest rebooted without a word: the kernel is damaged, not for this CPU, or has no serial console (SERIAL_8250_CONSOLE)"


@dataclasses.dataclass
class Limits:
    """Seconds. `boot`: until the tests begin; `silence`: without a byte on any channel (and `silence_before_tests`,
    where that is less); `test`: for one test."""

    boot: float = 180.0
    silence: float = 150.0
    silence_before_tests: float = 150.0
    test: float = 600.0
    total: float = 3600.0


@dataclasses.dataclass
class Ending:
    """How a boot ended. `fault` is None where init said that it was done; `status` is then the runner's."""

    status: Optional[int]
    fault: Optional[Fault]
    console: str
    no_output: bool = False  # not one byte: the accelerator may be to blame
    out_of_time: bool = False
    first_output: Optional[float] = None
    first_test: Optional[float] = None
    duration: float = 0.0


LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # the parent is the thread that started QEMU


class Channel:
    """The read end of a pipe whose write end QEMU has."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.read_fd, False)

    def started(self) -> None:
        os.close(self.write_fd)

    def close(self) -> None:
        os.close(self.read_fd)


class Guest:
    """Boots `machine` once. Lines of events go to `feed`, the console to `console_file`; `observe` sees each event. `tick` is
    called several times a second, and what it raises ends the guest."""

    def __init__(self, machine: Machine, feed: Feed, console_file: BinaryIO, limits: Limits, deadline: float, observe: Callable[[Event], None], tick: Callable[[], None]) -> None:
        self._machine = machine
        self._feed = feed
        self._console_file = console_file
        self._limits = limits
        self._deadline = deadline
        self._observe = observe
        self._tick = tick
        self._console = bytearray()
        self._partial = {1: b"", 2: b""}
        self._begun = time.monotonic()
        self._first_output: Optional[float] = None
        self._first_test: Optional[float] = None

    def run(self) -> Ending:
        channels = [Channel(), Channel(), Channel()]
        try:
            process = subprocess.Popen(
                self._machine.command(*(channel.write_fd for channel in channels)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[channel.write_fd for channel in channels],
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            for channel in channels:
                channel.started()
                channel.close()
            raise MachineProblem(f"QEMU cannot be started: {error.strerror}") from None
        for channel in channels:
            channel.started()
        self._begun = time.monotonic()
        try:
            reason = self._watch(process, channels)
            stderr = b""
            if process.poll() is None:
                process.kill()
            assert process.stderr
            stderr = process.stderr.read()
            code = process.wait()
            # What was in the pipes when QEMU ended.
            for index, channel in enumerate(channels):
                self._drain(index, channel)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            assert process.stderr
            process.stderr.close()
            for channel in channels:
                channel.close()
        return self._ending(reason, code, stderr.decode("utf-8", "replace").strip())

    def _watch(self, process: "subprocess.Popen[bytes]", channels: list[Channel]) -> Optional[Fault]:
        """Reads until QEMU ends (None) or a watchdog bites (why)."""
        poller = select.poll()
        index_of = {}
        for index, channel in enumerate(channels):
            poller.register(channel.read_fd, select.POLLIN)
            index_of[channel.read_fd] = index
        pidfd = os.pidfd_open(process.pid)
        poller.register(pidfd, select.POLLIN)
        last_heard = time.monotonic()
        panic_seen: Optional[float] = None
        finished_seen: Optional[float] = None
        try:
            while True:
                ended = False
                for fd, _ in poller.poll(250):
                    if fd == pidfd:
                        ended = True
                    elif not self._drain(index_of[fd], channels[index_of[fd]]):
                        poller.unregister(fd)
                    else:
                        last_heard = time.monotonic()
                self._tick()
                if ended:
                    return None
                now = time.monotonic()
                if panic_seen is None and faults.PANIC.search(self._console):
                    panic_seen = now
                if finished_seen is None and b"guest finished status=" in self._console[-4096:]:
                    finished_seen = now
                if panic_seen and now - panic_seen > AFTER_PANIC_SECONDS:
                    return None
                if finished_seen:
                    if now - finished_seen > POWER_OFF_SECONDS:
                        return None
                    continue
                fault = self._watchdog(now, last_heard)
                if fault:
                    return fault
        finally:
            os.close(pidfd)

    def _watchdog(self, now: float, last_heard: float) -> Optional[Fault]:
        limits = self._limits
        if now > self._deadline:
            return Fault("timeout", "ERROR", "the run's time (--timeout) is over")
        if self._machine.accelerator == "kvm" and not self._first_output and now - self._begun > accelerator.FIRST_OUTPUT_SECONDS:
            return Fault("no-output", "ERROR", f"the guest says nothing within {accelerator.FIRST_OUTPUT_SECONDS:.0f} s")
        if self._feed.boot_header is None and now - self._begun > limits.boot:
            return Fault("silence", "ERROR", f"the tests did not begin within {limits.boot:.0f} s of the boot")
        silence = limits.silence if self._feed.boot_header is not None else min(limits.silence, limits.silence_before_tests)
        if now - last_heard > silence:
            return Fault("silence", "ERROR", f"the guest was silent for {silence:.0f} s: the kernel hangs, or this machine is overloaded")
        for test, started in self._feed.in_flight.items():
            if now - started > limits.test:
                return Fault("silence", "ERROR", f"{test} did not end within {limits.test:.0f} s, and the guest's own deadline did not stop it")
        return None

    def _drain(self, index: int, channel: Channel) -> bool:
        """Reads what is there; False at the end of the channel."""
        while True:
            try:
                data = os.read(channel.read_fd, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            if index == 0:
                if self._first_output is None:
                    self._first_output = time.monotonic()
                self._console += data
                try:
                    self._console_file.write(data)
                    self._console_file.flush()
                except OSError as error:
                    raise MachineProblem(f"{self._console_file.name}: {error.strerror}; name another place with --output DIR") from None
                continue
            lines = (self._partial[index] + data).split(b"\n")
            self._partial[index] = lines.pop()
            for line in lines:
                if line.strip():
                    event = self._feed.take(line)
                    if event:
                        if event["event"] == "start" and self._first_test is None:
                            self._first_test = time.monotonic()
                        self._observe(event)

    def _ending(self, reason: Optional[Fault], code: int, stderr: str) -> Ending:
        console = faults.plain(bytes(self._console))
        finished = faults.FINISHED.search(console)
        ending = Ending(
            status=int(finished.group(1)) if finished else None,
            fault=None,
            console=console,
            no_output=not self._console,
            duration=time.monotonic() - self._begun,
            first_output=self._first_output and self._first_output - self._begun,
            first_test=self._first_test and self._first_test - self._begun,
        )
        if finished:
            return ending
        ending.fault = faults.diagnose(console)
        if ending.fault:
            return ending
        ending.fault = reason
        ending.out_of_time = bool(reason and reason.kind == "timeout")
        if reason is None:
            if code < 0:
                name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
                ending.fault = Fault("machine", "ERROR", f"QEMU was killed by {name}" + (" (by the host's out-of-memory killer?)" if code == -9 else ""))
            elif code:
                ending.fault = Fault("machine", "ERROR", f"QEMU ended with status {code}: {stderr.splitlines()[-1] if stderr else 'no message'}")
            elif "Kernel panic - not syncing" in console:
                ending.fault = Fault("panic", "FAIL", "Kernel panic")
            else:
                ending.fault = Fault("reboot", "ERROR", MID_RUN if console.strip() else WITHOUT_A_WORD)
        return ending
