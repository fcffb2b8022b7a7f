#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# check_docs.py - checks what the documents promise: links lead somewhere, docs/configuration.md names every field of the public
# structures with the bounds of src/config.c, every public declaration has its comment. Run by CTest and 'make lint';
# check_docs_test.py shows that each rule can fail. Invariant: a rule is a function of a folder that yields "path:line: message".
import os
import re
import sys

SKIPPED_FOLDERS = {"build", "node_modules", "corpus", "__pycache__"}
CONFIGURATION = "docs/configuration.md"
STRUCTS = [("per_config", "config.h"), ("per_listen", "config.h"), ("per_handler", "config.h"),
           ("per_tls_config", "tls.h"), ("per_tls_cert", "tls.h"), ("per_access_log_config", "access_log.h"), ("per_ws_config", "ws.h"), ("per_ws_handler", "ws.h"),
           ("per_static_config", "static.h"), ("per_static_field", "static.h"), ("per_static_type", "static.h"),
           ("per_static_error_page", "static.h")]
# where config.c and per_config call the same setting by different names
RENAMED = {"head_timeout_ns": "head_timeout_ms", "idle_timeout_ns": "idle_timeout_ms", "rate_window_ns": "rate_window_ms",
           "linger_timeout_ns": "linger_timeout_ms", "stop_timeout_ns": "stop_timeout_ms",
           "body_window_bytes_min": "body_rate_min", "write_window_bytes_min": "write_rate_min"}
NAMED_NUMBERS = {"UINT16_MAX": 2**16 - 1, "UINT32_MAX": 2**32 - 1, "INT64_MAX": 2**63 - 1}


def read(root, path):
    try:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def documents(root):
    """Every .md below root, sorted."""
    for where, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS and
                            (not name.startswith(".") or name == ".github"))
        yield from (os.path.relpath(os.path.join(where, name), root) for name in sorted(names) if name.endswith(".md"))


# --- documents ------------------------------------------------------------------------------------------------------


def lines_of_text(text):
    """(number, line) outside of code: fenced blocks are left out, inline code is blanked."""
    in_code = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield number, re.sub(r"`[^`]*`", lambda match: " " * len(match.group(0)), line)


def anchors(text):
    """What '#...' may name in a document: its headings, as GitHub spells them."""
    plain = {number for number, _ in lines_of_text(text)}
    found = set()
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r"#{1,6} +(.*?)\s*$", line) if number in plain else None
        if match:
            found.add(re.sub(r"[^\w\- ]", "", match.group(1).lower()).replace(" ", "-"))
    return found


def rule_first_line(root):
    """The licence, as in every other file."""
    for path in documents(root):
        if not read(root, path).startswith("<!-- SPDX-License-Identifier: MIT -->\n"):
            yield f"{path}:1: the first line is not the SPDX line"


def rule_links(root):
    """Relative links lead to files and headings that exist."""
    for path in documents(root):
        for number, line in lines_of_text(read(root, path)):
            for target in re.findall(r"\]\(([^)\s]+)\)", line):
                if re.match(r"[a-z]+:", target):
                    continue
                where, _, anchor = target.partition("#")
                full = os.path.normpath(os.path.join(os.path.dirname(path), where)) if where else path
                if full.startswith("..") or not os.path.exists(os.path.join(root, full)):
                    yield f"{path}:{number}: a link leads nowhere: {target}"
                elif anchor and full.endswith(".md") and anchor not in anchors(read(root, full)):
                    yield f"{path}:{number}: there is no heading for {target}"


# --- configuration --------------------------------------------------------------------------------------------------


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def struct_fields(text, name):
    """The names of the members of 'typedef struct NAME { ... } NAME;'."""
    match = re.search(rf"typedef struct {name} \{{(.*?)\n\}} {name};", without_comments(text), re.DOTALL)
    fields = []
    for member in (match.group(1) if match else "").split(";"):
        found = re.search(r"\(\*(\w+)(?:\[\w+\])?\)\s*\(", member) or re.search(r"(\w+)\s*(?:\[\w+\])?\s*$", member.rstrip())
        if found:
            fields.append(found.group(1))
    return fields


def document_rows(text):
    """Per section (## name): {field: (line, cells)} of its tables."""
    sections, current = {}, {}
    for number, line in enumerate(text.split("\n"), 1):
        heading = re.match(r"## +(\S.*?)\s*$", line)
        if heading:
            current = sections.setdefault(heading.group(1), {})
        row = re.match(r"\| *`(\w+)` *\|(.*)\|\s*$", line)
        if row:
            current[row.group(1)] = (number, [cell.strip() for cell in row.group(2).split("|")])
    return sections


def rule_fields(root):
    """Every member of a public structure is in its section of the document, and nothing else is."""
    sections = document_rows(read(root, CONFIGURATION))
    for name, header in STRUCTS:
        fields = struct_fields(read(root, f"include/peregrine/{header}"), name)
        if not fields:
            yield f"include/peregrine/{header}:1: struct {name} was not found"
        rows = sections.get(name, {})
        yield from (f"{CONFIGURATION}:1: {name}.{field} is missing" for field in fields if field not in rows)
        yield from (f"{CONFIGURATION}:{rows[row][0]}: {name} has no member {row}" for row in rows if row not in fields)


def number_of(expression):
    """The value of a constant expression of config.c, None when it is none."""
    expression = re.sub(r"\((size_t|uint64_t|uint32_t|unsigned)\)", "", expression)
    expression = re.sub(r"\b(\d+)[uU]?[lL]{0,2}\b", r"\1", expression)
    for name, value in NAMED_NUMBERS.items():
        expression = re.sub(rf"\b{name}\b", str(value), expression)
    if not re.fullmatch(r"[\d\s()*<+]+", expression):
        return None
    return eval(expression, {"__builtins__": {}})  # only digits, * + << and parentheses


def bounds_of(text):
    """{field: (default, min, max)} of the APPLY lines of config.c; None for what is not constant."""
    text = without_comments(text)
    macros = dict(re.findall(r"^#define (\w+) +(\(.*\)|\S+)$", text, re.MULTILINE))
    text = re.sub(r"^#define (?:.*\\\n)*.*$", "", text, flags=re.MULTILINE)
    bounds = {}
    for match in re.finditer(r"\bAPPLY\((.*?)\);", text, re.DOTALL):
        parts = re.split(r",(?![^()]*\))", match.group(1).replace("\n", " "))
        if len(parts) != 5:
            continue
        field, _, *numbers = (macros.get(part.strip(), part.strip()) for part in parts)
        bounds[RENAMED.get(field, field)] = tuple(number_of(number) for number in numbers)
    return bounds


def numbers_in(cell):
    """All numbers of a cell: '16 KiB', '1 to 4,096'."""
    units = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
    found = re.findall(r"(\d[\d,]*)(?: (KiB|MiB|GiB|TiB))?", cell)
    return {int(digits.replace(",", "")) * units.get(unit, 1) for digits, unit in found}


def rule_bounds(root):
    """Defaults and ranges are those of config.c."""
    rows = document_rows(read(root, CONFIGURATION)).get("per_config", {})
    bounds = bounds_of(read(root, "src/config.c"))
    if not bounds:
        yield "src/config.c:1: no APPLY line was found"
    for field, (default, least, most) in bounds.items():
        if field not in rows or len(rows[field][1]) < 3:
            continue
        number, (_, said_default, said_range, *_) = rows[field]
        # a default of 0 with a minimum above it was computed elsewhere
        if default is not None and (default != 0 or least == 0) and default not in numbers_in(said_default):
            yield f"{CONFIGURATION}:{number}: the default of {field} is {default} in src/config.c"
        for bound in (least, most):
            if bound is not None and bound not in numbers_in(said_range):
                yield f"{CONFIGURATION}:{number}: the range of {field} has {bound} in src/config.c"


# --- public headers -------------------------------------------------------------------------------------------------


def rule_comments(root):
    """Each public declaration stands below a '/** ... */', alone or in a group without an empty line."""
    folder = os.path.join(root, "include/peregrine")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        lines = read(root, f"include/peregrine/{name}").split("\n")
        for number, line in enumerate(lines, 1):
            declared = re.match(r"PER_API\b.*?(\w+)\(", line) or re.match(r"typedef\b(?!.*\bstruct \w+ \w+;$).*?(per_\w+)", line) \
                or re.match(r"typedef struct \w+ (\w+);", line)
            if not declared:
                continue
            above = number - 2
            while above >= 0 and (lines[above].startswith("PER_API ") or re.match(r"\t+ +\S.*\);$", lines[above])):
                above -= 1
            begin = above
            while begin > 0 and lines[above].endswith("*/") and not lines[begin].lstrip().startswith("/*"):
                begin -= 1
            if not (lines[above].endswith("*/") and lines[begin].startswith("/**")):
                yield f"include/peregrine/{name}:{number}: {declared.group(1)} has no comment that says what it promises"


RULES = [rule_first_line, rule_links, rule_fields, rule_bounds, rule_comments]


def main(root):
    failed = 0
    for rule in RULES:
        findings = list(rule(root))
        failed += 1 if findings else 0
        print("\n".join(findings), end="\n" if findings else "")
    print(f"{len(RULES) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
