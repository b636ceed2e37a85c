# SPDX-License-Identifier: GPL-2.0-or-later
"""One step of 'git bisect run': build the tree, boot it, map the verdict to good (0), bad (1) or cannot say (125)."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import subprocess
import time
from pathlib import Path

from . import kernels, paths, vm
from .problems import FAILED, FORBIDDEN, OK, USAGE, Problem, UsageProblem

SKIP = 125


def commit_of(tree: Path) -> str:
    done = subprocess.run(["git", "-C", str(tree), "log", "-1", "--format=%h %s"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "no git commit"


def build_kernel(tree: Path, options: argparse.Namespace, log: Path) -> bool:
    """Builds bzImage and modules; the build's words go to `log`. False where this commit does not build."""
    make = ["make", "-C", str(tree), f"-j{os.cpu_count() or 1}", "KBUILD_BUILD_TIMESTAMP=1970-01-01", *options.make.split()]
    if shutil.which("ccache"):
        # A constant build time stamp, above, lets ccache find what it has.
        make.append("CC=ccache gcc")
    if options.config:
        shutil.copy(options.config, tree / ".config")
    if not (tree / ".config").is_file():
        raise UsageProblem(f"{tree}: has no .config; give one with --config FILE")
    with log.open("w") as out:
        for target in (["olddefconfig"], ["all"] if _has_modules(tree) else ["bzImage"]):
            if subprocess.run([*make, *target], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT).returncode:
                return False
    return True


def _has_modules(tree: Path) -> bool:
    return "\nCONFIG_MODULES=y" in (tree / ".config").read_text()


def main(options: argparse.Namespace) -> int:
    """The step. Only a usage error of our own stops git bisect (128 and above do)."""
    from . import cli

    tree = options.build_tree
    begun = time.monotonic()
    if not (tree / "Makefile").is_file() or not (tree / "Kbuild").is_file():
        print(f"netns-conformance: --build-tree {tree}: is no kernel tree", flush=True)
        return 128
    commit = commit_of(tree)

    def say(status: int, text: str) -> int:
        word = {OK: "good", FAILED: "bad"}.get(status, "skip")
        print(f"bisect: {word}: {commit}: {text} ({time.monotonic() - begun:.0f} s)", flush=True)
        return status

    try:
        build = cli.prepare(options, [])
        cli.check_request(options, build)
        output = paths.new_results(options.output)
        if not build_kernel(tree, options, output / "build.log"):
            return say(SKIP, f"does not build, see {output}/build.log")
        kernel = kernels.from_build_tree(tree)
        request = cli.request_of(options, kernel, build, output)
        first = vm.Run(request).run()
        status = cli.report(build, output, first.status, options.profile, [output / "events.jsonl"], quiet=True)
        if status == OK and first.joined.counts["PASS"]:
            return say(OK, f"{first.joined.counts['PASS']} passed")
        if status == OK:
            # Where nothing could run nothing is known; a good commit must not be one that lacks the option.
            return say(SKIP, f"all {first.joined.counts['MISS']} tests are MISS, see {output}")
        if status == USAGE:
            return 128  # the profile cannot be read, and no commit will change that
        if status == FORBIDDEN:
            return say(SKIP, f"a MISS or SKIP that the profile forbids, see {output}")
        if status != FAILED:
            return say(SKIP, f"no verdict, see {output}")
        failed = [test for test, verdict in first.joined.ended.items() if verdict == "FAIL"]
        # A bad commit must fail twice: one flake would send the bisection astray.
        again = output / "repeat"
        again.mkdir(exist_ok=True)
        only = [test for test in failed if not test.startswith("Machine.")]
        second = vm.Run(dataclasses.replace(request, output=again, filter=":".join(only) or request.filter, quick=request.quick and not only)).run()
        if second.status != FAILED:
            return say(SKIP, f"{', '.join(failed[:3])} failed once and not again, see {output}")
        still = [test for test, verdict in second.joined.ended.items() if verdict == "FAIL"]
        return say(FAILED, ", ".join(still[:5]) + (" ..." if len(still) > 5 else ""))
    except UsageProblem as problem:
        print(f"netns-conformance: {problem}", flush=True)
        return 128
    except Problem as problem:
        return say(SKIP, str(problem))
