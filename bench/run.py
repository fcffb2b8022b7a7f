#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py - what a request costs: CPU time and system calls of Peregrine on io_uring and epoll, of nginx, and of a server
# that parses nothing (floor.c, ratio 1.00). The server has one core, the load (wrk) another; the servers take turns, and
# medians of several rounds are printed. Run by 'make bench'; docs/benchmarks.md says how to read the figures.
import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile

from harness import Failure, Load, Server, SyscallCounter, fetch, nginx_server, processes_raise_limit

HERE = os.path.dirname(os.path.abspath(__file__))
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


def options_parse():
    parser = argparse.ArgumentParser(description="CPU time and system calls per request, as ratios to a floor.")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of which the median counts (default 7)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement (default 2)")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 second: a sanity check, no figures to quote")
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="only this one; may be repeated")
    parser.add_argument("--server", action="append", help="only this one besides floor; may be repeated")
    parser.add_argument("--cmd", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more server: a command in which {port} stands for the port to listen on; "
                             "serves /pipeline and /bytes/6150, or another path by --path")
    parser.add_argument("--path", help="one path for every scenario and server, for example / with --cmd")
    parser.add_argument("--bin", default=os.path.join(HERE, "..", "build", "release", "bin"),
                        help="where arena and floor are (default build/release/bin)")
    parser.add_argument("--json", default=os.path.join(HERE, "..", "build", "bench.json"), help="where the figures go")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=1)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 3, 1
    return options


def contenders(options, folder):
    """{name: function(port) -> command} in the order of the table; floor is started by itself."""
    arena = os.path.join(options.bin, "arena")
    found = {}
    for backend in ("io_uring", "epoll"):
        found[backend] = lambda port, backend=backend: [arena, "--port", str(port), "--workers", "1", "--stats",
                                                        "--backend", backend]
    pages = {"/pipeline": b"ok", f"/bytes/{BODY_BYTES}": b"x" * BODY_BYTES}
    nginx = nginx_server(folder, {options.path: b"ok"} if options.path else pages)
    if nginx:
        found["nginx"] = nginx
    for text in options.cmd:
        name, _, command = text.partition("=")
        if not command:
            raise Failure(f"--cmd {text}: NAME=COMMAND is wanted")
        found[name] = lambda port, command=command: command.replace("{port}", str(port)).split()
    if options.server:
        found = {name: make for name, make in found.items() if name in options.server}
    return found


def servers_start(options, scenario, makers, folder):
    """{name: Server}: all that can serve the scenario, floor first, which answers with the bytes of the first of them."""
    path = options.path or SCENARIOS[scenario][1]
    servers = {}
    try:
        for name, make in makers.items():
            server = Server(name, make, options.server_cpu)
            status, answer = fetch(server.port, path)
            if status == 200:
                servers[name] = server
            else:
                print(f"  {name}: {path} is answered with {status}; left out")
                server.stop()
        if not servers:
            return {}
        files = []
        for number, close in enumerate((False, True)):
            files.append(os.path.join(folder, f"answer{number}"))
            with open(files[-1], "wb") as file:
                file.write(fetch(next(iter(servers.values())).port, path, close=close)[1])
        floor = os.path.join(options.bin, "floor")
        return {"floor": Server("floor", lambda port: [floor, str(port), *files], options.server_cpu), **servers}
    except Exception:
        servers_stop(servers)
        raise


def servers_stop(servers):
    for server in servers.values():
        server.stop()


def progress(text):
    """A line that the next one overwrites; for people only."""
    if sys.stderr.isatty():
        print(f"\r{text:40}\r", end="", file=sys.stderr, flush=True)


def scenario_run(options, scenario, makers, folder, counter):
    """{server: figures} of one scenario."""
    _, path, connections, depth, every = SCENARIOS[scenario]
    path = options.path or path
    servers = servers_start(options, scenario, makers, folder)
    rounds = {name: [] for name in servers}
    figures = {}
    try:
        loads = {name: Load(server, path, connections, depth, every, options.load_cpu)
                 for name, server in servers.items()}
        for load in loads.values():
            load.run(1)  # warm caches, grown tables
        order = list(servers)
        for number in range(options.rounds):
            order = order[1:] + order[:1]  # nobody is always the first, or always behind the same one
            for name in order:
                rounds[name].append(loads[name].run(options.seconds))
            progress(f"  round {number + 1} of {options.rounds}")
        progress("")
        for name, server in servers.items():
            figures[name] = figures_of(rounds[name], rounds["floor"])
            figures[name]["syscalls"] = counter.per_request(server, loads[name])
    finally:
        servers_stop(servers)
    for name, server in servers.items():
        if figures[name]["syscalls"] is None:
            figures[name]["syscalls"] = server.own_syscalls_per_request()
    return figures


def figures_of(mine, floors):
    ratios = [one["cpu_us"] / floor["cpu_us"] for one, floor in zip(mine, floors)]
    median = {key: statistics.median(one[key] for one in mine) for key in ("cpu_us", "rps", "p50_us", "p99_us")}
    return {**median, "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
            "errors": sum(one["errors"] for one in mine), "rounds": mine}


def scenario_print(figures):
    print(f"  {'server':12}{'CPU/request':>12}{'ratio':>8}{'(from':>9}{'to)':>7}{'syscalls':>10}{'requests/s':>12}"
          f"{'p50 us':>9}{'p99 us':>9}")
    for name, one in figures.items():
        syscalls = "-" if one["syscalls"] is None else f"{one['syscalls']:.3f}"
        errors = f"   {one['errors']} errors!" if one["errors"] else ""
        print(f"  {name:12}{one['cpu_us']:>9.3f} us{one['ratio']:>8.2f}{one['ratio_min']:>9.2f}{one['ratio_max']:>7.2f}"
              f"{syscalls:>10}{one['rps']:>12,.0f}{one['p50_us']:>9.0f}{round(one['p99_us']) or '-':>9}{errors}")
    print(flush=True)


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


def machine(options):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "kernel": platform.release(), "cpu": models[0] if models else platform.machine(),
            "cpus": os.cpu_count(), "rounds": options.rounds, "seconds": options.seconds}


def main():
    options = options_parse()
    processes_raise_limit()
    if not {options.server_cpu, options.load_cpu} <= os.sched_getaffinity(0):
        raise Failure(f"CPUs {options.server_cpu} and {options.load_cpu} are wanted: --server-cpu, --load-cpu")
    for program in ("arena", "floor"):
        if not os.access(os.path.join(options.bin, program), os.X_OK):
            raise Failure(f"no {program} in {options.bin}: run 'make build' first, or say --bin")
    result = {"machine": machine(options), "scenarios": {}}
    print(f"{result['machine']['cpu']}, Linux {result['machine']['kernel']}; server on CPU {options.server_cpu}, "
          f"load on CPU {options.load_cpu}; medians of {options.rounds} rounds of {options.seconds} s\n")
    if os.getloadavg()[0] > 0.7:
        print(f"this machine is busy (load {os.getloadavg()[0]:.1f}): take no figure seriously\n")
    with tempfile.TemporaryDirectory(prefix="peregrine-bench-") as folder:
        counter = SyscallCounter(folder)
        makers = contenders(options, folder)
        for scenario in options.scenario or SCENARIOS:
            print(f"{scenario}: {SCENARIOS[scenario][0]}")
            result["scenarios"][scenario] = scenario_run(options, scenario, makers, folder, counter)
            scenario_print(result["scenarios"][scenario])
        result["idle"] = idle_run(options, makers, counter)
    os.makedirs(os.path.dirname(os.path.abspath(options.json)), exist_ok=True)
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    print(f"figures: {os.path.normpath(options.json)}")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
