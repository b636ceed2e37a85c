# SPDX-License-Identifier: GPL-2.0-or-later
"""Many kernels and machines: several VMs at once, one result directory, one exit status, resumable."""

from __future__ import annotations

import argparse
import configparser
import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterable, Optional, Sequence

from . import capacity, debian, kernels, paths
from .problems import ERROR, FAILED, FORBIDDEN, OK, UsageProblem

KEYS = ("kernel", "modules", "append", "nics", "memory", "cpus", "machines", "filter", "jobs", "timeout")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One VM run: a name for its directory and the options for 'vm'."""

    name: str
    options: tuple[str, ...]
    memory_mb: int = 1024

    def key(self, asked: Sequence[str], programs: Sequence[Path]) -> str:
        """A name for all that decides the result: an earlier one of the same key need not be made again."""
        files = [Path(word) for word in self.options if not word.startswith("-")] + [Path(word) / "arch/x86/boot/bzImage" for word in self.options if not word.startswith("-")]
        marks = []
        for file in [*files, *programs]:
            try:
                status = file.stat()
                marks.append(f"{file} {status.st_size} {status.st_mtime_ns}" if file.is_file() else "")
            except OSError:
                marks.append("")
        return hashlib.sha256(json.dumps([self.options, list(asked), marks]).encode()).hexdigest()


def kernel_options(text: str, base: Path) -> list[str]:
    """'vm' options for a kernel as a matrix names it. Relative paths are relative to `base`."""
    word, colon, rest = text.partition(":")
    if text == "default":
        return []
    if text == "running":
        return ["--running-kernel"]
    if colon and word == "debian":
        return ["--debian", rest]
    if colon and word == "package":
        return ["--debian-package", rest]
    if colon and word == "negative":
        image = paths.cache("negative") / rest / "bzImage"
        if not image.is_file():
            raise UsageProblem(f"{text}: is not built yet; build it with: ./netns-conformance negative {rest}")
        return ["--kernel", str(image), f"--append={kernels.LEAN_START}"]
    path = base / text
    if text in debian.SUITES and not path.exists():
        return ["--debian", text]
    if path.is_dir():
        return ["--build-tree", str(path)]
    if path.suffix == ".deb":
        return ["--deb", str(path)]
    return ["--kernel", str(path)]


def read_file(path: Path) -> list[Entry]:
    """Entries of a matrix file: an INI file with one section per run (docs/machines.md)."""
    reader = configparser.ConfigParser(interpolation=None)
    try:
        with path.open() as file:
            reader.read_file(file)
    except OSError as error:
        raise UsageProblem(f"{path}: {error.strerror}") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageProblem(f"{path}: is no matrix file: {' '.join(str(error).split())}") from None
    entries = []
    for name in reader.sections():
        section = reader[name]
        if not re.fullmatch(r"[\w.+-]+", name):
            raise UsageProblem(f"{path}: section [{name}] becomes a directory; use letters, digits and . + - _ only")
        for key in section:
            if key not in KEYS:
                raise UsageProblem(f"{path}: [{name}] has '{key}'; known are {', '.join(KEYS)}")
        options = kernel_options(section.get("kernel", "default"), path.parent)
        for key in KEYS[1:]:
            if key in section:
                value = str(path.parent / section[key]) if key == "modules" else section[key]
                options.append(f"--{key}={value}")
        digits = re.match(r"\d+", section.get("memory", "1024"))
        entries.append(Entry(name, tuple(options), int(digits.group(0)) if digits else 1024))
    if not entries:
        raise UsageProblem(f"{path}: names no run; write a section [NAME] with kernel = ...")
    return entries


def is_matrix_file(path: Path) -> bool:
    if not path.is_file() or path.suffix == ".deb":
        return False
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(1024)
    except OSError as error:
        raise UsageProblem(f"{path}: {error.strerror}") from None


def entries_of(words: Sequence[str], memory_mb: int) -> list[Entry]:
    entries: list[Entry] = []
    for word in words:
        if is_matrix_file(Path(word)):
            entries += read_file(Path(word))
            continue
        options = kernel_options(word, Path("."))
        if options[:1] == ["--kernel"]:
            kernels.release_of(Path(options[1]))  # nonsense shall show before anything boots
        name = re.sub(r"[^\w.+-]+", "-", word.strip("./")) or "kernel"
        entries.append(Entry(name, tuple(options), memory_mb))
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise UsageProblem(f"two runs of the matrix have the name {name}; give names in a matrix file")
    return entries


def at_once(entries: Sequence[Entry], asked: int) -> int:
    """How many VMs run beside each other. Half of a VM's life is boot, which uses one core."""
    if asked:
        return asked
    return min(len(entries), capacity.machines(1, max(entry.memory_mb for entry in entries)))


def combined(statuses: Iterable[int]) -> int:
    seen = set(statuses)
    for status in (FAILED, ERROR, FORBIDDEN):
        if status in seen:
            return status
    return OK if seen <= {OK} else ERROR


class Overview:
    """Lines of all runs, each with its name; one lock, so that lines stay whole."""

    def __init__(self, total: int) -> None:
        self._lock = threading.Lock()
        self._total = total
        self._done = 0

    def line(self, name: str, text: str) -> None:
        with self._lock:
            print(f"{name}: {text}", flush=True)

    def done(self, name: str, text: str) -> None:
        with self._lock:
            self._done += 1
            print(f"[{self._done}/{self._total}] {name}: {text}", flush=True)


def finished_status(directory: Path, key: str) -> Optional[int]:
    """The status of an earlier, complete run of the same key; None where it has to run (again)."""
    try:
        done = json.loads((directory / "done.json").read_text())
        return int(done["status"]) if done["key"] == key and done["status"] in (OK, FAILED, FORBIDDEN) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main(options: argparse.Namespace) -> int:
    from . import cli

    entries = entries_of(options.entries, options.memory)
    build = cli.prepare(options, [])
    cli.check_request(options, build)
    output = paths.new_results(options.output)
    overview = Overview(len(entries))
    # What is asked for decides the result; the rest is how long it may take, and with what.
    asked = [f"--append={options.append}", f"--nics={options.nics}", f"--memory={options.memory}"]
    asked += [f"--cpus={options.cpus}"] if options.cpus else []
    asked += [f"--filter={options.filter}"] if options.filter else []
    asked += ["--quick"] if options.quick else []
    asked += [f"--jobs={options.jobs}"] if options.jobs else []
    asked += [f"--profile={options.profile}"] if options.profile else []
    asked += [f"--mirror={options.mirror}"] if options.mirror else []
    asked += [f"--runner={options.runner}"] if options.runner else []
    asked += ["--stop-on-crash"] if options.stop_on_crash else []
    extra = ["--", *cli.runner_arguments(options.extra)] if options.extra else []
    limits = [f"--build-dir={build}", "--no-build", f"--accel={options.accel}", f"--timeout={options.timeout}", f"--boots={options.boots}"]
    limits += [f"--boot-timeout={options.boot_timeout}", f"--silence-timeout={options.silence_timeout}", f"--test-timeout={options.test_timeout}"]
    programs = [options.runner or build / "suites" / "netns-tests"]
    keys = {entry.name: entry.key([*asked, *extra], programs) for entry in entries}
    statuses: dict[str, int] = {}
    waiting = []
    for entry in entries:
        status = finished_status(output / entry.name, keys[entry.name])
        if status is None:
            waiting.append(entry)
        else:
            statuses[entry.name] = status
            overview.done(entry.name, f"done before, status {status}")
    parallel = at_once(entries, options.parallel)
    # Where several runs share this machine each has one VM; an only one may take all of it.
    if options.machines or parallel > 1:
        limits.append(f"--machines={options.machines or 1}")
    print(f"{len(waiting)} runs, {parallel} at once; results in {output}", flush=True)
    lock = threading.Lock()
    running: set["subprocess.Popen[str]"] = set()
    stopping = threading.Event()

    def work() -> None:
        while not stopping.is_set():
            with lock:
                if not waiting:
                    return
                entry = waiting.pop(0)
            directory = output / entry.name
            directory.mkdir(exist_ok=True)
            # The entry's own options come last and win.
            command = [sys.executable, str(paths.CHECKOUT / "netns-conformance"), "vm", *limits, *asked, f"--output={directory}", *entry.options, *extra]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
            with lock:
                running.add(process)
            last = ""
            table = False
            assert process.stdout
            with (directory / "output.txt").open("w") as log:
                for text in process.stdout:
                    log.write(text)
                    last = text.strip() or last
                    table = table or "area" in text and "PASS" in text  # the table stands in output.txt and in the combined report
                    if not table:
                        overview.line(entry.name, text.rstrip())
            process.stdout.close()
            status = process.wait()
            with lock:
                running.discard(process)
                statuses[entry.name] = status if status >= 0 else ERROR
            if not stopping.is_set():
                (directory / "done.json").write_text(json.dumps({"key": keys[entry.name], "status": status}))
            overview.done(entry.name, last)

    threads = [threading.Thread(target=work) for _ in range(parallel)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        stopping.set()
        with lock:
            for process in running:
                process.terminate()
        for thread in threads:
            thread.join()
        print(f"interrupted; the same command with --output {output} runs what is missing", flush=True)
        return ERROR
    status = combined(statuses.values())
    for entry in entries:
        print(f"{entry.name}: exit status {statuses.get(entry.name, ERROR)}")
    streams = [output / entry.name / "events.jsonl" for entry in entries if (output / entry.name / "events.jsonl").is_file()]
    if streams:
        cli.report(build, output, status, options.profile, streams, f"results in {output}; exit status {status}")
    else:
        print(f"results in {output}; exit status {status}")
    return status
