#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""verdict_of.py STREAM TEST: what a finished run says of one test, for CTest.

Exit status: 0 PASS, 1 FAIL, 4 MISS or SKIP, 3 ERROR, or the run ended before the test did."""

import json
import sys

STATUS = {"PASS": 0, "FAIL": 1, "MISS": 4, "SKIP": 4}


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    path, wanted = arguments
    last = None
    complete = False
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                # Most lines are of other tests, and the header names all: only those that can matter are worth parsing.
                if '"footer"' not in line and (wanted not in line or '"schema"' in line):
                    continue
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                complete = complete or event.get("event") == "footer"
                # With --gtest_repeat the worst iteration counts.
                if event.get("event") == "end" and event.get("test") == wanted:
                    if last is None or STATUS.get(event["verdict"], 3) in (1, 3):
                        last = event
    except OSError as error:
        print(f"{path}: {error.strerror}; the VM run (ctest -R vm.boot) did not write it")
        return 3
    if last is None:
        print(f"{wanted}: not in {path}" + ("" if complete else ", which is incomplete"))
        return 4 if complete else 3
    print(f"{last['verdict']} {wanted}")
    reason = last.get("reason") or {}
    if reason:
        print(f"  {reason.get('code', '')}: {reason.get('text', '')}" + (f" (remedy: {reason['remedy']})" if reason.get("remedy") else ""))
    for failure in last.get("failures") or []:
        print(f"  {failure.get('file', '')}:{failure.get('line', 0)}: {failure.get('message', '')}")
    if last.get("verdict") != "PASS" and last.get("kernel_log"):
        print("  kernel log:")
        print(last["kernel_log"])
    return STATUS.get(last["verdict"], 3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
