#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kernelci-job.sh KERNEL-TREE OUTPUT: what a KernelCI-style lab runs for one built tree: boots it, and leaves
#   OUTPUT/results.ktap         for parsers of KTAP (LAVA, kunit.py)
#   OUTPUT/kcidb.json           for kcidb-submit: one build's tests with their requirements, schema 4.3
#   OUTPUT/junit.xml, OUTPUT/events.jsonl, OUTPUT/console.log
# Exit status: 0 pass, 1 fail, 2 infrastructure error (no verdict), as LAVA's and KernelCI's job states want them.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
tree=${1:?usage: kernelci-job.sh KERNEL-TREE OUTPUT}
output=${2:?usage: kernelci-job.sh KERNEL-TREE OUTPUT}
"$here/netns-conformance" vm --build-tree "$tree" --profile ci --output "$output"
status=$?
if [ -f "$output/events.jsonl" ]; then
    "$here/netns-conformance" report "$output/events.jsonl" --format ktap --output "$output/results.ktap" >/dev/null
    "$here/netns-conformance" report "$output/events.jsonl" --format kcidb --output "$output/kcidb.json" >/dev/null
fi
case $status in
    0) exit 0 ;;
    1) exit 1 ;;
    *) exit 2 ;;
esac
