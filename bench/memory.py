#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# memory.py - what an idle keep-alive connection costs a server: growth of its private memory over some thousand connections
# of which each has made one request and is silent now. Memory of the kernel (sockets, about 3 KiB each) is not counted.
import argparse
import os
import sys
import tempfile
import time

from harness import Failure, Server, fetch, nginx_server, private_bytes, processes_raise_limit

HERE = os.path.dirname(os.path.abspath(__file__))
WARM_CONNECTIONS = 16


def measure(name, make, path, connections):
    server = Server(name, make, None)
    clients = []
    try:
        for _ in range(WARM_CONNECTIONS):  # the code and the tables that any connection touches
            fetch(server.port, path)
        time.sleep(0.3)
        before = private_bytes(server.pids())
        for _ in range(connections):
            clients.append(fetch(server.port, path, keep=True))
        time.sleep(0.3)
        after = private_bytes(server.pids())
        return (after - before) / connections
    finally:
        for client in clients:
            client.close()
        server.stop()


def main():
    parser = argparse.ArgumentParser(description="Private memory per idle keep-alive connection.")
    parser.add_argument("--connections", type=int, default=6000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--path", default="/pipeline")
    parser.add_argument("--cmd", action="append", default=[], metavar="NAME=COMMAND", help="one more server, see run.py")
    parser.add_argument("--bin", default=os.path.join(HERE, "..", "build", "release", "bin"))
    parser.add_argument("--most", type=float, help="exit with 1 if a backend of ours needs more bytes than this")
    options = parser.parse_args()
    processes_raise_limit()
    arena = os.path.join(options.bin, "arena")
    makers = {backend: lambda port, backend=backend: [arena, "--port", str(port), "--workers", str(options.workers),
                                                      "--backend", backend] for backend in ("io_uring", "epoll")}
    ours = set(makers)
    is_too_much = False
    with tempfile.TemporaryDirectory(prefix="peregrine-bench-") as folder:
        nginx = nginx_server(folder, {options.path: b"ok"})
        if nginx:
            makers["nginx"] = nginx
        for text in options.cmd:
            name, _, command = text.partition("=")
            makers[name] = lambda port, command=command: command.replace("{port}", str(port)).split()
        print(f"private memory per idle keep-alive connection, over {options.connections:,} of them")
        for name, make in makers.items():
            bytes_each = measure(name, make, options.path, options.connections)
            is_too_much |= name in ours and options.most is not None and bytes_each > options.most
            print(f"  {name:12}{bytes_each:>9,.0f} bytes", flush=True)
    return 1 if is_too_much else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench: {failure}")
