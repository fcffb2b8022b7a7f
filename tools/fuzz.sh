#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs one libFuzzer program for FUZZ_SECONDS from its seed corpus; new inputs go to a working folder, never into the tree.
# Usage: fuzz.sh PROGRAM SEEDS WORK. Called by CTest and 'make fuzz'.
set -eu
program=$1 seeds=$2 work=$3
mkdir -p "$work"
[ -d "$seeds" ] || seeds=
# shellcheck disable=SC2086  # an absent seed folder must vanish
"$program" -max_total_time="${FUZZ_SECONDS:-10}" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
	-artifact_prefix="$work/" "$work" $seeds
echo "1 passed, 0 failed, 0 skipped"
