#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# soak.py - a mixed load for a given time: files, answers from memory, TLS with full and resumed handshakes, WebSockets, clients
# that leave in the middle, reloads meanwhile. Watches memory, descriptors and threads of the servers between the rounds, and
# ends with 1 when an error was seen or something has grown. For people and for nights; no test runs it.
import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

import contenders
import page
from harness import Failure, Load, Server, fetch, private_bytes, processes_raise_limit, threads_of, wrk

WARM_ROUNDS = 2  # caches fill, tables grow
GROWTH_MOST = 16 << 20  # bytes from the end of the warm rounds to the end: a crowd of handshakes stays in the allocator
LARGE_BYTES = 8 << 20
SETTLE_SECONDS = 10


def options_parse():
    parser = argparse.ArgumentParser(description="A mixed load for long.")
    parser.add_argument("--seconds", type=int, default=300, help="about how long (default 300)")
    parser.add_argument("--slice", type=int, default=3, help="seconds of each kind of load in a round (default 3)")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--bin", default=contenders.BIN)
    return parser.parse_args()


def descriptors(server):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in server.pids())


def state_of(server):
    return {"memory": private_bytes(server.pids()), "descriptors": descriptors(server),
            "threads": len(list(threads_of(server.pids())))}


def settle(servers, before):
    """Waits until the connections of the last load are gone, where it is known how that looks; returns the states."""
    end = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < end and any(descriptors(server) > before[name]["descriptors"]
                                         for name, server in servers.items() if name in before):
        time.sleep(0.1)
    return {name: state_of(server) for name, server in servers.items()}


# --- kinds of load --------------------------------------------------------------------------------------------------


def leave(server, tls, seconds):
    """Clients that leave in the middle of a request, of an answer, of a handshake. Returns how many."""
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        sock = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        kind = count % 4
        if tls:
            sock.sendall((b"\x16\x03\x01\x02\x00\x01", b"\x16\x03\x01\x00\x04junk", b"", b"GET / HTTP/1.1\r\n\r\n")[kind])
        else:
            sock.sendall((b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /la", b"", b"POST / HTTP/1.1\r\nHost: a\r\n"
                          b"Content-Length: 100\r\n\r\nhalf")[kind])
        if kind == 0 and not tls:
            sock.recv(1000)
        sock.close()
        count += 1
    return count


def tls_load(options, server, kind):
    return lambda seconds: [os.path.join(options.bin, "tls_load"), "--port", str(server.port), "--path", "/index.html",
                            "--kind", kind, "--connections", "32", "--seconds", str(seconds)]


def ws_run(options, server, seconds):
    command = [os.path.join(options.bin, "ws_load"), "--port", str(server.port), "--connections", "64", "--seconds", str(seconds)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    return 0 if run.returncode == 0 else 1


def loads_of(options, servers, paths_file):
    """{name: function(seconds) -> errors}"""
    files, tls, memory = servers["files"], servers["tls"], servers["memory"]
    cpu = max(os.sched_getaffinity(0))
    page_words = ("1", "0", paths_file)
    loads = {"a page": Load(files, cpu, wrk(files, "/", 64, words=page_words)),
             "a page over TLS": Load(tls, cpu, wrk(tls, "/", 64, tls=True, words=page_words)),
             "a large file": Load(files, cpu, wrk(files, "/large.bin", 16)),
             "a large file over TLS": Load(tls, cpu, wrk(tls, "/large.bin", 16, tls=True)),
             "full handshakes": Load(tls, cpu, tls_load(options, tls, "full")),
             "resumed handshakes": Load(tls, cpu, tls_load(options, tls, "resumed")),
             "short connections": Load(memory, cpu, wrk(memory, "/pipeline", 64, words=("1", "10"))),
             "pipelines": Load(memory, cpu, wrk(memory, "/pipeline", 64, words=("16", "0")))}
    runs = {name: lambda seconds, load=load: load.run(seconds)["errors"] for name, load in loads.items()}
    runs["WebSockets"] = lambda seconds: ws_run(options, memory, seconds)
    runs["clients that leave"] = lambda seconds: leave(files, False, seconds / 2) * 0 + leave(tls, True, seconds / 2) * 0
    return runs


# --- the whole ------------------------------------------------------------------------------------------------------


def servers_start(options, folder, root):
    tls = contenders.certificate_make(folder)
    servers = {}
    try:
        servers["files"] = Server("files", contenders.peregrine(options.bin, options.backend, root), None)
        servers["tls"] = Server("tls", contenders.peregrine(options.bin, options.backend, root, tls), None)
        servers["memory"] = Server("memory", contenders.arena(options.bin, options.backend), None)
    except Failure:
        for server in servers.values():
            server.stop()
        raise
    return servers


def round_run(options, servers, runs):
    """Each kind of load once, with reloads in between; returns the errors."""
    errors = 0
    for name, run in runs.items():
        for server in ("files", "tls"):
            servers[server].process.send_signal(signal.SIGHUP)
        wrong = run(options.slice)
        errors += wrong
        if wrong:
            print(f"  {name}: {wrong} errors", flush=True)
    for server in servers.values():
        if server.process.poll() is not None:
            raise Failure(f"{server.name} has ended with {server.process.returncode}")
        fetch(server.port, "/", tls=server.name == "tls")
    return errors


def growth_complaints(base, last):
    for name, state in last.items():
        for what, most in (("memory", GROWTH_MOST), ("descriptors", 0), ("threads", 0)):
            if state[what] > base[name][what] + most:
                yield f"{name}: {what} grew from {base[name][what]:,} to {state[what]:,}"


def soak(options, servers, runs):
    """Rounds until the time is over; returns what is wrong."""
    end = time.monotonic() + options.seconds
    base, states, errors, count = {}, {}, 0, 0
    while time.monotonic() < end or count <= WARM_ROUNDS:
        errors += round_run(options, servers, runs)
        states = settle(servers, base)
        count += 1
        if count == WARM_ROUNDS:
            base = states
        print(f"round {count}: " + "; ".join(f"{name} {state['memory'] / 1024:,.0f} KiB, {state['descriptors']} descriptors, "
                                             f"{state['threads']} threads" for name, state in states.items()), flush=True)
    return ([f"{errors} errors"] if errors else []) + list(growth_complaints(base, states))


def main():
    options = options_parse()
    processes_raise_limit()
    with tempfile.TemporaryDirectory(prefix="peregrine-bench-") as folder:
        root = os.path.join(folder, "root")
        os.mkdir(root)
        paths_file = contenders.file_write(folder, "paths", "".join(path + "\n" for path in page.page_make(root)))
        with open(os.path.join(root, "large.bin"), "wb") as file:
            file.write(os.urandom(LARGE_BYTES))
        servers = servers_start(options, folder, root)
        try:
            complaints = soak(options, servers, loads_of(options, servers, paths_file))
        finally:
            for server in servers.values():
                server.stop()
                if server.said.strip():
                    print(f"{server.name} said:\n{server.said.strip()[-2000:]}")
    for complaint in complaints:
        print(f"soak: {complaint}")
    print("soak: nothing is wrong" if not complaints else "soak: FAILED")
    return 1 if complaints else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"soak: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
