# SPDX-License-Identifier: GPL-2.0-or-later
"""The front door's words. Thin: what a word means is in its own module or program."""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn, Optional, Sequence

from . import accelerator, building, capacity, debian, kernels, packages, paths, qemu, vm
from .guest import Limits
from .kernels import Kernel
from .problems import ERROR, FAILED, FORBIDDEN, OK, USAGE, MachineProblem, Problem, UsageProblem
from .request import BUSY_BOOT_LIMIT, Request

EXIT_STATUS = """exit status: 0 all passed (MISS and SKIP as the profile allows); 1 some test failed; 2 wrong usage;
3 the run broke or is incomplete; 4 a MISS or SKIP that the profile forbids"""


class Parser(argparse.ArgumentParser):
    """One line per error, as promised, instead of the whole usage text."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def at_least(minimum: int):  # type: ignore[no-untyped-def]
    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is no whole number") from None
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{value} is less than {minimum}")
        return value

    return convert


def memory(text: str) -> int:
    """MiB from '1024', '1024M' or '2G'."""
    factor = {"M": 1, "G": 1024}.get(text[-1:].upper(), 0)
    digits = text[:-1] if factor else text
    if not digits.isdigit() or int(digits) * (factor or 1) < 128:
        raise argparse.ArgumentTypeError(f"'{text}' is no amount of memory; write MiB (at least 128) or 2G")
    return int(digits) * (factor or 1)


def add_build_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-install", action="store_true", help="only list the packages that are missing")
    parser.add_argument("--no-build", action="store_true", help="take the programs as they are built")
    parser.add_argument("--build-dir", type=Path, metavar="DIR", help="build directory (default: build/default)")


def add_kernel_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which kernel (default: the distribution's current one)")
    only = group.add_mutually_exclusive_group()
    only.add_argument("--kernel", type=Path, metavar="FILE", help="a bzImage; without --modules all is taken to be built in")
    only.add_argument("--build-tree", type=Path, metavar="DIR", help="a kernel tree in which 'make' has run")
    only.add_argument("--deb", type=Path, nargs="+", metavar="FILE", help="Debian packages of one kernel")
    only.add_argument("--debian-package", metavar="NAME", help="a package by name, with this machine's apt")
    only.add_argument("--debian", metavar="SUITE", help="a Debian suite's current kernel: " + ", ".join(debian.SUITES))
    only.add_argument("--running-kernel", action="store_true", help="the kernel that runs here, from /boot and /lib/modules")
    group.add_argument("--mirror", metavar="URL", help="Debian mirror for --debian (default: this machine's)")
    group.add_argument("--modules", type=Path, metavar="DIR", help="modules of --kernel: where 'make modules_install' put them")
    group.add_argument("--append", default="", metavar="TEXT", help="more for the kernel's command line; comes last, so it wins")


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the machine")
    group.add_argument("--nics", default=qemu.DEFAULT_NICS, metavar="LIST", help="MODEL:COUNT,... or all or none (default: %(default)s); models: " + ", ".join(qemu.MODELS))
    group.add_argument("--memory", type=memory, default=1024, metavar="MIB", help="default: 1024")
    group.add_argument("--cpus", type=at_least(1), default=0, metavar="N", help="of each machine (default: 2, and 1 under TCG, which emulates several at the pace of one)")
    group.add_argument("--machines", type=at_least(1), default=0, metavar="N", help="machines that share the tests (default: as many as CPUs and memory of this machine allow, and the tests are worth)")
    group.add_argument("--accel", choices=accelerator.CHOICES, default="auto", help="default: KVM where it boots, else TCG")
    group.add_argument("--timeout", type=at_least(1), default=3600, metavar="SECONDS", help="for the whole run (default: 3600)")
    group.add_argument("--boot-timeout", type=at_least(1), default=180, metavar="SECONDS", help="until the tests begin (default: 180)")
    group.add_argument("--silence-timeout", type=at_least(1), default=150, metavar="SECONDS", help="without a sign of life (default: 150)")
    group.add_argument("--test-timeout", type=at_least(1), default=600, metavar="SECONDS", help="for one test, should the guest's own deadline fail (default: 600)")
    group.add_argument("--stop-on-crash", action="store_true", help="do not boot again for the tests after a crash")
    group.add_argument("--boots", type=at_least(1), default=BUSY_BOOT_LIMIT, metavar="N", help="give up after this many boots (default: %(default)s)")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--filter", default="", metavar="PATTERN", help="tests to run, as GoogleTest's --gtest_filter")
    parser.add_argument("--quick", action="store_true", help="of these only so many that each requirement is checked: a first verdict within seconds")
    parser.add_argument("--jobs", type=at_least(1), default=0, metavar="N", help="tests at once (default: four for each CPU of this machine, four in a VM of one CPU, two for each of a larger one: a test mostly waits for the kernel)")
    parser.add_argument("--output", metavar="DIR", help="where results go (default: results/NNNN)")
    parser.add_argument("--profile", metavar="NAME|FILE", help="which MISS is allowed (developer, ci, distribution, or a file)")


def limits_of(options: argparse.Namespace) -> Limits:
    return Limits(boot=options.boot_timeout, silence=options.silence_timeout, test=options.test_timeout, total=options.timeout)


def choose_kernel(options: argparse.Namespace) -> Kernel:
    if options.modules and not options.kernel:
        raise UsageProblem("--modules goes with --kernel; the other sources bring their own modules")
    if options.kernel:
        return kernels.from_file(options.kernel, options.modules)
    if options.build_tree:
        return kernels.from_build_tree(options.build_tree)
    if options.deb:
        return debian.kernel_of_files(options.deb, "--deb")
    if options.debian_package:
        return debian.kernel_of_package(options.debian_package, debian.Apt())
    if options.debian:
        return debian.kernel_of_suite(options.debian, options.mirror)
    if options.running_kernel:
        return kernels.running()
    return debian.default_kernel()


def prepare(options: argparse.Namespace, targets: Sequence[str]) -> Path:
    """Packages and build, as far as the options ask; returns the build directory."""
    if not options.no_build:
        packages.ensure(install=not options.no_install)
        return building.build(options.build_dir, list(targets))
    return options.build_dir or building.DEFAULT


def runner_arguments(extra: Sequence[str]) -> list[str]:
    return [word for word in extra if word != "--"]


JOBS_PER_CPU, MOST_JOBS = 4, 64  # of 'run'
MOST_MACHINES, TESTS_WORTH_A_MACHINE = 8, 100  # a boot takes as long as some dozen tests
AGAIN = ("kernel", "modules", "build_tree", "deb", "debian_package", "debian", "running_kernel", "mirror", "append", "nics", "memory", "cpus", "accel", "runner")


def words_again(options: argparse.Namespace) -> list[str]:
    """The options of 'vm' that make this machine again, for the command in a report that runs one test of it."""
    usual = parser().parse_args(["vm"])
    words = []
    for name in AGAIN:
        value = getattr(options, name, None)
        if value is None or value == getattr(usual, name):
            continue
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif isinstance(value, list):
            words += [option, *(str(Path(file).absolute()) for file in value)]
        else:
            words.append(f"{option}={value.absolute() if isinstance(value, Path) else value}")
    more = runner_arguments(options.extra)
    return words + (["--", *more] if more else [])


def tests_selected(options: argparse.Namespace, build: Path) -> int:
    """How many tests match the filter."""
    words = [str(building.program(build, "suites/netns-tests")), "--gtest_list_tests", f"--gtest_filter={options.filter or '*'}"]
    words += ["--quick"] if getattr(options, "quick", False) else []
    listed = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return sum(1 for line in listed.splitlines() if line.startswith("  "))


def cpus_of(options: argparse.Namespace) -> int:
    under_tcg = options.accel == "tcg" or options.accel == "auto" and accelerator.why_not_kvm() is not None
    return int(options.cpus or (1 if under_tcg else 2))


def machines_of(options: argparse.Namespace, build: Path) -> int:
    """How many machines share the tests where the user does not say. A test program that is not ours need not know --shard."""
    if options.machines:
        return int(options.machines)
    if options.runner is not None:
        return 1
    worth = max(1, tests_selected(options, build) // TESTS_WORTH_A_MACHINE)
    return min(worth, MOST_MACHINES, capacity.machines(cpus_of(options), options.memory))


def request_of(options: argparse.Namespace, kernel: Kernel, build: Path, output: Path, label: str = "") -> Request:
    return Request(
        kernel=kernel,
        build=build,
        output=output,
        append=options.append,
        filter=options.filter,
        quick=options.quick,
        nics=options.nics,
        memory_mb=options.memory,
        machines=machines_of(options, build),
        cpus=cpus_of(options),
        jobs=options.jobs,
        accel=options.accel,
        limits=limits_of(options),
        stop_on_crash=options.stop_on_crash,
        boots=options.boots,
        runner=options.runner,
        runner_arguments=runner_arguments(options.extra),
        label=label,
        again=words_again(options),
        extra_files={name: Path(file) for name, _, file in (word.partition("=") for word in getattr(options, "carry", []))},
    )


def requirements() -> list[str]:
    return ["--requirements", str(paths.CHECKOUT / "suites" / "requirements.yaml")]


def report(build: Path, output: Path, status: int, profile: Optional[str], streams: Sequence[Path], note: str = "", quiet: bool = False) -> int:
    """Lets netns-report write junit.xml and print the table, with `note` above its last line, the verdict. What it says of the profile
    can make a 0 a 4."""
    program = building.program(build, "reports/netns-report")
    common = [str(program), *requirements(), "report", *(["--profile", profile] if profile else []), *map(str, streams)]
    sys.stdout.flush()
    subprocess.run([*common, "--format", "junit", "--output", str(output / "junit.xml")], stdout=subprocess.DEVNULL)
    if quiet and (not profile or status != OK):
        return status
    told = subprocess.run([*common, "--slowest", "10", *(["--note", note] if note else [])], stdout=subprocess.DEVNULL if quiet else None).returncode
    if told == USAGE and profile:
        return told  # the profile cannot be read; netns-report has said so
    return told if status == OK and told in (FAILED, ERROR, FORBIDDEN) else status


def check_request(options: argparse.Namespace, build: Path) -> None:
    """Refuses a profile that cannot be read and a filter that no test matches before anything boots or runs."""
    judge = str(building.program(build, "reports/netns-report"))
    if options.profile:
        done = subprocess.run([judge, *requirements(), "check-profile", options.profile], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise UsageProblem(f"--profile: {done.stderr.strip().removeprefix('netns-report: ')}")
    if options.filter and getattr(options, "runner", None) is None:
        if not tests_selected(options, build):
            raise UsageProblem(f"--filter {options.filter}: no test has such a name; see them with: ./netns-conformance list")


def where_line(result: vm.Result, output: Path) -> str:
    boots = f"{result.boots} boots" if result.boots > 1 else "1 boot"
    machines = f"{result.machines} machines, " if result.machines > 1 else ""
    return f"results in {output}: events.jsonl, console.log, junit.xml; {machines}{boots}, {result.seconds:.1f} s in all"


def verdict_line(status: int, result: vm.Result) -> str:
    """For a run that others judge test by test: CTest's."""
    word = {0: "PASS", 1: "FAIL", 3: "ERROR", 4: "FORBIDDEN MISS"}.get(status, "ERROR")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in result.joined.counts.items() if count and verdict != "SKIP") or "no test ran"
    return f"{word}: {counts}" + ("" if result.complete else "; incomplete")


def do_vm(options: argparse.Namespace) -> int:
    qemu.parse_nics(options.nics)  # what is wrong on the command line shall show before anything is built
    if options.kernel:
        choose_kernel(options)
    build = prepare(options, [] if options.runner is None else ["netns-guest-init", "netns-guest-modprobe"])
    qemu.binary()
    kernel = choose_kernel(options)
    if options.runner is None:
        building.program(build, "suites/netns-tests")
    building.program(build, "vm-scripts/netns-guest-init")
    check_request(options, build)
    output = paths.new_results(options.output)
    result = vm.Run(request_of(options, kernel, build, output)).run()
    where = where_line(result, output)
    status = report(build, output, result.status, options.profile, [output / "events.jsonl"], where, quiet=options.judge_later)
    if options.judge_later:
        print(f"{where}\n{verdict_line(status, result)}")
        return OK if result.complete else ERROR
    return status


def do_run(options: argparse.Namespace) -> int:
    build = prepare(options, ["netns-tests", "netns-report"])
    program = building.program(build, "suites/netns-tests")
    check_request(options, build)
    output = paths.new_results(options.output)
    command = [str(program), f"--stream={output / 'events.jsonl'}"]
    command.append(f"--jobs={options.jobs or min(JOBS_PER_CPU * (os.cpu_count() or 1), MOST_JOBS)}")
    if options.filter:
        command.append(f"--gtest_filter={options.filter}")
    if options.quick:
        command.append("--quick")
    command.append("--progress=" + ("terminal" if sys.stdout.isatty() else "plain"))
    status = subprocess.run(command + runner_arguments(options.extra)).returncode
    if status < 0:
        raise MachineProblem(f"{program} was killed by {signal.Signals(-status).name}; {output}/events.jsonl has what it said until then")
    if status == 2:
        return status
    return report(build, output, status, options.profile, [output / "events.jsonl"], f"results in {output}: events.jsonl, junit.xml")


def do_test(options: argparse.Namespace) -> int:
    build = prepare(options, [])
    # Last one wins, so that arguments of the user's take precedence.
    command = ["ctest", "--test-dir", str(build), "--output-on-failure", "--no-tests=error", f"-j{os.cpu_count() or 1}", *runner_arguments(options.extra)]
    status = subprocess.run(command, cwd=paths.CHECKOUT).returncode
    return OK if status == 0 else FAILED


def do_bench(options: argparse.Namespace) -> int:
    from . import bench

    extra = runner_arguments(options.extra)
    if options.words[:1] == ["compare"]:
        return bench.compare(options.build_dir or building.DEFAULT, options.words[1:], options.least_effect)
    if options.words:
        raise UsageProblem(f"unknown argument {options.words[0]}; bench knows one word, compare")
    if not options.vm:
        return bench.here(options, prepare(options, ["netns-bench", "netns-report"]), extra)
    qemu.parse_nics(options.nics)
    build = prepare(options, [])
    kernel = choose_kernel(options)
    options.runner = building.program(build, "benchmarks/netns-bench")
    options.jobs = options.machines = 1
    options.cpus = options.cpus or 2  # some benchmarks work on several
    options.extra = []
    request = request_of(options, kernel, build, paths.new_results(options.output))
    # A small machine, and perhaps an emulated one: a tenth of the thousands will do.
    request.runner_arguments = ["--json-in-stream", *([] if options.scale else ["--scale=0.1"]), *bench.program_arguments(options, extra)]
    request.extra_files = bench.peers()
    return bench.in_vm(request, build)


def delegate(word: str):  # type: ignore[no-untyped-def]
    """A word that netns-report knows: everything after it is handed over."""

    def do(options: argparse.Namespace) -> int:
        build = options.build_dir or building.DEFAULT
        command = [str(building.program(build, "reports/netns-report")), *requirements(), word, *options.rest]
        if word not in ("list", "explain") or any(text.startswith("--tests") for text in options.rest):
            return subprocess.run(command).returncode
        listed = subprocess.run([str(building.program(build, "suites/netns-tests")), "--list=json"], stdout=subprocess.PIPE)
        with tempfile.NamedTemporaryFile(suffix=".json") as tests:
            tests.write(listed.stdout)
            tests.flush()
            return subprocess.run([*command, "--tests", tests.name]).returncode

    return do


def do_mutants(options: argparse.Namespace) -> int:
    """'mutants build ...' makes the image, 'mutants ...' examines it; both have a --help of their own."""
    rest = list(options.rest)
    script = "build.py" if rest[:1] == ["build"] else "run.py"
    return subprocess.run([sys.executable, str(paths.CHECKOUT / "vm-scripts" / "mutants" / script), *rest[script == "build.py" :]]).returncode


def do_holders(options: argparse.Namespace) -> int:
    from . import holders

    return holders.main(options)


def do_negative(options: argparse.Namespace) -> int:
    """Builds the kernels that lack something; has a --help of its own."""
    return subprocess.run([sys.executable, str(paths.CHECKOUT / "vm-scripts" / "negative" / "build.py"), *options.rest]).returncode


def do_doctor(options: argparse.Namespace) -> int:
    from . import doctor

    return doctor.main(options)


def do_matrix(options: argparse.Namespace) -> int:
    from . import matrix

    return matrix.main(options)


def do_bisect(options: argparse.Namespace) -> int:
    from . import bisect

    return bisect.main(options)


def parser() -> Parser:
    top = Parser(prog="netns-conformance", description="Conformance tests of Linux network namespaces, on any kernel.", epilog=EXIT_STATUS, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)

    def word(name: str, help_text: str, do) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]
        added = words.add_parser(name, help=help_text, description=help_text, epilog=EXIT_STATUS, formatter_class=argparse.RawDescriptionHelpFormatter)
        added.set_defaults(do=do, extra=[])
        return added

    one = word("vm", "boot a kernel in QEMU and run the tests in it; -- ARGUMENT...: more for the test program", do_vm)
    add_kernel_options(one)
    add_machine_options(one)
    add_run_options(one)
    add_build_options(one)
    one.add_argument("--runner", type=Path, metavar="FILE", help="another test program that speaks docs/events.md")
    one.add_argument("--carry", action="append", default=[], metavar="NAME=FILE", help="another file for the guest, as /NAME (for --runner)")
    one.add_argument("--judge-later", action="store_true", help="exit 0 once the run is complete, whatever it found (for CTest, which judges test by test)")

    one = word("run", "run the tests on the running kernel, harming nothing; -- ARGUMENT...: more for the test program", do_run)
    add_run_options(one)
    add_build_options(one)

    one = word("test", "build, then run all of CTest: self-tests, this machine, one VM; -- ARGUMENT...: more for ctest", do_test)
    add_build_options(one)

    one = word("bench", "time what network namespaces cost; 'bench compare OLD NEW' tells whether they got slower; -- ARGUMENT...: more for netns-bench", do_bench)
    one.add_argument("--quick", action="store_true", help="the most telling benchmarks, in less than a minute")
    one.add_argument("--filter", default="", metavar="REGEX", help="only benchmarks whose name this finds")
    one.add_argument("--repetitions", type=at_least(1), default=0, metavar="N", help="rounds (default: 10; with --quick 7)")
    one.add_argument("--scale", type=float, metavar="X", help="make workloads of thousands smaller or larger (default: 1; in the VM 0.1)")
    one.add_argument("--output", metavar="DIR", help="where results go (default: results/NNNN)")
    one.add_argument("--least-effect", type=float, metavar="PART", help="compare: claim no smaller change than this (default: 0.05)")
    one.add_argument("--vm", action="store_true", help="in a VM, where physical devices are timed too")
    add_kernel_options(one)
    add_machine_options(one)
    add_build_options(one)
    one.add_argument("words", nargs="*", metavar="compare OLD NEW", help="two results: directories, event streams, or Google Benchmark's JSON")

    one = word("matrix", "many kernels and machines, one result directory", do_matrix)
    one.add_argument("entries", nargs="+", metavar="FILE|KERNEL", help="a matrix file, or kernels: a bzImage, a .deb, a build tree, debian:SUITE, package:NAME, negative:NAME, running, default")
    one.add_argument("--parallel", type=at_least(1), default=0, metavar="N", help="VMs at once (default: as cores and memory allow)")
    one.add_argument("--append", default="", metavar="TEXT")
    one.add_argument("--mirror", metavar="URL", help="Debian mirror for debian:SUITE")
    add_machine_options(one)
    add_run_options(one)
    add_build_options(one)
    one.add_argument("--runner", type=Path, metavar="FILE", help=argparse.SUPPRESS)

    one = word("bisect", "one step of 'git bisect run' in a kernel tree: build, boot, judge (0 good, 1 bad, 125 skip)", do_bisect)
    one.add_argument("--build-tree", type=Path, default=Path("."), metavar="DIR", help="the kernel tree (default: .)")
    one.add_argument("--config", type=Path, metavar="FILE", help="configuration to build with (default: the tree's .config)")
    one.add_argument("--make", default="", metavar="TEXT", help="more words for make")
    one.add_argument("--append", default="", metavar="TEXT")
    add_machine_options(one)
    add_run_options(one)
    add_build_options(one)
    one.add_argument("--runner", type=Path, metavar="FILE", help=argparse.SUPPRESS)

    one = word("doctor", "what this machine can and cannot do, and the remedies", do_doctor)
    one.add_argument("--build-dir", type=Path, metavar="DIR")
    one.add_argument("--no-boot", action="store_true", help="do not try accelerators by booting a guest")
    one.set_defaults(extra=None)

    for name, help_text in (("report", "show or convert results"), ("compare", "compare two results"), ("explain", "explain a requirement or a test"), ("list", "list requirements and tests")):
        # Everything after the word belongs to netns-report, its --help too.
        one = words.add_parser(name, help=help_text, add_help=False)
        one.set_defaults(do=delegate(name), rest=None)
        one.add_argument("--build-dir", type=Path)
    one = words.add_parser("mutants", help="prove the tests: boot kernels with one wrong behaviour each, tell who noticed", add_help=False)
    one.set_defaults(do=do_mutants, rest=None)
    one = word("explain-holders", "list what keeps a network namespace alive: processes, threads, descriptors, sockets, mounts", do_holders)
    one.add_argument("what", metavar="PATH|PID", help="/run/netns/NAME, /proc/PID/ns/net, or a process in it")
    one.set_defaults(extra=None)

    one = words.add_parser("negative", help="build kernels without NET_NS, VETH, ..., and one that watches itself", add_help=False)
    one.set_defaults(do=do_negative, rest=None)
    return top


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What the user wants. What follows '--' is for the test program, wherever argparse would have it end up."""
    words = list(arguments)
    top = parser()
    cut = words.index("--") if "--" in words else len(words)
    options, rest = top.parse_known_args(words[:cut])
    if hasattr(options, "rest"):
        options.rest = rest + words[cut:]
        return options
    if cut < len(words):
        if options.extra is None:
            rest.append(" ".join(words[cut:]))
        else:
            options.extra = [*options.extra, *words[cut + 1 :]]
    if rest:
        top.error(f"unknown argument {rest[0]}")
    return options


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")  # a CI's log shall grow as the run does
    options = parse(arguments)
    try:
        return int(options.do(options))
    except Problem as problem:
        print(f"netns-conformance: {problem}", file=sys.stderr)
        return problem.status
    except KeyboardInterrupt:
        print("netns-conformance: interrupted", file=sys.stderr)
        return ERROR
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
