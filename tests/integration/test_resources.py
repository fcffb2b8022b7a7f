# SPDX-License-Identifier: MIT
# test_resources.py - descriptors, processor time, memory, allocations, socket options. Runs alone, because it measures.
# What a sanitizer would distort is skipped in its builds, and says so.
# ctest: serial timeout=400
import ctypes
import mmap
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import (TIMEOUT_S, Closed, Conn, Failure, Reset, Skip, Suite, build_support, check, equal,  # noqa: E402
                     has_own_thread, is_instrumented, which)

suite = Suite("resources")
HELLO = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
PIPELINE = b"GET /pipeline HTTP/1.1\r\nHost: t\r\n\r\n"
IDLE_CPU_S = 0.05  # of an idle second; a busy loop would use a whole one
SO_BUF_LOCK = 72


def get(target):
    return f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode()


def stats(c):
    return {k: int(v) for k, v in (line.split() for line in c.ask(get("/stats")).body.decode().splitlines())}


def counts(c):
    return {k: int(v) for k, v in (pair.split("=") for pair in c.ask(get("/counts")).body.decode().split())}


def until(condition, what, tries=3000):
    for _ in range(tries):
        if condition():
            return
        threading.Event().wait(0.005)
    raise Failure(what, "never")


def observe_second(server):
    """Processor seconds and context switches during one second in which this process does nothing."""
    cpu, switches = server.cpu_s(), server.switches()
    threading.Event().wait(1.0)  # the observation itself, not a synchronisation
    return server.cpu_s() - cpu, server.switches() - switches


def idle_without_wakeups(t, switches):
    if has_own_thread(t.program("arena_testing")):
        raise Skip("the processor time is right; ThreadSanitizer's own thread hides the number of wake-ups")
    check(switches <= 4, "no wake-up in an idle second", f"{switches} context switches")


def plain_build(t, program):
    if is_instrumented(t.program(program)):
        raise Skip(f"{program} is built with a sanitizer, which would be measured too")


def wait_quiet(server):
    """Until two looks in a row show no switch: start-up is over."""
    last = [-1]

    def quiet():
        now = server.switches()
        same, last[0] = now == last[0], now
        return same
    until(quiet, "the server to come to rest", 400)


# --- descriptors ------------------------------------------------------------------------------------------------


def limited(count):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


@suite.case("SPEC: overload; bugs of the seed", alone=True)
def emfile_is_survived(t):
    """More clients than descriptors: no busy loop, no crash, nobody disturbed, and it recovers."""
    for accept in ([], ["--accept-threads", "1"]):
        with t.serving(t.app("--stop-timeout-ms", "1000", *accept, preexec=limited(64))) as server:
            first = server.connect()
            equal(first.ask(HELLO).body, b"hello\n")
            conns = [server.connect() for _ in range(120)]
            for c in conns:
                try:
                    c.send(HELLO)
                except Reset:
                    pass
            until(lambda: stats(first)["accept_errors"] > 0, "EMFILE to be counted")
            equal(first.ask(HELLO).body, b"hello\n", "an old connection, undisturbed,")
            cpu, _ = observe_second(server)
            check(cpu < 0.3, "no busy loop: less than 0.3 s of an observed second", f"{cpu:.2f} s")
            for i in range(50):
                equal(first.ask(HELLO).body, b"hello\n", "an old connection, undisturbed,")
            for c in conns:
                c.close()
            until(lambda: stats(first)["connections_now"] == 1, "the connections to be gone")
            for _ in range(30):
                with server.connect() as c:
                    equal(c.ask(HELLO).body, b"hello\n", "a new connection")
            first.close()


@suite.case("SPEC: overload", alone=True)
def emfile_at_the_start_is_said(t):
    run = subprocess.run([t.program("test_app"), "--port", "0", "--workers", "4", "--backend", t.args.backend], capture_output=True,
                         preexec_fn=limited(10), timeout=60)
    check(run.returncode in (1, 3), "exit 1 or 3, no crash", run)
    check(b"no file descriptor left" in run.stderr + run.stdout and b"peregrine: error" in run.stderr, "the reason on stderr", run)


@suite.case("SPEC: overload", alone=True)
def waiting_clients_are_served_when_descriptors_come_back(t):
    with t.serving(t.app("--stop-timeout-ms", "1000", preexec=limited(64))) as server:
        conns = [server.connect() for _ in range(100)]
        for c in conns:
            c.send(HELLO)
        served, left = 0, list(conns)
        for c in conns:  # closing one lets the next in
            try:
                equal(c.response().body, b"hello\n")
                served += 1
            except (Closed, Reset):
                pass
            c.close()
            left.remove(c)
        equal((served, left), (100, []), "served")


@suite.case("SPEC: overload", alone=True)
def full_table_is_survived(t):
    with t.serving(t.app("--connections-max", "32", "--stop-timeout-ms", "1000")) as server:
        conns = [server.connect() for _ in range(32)]
        for c in conns:
            equal(c.ask(HELLO).body, b"hello\n")
        extra = [server.connect() for _ in range(50)]
        for c in conns:
            equal(c.ask(HELLO).body, b"hello\n")
        cpu, _ = observe_second(server)
        check(cpu < 0.3, "no busy loop: less than 0.3 s of an observed second", f"{cpu:.2f} s")
        n = stats(conns[0])
        check(n["accept_refused"] + n["accept_pauses"] > 0, "a refusal or a pause to be counted", n)
        for c in conns[1:] + extra:
            c.close()
        until(lambda: stats(conns[0])["connections_now"] == 1, "the slots to come back")
        with server.connect() as c:
            equal(c.ask(HELLO).body, b"hello\n")
        conns[0].close()


@suite.case("SPEC: bugs of the seed", alone=True)
def descriptor_number_above_32767(t):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 40000
    raise_limit = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({wanted}, {wanted}))"
    if subprocess.run([sys.executable, "-c", raise_limit], capture_output=True).returncode != 0:
        wanted = hard  # as high as this machine allows; said below
    top = min(33000, wanted - 500)
    code = (f"import os,resource,sys\n"
            f"resource.setrlimit(resource.RLIMIT_NOFILE, ({wanted}, {wanted}))\n"
            f"fd = os.open('/dev/null', os.O_RDONLY)\n"
            f"for n in range(20, {top}): os.dup2(fd, n, inheritable=True)\n"
            f"os.execv(sys.argv[1], sys.argv[1:])\n")
    server = t.app(workers="2", wrapper=[sys.executable, "-c", code])
    with t.serving(server):
        conns = [server.connect() for _ in range(40)]
        for c in conns:
            equal(c.ask(HELLO).body, b"hello\n")
        highest = max(int(fd) for fd in os.listdir(f"/proc/{server.pid}/fd"))
        check(highest >= top, f"a descriptor of at least {top}", highest)
        for c in conns:
            equal(len(c.ask(get("/stream/300000")).body), 300000, "length")
            c.close()
    if highest <= 32767:
        raise Skip(f"RLIMIT_NOFILE cannot be raised above {hard} here: passed with descriptor {highest} only")


# --- processor time ---------------------------------------------------------------------------------------------


@suite.case("SPEC: an idle server uses no CPU", alone=True)
def idle_server_uses_no_cpu(t):
    for workers in ("1", "2"):
        with t.serving(t.arena(workers=workers)) as server:
            with server.connect() as c:
                equal(c.ask(PIPELINE).body, b"ok")
            wait_quiet(server)
            cpu, switches = observe_second(server)
            check(cpu <= IDLE_CPU_S, f"at most {IDLE_CPU_S} s of an idle second", f"{cpu:.2f} s")
        idle_without_wakeups(t, switches)


@suite.case("issue: no system call and no wake-up in an idle second", alone=True)
def a_thousand_idle_connections_use_no_cpu(t):
    with t.serving(t.arena(workers="1")) as server:
        conns = [server.connect() for _ in range(1000)]
        for c in conns:
            equal(c.ask(PIPELINE).body, b"ok")
        wait_quiet(server)
        cpu, switches = observe_second(server)
        for c in conns:
            c.close()
        check(cpu <= IDLE_CPU_S, f"at most {IDLE_CPU_S} s of an idle second", f"{cpu:.2f} s")
        idle_without_wakeups(t, switches)


@suite.case("SPEC: no busy loop", alone=True)
def waiting_for_anything_uses_no_cpu(t):
    """Connections in every waiting state at once: partial heads and bodies, stalled readers, held answers, lingering."""
    args = ("--head-timeout-ms", "60000", "--rate-window-ms", "60000", "--linger-timeout-ms", "60000", "--stop-timeout-ms", "500")
    with t.serving(t.app(*args)) as server:
        conns = []
        for data in (b"", b"GET /he", HELLO, b"BAD\r\n\r\n", get("/hold/1"), get("/stream/90000000"), get("/ref/90000000"),
                     HELLO * 3 + get("/hold/2") + HELLO * 5, b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\n\r\nx",
                     b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", get("/stream/90000000?unknown=1")):
            for half_closed in (False, True):
                c = Conn(("127.0.0.1", server.port), recv_buf=4096)
                c.send(data)
                if half_closed:
                    c.shutdown()
                conns.append(c)
        with server.connect() as c:
            until(lambda: int(c.ask(get("/held")).body) == 4, "everything to be under way")
        wait_quiet(server)
        cpu, _ = observe_second(server)
        for c in conns:
            c.reset()
        check(cpu <= IDLE_CPU_S, f"at most {IDLE_CPU_S} s of a second of waiting", f"{cpu:.2f} s")


@suite.case("issue: syscalls per request", alone=True)
def few_system_calls_per_request(t):
    """Pipelined requests share their system calls: 16 deep on one connection, far below one call per request."""
    with t.serving(t.app()) as server, server.connect() as c:
        c.ask(HELLO)
        before = stats(c)
        for _ in range(200):
            c.send(HELLO * 16)
            for _ in range(16):
                c.response()
        after = stats(c)
        calls, requests = after["syscalls"] - before["syscalls"], after["requests"] - before["requests"]
        check(calls < requests / 2, "one send per batch: fewer system calls than half the requests", f"{calls} for {requests}")


# --- memory -----------------------------------------------------------------------------------------------------


def counting(t, program, *options):
    plain_build(t, program)
    folder = tempfile.mkdtemp()
    library = build_support("malloc_count.c", os.path.join(folder, "malloc_count.so"), "-shared", "-fPIC")
    env = {"LD_PRELOAD": library, "MALLOC_COUNT_FILE": os.path.join(folder, "count")}
    make = t.arena if program == "arena_testing" else t.app
    server = make(*options, env=env)
    with open(env["MALLOC_COUNT_FILE"], "r+b") as file:
        counter = mmap.mmap(file.fileno(), 8)
    return server, lambda: struct.unpack("=Q", counter[:8])[0]


@suite.case("SPEC: nothing on the heap per request in steady state", alone=True)
def no_allocation_per_request_arena(t):
    server, allocations = counting(t, "arena_testing")
    check(allocations() > 0, "the counter to work", 0)
    kinds = [PIPELINE * 16, get("/baseline11?a=1&b=2") * 3, b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello" * 2,
             get("/bytes/100"), get("/bytes/300000"), get("/none"), b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n123456789",
             b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n"]

    def round_trip(c):
        for data in kinds:
            c.send(data)
            for _ in range(data.count(b"HTTP/1.1\r\n")):
                c.response()

    with t.serving(server), server.connect() as c:
        for _ in range(30):
            round_trip(c)
        before = allocations()
        for _ in range(200):
            round_trip(c)
        equal(allocations() - before, 0, "allocations in 5,200 requests on one connection")
        for _ in range(50):
            with server.connect() as other:
                round_trip(other)
        with server.connect() as bad:
            equal(bad.ask(b"BAD\r\n\r\n").status, 400)
        equal(allocations() - before, 0, "allocations in 50 more connections and an error")


@suite.case("SPEC: nothing on the heap per request in steady state", alone=True)
def no_allocation_per_request_app(t):
    server, allocations = counting(t, "test_app")
    with t.serving(server), server.connect() as c:
        kinds = (HELLO, get("/empty"), get("/info?a=1"), get("/interim"), get("/ref-static"), get("/trailers"), get("/copy/50000"),
                 b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5000\r\n\r\n" + b"e" * 5000)
        for _ in range(20):
            for data in kinds:
                c.ask(data)
        before = allocations()
        for _ in range(200):
            for data in kinds:
                c.ask(data)
        equal(allocations() - before, 0, "allocations in 1,600 requests")
        for _ in range(200):  # the first halves of split heads are kept somewhere: not on the heap
            c.send(HELLO[:20])
            with server.connect() as other:
                other.ask(HELLO)
            c.send(HELLO[20:])
            c.response()
        equal(allocations() - before, 0, "allocations in 200 split requests")


def private_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as smaps:
        return sum(int(line.split()[1]) for line in smaps if line.startswith("Private_")) * 1024


@suite.case("issue: at most 512 bytes per idle keep-alive connection", alone=True)
def idle_connections_are_small(t):
    plain_build(t, "arena_testing")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(6000, hard - 500)
    with t.serving(t.arena(workers="1")) as server:
        conns = [server.connect() for _ in range(200)]
        for c in conns:
            equal(c.ask(PIPELINE).body, b"ok")
        before = private_bytes(server.pid)
        more = [server.connect() for _ in range(count)]
        try:
            for c in more:
                equal(c.ask(PIPELINE).body, b"ok")
            each = (private_bytes(server.pid) - before) / count
        finally:
            for c in conns + more:
                c.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        check(each <= 512, "at most 512 bytes each", f"{each:.0f} bytes each of {count}")


@suite.case("SPEC: memory", alone=True)
def memory_does_not_grow_with_time(t):
    plain_build(t, "test_app")
    with t.serving(t.app()) as server:
        def work(n):
            for i in range(n):
                with server.connect() as c:
                    c.ask(HELLO)
                    c.ask(get("/stream/200000"))
                    c.ask(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 50000\r\n\r\n" + b"m" * 50000)
                    c.send(get("/stream/5000000?ref=1"))
                    c.take(100)
                    c.reset() if i % 2 else None
        work(200)
        with server.connect() as c:
            until(lambda: (lambda n: n["seen"] == n["done"] + 1)(counts(c)), "everything to end")
            before = private_bytes(server.pid)
            work(400)
            until(lambda: (lambda n: n["seen"] == n["done"] + 1)(counts(c)), "everything to end")
            grown = private_bytes(server.pid) - before
        check(grown < 4 << 20, "less than 4 MiB of growth over 400 connections", f"{grown} bytes")


# --- socket options ---------------------------------------------------------------------------------------------


def socket_of(pid, local_port, peer):
    """A copy of the server's descriptor of a connection, or None (io_uring may keep it out of the descriptor table)."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = libc.syscall(434, pid, 0)
    if pidfd < 0:
        raise Skip("pidfd_open is not allowed here")
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            if "socket:" not in os.readlink(f"/proc/{pid}/fd/{fd}"):
                continue
            copy = libc.syscall(438, pidfd, int(fd), 0)
            if copy < 0:
                raise Skip("pidfd_getfd is not allowed here: " + os.strerror(ctypes.get_errno()))
            found = socket.socket(fileno=copy)
            try:
                if found.getsockname()[1] == local_port and found.getpeername() == peer:
                    return found
            except OSError:
                pass
            found.close()
    finally:
        os.close(pidfd)
    return None


@suite.case("SPEC: bugs of the seed", alone=True)
def tcp_nodelay_is_really_on(t):
    for accept in ([], ["--accept-threads", "1"]):
        with t.serving(t.app(*accept)) as server, server.connect() as c:
            equal(c.ask(HELLO).status, 200)
            found = socket_of(server.pid, server.port, c.sock.getsockname())
            if found is None:
                raise Skip("the connection has no descriptor that others can look at")
            with found:
                check(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0, "TCP_NODELAY on", "off")
                equal(found.getsockopt(socket.SOL_SOCKET, SO_BUF_LOCK), 0, "SO_BUF_LOCK (buffer sizes left to the kernel)")


@suite.case("SPEC: bugs of the seed", alone=True)
def tcp_autotuning_is_left_alone(t):
    if which("strace") is None:
        raise Skip("strace is not installed")
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace")
        server = t.app(wrapper=["strace", "-f", "-q", "-o", trace, "-e", "trace=setsockopt"], env={
            "ASAN_OPTIONS": "detect_leaks=0"}, timeout_s=TIMEOUT_S * 4)
        with server.connect() as c:
            equal(c.ask(HELLO).status, 200)
            equal(len(c.ask(get("/stream/3000000")).body), 3000000)
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.pid)], capture_output=True, text=True).stdout.split()
        for child in children:  # strace passes no signal on
            os.kill(int(child), 15)
        problems = server.join()
        equal(problems, [], "problems")
        with open(trace, encoding="utf-8", errors="replace") as file:
            calls = file.read()
        check("SO_REUSE" in calls, "setsockopt calls in the trace", calls[:300])
        check(not re.search("SO_(SND|RCV)BUF", calls), "no SO_SNDBUF and no SO_RCVBUF", calls[:2000])


@suite.case("SPEC: bugs of the seed", alone=True)
def small_answers_are_not_delayed(t):
    """Two small writes of one answer, and answers to alternating requests: Nagle with delayed ACK would cost 40 ms each."""
    with t.serving(t.app()) as server, server.connect() as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        start = os.times().elapsed
        for _ in range(250):
            equal(c.ask(get("/trailers")).body, b"data")
        spent = os.times().elapsed - start
        check(spent < 8, "250 answers in less than 8 s (10 s and more with Nagle)", f"{spent:.1f} s")


if __name__ == "__main__":
    sys.exit(suite.run())
