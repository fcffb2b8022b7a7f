#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py - what a request costs: CPU time and system calls of Peregrine on io_uring and epoll, of nginx, and of a server
# that parses nothing (floor.c, ratio 1.00). The server has one core, the load (wrk) another; the servers take turns, and
# medians of several rounds are printed. Run by 'make bench'; docs/benchmarks.md says how to read the figures.
import os
import sys
import tempfile

import compare
import contenders
from harness import HERE, Failure, Load, Server, SyscallCounter, fetch, wrk

BODY_BYTES = 6150

# name: (what it is, path, connections, pipelining depth, Connection: close at every N-th request)
SCENARIOS = {
    "depth1": ("keep-alive, 64 connections, one request at a time, 2-byte body", "/pipeline", 64, 1, 0),
    "depth16": ("keep-alive, 64 connections, 16 requests in the pipe, 2-byte body", "/pipeline", 64, 16, 0),
    "close10": ("64 connections, 10 requests each on average, 2-byte body", "/pipeline", 64, 1, 10),
    "conns512": ("keep-alive, 512 connections, one request at a time, 2-byte body", "/pipeline", 512, 1, 0),
    "body6k": (f"keep-alive, 64 connections, one request at a time, {BODY_BYTES}-byte body",
               f"/bytes/{BODY_BYTES}", 64, 1, 0),
}


def makers_of(options, folder):
    """{name: function(port) -> command} in the order of the table; floor is started by itself."""
    nginx = contenders.nginx(folder, os.path.join(folder, "files"), answers={options.path or "/pipeline": "ok"},
                             nopush=False)
    os.mkdir(os.path.join(folder, "files"))
    os.mkdir(os.path.join(folder, "files", "bytes"))
    with open(os.path.join(folder, "files", "bytes", str(BODY_BYTES)), "wb") as file:
        file.write(b"x" * BODY_BYTES)
    ours = {backend: contenders.arena(options.bin, backend) for backend in compare.OURS}
    return compare.chosen(options, {**ours, "nginx": nginx})


def servers_start(options, path, makers, folder):
    """All that can serve the path, floor first, which answers with the bytes of the first of them."""
    def check(server):
        status = fetch(server.port, path)[0]
        return None if status == 200 else f"{path} is answered with {status}"

    servers = compare.servers_start(options, makers, check)
    if not servers:
        return {}
    try:
        files = []
        for number, close in enumerate((False, True)):
            files.append(os.path.join(folder, f"answer{number}"))
            with open(files[-1], "wb") as file:
                file.write(fetch(next(iter(servers.values())).port, path, close=close)[1])
        return {"floor": Server("floor", contenders.floor(options.bin, files), options.server_cpu), **servers}
    except BaseException:
        compare.servers_stop(servers)
        raise


def scenario_run(options, scenario, makers, folder, counter):
    """{server: figures} of one scenario."""
    text, path, connections, depth, every = SCENARIOS[scenario]
    path = options.path or path
    print(f"{scenario}: {text}")
    servers = servers_start(options, path, makers, folder)
    loads = {name: Load(server, options.load_cpu, wrk(server, path, connections, words=(str(depth), str(every))))
             for name, server in servers.items()}
    figures = compare.compare(options, servers, loads, counter, ["floor"])
    compare.table_print(figures, ["floor"])
    print(flush=True)
    return figures


def idle_run(options, makers, counter):
    """What happens in a second in which 64 clients are connected and silent."""
    print("an idle second with 64 silent connections")
    figures = {}
    for name, make in makers.items():
        server = Server(name, make, options.server_cpu)
        try:
            clients = [fetch(server.port, options.path or "/pipeline", keep=True) for _ in range(64)]
            figures[name] = server.idle_second(counter)
            for client in clients:
                client.close()
        finally:
            server.stop()
        syscalls = figures[name]["syscalls"]
        print(f"  {name:12}{'-' if syscalls is None else syscalls:>6} system calls{figures[name]['wakeups']:>6} wake-ups"
              f"{figures[name]['cpu_us']:>9.1f} us of CPU")
    print(flush=True)
    return figures


def main():
    parser = compare.parser_make("CPU time and system calls per request, as ratios to a floor.", SCENARIOS, "bench.json")
    parser.add_argument("--path", help="one path for every scenario and server, for example / with --cmd")
    options = compare.options_read(parser, ("arena", "floor"))
    result = {"machine": compare.machine(options), "scenarios": {}}
    with tempfile.TemporaryDirectory(prefix="peregrine-bench-") as folder:
        counter = SyscallCounter(folder)
        makers = makers_of(options, folder)
        for scenario in options.scenario or SCENARIOS:
            result["scenarios"][scenario] = scenario_run(options, scenario, makers, folder, counter)
        result["idle"] = idle_run(options, makers, counter)
    compare.result_write(options, result)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
