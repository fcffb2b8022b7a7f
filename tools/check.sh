#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds and runs the whole test suite: first with AddressSanitizer and UBSan, then optimised, then with ThreadSanitizer, then
# the fuzzers. Goes on after a failure, so that one run shows everything; the last line counts all cases.
# Usage: check.sh [tidy] [asan-ubsan] [check] [tsan] [fuzz]   default: all but tidy; environment: FUZZ_SECONDS, JOBS
set -u
cd "$(dirname "$0")/.." || exit 1
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN)}
[ $# -gt 0 ] || set -- asan-ubsan check tsan fuzz
results=build/results
rm -rf "$results"
mkdir -p "$results"

# run PRESET CTEST-ARGUMENTS...: builds a preset and runs its tests; a build that fails leaves no result, which counts as a failure.
run() {
	preset=$1
	shift
	started=$(date +%s)
	echo "=== $preset: build"
	if ! cmake --preset "$preset" >"$results/$preset.configure.log" 2>&1; then
		cat "$results/$preset.configure.log"
		return
	fi
	if ! cmake --build --preset "$preset" -j "$jobs" >"$results/$preset.build.log" 2>&1; then
		grep -v '^\[[0-9]*/[0-9]*\] ' "$results/$preset.build.log" | head -200
		return
	fi
	built=$(date +%s)
	echo "=== $preset: test (built in $((built - started)) s)"
	ctest --test-dir "build/$preset" -j "$jobs" --output-junit "$PWD/$results/$preset.xml" \
		--test-output-size-passed 8000000 --test-output-size-failed 8000000 "$@"
	echo "=== $preset: tested in $(($(date +%s) - built)) s"
}

# clang-tidy over everything that is not a test; one case a file.
tidy() {
	echo "=== tidy"
	cmake --preset debug >"$results/tidy.configure.log" 2>&1 || { cat "$results/tidy.configure.log"; return; }
	started=$(date +%s)
	find src cmd examples -name "*.c" ! -path "*/backend/kqueue.c" -print0 |
		xargs -0 -P "$jobs" -n 1 sh tools/tidy_one.sh build/debug >"$results/tidy.log" 2>&1
	grep -v '^TIDY-OK ' "$results/tidy.log"
	{
		echo '<testsuite name="tidy">'
		sed -n 's|^TIDY-OK \(.*\)|<testcase name="\1" status="run" time="0"/>|p
			s|^TIDY-FAILED \(.*\)|<testcase name="\1" status="fail" time="0"/>|p' "$results/tidy.log"
		echo '</testsuite>'
	} >"$results/tidy.xml"
	echo "=== tidy: $(($(date +%s) - started)) s"
}

files=
for stage in "$@"; do
	files="$files $results/$stage.xml"
	case $stage in
	tidy) tidy ;;
	asan-ubsan) run asan-ubsan ;;
	check) run check ;;
	tsan) run tsan ;;
	fuzz) run fuzz ;;
	*) echo "check.sh: unknown stage '$stage'" >&2; exit 2 ;;
	esac
done
# shellcheck disable=SC2086  # a list
exec python3 tools/summary.py $files
