#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# lint_test.py - shows that every rule of lint.py can fail: each sample is a small tree with one mistake, which must be found,
# or without one, in which nothing must be found. Run by CTest and 'make lint'.
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint  # noqa: E402

SPDX = "/* SPDX-License-Identifier: MIT */\n"
HEAD = SPDX + "/* sample.c - a sample. */\n"
OPEN_END = "TO" + "DO"


def function(lines):
    return "static void f(void)\n{\n" + "\tx();\n" * lines + "}\n"


def guarded(name, body=""):
    return SPDX + f"/* {name} - a sample. */\n#ifndef {name}\n#define {name}\n\n{body}\n#endif\n"


# path, text, a part of the expected message (None: nothing may be found)
SAMPLES = [
    # layers
    ("src/base/a.c", HEAD + '#include "base/base.h"\n', None),
    ("src/base/a.c", HEAD + '#include "core/conn.h"\n', "which base does not enter"),
    ("src/base/a.c", HEAD + '#include "backend/backend.h"\n', "which base does not enter"),
    ("src/backend/a.c", HEAD + '#include "core/conn.h"\n', "which backend does not enter"),
    ("src/http/h1_parse.c", HEAD + '#include "core/conn.h"\n', "which codec does not enter"),
    ("src/http/h1_parse.c", HEAD + '#include "http/req.h"\n', "which codec does not enter"),
    ("src/http/h1_parse_impl.h", HEAD + '#include "http/req.h"\n', "which codec does not enter"),
    ("src/core/conn.c", HEAD + '#include "http/h1.h"\n', "which core does not enter"),
    ("src/core/conn.c", HEAD + '#include "http/h1_parse.h"\n', "which core does not enter"),
    ("src/core/conn.c", HEAD + '#include "core/proxy.h"\n#include "backend/backend.h"\n', None),
    ("src/core/proxy.c", HEAD + '#include "core/conn.h"\n', "which codec does not enter"),
    ("src/http/h1.c", HEAD + '#include "core/conn.h"\n#include "http/h1_parse.h"\n', None),
    ("src/http/h1.c", HEAD + '#include "ws/ws.h"\n', "which http does not enter"),
    ("src/http/h1.c", HEAD + '#include "backend/backend.h"\n', "which http does not enter"),
    ("src/ws/ws.c", HEAD + '#include "http/h1.h"\n', "which ws does not enter"),
    ("src/ws/accept.c", HEAD + '#include "http/h1.h"\n#include "ws/ws.h"\n', None),
    ("src/ws/accept.c", HEAD + '#include "http/resp.h"\n', "which ws_upgrade does not enter"),
    ("src/ws/handshake.c", HEAD + '#include "tls/digest.h"\n', None),
    ("src/ws/handshake.c", HEAD + '#include "tls/tls.h"\n', "which codec does not enter"),
    ("src/services/static.c", HEAD + '#include "core/conn.h"\n', "which services does not enter"),
    ("src/services/static.c", HEAD + '#include "http/req.h"\n#include "http/path.h"\n', None),
    ("src/http/path.c", HEAD + '#include "http/req.h"\n', "which codec does not enter"),
    ("src/server.c", HEAD + '#include "http/h1.h"\n#include "core/worker.h"\n', None),
    ("src/core/a.c", HEAD + '#include "peregrine/types.h"\n', "public headers are included with <>"),
    ("src/backend/io_uring_ring.c", HEAD + "#include <liburing.h>\n", None),
    ("src/backend/epoll.c", HEAD + "#include <liburing.h>\n", "belongs to src/backend/*uring*"),
    ("src/core/conn.c", HEAD + "#include <liburing/io_uring.h>\n", "belongs to src/backend/*uring*"),
    ("src/core/conn.c", HEAD + "#include <openssl/ssl.h>\n", "belongs to src/tls/"),
    ("src/tls/tls.c", HEAD + "#include <openssl/ssl.h>\n", None),
    ("src/core/conn.c", HEAD + "#include <sys/socket.h>\n", "belongs to src/backend/ and src/base/addr*"),
    ("src/core/conn.c", HEAD + "#include <netinet/tcp.h>\n", "belongs to src/backend/ and src/base/addr*"),
    ("src/base/addr.c", HEAD + "#include <sys/socket.h>\n", None),
    ("src/base/mem.c", HEAD + "#include <sys/epoll.h>\n", "belongs to src/backend/ and src/base/addr*"),
    ("include/peregrine/a.h", guarded("A_H", '#include "base/base.h"'), "only public and system headers"),
    ("cmd/peregrine/main.c", HEAD + '#include "base/base.h"\n', "sees public headers only"),
    ("cmd/peregrine/main.c", HEAD + '#include "options.h"\n', None),
    ("examples/hello.c", HEAD + '#include "base/base.h"\n', "sees public headers only"),
    ("bench/floor.c", HEAD + '#include "base/base.h"\n', "sees public headers only"),
    ("bench/parse_bench.c", HEAD + '#include "base/base.h"\n', None),
    # functions
    ("src/core/a.c", HEAD + "\tp = malloc(3);\n", "malloc()"),
    ("src/core/a.c", HEAD + "\tfree(p);\n", "free()"),
    ("src/core/a.c", HEAD + "\treturn calloc(1, 2);\n", "calloc()"),
    ("src/core/a.c", HEAD + "\tpool->free(p);\n\tper__free(p);\n", None),
    ("src/core/a.c", HEAD + "\t/* malloc(3) */\n\tx(\"malloc(3)\");\n", None),
    ("src/base/mem.c", HEAD + "\tp = malloc(3);\n", None),
    ("tests/unit/a_test.c", HEAD + "\tp = malloc(3);\n", None),
    ("tests/unit/a_test.c", HEAD + "\tstrcpy(a, b);\n", "strcpy()"),
    ("cmd/peregrine/main.c", HEAD + "\tsprintf(a, b);\n", "sprintf()"),
    ("cmd/peregrine/main.c", HEAD + "\tn = atoi(b);\n", "atoi()"),
    ("src/core/a.c", HEAD + "\tstrcat(a, b);\n", "strcat()"),
    ("src/core/a.c", HEAD + "\tgets(a);\n", "gets()"),
    ("src/core/a.c", HEAD + "\tp = alloca(3);\n", "alloca()"),
    ("src/core/a.c", HEAD + "\tn = rand();\n", "rand()"),
    ("src/core/a.c", HEAD + "\texit(1);\n", "exit()"),
    ("src/core/a.c", HEAD + "\tif (x)\n\t\tabort();\n", "abort()"),
    ("src/base/assert.c", HEAD + "\tabort();\n", None),
    ("src/core/a.c", HEAD + "\tprintf(x);\n", "printf()"),
    ("src/core/a.c", HEAD + "\tsnprintf(x);\n", None),
    ("src/core/a.c", HEAD + "\tfprintf(stderr, x);\n", "fprintf()"),
    ("src/core/a.c", HEAD + "\tp = getenv(x);\n", "getenv()"),
    ("src/core/a.c", HEAD + "\tp = localtime(x);\n", "localtime()"),
    ("src/core/a.c", HEAD + "\tn = recv(fd, x, 1, 0);\n", "recv()"),
    ("src/core/a.c", HEAD + "\tloop->be->send(loop);\n", None),
    ("src/backend/a.c", HEAD + "\tn = recv(fd, x, 1, 0);\n", None),
    # state
    ("src/core/a.c", HEAD + "static int count;\n", "mutable state"),
    ("src/core/a.c", HEAD + "static struct a *list = 0;\n", "mutable state"),
    ("src/core/a.c", HEAD + "static struct a b, c;\n", "mutable state"),
    ("src/core/a.c", HEAD + "uint64_t table[3];\n", "mutable state"),
    ("src/core/a.c", HEAD + "static _Thread_local int count;\n", "mutable state"),
    ("src/core/a.c", HEAD + "struct a;\nextern int x;\ntypedef int y;\nstatic const int z = 1;\nint f(void);\n", None),
    # lengths
    ("src/core/a.c", HEAD + "\n" * 598, None),
    ("src/core/a.c", HEAD + "\n" * 599, "601 lines in a file"),
    ("tests/unit/a_test.c", HEAD + "\n" * 898, None),
    ("tests/unit/a_test.c", HEAD + "\n" * 899, "901 lines in a file"),
    ("src/core/a.c", HEAD + function(60), None),
    ("src/core/a.c", HEAD + function(61), "61 lines in f()"),
    ("tests/unit/a_test.c", HEAD + function(61), None),
    ("src/core/a.c", HEAD + "\t\t" + "x" * 94 + "\n", None),
    ("src/core/a.c", HEAD + "\t\t" + "x" * 95 + "\n", "111 columns in a line"),
    ("src/core/a.c", HEAD + "int f(void); \n", "space at the end"),
    # first lines, guards
    ("src/core/a.c", "/* a.c */\n", "not the SPDX line"),
    ("src/core/a.c", SPDX + "int f(void);\n", "no comment that introduces"),
    ("tools/a.py", "#!/usr/bin/env python3\n# SPDX-License-Identifier: MIT\n", None),
    ("tools/a.py", "import os\n", "not the SPDX line"),
    ("cmake/a.cmake", "set(x)\n", "not the SPDX line"),
    ("src/core/a.h", guarded("PER_CORE_A_H"), None),
    ("src/core/a.h", HEAD + "int f(void);\n", "no include guard"),
    ("src/core/a.h", HEAD + "#ifndef A_H\n#define B_H\n#endif\n", "no include guard"),
    ("src/core/a.h", guarded("PER_CORE_B_H"), "does not end in A_H"),
    ("src/http/a_parse_impl.h", HEAD + "int f(void);\n", None),
    # text
    ("src/core/a.c", HEAD + f"/* {OPEN_END}: more */\n", OPEN_END),
    ("tools/a.sh", f"# SPDX-License-Identifier: MIT\n# FIX{'ME'} later\n", "FIX" + "ME"),
    ("src/core/a.c", HEAD + "/* caf\u00e9 */\n", "not ASCII"),
    ("src/core/a.c", HEAD + "int f(void);", "no newline at the end"),
]


def findings_of(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return list(lint.check_file(root, path))


def check_sample(path, text, expected):
    """The lines that say what is wrong, none when the sample is judged as expected."""
    with tempfile.TemporaryDirectory() as root:
        # "Is it internal?" is decided by what exists.
        os.makedirs(os.path.join(root, "src/base"))
        with open(os.path.join(root, "src/base/base.h"), "w", encoding="ascii"):
            pass
        findings = findings_of(root, path, text)
    if expected is None:
        return [f"{path}: found {finding!r} in a good sample {text!r}" for finding in findings]
    if not any(expected in finding for finding in findings):
        return [f"{path}: did not find {expected!r} in {text!r}, only {findings}"]
    return []


def check_layout():
    """A badly laid out file is found; without clang-format 14 that is skipped, in words."""
    with tempfile.TemporaryDirectory() as root:
        with open(os.path.join(root, ".clang-format"), "w", encoding="ascii") as file:
            file.write("BasedOnStyle: LLVM\n")
        findings_of(root, "src/a.c", "int  f( void );\n")
        findings, skip = lint.check_layout(root, ["src/a.c"])
    if skip:
        print(f"SKIP {skip}")
    elif len(findings) != 1 or "layout differs" not in findings[0]:
        return [f"layout: {findings}"], 0
    return [], 1 if skip else 0


def main():
    failed = 0
    for sample in SAMPLES:
        problems = check_sample(*sample)
        print("\n".join("FAIL " + problem for problem in problems), end="\n" if problems else "")
        failed += 1 if problems else 0
    problems, skipped = check_layout()
    print("\n".join("FAIL " + problem for problem in problems), end="\n" if problems else "")
    failed += len(problems)
    print(f"{len(SAMPLES) + 1 - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
