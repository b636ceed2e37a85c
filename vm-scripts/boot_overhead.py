#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""boot_overhead.py [--rounds N] [options of 'vm']: what our guest adds to the boot of a kernel.

In turns, so that what else the machine does hits both alike: a boot of the kernel into an init that switches off at once, from
QEMU's start to its end; and a boot of the same kernel on the same machine into our guest, from QEMU's start until the first test
starts. Told are the medians, and their ratio, of elapsed time and of QEMU's CPU time, which a busy machine disturbs less."""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parent))

from netns_vm import cli, cpio, images, qemu, shard, vm  # noqa: E402
from netns_vm.problems import Problem  # noqa: E402
from netns_vm.stream import Event  # noqa: E402

ONE_TEST = "Conf.SupportShowsEverywhereAlike"
Times = tuple[float, float]  # elapsed, CPU


def bare_initramfs(init: Path, into: Path) -> None:
    out = io.BytesIO()
    archive = cpio.Writer(out)
    archive.directory("dev")
    archive.device("dev/console", 5, 1)
    archive.file("init", init.read_bytes(), 0o755)
    archive.finish()
    into.write_bytes(out.getvalue())


def bare(machine: qemu.Machine) -> Times:
    with open(os.devnull, "wb") as null:
        begun = time.monotonic()
        process = subprocess.Popen(machine.command(null.fileno(), null.fileno(), null.fileno()), stdin=subprocess.DEVNULL, pass_fds=[null.fileno()])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Problem(f"QEMU ended with status {process.returncode}")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime


def cpu_of_child() -> float:
    """Seconds of CPU time of QEMU, our only child."""
    # Each thread has its children; a machine's is the thread that started it.
    child = next(child for thread in Path("/proc/self/task").iterdir() for child in (thread / "children").read_text().split())
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watched(vm.Run):
    """Our run, which notes QEMU's CPU time when the first test starts."""

    cpu: Optional[float] = None

    def _observe(self, event: Event) -> None:
        if event["event"] == "start" and self.cpu is None:
            self.cpu = cpu_of_child()


def ours(request: vm.Request) -> Times:
    run = Watched(request)
    result = run.run()
    if result.first_test is None or run.cpu is None:
        raise Problem(f"no test started; see {request.output}")
    return result.first_test, run.cpu


def main(arguments: list[str]) -> int:
    rounds = 3
    if arguments[:1] == ["--rounds"]:
        rounds, arguments = int(arguments[1]), arguments[2:]
    options = cli.parse(["vm", "--no-build", f"--filter={ONE_TEST}", *arguments])
    build = cli.prepare(options, [])
    kernel = cli.choose_kernel(options)
    accelerator = "tcg" if options.accel == "auto" else options.accel
    options.accel = accelerator
    measured: dict[str, list[Times]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch, "bare.cpio")
        bare_initramfs(build / "vm-scripts" / "netns-bare-init", small)
        machine = qemu.Machine(images.direct(kernel.image), small, f"{shard.GUEST_ARGUMENTS} {options.append}".strip(), accelerator, options.memory, cli.cpus_of(options), qemu.parse_nics(options.nics))
        for number in range(rounds):
            output = Path(scratch, str(number))
            output.mkdir()
            measured["bare"].append(bare(machine))
            measured["ours"].append(ours(cli.request_of(options, kernel, build, output)))
    for name, times in measured.items():
        print(f"{name}: elapsed {', '.join(f'{elapsed:.1f}' for elapsed, _ in times)} s; CPU {', '.join(f'{cpu:.1f}' for _, cpu in times)} s")
    for index, name in enumerate(("elapsed", "CPU")):
        middle = {who: statistics.median(pair[index] for pair in times) for who, times in measured.items()}
        print(f"{kernel.release}, {accelerator}: {name} {middle['bare']:.1f} s bare, {middle['ours']:.1f} s ours: {middle['ours'] / middle['bare']:.2f}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        print(f"boot_overhead: {problem}", file=sys.stderr)
        sys.exit(problem.status)
