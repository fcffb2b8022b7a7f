#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# tls.py - what TLS 1.3 costs: CPU time and system calls per request over connections that stay, and per connection with a full
# or a resumed handshake, of Peregrine on io_uring and epoll, of nginx and of h2o. One ECDSA P-256 certificate, made here, and
# AES-256-GCM for all, which openssl s_client verifies first. docs/benchmarks.md says how to read the figures.
import os
import re
import subprocess
import sys
import tempfile

import compare
import contenders
from harness import Failure, Load, SyscallCounter, fetch, wrk

BODY_BYTES, LARGE_BYTES = 6150, 128 << 10
BASES = ["nginx", "h2o"]

# name: (what it is, path, kind of load, {server: what ours may cost of it at most})
SCENARIOS = {
    "tls2": ("keep-alive, 64 connections, 2-byte body", "/pipeline", "keep", {"h2o": 0.85, "nginx": 0.65}),
    "tls6k": (f"keep-alive, 64 connections, {BODY_BYTES:,}-byte body", f"/bytes/{BODY_BYTES}", "keep", {"h2o": 0.90}),
    "tls128k": ("keep-alive, 64 connections, body of 128 KiB", f"/bytes/{LARGE_BYTES}", "keep", {}),
    "full": ("a full handshake for each request, 64 connections at a time, 2-byte body", "/pipeline", "full",
             {"nginx": 1.0}),
    "resumed": ("a resumed handshake for each request, 64 connections at a time, 2-byte body", "/pipeline", "resumed", {}),
}


def makers_of(options, folder):
    """{name: function(port) -> command}. The -file ones are the program, which has the same paths as files."""
    root = os.path.join(folder, "root")
    os.makedirs(os.path.join(root, "bytes"))
    for path, size in (("pipeline", 2), (f"bytes/{BODY_BYTES}", BODY_BYTES), (f"bytes/{LARGE_BYTES}", LARGE_BYTES)):
        with open(os.path.join(root, path), "wb") as file:
            file.write(b"ok" if size == 2 else b"x" * size)
    tls = contenders.certificate_make(folder)
    makers = {}
    for backend in compare.OURS:
        makers[backend] = contenders.arena(options.bin, backend, tls)
        makers[backend + "-file"] = contenders.peregrine(options.bin, backend, root, tls)
    makers["nginx"] = contenders.nginx(folder, root, tls, answers={"/pipeline": "ok"})
    makers["nginx-file"] = contenders.nginx(folder, root, tls)
    makers["h2o"] = contenders.h2o(folder, root, tls)
    return compare.chosen(options, makers)


def server_check(server, path):
    """None, or what is wrong: another protocol or cipher than the others, or no answer."""
    command = ["openssl", "s_client", "-brief", "-connect", f"127.0.0.1:{server.port}", "-servername", "localhost"]
    run = subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=10)
    said = dict(re.findall(r"^([A-Z][^:\n]+): (.+)$", run.stdout + run.stderr, re.MULTILINE))
    found = [said.get(key, "nothing") for key in ("Protocol version", "Ciphersuite", "Server Temp Key", "Signature type")]
    if found != ["TLSv1.3", contenders.CIPHER, "X25519, 253 bits", "ECDSA"]:
        return f"it negotiates {', '.join(found)}"
    status = fetch(server.port, path, tls=True)[0]
    return None if status == 200 else f"{path} is answered with {status}"


def tls_load(options, server, path, kind):
    return lambda seconds: [os.path.join(options.bin, "tls_load"), "--port", str(server.port), "--path", path, "--kind", kind,
                            "--connections", "64", "--seconds", str(seconds), "--ciphersuites", contenders.CIPHER]


def scenario_run(options, scenario, makers, counter):
    text, path, kind, wanted = SCENARIOS[scenario]
    print(f"{scenario}: {text}")
    servers = compare.servers_start(options, makers, lambda server: server_check(server, path))
    if not servers:
        return {}
    loads = {name: Load(server, options.load_cpu, wrk(server, path, 64, tls=True) if kind == "keep" else
                        tls_load(options, server, path, kind)) for name, server in servers.items()}
    figures = compare.compare(options, servers, loads, counter, BASES)
    compare.table_print(figures, BASES)
    compare.wanted_print(figures, wanted)
    return figures


def main():
    parser = compare.parser_make("CPU time and system calls of TLS 1.3.", SCENARIOS, "bench-tls.json")
    options = compare.options_read(parser, ("arena", "peregrine", "tls_load"))
    result = {"machine": compare.machine(options), "scenarios": {}}
    with tempfile.TemporaryDirectory(prefix="peregrine-bench-") as folder:
        counter = SyscallCounter(folder)
        makers = makers_of(options, folder)
        for scenario in options.scenario or SCENARIOS:
            result["scenarios"][scenario] = scenario_run(options, scenario, makers, counter)
    compare.result_write(options, result)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
