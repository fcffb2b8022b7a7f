# SPDX-License-Identifier: MIT
# test_life.py - how a server begins and ends, and where it listens: graceful stop, several servers in one process, unix
# sockets, IPv6, inherited descriptors, PROXY protocol, acceptors, choice of the backend where io_uring is refused.
import email.utils
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import (Closed, Conn, Failure, Reset, Server, Skip, Suite, build_support, check, equal,  # noqa: E402
                     is_instrumented)

suite = Suite("life of a server, sockets")
HELLO = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
READY = re.compile(r"^ready$")


def get(target):
    return f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode()


def info(got):
    lines = dict(line.split(" ", 1) for line in got.body.decode("latin-1").splitlines())
    return {k: (None if v == "-" else v[1:-1]) for k, v in lines.items()}


def until(condition, what, tries=2000):
    for _ in range(tries):
        if condition():
            return
        threading.Event().wait(0.005)
    raise Failure(what, "never")


def refuses_connections(address):
    """Is nobody listening? Linux may complete a handshake of a listener that closes at the same moment: then it is reset."""
    try:
        with Conn(address, timeout_s=5) as c:
            c.send(HELLO)
            return c.rest() == b""
    except (ConnectionRefusedError, ConnectionResetError, Reset, FileNotFoundError):
        return True
    except TimeoutError:  # accepted by the kernel, served by nobody
        return False


def ended(t, server):
    problems = server.join()
    if problems:
        raise Failure(f"a clean end of {server.name}", "; ".join(problems))


# --- graceful stop ----------------------------------------------------------------------------------------------


@suite.case("RFC 9110 6.6.1")
def date_is_of_the_present_after_a_rest(t):
    with t.serving(t.app()) as server, server.connect() as c:
        def date():
            return email.utils.parsedate_to_datetime(c.ask(HELLO).get("date")).timestamp()
        first = date()
        until(lambda: time.time() >= first + 2, "two seconds to pass")
        check(date() > first, "the time of the answer, not of what happened last", first)


@suite.case("SPEC: graceful stop")
def stop_finishes_deferred_answer_and_closes_idle(t):
    for workers in ("1", "2"):
        server = t.app("--stop-timeout-ms", "60000", workers=workers)
        with t.serving(server):
            waiting, idle, fresh = server.connect(), server.connect(), server.connect()
            equal(idle.ask(HELLO).body, b"hello\n")
            waiting.send(get("/hold/1"))
            until(lambda: int(idle.ask(get("/held")).body) == 1, "the request to be held")
            server.process.send_signal(signal.SIGTERM)
            idle.expect_close("an idle connection to be closed")
            fresh.expect_close("a connection without a request to be closed")
            check(refuses_connections(("127.0.0.1", server.port)), "no new connections", "one was served")
            equal(server.process.poll(), None, "the server still running, poll()")
            server.process.send_signal(signal.SIGUSR2)  # test_app answers what it holds
            got = waiting.response()
            equal((got.body, got.closes), (b"deferred\n", True), "the answer, with Connection: close")
            waiting.expect_close()
            ended(t, server)


@suite.case("SPEC: graceful stop")
def stop_deadline_cuts_what_is_left(t):
    server = t.app("--stop-timeout-ms", "500")
    with t.serving(server), server.connect() as c, server.connect() as watch:
        c.send(get("/hold/1"))
        until(lambda: int(watch.ask(get("/held")).body) == 1, "the request to be held")
        server.process.send_signal(signal.SIGTERM)
        try:
            equal(c.rest(), b"", "no answer, that is")
        except Reset:
            pass
        ended(t, server)


@suite.case("server.h: per_server_stop")
def second_stop_cuts_at_once(t):
    server = t.app("--stop-timeout-ms", "600000")
    with t.serving(server), server.connect() as c, server.connect() as watch:
        c.send(get("/hold/1"))
        until(lambda: int(watch.ask(get("/held")).body) == 1, "the request to be held")
        server.process.send_signal(signal.SIGTERM)
        watch.expect_close("the idle connection to be closed")
        server.process.send_signal(signal.SIGTERM)
        ended(t, server)


@suite.case("SPEC: graceful stop")
def stop_finishes_a_stream(t):
    server = t.app("--stop-timeout-ms", "60000")
    with t.serving(server), Conn(("127.0.0.1", server.port), recv_buf=65536) as c:
        c.send(get("/stream/30000000"))
        c.until(b"\r\n\r\n")
        server.process.send_signal(signal.SIGTERM)
        check(refuses_until(server), "no new connections", "one was served")
        equal(len(c.take(30000000)), 30000000, "all of the stream")
        c.expect_close()
        ended(t, server)


def refuses_until(server):
    until(lambda: refuses_connections(("127.0.0.1", server.port)), "the listener to be closed", 3)
    return True


@suite.case("SPEC: graceful stop")
def stop_finishes_an_upload(t):
    for path in (b"/upload", b"/echo"):
        server = t.app("--stop-timeout-ms", "60000")
        with t.serving(server), server.connect() as c, server.connect() as idle:
            equal(idle.ask(HELLO).status, 200)
            c.send(b"POST " + path + b" HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n" + b"u" * 500)
            equal(idle.ask(HELLO).status, 200)
            server.process.send_signal(signal.SIGTERM)
            idle.expect_close("the idle connection to be closed")
            c.send(b"u" * 500)
            got = c.response()
            equal((got.status, got.closes), (200, True), "the answer to the upload")
            c.expect_close()
            ended(t, server)


@suite.case("SPEC: bugs of the seed")
def stop_with_live_connections(t):
    """In every state a connection can be in; the sanitizers look on."""
    server = t.app("--stop-timeout-ms", "300", workers="2")
    with t.serving(server):
        conns = []
        for data in (b"", b"G", b"GET /hello HT", HELLO, HELLO + b"GET", b"BAD\r\n", get("/hold/1"), get("/stream/40000000"),
                     get("/stream/40000000?ref=1"), get("/ref/90000000"), get("/stream/90000000?unknown=1"),
                     b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\n\r\nx",
                     b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
                     b"POST /slow-body HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" + b"s" * 5000,
                     b"POST /echo-stream HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" + b"s" * 5000,
                     b"POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"):
            for _ in range(4):
                c = server.connect()
                c.send(data)
                conns.append(c)
        with server.connect() as watch:
            until(lambda: int(watch.ask(get("/held")).body) == 4, "everything to be under way")
        server.process.send_signal(signal.SIGTERM)
        ended(t, server)
        for c in conns:
            c.close()


@suite.case()
def stop_at_every_moment_of_a_start(t):
    """Connections come while the server stops; nothing hangs, nothing leaks."""
    for i in range(6):
        server = t.app("--stop-timeout-ms", "1000", workers="2")
        stopping = threading.Event()

        def hammer():
            while not stopping.is_set():
                try:
                    with Conn(("127.0.0.1", server.port), timeout_s=5) as c:
                        c.ask(HELLO)
                except (OSError, Closed, Reset):
                    if server.process.poll() is not None:
                        return
        with t.serving(server):
            threads = [threading.Thread(target=hammer) for _ in range(4)]
            for thread in threads:
                thread.start()
            with server.connect() as c:
                for _ in range(i * 20):
                    c.ask(HELLO)
            server.process.send_signal(signal.SIGTERM)
            stopping.set()
            for thread in threads:
                thread.join()
            ended(t, server)


@suite.case()
def sigint_stops_arena_too(t):
    server = t.arena()
    with t.serving(server), server.connect() as c:
        equal(c.ask(b"GET /pipeline HTTP/1.1\r\nHost: t\r\n\r\n").body, b"ok")
        server.process.send_signal(signal.SIGINT)
        c.expect_close()
        ended(t, server)


@suite.case("SPEC: bugs of the seed")
def two_servers_in_one_process_stop_separately(t):
    server = t.app("--servers", "2", workers="2")
    with t.serving(server):
        first, second = server.connect(0), server.connect(1)
        for _ in range(3):
            equal(first.ask(HELLO).body, b"hello\n")
            equal(second.ask(HELLO).body, b"hello\n")
        got = first.ask(get("/stop"))
        equal(got.body, b"stopping\n")
        first.expect_close()
        check(server.wait_line(re.compile(r"^stopped .*:%d: " % server.port_of(0))), "the first to stop", server.lines)
        check(refuses_connections(("127.0.0.1", server.port_of(0))), "its port to be free", "served")
        for _ in range(20):
            equal(second.ask(HELLO).body, b"hello\n", "the second")
        with server.connect(1) as c:
            equal(c.ask(HELLO).body, b"hello\n", "a new connection to the second")
    check(server.wait_line(re.compile(r"^stopped .*:%d: " % server.port_of(1))), "the second to stop", server.lines)


@suite.case("SPEC: no output except through the log")
def a_normal_life_is_silent(t):
    server = t.app(workers="2")
    with t.serving(server), server.connect() as c:
        c.ask(HELLO)
        equal(c.ask(b"BAD\r\n\r\n").status, 400)
    server.stderr.seek(0)
    equal(server.stderr.read(), b"", "stderr")


@suite.case()
def descriptors_come_back(t):
    server = t.app(workers="2")
    with t.serving(server), server.connect() as c:
        until(lambda: b" init=2 " in c.ask(get("/counts")).body, "both workers to have started")
        before = server.fd_count()
        for i in range(1000):
            with server.connect() as other:
                if i % 3:
                    other.ask(HELLO)
                if i % 7 == 0:
                    other.reset()
        until(lambda: server.fd_count() <= before, "no more descriptors than before")


# --- where to listen --------------------------------------------------------------------------------------------


@suite.case("SPEC: sockets")
def unix_socket(t):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "p.sock")
        with t.serving(t.app("--listen", "unix:" + path)) as server:
            with Conn(path) as c:
                equal(c.ask(HELLO).body, b"hello\n")
                equal(info(c.ask(get("/info")))["peer"], "unix:", "peer")
                equal(len(c.ask(get("/stream/3000000")).body), 3000000)
            equal(os.stat(path).st_mode & 0o777, 0o666, "mode")
            with server.connect() as c:
                equal(c.ask(HELLO).body, b"hello\n", "TCP beside it")
        check(not os.path.exists(path), "the socket's file to be gone", os.listdir(folder))
        with t.serving(t.app("--listen", "unix:" + path)), Conn(path) as c:
            equal(c.ask(HELLO).body, b"hello\n", "the same path again")


@suite.case("SPEC: sockets")
def unix_socket_left_behind_is_taken_over(t):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "p.sock")
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(path)  # nobody listens there
        with t.serving(t.app("--listen", "unix:" + path)), Conn(path) as c:
            equal(c.ask(HELLO).body, b"hello\n")


@suite.case("SPEC: sockets")
def abstract_unix_socket(t):
    name = f"peregrine-test-{os.getpid()}-{t.args.backend}"
    with t.serving(t.app("--listen", "unix:@" + name)), Conn("\0" + name) as c:
        equal(c.ask(HELLO).body, b"hello\n")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


@suite.case("SPEC: sockets")
def ipv6_and_dual_stack(t):
    if not has_ipv6():
        raise Skip("this machine has no IPv6 loopback")
    with t.serving(t.app("--listen", "[::1]:0", "--listen", "*:0", workers="2")) as server:
        equal(len(server.addresses), 3, "addresses")
        check("[::1]" in server.addresses[1], "[::1] in the address", server.addresses)
        with Conn(("::1", server.port_of(1))) as c:
            got = info(c.ask(get("/info")))
            check(got["peer"].startswith("[::1]:"), "[::1]: as peer", got)
        for host in ("::1", "127.0.0.1"):
            with Conn((host, server.port_of(2))) as c:
                equal(c.ask(HELLO).body, b"hello\n", f"dual stack over {host}")
        with Conn(("127.0.0.1", server.port_of(2))) as c:
            got = info(c.ask(get("/info")))
            check("127.0.0.1:" in got["peer"], "127.0.0.1 as peer", got)


@suite.case("SPEC: sockets")
def v6only_is_no_ipv4(t):
    if not has_ipv6():
        raise Skip("this machine has no IPv6 loopback")
    for _ in range(5):  # somebody else's server may have the same number on IPv4
        with t.serving(t.app("--listen-v6only", "[::]:0", workers="2")) as server:
            with Conn(("::1", server.port_of(1))) as c:
                equal(c.ask(HELLO).body, b"hello\n", "v6only over ::1")
            if refuses_connections(("127.0.0.1", server.port_of(1))):
                return
    raise Failure("no IPv4 with v6only", "served by each of five servers")


@suite.case("SPEC: sockets")
def inherited_descriptor(t):
    for workers in ("1", "2"):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(100)
            server = t.app("--listen", f"fd:{listener.fileno()}", pass_fds=(listener.fileno(),), workers=workers)
            with t.serving(server):
                for _ in range(20):
                    with Conn(listener.getsockname()) as c:
                        equal(c.ask(HELLO).body, b"hello\n")


@suite.case("SPEC: sockets")
def descriptor_that_is_no_listener_is_refused(t):
    with tempfile.TemporaryFile() as file:
        try:
            server = t.app("--listen", f"fd:{file.fileno()}", pass_fds=(file.fileno(),))
        except Failure as failure:
            check("exit 3" in failure.got and "peregrine" in failure.got, "exit 3 and a reason", failure.got)
            return
        server.kill()
        raise Failure("a refusal", "a running server")


# --- PROXY protocol ---------------------------------------------------------------------------------------------

V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 1111 80\r\n"
V1_6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 2222 80\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(command, family, addresses, tlv=b""):
    return SIGNATURE + bytes((0x20 | command, family)) + struct.pack("!H", len(addresses) + len(tlv)) + addresses + tlv


V2 = v2(1, 0x11, socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.2") + struct.pack("!HH", 3333, 80))
V2_6 = v2(1, 0x21, socket.inet_pton(socket.AF_INET6, "2001:db8::9") + socket.inet_pton(socket.AF_INET6, "::2") + struct.pack("!HH", 4, 80))
V2_TLV = v2(1, 0x11, socket.inet_aton("192.0.2.8") + socket.inet_aton("198.51.100.2") + struct.pack("!HH", 5, 80),
            b"\x03\x00\x04\x01\x02\x03\x04" + b"\x02\x00\x0bexample.org")


def proxied(t, *args):
    return t.shared_server(("proxy",) + args, lambda: t.app("--listen-proxy", "127.0.0.1:0", *args))


@suite.case("PROXY protocol 2.1, 2.2")
def proxy_header_of_a_trusted_peer(t):
    server = proxied(t, "--proxy-trusted", "127.0.0.0/8, ::1")
    for header, peer in ((V1, "192.0.2.1:1111"), (V1_6, "[2001:db8::1]:2222"), (V2, "192.0.2.7:3333"), (V2_6, "[2001:db8::9]:4"),
                         (V2_TLV, "192.0.2.8:5")):
        with server.connect(1) as c:
            got = info(c.ask(header + get("/info")))
            equal(got["peer"], peer, "peer", header)
            equal(info(c.ask(get("/info")))["peer"], peer, "peer of the second request", header)
        for cut in range(1, len(header) + 1, 1):
            with server.connect(1) as c, server.connect(0) as barrier:
                c.send(header[:cut])
                barrier.ask(HELLO)
                c.send(header[cut:] + get("/info"))
                equal(info(c.response())["peer"], peer, f"peer, cut at {cut}", header)


@suite.case("PROXY protocol 2.1, 2.2")
def proxy_header_without_an_address(t):
    server = proxied(t, "--proxy-trusted", "127.0.0.0/8, ::1")
    for header in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", v2(0, 0, b""), v2(1, 0, b""), v2(0, 0x11, b"\0" * 12)):
        with server.connect(1) as c:
            got = info(c.ask(header + get("/info")))
            equal(got["peer"], "%s:%d" % c.sock.getsockname(), "the real peer", header)


@suite.case("PROXY protocol 2")
def bad_proxy_header_is_cut(t):
    server = proxied(t, "--proxy-trusted", "127.0.0.0/8, ::1")
    for header in (b"", b"PROXY TCP4 192.0.2.1 198.51.100.2 1111\r\n", b"PROXY TCP4 192.0.2.999 198.51.100.2 1 2\r\n", b"PROXY TCP9 1 2 3 4\r\n",
                   b"proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n", b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", b"PROXY " + b"x" * 200,
                   b"PROXY TCP4 192.0.2.1 198.51.100.2 70000 2\r\n", v2(1, 0x11, b"\1\2"), v2(5, 0x11, b"\0" * 12),
                   SIGNATURE + b"\x11\x11\0\x0c" + b"\0" * 12, SIGNATURE[:-1] + b"X" + b"\x21\x11\0\x0c" + b"\0" * 12):
        with server.connect(1) as c:
            try:
                c.send(header + HELLO)
                rest = c.rest()
            except Reset:
                rest = b""
            check(not rest.startswith(b"HTTP/1.1 2"), "no answer, or 400", rest, header)
    with server.connect(1) as c:
        equal(c.ask(V1 + HELLO).body, b"hello\n", "afterwards")


@suite.case("SPEC: PROXY protocol from trusted peers only")
def proxy_header_of_an_untrusted_peer_is_not_believed(t):
    server = proxied(t, "--proxy-trusted", "192.0.2.0/24")
    for header in (V1, V2):
        with server.connect(1) as c:
            got = c.ask(header + get("/info"))
            equal((got.status, got.closes), (400, True), "a PROXY header of a stranger is a bad request", header)
    with server.connect(1) as c:
        equal(info(c.ask(get("/info")))["peer"], "%s:%d" % c.sock.getsockname(), "peer without a header")


@suite.case("SPEC: PROXY protocol")
def proxy_header_on_a_plain_listener_is_a_bad_request(t):
    server = proxied(t, "--proxy-trusted", "127.0.0.0/8, ::1")
    with server.connect(0) as c:
        equal(c.ask(V1 + HELLO).status, 400)


# --- workers and acceptors --------------------------------------------------------------------------------------


def worker_counts(server, conns):
    seen = {}
    for c in conns:
        worker = info(c.ask(get("/info")))["worker"]
        seen[worker] = seen.get(worker, 0) + 1
    return seen


@suite.case("SPEC: accept_threads")
def acceptors_give_to_the_least_loaded(t):
    for acceptors in ("1", "2"):
        with t.serving(t.app("--accept-threads", acceptors, workers="4")) as server:
            conns = []
            for _ in range(40):
                c = server.connect()
                c.ask(HELLO)
                conns.append(c)
            seen = worker_counts(server, conns)
            equal(sorted(seen), ["0", "1", "2", "3"], "workers in use")
            check(max(seen.values()) - min(seen.values()) <= 4, "about 10 connections each", seen)
            for c in conns:
                c.close()


@suite.case("SPEC: accept_threads")
def acceptors_with_everything(t):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.sock")
        args = ("--accept-threads", "1", "--listen", "unix:" + path, "--listen-proxy", "127.0.0.1:0", "--proxy-trusted", "127.0.0.1")
        with t.serving(t.app(*args, workers="2")) as server:
            for _ in range(100):
                with server.connect() as c:
                    equal(c.ask(HELLO).body, b"hello\n")
            with Conn(path) as c:
                equal(len(c.ask(get("/stream/1000000")).body), 1000000)
            with server.connect(2) as c:
                equal(info(c.ask(V1 + get("/info")))["peer"], "192.0.2.1:1111")
            left = server.connect()
            left.send(get("/stream/90000000"))
            left.take(10)
            left.reset()


@suite.case("SPEC: workers")
def reuseport_serves_on_every_worker(t):
    with t.serving(t.app(workers="3")) as server:
        conns = [server.connect() for _ in range(120)]
        seen = worker_counts(server, conns)
        equal(sorted(seen), ["0", "1", "2"], "workers in use")
        for c in conns:
            c.close()


@suite.case("SPEC: CPU pinning")
def workers_are_pinned(t):
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise Skip("only one CPU here")
    with t.serving(t.app("--pin", workers="2")) as server, server.connect() as c:
        c.ask(HELLO)

        def pinned():
            masks = []
            for task in os.listdir(f"/proc/{server.pid}/task"):
                masks.append(tuple(sorted(os.sched_getaffinity(int(task)))))
            return (allowed[0],) in masks and (allowed[1],) in masks
        until(pinned, f"one thread on CPU {allowed[0]}, one on {allowed[1]}")


@suite.case("config.h: stack_bytes")
def small_stacks_suffice(t):
    if is_instrumented(t.program("test_app")):
        raise Skip("sanitizers need larger stacks")
    with t.serving(t.app("--stack-bytes", "262144", workers="2")) as server, server.connect() as c:
        equal(c.ask(HELLO).body, b"hello\n")
        equal(len(c.ask(get("/stream/1000000")).body), 1000000)


# --- io_uring refused -------------------------------------------------------------------------------------------

DISABLED = "/proc/sys/kernel/io_uring_disabled"


def denied(t):
    path = os.path.join(t.args.bin, "deny_uring_app")
    if not os.access(path, os.X_OK):
        path = build_support("deny_uring_app.c", os.path.join(tempfile.mkdtemp(), "deny_uring_app"))
    if subprocess.run([path, "/bin/true"], check=False).returncode != 0:
        raise Skip("seccomp filters are not allowed here")
    return path


@suite.case("SPEC: backend = auto")
def auto_falls_back_with_a_reason_when_uring_is_refused(t):
    server = Server([t.program("arena_testing"), "--port", "0", "--workers", "1"], wrapper=[denied(t)])
    with t.serving(server), server.connect() as c:
        # kqueue: on Linux only in test builds, by a shim
        check(re.search("backend (epoll|kqueue)", server.lines[0]), "backend epoll in the first line", server.lines)
        check(re.search(r"io_uring: .*EPERM", server.lines[0]), "io_uring: ... EPERM as the reason", server.lines)
        equal(c.ask(b"GET /pipeline HTTP/1.1\r\nHost: t\r\n\r\n").body, b"ok")


@suite.case("SPEC: an explicit choice never falls back")
def explicit_uring_fails_when_refused(t):
    run = subprocess.run([denied(t), t.program("arena_testing"), "--port", "0", "--backend", "io_uring"], capture_output=True,
                         timeout=60, text=True)
    check(run.returncode not in (0, -6, -11), "a non-zero exit", run.returncode)
    check("listening" not in run.stdout, "no listening line", run.stdout)
    check("io_uring" in run.stderr and "EPERM" in run.stderr, "io_uring and EPERM in the message", run.stderr)
    check("Sanitizer" not in run.stderr, "no sanitizer report", run.stderr)


@suite.case("SPEC: backend = auto")
def auto_prefers_uring_where_it_works(t):
    server = Server([t.program("arena_testing"), "--port", "0", "--workers", "1"])
    with t.serving(server):
        if os.path.exists(DISABLED):  # kernels before 6.6 have no such switch
            with open(DISABLED, encoding="ascii") as sysctl:
                if sysctl.read().strip() != "0":
                    raise Skip("io_uring is switched off here by sysctl")
        check("backend io_uring" in server.lines[0], "backend io_uring", server.lines)
        with server.connect() as c:  # it runs: its signal handler is in place
            equal(c.ask(b"GET /pipeline HTTP/1.1\r\nHost: t\r\n\r\n").body, b"ok")


@suite.case("issue: the sysctl where the machine allows")
def auto_falls_back_when_the_sysctl_says_so(t):
    path = DISABLED
    if not os.path.exists(path):
        raise Skip("this kernel has no kernel.io_uring_disabled")
    if os.environ.get("PER_TEST_SYSCTL") != "1":
        raise Skip("changes kernel.io_uring_disabled for the whole machine; set PER_TEST_SYSCTL=1 to allow it")
    with open(path, encoding="ascii") as sysctl:
        before = sysctl.read()
    try:
        with open(path, "w", encoding="ascii") as sysctl:
            sysctl.write("2")
        server = Server([t.program("arena_testing"), "--port", "0", "--workers", "1"])
        with t.serving(server):
            check(re.search("backend (epoll|kqueue).*io_uring", server.lines[0]), "epoll, and why", server.lines)
    except OSError as error:
        raise Skip(f"cannot write {path}: {error}") from error
    finally:
        with open(path, "w", encoding="ascii") as sysctl:
            sysctl.write(before)


if __name__ == "__main__":
    sys.exit(suite.run())
