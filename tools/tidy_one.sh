#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs clang-tidy on one file and says in one line how it went. Usage: tidy_one.sh BUILD FILE. Called by check.sh.
if report=$(clang-tidy -p "$1" --quiet --warnings-as-errors='*' "$2" 2>/dev/null); then
	echo "TIDY-OK $2"
else
	printf '%s\nTIDY-FAILED %s\n' "$report" "$2"
fi
