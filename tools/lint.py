#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# lint.py - checks what no compiler checks: who may include whom, functions that are not used here, lengths, first lines,
# include guards, characters, layout. Run by CTest and 'make lint'; lint_test.py shows that each rule can fail.
# Invariant: every rule is one function that yields (line number, message) for one file.
import os
import re
import shutil
import subprocess
import sys

FOLDERS = ("src", "include", "cmd", "examples", "bench", "tests", "fuzz", "tools", "cmake", ".ci")
TOP_FILES = ("CMakeLists.txt", "Makefile", ".clang-tidy")
SKIPPED_FOLDERS = {"corpus", "__pycache__", "build", "data"}
FILE_LINES_MAX, TEST_FILE_LINES_MAX, FUNCTION_LINES_MAX, COLUMNS_MAX, TAB = 600, 900, 60, 110, 8

# --- rooms: docs/architecture.md has the picture --------------------------------------------------------------------

# The first pattern that matches a path (below src/, without ending) names its room.
ROOMS = [
    ("base", r"base/.*"),
    ("backend", r"backend/.*"),
    ("codec", r"http/(\w+_parse\w*|h1_fields|chunked|query|percent|range|cookie|form|multipart|date|etag|mime|mime_table|url"
              r"|path|list|conditional|accept|wants|escape)(_impl)?"),
    ("codec", r"ws/(frame|utf8|handshake|mask|close_code)\w*"),
    ("codec", r"core/proxy"),
    ("codec", r"(hpack|h2_frame)\w*"),
    ("core", r"core/.*"),
    ("tls", r"tls/.*"),
    ("http", r"http/.*"),
    ("ws_upgrade", r"ws/accept"),  # where a request becomes a WebSocket: the one place that knows both
    ("ws", r"ws/.*"),
    ("services", r"services/.*"),
    ("server", r"[^/]+"),
]
# What a room may include of src/; "room:pattern" allows only those headers of a room. Everybody may include <peregrine/>.
MAY_INCLUDE = {
    "base": ["base"],
    "backend": ["base", "backend"],
    "codec": ["base", "codec", "tls:tls/digest"],
    "core": ["base", "backend", "core", "codec:core/proxy", "tls:tls/tls"],
    "tls": ["base", "tls"],
    "http": ["base", "codec", "core", "http"],
    "ws": ["base", "codec", "core", "ws"],
    "ws_upgrade": ["base", "codec", "core", "ws", "http:http/(h1|req)"],
    "services": ["base", "codec", "services", "http:http/(req|resp)"],
    "server": ["base", "backend", "codec", "core", "tls", "http", "ws", "ws_upgrade", "services", "server"],
}
# System headers with a home. Each may be included only by paths (from the top) that match.
SOCKET_HEADERS = (r"sys/(socket|un|epoll|event|eventfd|select)\.h|netinet/.*|netinet6/.*|arpa/.*|netdb\.h|net/.*"
                  r"|linux/(io_uring|net|tcp|in6?)\.h")
HEADER_HOMES = [
    (r"liburing(/.*)?\.h|linux/io_uring\.h", r"src/backend/[^/]*uring[^/]*|bench/.*|tests/.*|fuzz/.*",
     "belongs to src/backend/*uring*"),
    (r"openssl/.*", r"src/tls/.*|tests/.*|fuzz/.*|bench/.*", "belongs to src/tls/"),
    (SOCKET_HEADERS, r"src/backend/.*|src/base/addr[^/]*|(cmd|examples|bench|tests|fuzz)/.*",
     "belongs to src/backend/ and src/base/addr*"),
]


def room_of(path):
    """The room of a path below src/."""
    name = re.sub(r"\.[ch]$", "", path)
    return next(room for room, pattern in ROOMS if re.fullmatch(pattern, name))


def is_allowed(room, included):
    target = room_of(included)
    name = re.sub(r"\.[ch]$", "", included)
    for entry in MAY_INCLUDE[room]:
        allowed, _, pattern = entry.partition(":")
        if allowed == target and (not pattern or re.fullmatch(pattern, name)):
            return True
    return False


INCLUDE = re.compile(r'^\s*#\s*include\s+(<([^>]+)>|"([^"]+)")')


def rule_layers(file):
    """Rooms of src/; the outside sees only public headers; some system headers have a home."""
    for number, line in enumerate(file.lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        system, own = match.group(2), match.group(3)
        for headers, homes, why in HEADER_HOMES:
            if system and re.fullmatch(headers, system) and not re.fullmatch(homes, file.path):
                yield number, f"<{system}> {why}"
        if own is None:
            continue
        if file.path.startswith("src/"):
            room = room_of(file.path[4:])
            if own.startswith("peregrine/"):
                yield number, f'"{own}": public headers are included with <>'
            elif not is_allowed(room, own):
                yield number, f'"{own}" is of the room {room_of(own)}, which {room} does not enter'
        elif file.path.startswith("include/"):
            yield number, f'"{own}": a public header includes only public and system headers'
        elif is_outside(file.path) and os.path.exists(os.path.join(file.root, "src", own)):
            yield number, f'"{own}" is internal; {file.path.split("/")[0]}/ sees public headers only'


def is_outside(path):
    return path.startswith(("cmd/", "examples/")) or (path.startswith("bench/") and not path.endswith("_bench.c"))


# --- functions ------------------------------------------------------------------------------------------------------

# (functions, where it holds, where it does not, why). A call through a member (x->free(y)) is not meant.
BANNED = [
    ("malloc|calloc|realloc|reallocarray|free|strdup|strndup|aligned_alloc|posix_memalign|v?asprintf|mmap|munmap", r"src/.*",
     r"src/base/mem\.c", "memory comes from base/mem.h and pools"),
    ("strcpy|strcat|stpcpy|strncpy|strncat|v?sprintf|gets|strtok|alloca", r".*", r"", "has no bound"),
    ("atoi|atol|atoll|atof", r"(src|cmd)/.*", r"", "hides errors"),
    ("rand|srand|random|drand48|rand_r", r"src/.*", r"", "randomness enters as an argument"),
    ("exit|_exit|_Exit|abort|quick_exit", r"src/.*", r"src/base/assert\.c", "a library does not end the process"),
    ("v?printf|v?fprintf|puts|fputs|putchar|perror|v?dprintf", r"src/.*", r"src/base/assert\.c",
     "a library speaks through the log callback"),
    ("getenv|secure_getenv|setenv|putenv", r"src/.*", r"", "the library reads no environment"),
    ("localtime|gmtime|asctime|ctime|setlocale|signal", r"src/.*", r"", "uses global state"),
    ("socket|bind|listen|accept4?|connect|recv|recvfrom|recvmsg|send|sendto|sendmsg|sendfile|[gs]etsockopt|get(peer|sock)name",
     r"src/.*", r"src/backend/.*|src/base/addr[^/]*", "socket calls belong to src/backend/ and src/base/addr*"),
]


def rule_banned(file):
    """Functions that are not called here. A definition or declaration (a type before the name) is no call."""
    for names, where, where_not, why in BANNED:
        if not re.fullmatch(where, file.path) or re.fullmatch(where_not, file.path):
            continue
        call = re.compile(r"(?<![\w.>])(" + names + r")\s*\(")
        for number, line in enumerate(file.code, 1):
            match = call.search(line)
            if match and not re.search(r"\b(?!return\b|else\b)\w+[ *]+$|\(\*$", line[:match.start()].lstrip()):
                yield number, f"{match.group(1)}(): {why}"


STATE = re.compile(r"(static\s+|_Thread_local\s+|__thread\s+|volatile\s+|_Atomic\s+)*((struct|union|enum|unsigned|long)\s+)*"
                   r"\w+[\s*]+(?P<name>\w+)(\[[^\]]*\])*\s*(=|;|,)")


# What is one per process by nature: path and (first) name.
STATE_ALLOWED = {
    ("src/base/mem.c", "alloc_count"),  # how often this process has allocated; tests read it
    ("src/signals.c", "servers"),  # a signal handler has no argument
    ("src/signals.c", "mutex"),
    ("src/signals.c", "users"),
    ("src/signals.c", "old_int"),
}


def rule_state(file):
    """No mutable variable at file scope in the library."""
    if not file.path.startswith("src/"):
        return
    for number, line in enumerate(file.code, 1):
        match = STATE.match(line)
        if match and not re.match(r"(struct|union|enum) \w+;|(typedef|extern)\b", line) and "const" not in line \
                and (file.path, match.group("name")) not in STATE_ALLOWED:
            yield number, "mutable state at file scope"


# --- lengths --------------------------------------------------------------------------------------------------------


# Made by a tool, and as long as what it is made of.
GENERATED = {"src/http/mime_table.h"}


def rule_lengths(file):
    """Files, functions, lines. Tests may be longer, and their functions are not measured."""
    is_test = file.path.startswith(("tests/", "fuzz/"))
    most = TEST_FILE_LINES_MAX if is_test else FILE_LINES_MAX
    if len(file.lines) > most and file.path not in GENERATED:
        yield most + 1, f"{len(file.lines)} lines in a file; {most} are the most: it has two jobs"
    for number, line in enumerate(file.lines, 1):
        columns = len(line.expandtabs(TAB))
        if columns > COLUMNS_MAX:
            yield number, f"{columns} columns in a line; {COLUMNS_MAX} are the most"
        if line != line.rstrip():
            yield number, "space at the end of the line"
    if is_test:
        return
    for name, start, lines in file.functions():
        if lines > FUNCTION_LINES_MAX:
            yield start, f"{lines} lines in {name}(); {FUNCTION_LINES_MAX} are the most: it has two jobs"


# --- text -----------------------------------------------------------------------------------------------------------


def rule_first_line(file):
    """The licence in the first line (the second after #!), and in C a comment that introduces the file."""
    if file.is_c:
        if not file.lines or file.lines[0] != "/* SPDX-License-Identifier: MIT */":
            yield 1, "the first line is not the SPDX line"
        elif len(file.lines) < 2 or not file.lines[1].startswith("/*"):
            yield 2, "no comment that introduces the file"
    else:
        first = [line for line in file.lines[:2] if not line.startswith("#!")]
        if not first or first[0] != "# SPDX-License-Identifier: MIT":
            yield 1, "the first line is not the SPDX line"


def rule_guard(file):
    """An include guard named after the file. A _impl.h is meant to be included several times."""
    if not file.path.endswith(".h") or file.path.endswith("_impl.h"):
        return
    directives = [line.split() for line in file.code if line.startswith("#")]
    stem = re.sub(r"\W", "_", os.path.basename(file.path)).upper()
    if len(directives) < 3 or directives[0][0] != "#ifndef" or directives[1][:2] != ["#define", directives[0][1]] \
            or directives[-1][0] != "#endif":
        yield 1, "no include guard"
    elif not directives[0][1].endswith(stem):
        yield 1, f"the include guard {directives[0][1]} does not end in {stem}"


def rule_words(file):
    """No notes to oneself: an open end is an issue, not a comment."""
    for number, line in enumerate(file.lines, 1):
        match = re.search(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b", line)
        if match:
            yield number, f"{match.group(1)}: open ends belong to the issue tracker"


def rule_characters(file):
    """ASCII only, so that nothing hides in a source."""
    for number, line in enumerate(file.lines, 1):
        if not line.isascii():
            found = next(character for character in line if not character.isascii())
            yield number, f"a character that is not ASCII: {ascii(found)}, column {line.index(found) + 1}"
    if file.lines and not file.text.endswith("\n"):
        yield len(file.lines), "no newline at the end of the file"


C_RULES = [rule_layers, rule_banned, rule_state, rule_lengths, rule_guard]
ALL_RULES = [rule_first_line, rule_words, rule_characters]

# --- files ----------------------------------------------------------------------------------------------------------

TOKENS = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


class File:
    """One source file; code is its lines without comments and without what strings contain."""

    def __init__(self, root, path):
        self.root, self.path = root, path
        with open(os.path.join(root, path), encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            self.text = file.read()
        self.lines = self.text.split("\n")[:-1] if self.text.endswith("\n") else self.text.split("\n")
        self.is_c = path.endswith((".c", ".h"))
        self.code = TOKENS.sub(self._blank, self.text).split("\n") if self.is_c else []

    @staticmethod
    def _blank(match):
        token = match.group(0)
        return token[0] * 2 if token[0] in "\"'" else " " + "\n" * token.count("\n")

    def functions(self):
        """(name, line, lines of the body) of each function. The layout puts its braces, and only them, in column 0."""
        start = None
        for number, line in enumerate(self.code, 1):
            if line.rstrip() == "{":
                start = number
            elif line.rstrip() == "}" and start is not None:
                head = " ".join(self.code[max(0, start - 6):start - 1])
                names = re.findall(r"(\w+)\s*\(", head.split(";")[-1].split("}")[-1])
                yield (names[0] if names else "?"), start, number - start - 1
                start = None


def find_files(root):
    for folder in FOLDERS:
        for where, folders, names in os.walk(os.path.join(root, folder)):
            folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
            for name in sorted(names):
                path = os.path.relpath(os.path.join(where, name), root)
                if name.endswith((".c", ".h", ".py", ".sh", ".cmake", ".in", ".yml")) or name in ("CMakeLists.txt", "run"):
                    yield path
    yield from (name for name in TOP_FILES if os.path.exists(os.path.join(root, name)))


def check_file(root, path):
    file = File(root, path)
    for rule in (C_RULES + ALL_RULES) if file.is_c else ALL_RULES:
        for number, message in rule(file):
            yield f"{path}:{number}: {message}"


def check_layout(root, paths):
    """(findings, reason why it was not checked or None): conformity to .clang-format, which is made for version 14."""
    program = shutil.which("clang-format-14") or shutil.which("clang-format")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout if program else ""
    if not re.search(r"version 14\.", version):
        return [], f"layout: clang-format 14 is not here (found: {version.strip() or 'none'})"
    run = subprocess.run([program, "--dry-run", "--Werror", *paths], cwd=root, capture_output=True, text=True, check=False)
    found = re.findall(r"^([^\s:]+):(\d+):\d+: error: ", run.stderr, re.MULTILINE)
    first = {}
    for path, line in found:
        first.setdefault(path, line)
    return [f"{path}:{line}: layout differs from .clang-format ('make format')" for path, line in first.items()], None


def main(root):
    files = list(find_files(root))
    findings = [finding for path in files for finding in check_file(root, path)]
    layout, skip = check_layout(root, [path for path in files if path.endswith((".c", ".h"))])
    findings += layout
    print("\n".join(findings + ([f"SKIP {skip}"] if skip else [])))
    bad = {finding.split(":")[0] for finding in findings}
    print(f"{len(files) - len(bad)} passed, {len(bad)} failed, {1 if skip else 0} skipped")
    return 1 if findings or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
