#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# summary_test.py - shows that summary.py counts what it should and lets nothing vanish. Run by CTest.
import contextlib
import io
import os
import sys
import tempfile
from xml.sax.saxutils import escape

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import summary  # noqa: E402

CMOCKA = """[==========] Running 3 test(s).
[ RUN      ] test_a
[       OK ] test_a on io_uring
[ RUN      ] test_b
[  FAILED  ] test_b on epoll
[ RUN      ] test_c
SKIP: no io_uring here
[  SKIPPED ] test_c
[==========] 3 test(s) run.
[  PASSED  ] 1 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] test_c
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] test_b on epoll
"""
CRASH = "[ RUN      ] test_a\n[       OK ] test_a\n[ RUN      ] test_b\n==1==ERROR: AddressSanitizer: heap-use-after-free\n"
PYTHON = "ok a\nSKIP  b: no seccomp\n2 passed, 0 failed, 1 skipped\n"

# name, JUnit status, output, <skipped> message, expected (passed, failed, skipped), text that must be shown
SAMPLES = [
    ("cmocka with one of each", "fail", CMOCKA, None, (1, 1, 1), "SKIPPED run: sample: test_c: no io_uring here"),
    ("crash in the middle", "fail", CRASH, None, (1, 1, 0), "heap-use-after-free"),
    ("python totals", "run", PYTHON, None, (2, 0, 1), "SKIPPED run: sample: b: no seccomp"),
    ("python totals but exit status 1", "fail", PYTHON, None, (2, 1, 1), "FAILED: run: sample"),
    ("no count at all", "run", "fine\n", None, (1, 0, 0), "1 passed"),
    ("timeout", "fail", "", None, (0, 1, 0), "FAILED: run: sample"),
    ("whole program skipped", "notrun", "SKIP: needs root\n", "SKIP_RETURN_CODE=77", (0, 0, 1), "needs root"),
    ("program not built", "notrun", "", "Unable to find executable", (0, 1, 0), "Unable to find executable"),
    ("skip without a reason", "run", "1 passed, 0 failed, 2 skipped\n", None, (1, 0, 2), "no reason given"),
]


def run_summary(paths):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = summary.main(paths)
    return status, out.getvalue()


def check(name, status, text, expected, shown):
    last = "{} passed, {} failed, {} skipped".format(*expected)
    problems = []
    if text.splitlines()[-1] != last:
        problems.append(f"last line {text.splitlines()[-1]!r}, expected {last!r}")
    if status != (1 if expected[1] else 0):
        problems.append(f"exit status {status}")
    if shown not in text:
        problems.append(f"{shown!r} is not shown")
    for problem in problems:
        print(f"FAIL {name}: {problem}")
    return not problems


def main():
    results = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.xml")
        for name, status, output, message, expected, shown in SAMPLES:
            skipped = f'<skipped message="{escape(message)}"/>' if message else ""
            with open(path, "w", encoding="utf-8") as file:
                file.write(f'<testsuite><testcase name="sample" status="{status}" time="1.5">{skipped}'
                           f"<system-out>{escape(output)}</system-out></testcase></testsuite>")
            results.append(check(name, *run_summary([path]), expected, shown))
        results.append(check("missing file", *run_summary([path + "x"]), (0, 1, 0), "no result"))
        with open(path, "w", encoding="utf-8") as file:
            file.write("<testsuite></testsuite>")
        results.append(check("empty run", *run_summary([path]), (0, 1, 0), "no test was found"))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
