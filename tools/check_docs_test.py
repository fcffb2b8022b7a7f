#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# check_docs_test.py - shows that every rule of check_docs.py can fail: each sample is a small tree with one mistake, which must
# be found, or without one, in which nothing must be found. Run by CTest and 'make lint'.
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_docs  # noqa: E402

SPDX = "<!-- SPDX-License-Identifier: MIT -->\n"
CONFIG_H = "typedef struct per_config {\n\t/* the port; a comment */\n\tuint16_t port, *other;\n\tunsigned workers;\n" \
    "\tper_log_fn log;\n} per_config;\ntypedef struct per_listen {\n\tvoid *reserved[6];\n} per_listen;\n" \
    "typedef struct per_handler {\n\tint (*on_request)(per_req *req, void *user);\n\tvoid (*more[8])(void);\n} per_handler;\n"
CONFIG_H = CONFIG_H.replace(", *other", "")
WS_H = "typedef struct per_ws_config {\n\tbool deflate;\n} per_ws_config;\n" \
    "typedef struct per_ws_handler {\n\tvoid *user;\n} per_ws_handler;\n"
CONFIG_C = "#define MOST (7u * 24 * 3600)\n#define APPLY(field, a, b, c, d) \\\n\tx\n" \
    "\tAPPLY(workers, config->workers, 16u << 10, 1,\n\t      MOST);\n"
ROWS = SPDX + "## per_config\n| `port` | | 3000 | |\n| `workers` | threads | 16 KiB | 1 to 604,800 |\n| `log` | | | |\n" \
    "## per_listen\n| `reserved` | | | |\n## per_handler\n| `on_request` | |\n| `more` | |\n" \
    "## per_ws_config\n| `deflate` | | | |\n## per_ws_handler\n| `user` | |\n"
# the structures that no sample is about
OTHERS = [(name, header) for name, header in check_docs.STRUCTS if header not in ("config.h", "ws.h")]


def configuration(rows=ROWS, config_h=CONFIG_H, config_c=CONFIG_C):
    files = {"docs/configuration.md": rows, "include/peregrine/config.h": config_h, "include/peregrine/ws.h": WS_H,
             "src/config.c": config_c}
    for name, header in OTHERS:
        files["docs/configuration.md"] += f"## {name}\n| `x` | |\n"
        path = f"include/peregrine/{header}"
        files[path] = files.get(path, "") + f"typedef struct {name} {{\n\tint x;\n}} {name};\n"
    return files


def header(text):
    return {"include/peregrine/a.h": text}


# rule, files, a part of the expected message (None: nothing may be found)
SAMPLES = [
    (check_docs.rule_first_line, {"a.md": SPDX + "x\n"}, None),
    (check_docs.rule_first_line, {"docs/a.md": "# x\n"}, "docs/a.md:1: the first line is not"),
    (check_docs.rule_first_line, {"build/a.md": "# x\n", ".cache/a.md": "# x\n"}, None),
    # links
    (check_docs.rule_links, {"a.md": "[x](docs/b.md) [y](docs) [z](https://example.org/)\n", "docs/b.md": "[x](../a.md)\n"}, None),
    (check_docs.rule_links, {"docs/b.md": "[x](a.md)\n"}, "docs/b.md:1: a link leads nowhere: a.md"),
    (check_docs.rule_links, {"docs/b.md": "\n| [x](../../a.md) |\n", "a.md": ""}, "docs/b.md:2: a link leads nowhere"),
    (check_docs.rule_links, {"a.md": "```\n[x](b.md)\n```\n`[x](c.md)`\n"}, None),
    (check_docs.rule_links, {"a.md": "# One, `two`\n[x](#one-two) [y](b.md#per_config)\n", "b.md": "## per_config\n"}, None),
    (check_docs.rule_links, {"a.md": "# One\n[x](#two)\n"}, "there is no heading for #two"),
    (check_docs.rule_links, {"a.md": "[x](b.md#one)\n", "b.md": "```\n# one\n```\n"}, "there is no heading for b.md#one"),
    # fields
    (check_docs.rule_fields, configuration(), None),
    (check_docs.rule_fields, configuration(ROWS.replace("| `log` | | | |\n", "")), "per_config.log is missing"),
    (check_docs.rule_fields, configuration(ROWS.replace("on_request", "on_answer")), "per_handler.on_request is missing"),
    (check_docs.rule_fields, configuration(ROWS.replace("on_request", "on_answer")), "per_handler has no member on_answer"),
    (check_docs.rule_fields, configuration(ROWS.replace("`more`", "`mehr`")), "per_handler.more is missing"),
    (check_docs.rule_fields, configuration(ROWS.replace("`deflate`", "deflate")), "per_ws_config.deflate is missing"),
    (check_docs.rule_fields, configuration(config_h=""), "struct per_listen was not found"),
    # bounds
    (check_docs.rule_bounds, configuration(), None),
    (check_docs.rule_bounds, configuration(ROWS.replace("16 KiB", "16 MiB")), "the default of workers is 16384"),
    (check_docs.rule_bounds, configuration(ROWS.replace("1 to ", "2 to ")), "the range of workers has 1 in"),
    (check_docs.rule_bounds, configuration(ROWS.replace("604,800", "604,801")), "the range of workers has 604800"),
    (check_docs.rule_bounds, configuration(config_c=CONFIG_C.replace("16u << 10", "cpus.usable")), None),
    (check_docs.rule_bounds, configuration(config_c="x"), "no APPLY line"),
    # comments
    (check_docs.rule_comments, header("/** Says a. */\nPER_API int a(void);\n"), None),
    (check_docs.rule_comments, header("/**\n * Says.\n *\n * x  y\n */\nPER_API int a(int x,\n\t\t  int y);\nPER_API int b(void);\n"), None),
    (check_docs.rule_comments, header("PER_API int a(void);\n"), "a.h:1: a has no comment"),
    (check_docs.rule_comments, header("/* A line. */\nPER_API int a(void);\n"), "a has no comment"),
    (check_docs.rule_comments, header("/** Says a. */\nPER_API int a(void);\n\nPER_API int b(void);\n"), "a.h:4: b has no comment"),
    (check_docs.rule_comments, header("typedef enum per_a {\n\tB,\n} per_a;\n"), "per_a has no comment"),
    (check_docs.rule_comments, header("/** Says. */\ntypedef struct per_a {\n\tint b;\n} per_a;\n"), None),
    (check_docs.rule_comments, header("typedef struct per_a per_a;\n"), "per_a has no comment"),
    (check_docs.rule_comments, header("typedef void (*per_fn)(void *arg);\n"), "per_fn has no comment"),
]


def check_sample(rule, files, expected):
    """The lines that say what is wrong, none when the sample is judged as expected."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
        findings = list(rule(root))
    if expected is None:
        return [f"{rule.__name__}: found {finding!r} in a good sample {files}" for finding in findings]
    if not any(expected in finding for finding in findings):
        return [f"{rule.__name__}: did not find {expected!r} in {files}, only {findings}"]
    return []


def main():
    failed = 0
    for sample in SAMPLES:
        problems = check_sample(*sample)
        print("\n".join("FAIL " + problem for problem in problems), end="\n" if problems else "")
        failed += 1 if problems else 0
    print(f"{len(SAMPLES) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
