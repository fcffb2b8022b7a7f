#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# static.py - what a file costs: CPU time and system calls of the program peregrine on io_uring and epoll, of nginx, of h2o,
# and for short files of the server that parses nothing. The same files for all. docs/benchmarks.md says how to read it.
import os
import re
import sys
import tempfile

import compare
import contenders
import page
from harness import Failure, Load, Server, SyscallCounter, fetch, wrk

SMALL, LARGE, HUGE = 6150, 128 << 10, 1 << 30
ACCEPT_ENCODING = "Accept-Encoding: gzip, deflate, br, zstd\r\n"
BASES = ["floor", "nginx", "h2o"]

# name: (what it is, path or None for the page, connections, {server: what ours may cost of it at most})
SCENARIOS = {
    "file6k": (f"a file of {SMALL:,} bytes, 64 connections", "/small.bin", 64, {"h2o": 0.80, "nginx": 0.55}),
    "file6k1000": (f"a file of {SMALL:,} bytes, 1,000 connections", "/small.bin", 1000, {"h2o": 0.80, "nginx": 0.55}),
    "file128k": ("a file of 128 KiB, 64 connections", "/large.bin", 64, {"h2o": 0.90, "nginx": 0.90}),
    "page": ("the 20 files of a page in turn, compressed where there is a sibling, 64 connections", None, 64,
             {"h2o": 1.0, "nginx": 1.0}),
    "file1g": ("a file of 1 GiB, one connection", "/huge.bin", 1, {}),
}


def files_make(root, scenarios):
    """The files, and the paths of the page."""
    for name, size in (("small.bin", SMALL), ("large.bin", LARGE)):
        with open(os.path.join(root, name), "wb") as file:
            file.write(os.urandom(size))
    if "file1g" in scenarios:  # a hole, but in the page cache it is as large as any other
        with open(os.path.join(root, "huge.bin"), "wb") as file:
            file.truncate(HUGE)
            os.posix_fadvise(file.fileno(), 0, HUGE, os.POSIX_FADV_WILLNEED)
    return page.page_make(root) if "page" in scenarios else []


def makers_of(options, folder, root):
    nginx = {"nginx": contenders.nginx(folder, root, compressed=True),
             "nginx-opens": contenders.nginx(folder, root, compressed=True, open_files=False),
             "nginx-push": contenders.nginx(folder, root, compressed=True, nopush=False)}
    ours = {backend: contenders.peregrine(options.bin, backend, root) for backend in compare.OURS}
    return compare.chosen(options, {**ours, **nginx, "h2o": contenders.h2o(folder, root)})


def file_bytes(root, path, suffix=""):
    with open(root + path + suffix, "rb") as file:
        return file.read()


def answer_split(answer):
    """(coding or identity, body) of a whole answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    coding = re.search(rb"\r\ncontent-encoding: *([^\r]+)", head, re.IGNORECASE)
    return coding.group(1).decode() if coding else "identity", body


def page_check(server, root, paths):
    """None, or what is wrong with the page; says which codings it comes in."""
    codings = {}
    total = 0
    for path in paths:
        status, answer = fetch(server.port, path, fields=ACCEPT_ENCODING)
        coding, body = answer_split(answer)
        if status != 200 or body != file_bytes(root, path, page.ENCODINGS.get(coding, "")):
            return f"{path} is answered with {status} and {len(body)} bytes, {coding}"
        codings[coding] = codings.get(coding, 0) + 1
        total += len(body)
    print(f"  {server.name} sends {total / len(paths) / 1024:.1f} KiB per file: "
          + ", ".join(f"{count} {coding}" for coding, count in sorted(codings.items())))
    return None


def file_check(server, root, path):
    if path == "/huge.bin":
        return None  # the load sees enough of it
    status, answer = fetch(server.port, path, fields=ACCEPT_ENCODING)
    is_same = status == 200 and answer_split(answer) == ("identity", file_bytes(root, path))
    return None if is_same else f"{path} is answered with {status} and other bytes"


def floor_start(options, servers, path, folder):
    """A floor that gives the answer of the first server."""
    files = []
    for number, close in enumerate((False, True)):
        files.append(os.path.join(folder, f"answer{number}"))
        with open(files[-1], "wb") as file:
            file.write(fetch(next(iter(servers.values())).port, path, close=close)[1])
    return Server("floor", contenders.floor(options.bin, files), options.server_cpu)


def scenario_run(options, scenario, makers, place, counter):
    """{server: figures}. place: (folder for passing files, root of the servers, paths of the page)."""
    text, path, connections, wanted = SCENARIOS[scenario]
    folder, root, paths = place
    print(f"{scenario}: {text}")
    servers = compare.servers_start(options, makers, lambda server: file_check(server, root, path) if path else
                                    page_check(server, root, paths))
    if not servers:
        return {}
    words = ["1", "0"]
    try:
        if path == "/small.bin":
            servers = {"floor": floor_start(options, servers, path, folder), **servers}
    except BaseException:
        compare.servers_stop(servers)
        raise
    if path is None:
        words.append(os.path.join(folder, "paths"))
        with open(words[-1], "w", encoding="ascii") as file:
            file.writelines(one + "\n" for one in paths)
    unit = "MiB" if path == "/huge.bin" else "request"
    loads = {name: Load(server, options.load_cpu, wrk(server, path or "/", connections, words=words), unit)
             for name, server in servers.items()}
    figures = compare.compare(options, servers, loads, counter, BASES, [("nginx", "nginx-opens")])
    compare.table_print(figures, BASES, unit)
    compare.wanted_print(figures, wanted)
    return figures


def main():
    parser = compare.parser_make("CPU time and system calls per file that is served.", SCENARIOS, "bench-static.json")
    options = compare.options_read(parser, ("peregrine", "floor"))
    result = {"machine": compare.machine(options), "scenarios": {}}
    scenarios = options.scenario or list(SCENARIOS)
    with tempfile.TemporaryDirectory(prefix="peregrine-bench-") as folder:
        root = os.path.join(folder, "root")
        os.mkdir(root)
        paths = files_make(root, scenarios)
        counter = SyscallCounter(folder)
        makers = makers_of(options, folder, root)
        for scenario in scenarios:
            result["scenarios"][scenario] = scenario_run(options, scenario, makers, (folder, root, paths), counter)
    compare.result_write(options, result)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
