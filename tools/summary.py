#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# summary.py - adds up the single cases of every test program of one or more CTest runs, from their JUnit files, and ends
# with the line "N passed, N failed, N skipped". Called by tools/check.sh. Invariant: a CTest entry that failed, did not run or
# printed nothing to count adds at least one case of that kind, so nothing vanishes; exit status 1 when anything failed.
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

TOTALS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
SKIP = re.compile(r"^\s*SKIP\b[: ]*(.*)$", re.MULTILINE)
TAIL_LINES = 60


class Entry:
    """One CTest entry: how many cases of each kind, and the reasons of the skipped ones."""

    def __init__(self, name, passed, failed, skips, output, seconds):
        self.name, self.passed, self.failed, self.skips = name, passed, failed, skips
        self.output, self.seconds = output, seconds


def cmocka_cases(output):
    """Passed count, failed names and skipped names of a cmocka program; its lines may come in any order."""
    passed, failed, skipped = 0, [], []
    for match in re.finditer(r"^\[ +(OK|FAILED|SKIPPED|ERROR) +\] (?!\d+ test\(s\)|---)(.+)$", output, re.MULTILINE):
        word, name = match.groups()
        if word == "OK":
            passed += 1
        elif word == "SKIPPED":
            skipped.append(name)
        else:
            failed.append(name)
    return passed, sorted(set(failed)), sorted(set(skipped))


def read_case(case, run):
    """An Entry from one <testcase> of a JUnit file."""
    output = case.findtext("system-out") or ""
    status = case.get("status")
    name = f"{run}: {case.get('name')}"
    seconds = float(case.get("time") or 0)
    reasons = [reason for reason in SKIP.findall(output) if reason]
    totals = TOTALS.findall(output)
    if totals:
        passed, failed, skipped = (int(number) for number in totals[-1])
        skips = (reasons + ["no reason given"] * skipped)[:skipped]
    else:
        passed, failed_names, skipped_names = cmocka_cases(output)
        failed = len(failed_names)
        skips = [f"{skipped}: {reasons[i] if i < len(reasons) else 'no reason given'}"
                 for i, skipped in enumerate(skipped_names)]
    if status in ("notrun", "disabled"):
        skipped = case.find("skipped")
        reason = skipped.get("message") if skipped is not None else None
        if reason and reason.startswith("SKIP_RETURN_CODE") or reason == "Disabled":
            skips = skips or [(reasons or [output.strip().splitlines()[-1] if output.strip() else reason])[0]]
        else:
            failed = max(failed, 1)  # "Unable to find executable" and the like is not a skip
            output += f"\n{reason}"
    elif status != "run":
        failed = max(failed, 1)
    elif passed + failed + len(skips) == 0:
        passed = 1
    return Entry(name, passed, failed, skips, output, seconds)


def read_run(path):
    """All entries of one JUnit file; a file that is missing or empty is a failure of its own."""
    run = os.path.splitext(os.path.basename(path))[0]
    try:
        cases = ElementTree.parse(path).getroot().findall("testcase")
    except (OSError, ElementTree.ParseError) as error:
        return [Entry(run, 0, 1, [], f"no result: {error}", 0.0)]
    if not cases:
        return [Entry(run, 0, 1, [], "no test was found", 0.0)]
    return [read_case(case, run) for case in cases]


def tail(text):
    lines = text.rstrip().splitlines()
    dropped = len(lines) - TAIL_LINES
    return ([f"... {dropped} lines before"] if dropped > 0 else []) + lines[-TAIL_LINES:]


def main(paths):
    entries = [entry for path in paths for entry in read_run(path)]
    print(f"\n=== {len(entries)} test programs; the slowest:")
    for entry in sorted(entries, key=lambda entry: -entry.seconds)[:8]:
        print(f"  {entry.seconds:7.1f} s  {entry.name}")
    skipped = [(entry.name, reason) for entry in entries for reason in entry.skips]
    if skipped:
        print(f"\n=== SKIPPED: {len(skipped)}")
        for name, reason in skipped:
            print(f"  SKIPPED {name}: {reason}")
    failures = [entry for entry in entries if entry.failed]
    for entry in failures:
        print(f"\n=== FAILED: {entry.name} ({entry.failed})")
        print("\n".join("  " + line for line in tail(entry.output)))
    if failures:
        print("\n=== FAILED: " + ", ".join(entry.name for entry in failures))
    passed, failed = sum(entry.passed for entry in entries), sum(entry.failed for entry in entries)
    print(f"\n{passed} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: summary.py JUNIT.xml ...")
    sys.exit(main(sys.argv[1:]))
