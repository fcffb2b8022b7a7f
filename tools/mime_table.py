#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# mime_table.py - makes src/http/mime_table.h from the system's database of media types (Debian: package media-types).
# Usage: mime_table.py > src/http/mime_table.h; --check compares instead, and is run as a test: what is committed has to be
# what the database of Debian 12 gives. Needs /etc/mime.types; without it the check is skipped, loudly.
import os
import sys

DATABASE = "/etc/mime.types"
HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src", "http", "mime_table.h")
EXTENSION_MAX = 14  # longer ones are no extensions that a file has
COLUMNS = 106

# What the database lacks, has twice, or says in another way than browsers expect.
OWN = {
    "js": "text/javascript",  # RFC 9239 section 6
    "mjs": "text/javascript",
    "cjs": "text/javascript",
    "map": "application/json",  # ECMA-426: source maps
    "jsonld": "application/ld+json",
    "geojson": "application/geo+json",  # RFC 7946
    "webmanifest": "application/manifest+json",  # W3C Web Application Manifest
    "wasm": "application/wasm",  # W3C WebAssembly Web API
    "xml": "application/xml",  # RFC 7303
    "xsl": "application/xslt+xml",
    "rss": "application/rss+xml",
    "atom": "application/atom+xml",  # RFC 4287
    "ico": "image/vnd.microsoft.icon",
    "svg": "image/svg+xml",
    "avif": "image/avif",
    "webp": "image/webp",  # RFC 9649
    "woff": "font/woff",  # RFC 8081
    "woff2": "font/woff2",
    "ttf": "font/ttf",
    "otf": "font/otf",
    "md": "text/markdown",  # RFC 7763
    "yaml": "application/yaml",  # RFC 9512
    "yml": "application/yaml",
    "log": "text/plain",
    "sh": "text/x-sh",
    "ts": "video/mp2t",
    "m4v": "video/mp4",
    "mkv": "video/x-matroska",
    "zst": "application/zstd",  # RFC 8878
    "br": "application/x-brotli",
    "gz": "application/gzip",  # RFC 6713
    "chm": "application/vnd.ms-htmlhelp",
    "pdb": "chemical/x-pdb",
    "tcl": "text/x-tcl",
    "csh": "text/x-csh",
}


def is_text(media_type):
    """Types whose bytes are text, for which UTF-8 is said: without it browsers guess."""
    return media_type.startswith("text/") or media_type in ("application/xml", "application/xhtml+xml")


def database_read():
    """{extension: media type}; the first line that names an extension has it."""
    found = {}
    with open(DATABASE, encoding="utf-8") as file:
        for line in file:
            media_type, *extensions = line.split("#", 1)[0].split() or [""]
            for extension in extensions:
                extension = extension.lower()
                if extension.replace("-", "").replace("_", "").replace("+", "").isalnum() and extension.isascii() \
                        and len(extension) <= EXTENSION_MAX:
                    found.setdefault(extension, media_type)
    return {**found, **OWN}


def wrapped(items):
    """Items as lines of at most COLUMNS, a tab in front."""
    line = ""
    for item in items:
        if line and len(line) + len(item) + 1 > COLUMNS - 8:
            yield "\t" + line
            line = ""
        line += (" " if line else "") + item
    yield "\t" + line


def table():
    known = database_read()
    types = sorted(set(known.values()))
    index = {media_type: number for number, media_type in enumerate(types)}
    values = [f'"{one}; charset=utf-8",' if is_text(one) else f'"{one}",' for one in types]
    entries = [f'{{ "{extension}", {index[known[extension]]} }},' for extension in sorted(known)]
    return "\n".join([
        "/* SPDX-License-Identifier: MIT */",
        "/*",
        " * mime_table.h - which media type an extension says. Made by tools/mime_table.py; do not edit.",
        " * Included by mime.c only.",
        " */",
        "#ifndef PER_HTTP_MIME_TABLE_H",
        "#define PER_HTTP_MIME_TABLE_H",
        "",
        "#include <stdint.h>",
        "",
        f"#define MIME_EXTENSION_MAX {EXTENSION_MAX}u",
        "",
        "/* clang-format off */",
        "static const char *const mime_types[] = {",
        *wrapped(values),
        "};",
        "",
        "/* In the order of the extensions' bytes. */",
        "static const struct {",
        "\tchar extension[MIME_EXTENSION_MAX + 1];",
        "\tuint16_t type; /* in mime_types */",
        "} mime_extensions[] = {",
        *wrapped(entries),
        "};",
        "/* clang-format on */",
        "",
        "#endif",
        ""])


def check():
    if not os.path.exists(DATABASE):
        print(f"SKIP mime_table: {DATABASE} is not here (Debian: package media-types)\n0 passed, 0 failed, 1 skipped")
        return 77
    with open(HEADER, encoding="utf-8") as file:
        is_same = file.read() == table()
    if not is_same:
        print("src/http/mime_table.h is not what tools/mime_table.py makes of this system's database")
    print(f"{int(is_same)} passed, {int(not is_same)} failed, 0 skipped")
    return 0 if is_same else 1


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(check())
    sys.stdout.write(table())
