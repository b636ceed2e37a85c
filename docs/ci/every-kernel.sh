#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# every-kernel.sh DIR [ARGUMENT...]: a verdict on each bzImage in a directory, each once. What it has judged before it leaves
# alone, so it can run from cron. Further arguments go to 'vm'. Exit status: 0 all good, 1 some kernel is wrong, 3 some
# kernel got no verdict, 4 some kernel could not run what the profile wants.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
kernels=${1:?usage: every-kernel.sh DIR [ARGUMENT...]}
shift
worst=0
for kernel in "$kernels"/bzImage* "$kernels"/vmlinuz-*; do
    [ -f "$kernel" ] || continue
    results=$kernels/results/$(basename "$kernel")
    if [ ! -f "$results/status" ] || [ "$kernel" -nt "$results/status" ]; then
        mkdir -p "$results"
        "$here/netns-conformance" vm --kernel "$kernel" --output "$results" "$@" >"$results/output.txt" 2>&1
        echo $? >"$results/status.new" && mv "$results/status.new" "$results/status"
    fi
    status=$(cat "$results/status")
    echo "$(basename "$kernel"): exit status $status: $(tail -n 1 "$results/output.txt")"
    # No verdict is tried again the next time; 1 (the kernel is wrong) outranks what is not known.
    [ "$status" -eq 3 ] && rm "$results/status"
    [ "$status" -eq 1 ] && worst=1
    [ "$worst" -eq 0 ] && worst=$status
done
exit "$worst"
