# SPDX-License-Identifier: MIT
# compare.py - several servers take turns under the same load; medians of the rounds, ratios between servers, the table.
# Called by run.py, static.py and tls.py, which say who is compared in what.
import argparse
import datetime
import json
import os
import platform
import statistics
import sys

from contenders import BIN, other, present
from harness import Failure, Server, processes_raise_limit

OURS = ("io_uring", "epoll")


# --- options --------------------------------------------------------------------------------------------------------


def parser_make(description, scenarios, result):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of which the median counts (default 7)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement (default 2)")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 second: a sanity check, no figures to quote")
    parser.add_argument("--scenario", action="append", choices=list(scenarios), help="only this one; may be repeated")
    parser.add_argument("--server", action="append", help="only this one; may be repeated")
    parser.add_argument("--bin", default=BIN, help="where our programs are (default build/release/bin)")
    parser.add_argument("--json", default=os.path.join(BIN, "..", "..", result), help="where the figures go")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=1)
    parser.add_argument("--cmd", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more server: a command in which {port} stands for the port to listen on")
    return parser


def options_read(parser, programs):
    """The options; the programs are in --bin, and the CPUs are ours."""
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 3, 1
    processes_raise_limit()
    if not {options.server_cpu, options.load_cpu} <= os.sched_getaffinity(0):
        raise Failure(f"CPUs {options.server_cpu} and {options.load_cpu} are wanted: --server-cpu, --load-cpu")
    for program in programs:
        if not os.access(os.path.join(options.bin, program), os.X_OK):
            raise Failure(f"no {program} in {options.bin}: run 'make build' first, or say --bin")
    return options


def chosen(options, makers):
    """The servers of --server and --cmd."""
    makers = present({**makers, **dict(other(text) for text in options.cmd)})
    return {name: make for name, make in makers.items() if not options.server or name in options.server}


def machine(options):
    """What is measured on, printed and for the file."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    cpu = models[0] if models else platform.machine()
    print(f"{cpu}, Linux {platform.release()}; server on CPU {options.server_cpu}, load on CPU {options.load_cpu}; "
          f"medians of {options.rounds} rounds of {options.seconds} s\n")
    if os.getloadavg()[0] > 0.7:
        print(f"this machine is busy (load {os.getloadavg()[0]:.1f}): take no figure seriously\n")
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "kernel": platform.release(), "cpu": cpu, "cpus": os.cpu_count(), "rounds": options.rounds,
            "seconds": options.seconds}


def result_write(options, result):
    os.makedirs(os.path.dirname(os.path.abspath(options.json)), exist_ok=True)
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    print(f"figures: {os.path.normpath(options.json)}")


# --- servers --------------------------------------------------------------------------------------------------------


def servers_start(options, makers, check):
    """{name: Server} of those that pass check(server), which returns None, or what is wrong with it."""
    servers = {}
    try:
        for name, make in makers.items():
            try:
                server = Server(name, make, options.server_cpu)
            except Failure as failure:
                print(f"  {str(failure).splitlines()[0]}; left out")
                continue
            wrong = check(server)
            if wrong is None:
                servers[name] = server
            else:
                print(f"  {name}: {wrong}; left out")
                server.stop()
    except BaseException:
        servers_stop(servers)
        raise
    return servers


def servers_stop(servers):
    for server in servers.values():
        server.stop()


# --- rounds ---------------------------------------------------------------------------------------------------------


def progress(text):
    """A line that the next one overwrites; for people only."""
    if sys.stderr.isatty():
        print(f"\r{text:40}\r", end="", file=sys.stderr, flush=True)


def rounds_run(options, loads):
    """{name: [figures of each round]} of {name: Load}."""
    rounds = {name: [] for name in loads}
    for load in loads.values():
        load.run(1)  # warm caches, grown tables
    order = list(loads)
    for number in range(options.rounds):
        order = order[1:] + order[:1]  # nobody is always the first, or always behind the same one
        for name in order:
            rounds[name].append(loads[name].run(options.seconds))
        progress(f"  round {number + 1} of {options.rounds}")
    progress("")
    return rounds


def figures_of(rounds, bases):
    """{name: medians}, each with its ratio to each base, taken within each round: {base: [median, smallest, largest]}."""
    figures = {}
    for name, mine in rounds.items():
        median = {key: statistics.median(one[key] for one in mine)
                  for key in ("cpu_us", "rps", "busy", "bytes", "p50_us", "p99_us")}
        ratios = {}
        for base in bases:
            if base in rounds:
                each = [one["cpu_us"] / other_one["cpu_us"] for one, other_one in zip(mine, rounds[base])]
                ratios[base] = [statistics.median(each), min(each), max(each)]
        figures[name] = {**median, "ratios": ratios, "errors": sum(one["errors"] for one in mine), "rounds": mine}
    return figures


def better_keep(rounds, servers, loads, name, variant):
    """Of two ways to tune a server the one that costs less stays, under its name."""
    if name not in rounds or variant not in rounds:
        return
    cost = {one: statistics.median(figures["cpu_us"] for figures in rounds[one]) for one in (name, variant)}
    print(f"  {name} is the better one of: {name} {cost[name]:.3f} us, {variant} {cost[variant]:.3f} us")
    if cost[variant] < cost[name]:
        for table in (rounds, servers, loads):
            table[name], table[variant] = table[variant], table[name]
    for table in (rounds, loads):
        del table[variant]
    servers.pop(variant).stop()


def compare(options, servers, loads, counter, bases, variants=()):
    """The figures of {name: Load}. Stops the servers. variants: (name, other name) of a server tuned in two ways."""
    try:
        rounds = rounds_run(options, loads)
        for name, variant in variants:
            better_keep(rounds, servers, loads, name, variant)
        figures = figures_of(rounds, bases)
        for name, server in servers.items():
            figures[name]["syscalls"] = counter.per_request(server, loads[name])
    finally:
        servers_stop(servers)
    for name, server in servers.items():
        if figures[name]["syscalls"] is None:
            figures[name]["syscalls"] = server.own_syscalls_per_request()
    return figures


# --- what is printed ------------------------------------------------------------------------------------------------


def ratio_text(ratio):
    """The median, and how far a round was off it."""
    middle, least, most = ratio
    return f"{middle:.2f} \u00b1{100 * max(most - middle, middle - least) / middle:.0f}%"


def table_print(figures, bases, unit="request"):
    bases = [base for base in bases if base in figures]
    print(f"  {'server':16}{'CPU/' + unit:>12}" + "".join(f"{'to ' + base:>13}" for base in bases) +
          f"{'syscalls':>10}{unit + 's/s':>12}{'busy':>6}{'p50 us':>9}{'p99 us':>9}")
    for name, one in figures.items():
        syscalls = "-" if one["syscalls"] is None else f"{one['syscalls']:.3f}"
        errors = f"   {one['errors']} errors!" if one["errors"] else ""
        each_second = one["busy"] * 1e6 / one["cpu_us"]
        print(f"  {name:16}{one['cpu_us']:>9.3f} us" + "".join(f"{ratio_text(one['ratios'][base]):>13}" for base in bases) +
              f"{syscalls:>10}{each_second:>12,.0f}{one['busy']:>6.0%}{one['p50_us']:>9.0f}"
              f"{round(one['p99_us']) or '-':>9}{errors}")


def wanted_print(figures, wanted):
    """Whether ours cost at most what is wanted of them: {base: ratio}."""
    for name in figures:
        for base, most in wanted.items():
            if name.partition("-")[0] in OURS and base in figures:
                ratio = figures[name]["ratios"][base][0]
                print(f"  {name} to {base}: {ratio:.2f}, wanted {most:.2f} at most{'' if ratio <= most else ': MISSED'}")
    print(flush=True)
