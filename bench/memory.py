#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# memory.py - what an idle keep-alive connection costs a server: growth of its private memory over some thousand connections
# of which each has made one request and is silent now; with --tls, of TLS connections. Memory of the kernel (sockets, about
# 3 KiB each) is not counted.
import argparse
import os
import subprocess
import sys
import tempfile
import time

import contenders
from harness import LOAD_FIGURES, Failure, Server, fetch, private_bytes, processes_raise_limit

PATH = "/pipeline"
OURS = ("io_uring", "epoll")
WARM_CONNECTIONS = 16


class PlainClients:
    """Connections that have made a request each."""

    def __init__(self, port, path, connections):
        self.sockets = [fetch(port, path, keep=True) for _ in range(connections)]

    def close(self):
        for one in self.sockets:
            one.close()


class TlsClients:
    """The same over TLS, in a process of their own."""

    def __init__(self, folder, port, path, connections):
        command = [os.path.join(folder, "tls_load"), "--port", str(port), "--path", path, "--kind", "idle", "--connections",
                   str(connections)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not LOAD_FIGURES.match(line) or f" full={connections} " not in line or " timeout=0 " not in line:
            self.close()
            raise Failure(f"not every connection got an answer: {line.strip()}")

    def close(self):
        self.process.communicate()


def measure(options, name, make):
    server = Server(name, make, None)
    clients = None
    try:
        for _ in range(WARM_CONNECTIONS):  # the code and the tables that any connection touches
            fetch(server.port, options.path, tls=options.tls)
        time.sleep(0.3)
        before = private_bytes(server.pids())
        clients = (TlsClients(options.bin, server.port, options.path, options.connections) if options.tls else
                   PlainClients(server.port, options.path, options.connections))
        time.sleep(0.3)
        after = private_bytes(server.pids())
        return (after - before) / options.connections
    finally:
        if clients:
            clients.close()
        server.stop()


def makers_of(options, folder):
    tls = contenders.certificate_make(folder) if options.tls else None
    with open(folder + options.path, "wb") as file:
        file.write(b"ok")
    makers = {backend: contenders.arena(options.bin, backend, tls, options.workers) for backend in OURS}
    makers["nginx"] = contenders.nginx(folder, folder, tls, answers={options.path: "ok"})
    makers["h2o"] = contenders.h2o(folder, folder, tls)
    return contenders.present({**makers, **dict(contenders.other(text) for text in options.cmd)})


def options_parse():
    parser = argparse.ArgumentParser(description="Private memory per idle keep-alive connection.")
    parser.add_argument("--tls", action="store_true", help="TLS 1.3 connections")
    parser.add_argument("--connections", type=int, help="how many (default 6,000; 2,000 with --tls)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--path", default=PATH)
    parser.add_argument("--cmd", action="append", default=[], metavar="NAME=COMMAND", help="one more server, see run.py")
    parser.add_argument("--bin", default=contenders.BIN)
    parser.add_argument("--most", type=float, help="exit with 1 if a backend of ours needs more bytes than this")
    options = parser.parse_args()
    options.connections = options.connections or (2000 if options.tls else 6000)
    return options


def main():
    options = options_parse()
    processes_raise_limit()
    is_too_much = False
    with tempfile.TemporaryDirectory(prefix="peregrine-bench-") as folder:
        makers = makers_of(options, folder)
        print(f"private memory per idle keep-alive connection{' over TLS 1.3' if options.tls else ''}, over "
              f"{options.connections:,} of them")
        for name, make in makers.items():
            try:
                bytes_each = measure(options, name, make)
            except Failure as failure:
                print(f"  {name:12}{str(failure).splitlines()[0]}")
                is_too_much |= name in OURS
                continue
            is_too_much |= name in OURS and options.most is not None and bytes_each > options.most
            print(f"  {name:12}{bytes_each:>9,.0f} bytes", flush=True)
    return 1 if is_too_much else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench: {failure}")
