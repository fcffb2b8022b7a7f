# SPDX-License-Identifier: MIT
# test_tls.py - TLS under real clients: Python's ssl module (OpenSSL), curl, raw sockets. The connection itself: bodies, WebSocket,
# closing, what is no TLS, limits of handshakes, PROXY. Certificates are test_tls_certs.py's, single bytes tests/sim's and
# tests/unit's.
# ctest: timeout=300
import contextlib
import hashlib
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import tls_certs  # noqa: E402
from harness import TIMEOUT_S, Conn, Failure, Reset, Server, Skip, Suite, check, equal, is_instrumented, which  # noqa: E402
from ws_client import BINARY, TEXT, Ws  # noqa: E402

suite = Suite("TLS with real clients")
DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
MEBI = 1 << 20
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CERTS = tls_certs.Certs()
LOCALHOST = CERTS.make("localhost", names=("DNS:localhost",))


def arena(t):
    return t.shared_server("arena", lambda: t.arena("--tls-cert", LOCALHOST.cert, "--tls-key", LOCALHOST.key, "--tls12", workers="2"))


def app(t, *options, workers="1"):
    return Server([t.program("tls_app"), "--backend", t.args.backend, "--workers", workers, "--cert", LOCALHOST.cert, "--key",
                   LOCALHOST.key, *options], ready=re.compile(r"^ready$"))


def context_make(version=V13):
    context = ssl.create_default_context(cafile=LOCALHOST.cert)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["http/1.1"])
    return context


class Client:
    """A connection of TLS. An end without close_notify raises ssl.SSLEOFError."""

    def __init__(self, server, context=None, recv_buf=None, first=b""):
        raw = socket.socket()
        raw.settimeout(TIMEOUT_S)
        if recv_buf:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, recv_buf)
        raw.connect(("127.0.0.1", server.port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.sendall(first)
        try:
            self.sock = (context or context_make()).wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
        except BaseException:
            raw.close()
            raise
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def until(self, mark):
        while mark not in self.data:
            more = self.sock.recv(65536)
            check(more, f"{mark!r}", f"the end behind {self.data!r}")
            self.data += more
        head, _, self.data = self.data.partition(mark)
        return head

    def take(self, count):
        parts, have = [self.data], len(self.data)
        while have < count:
            more = self.sock.recv(65536)
            check(more, f"{count} bytes", f"the end behind {have}")
            parts.append(more)
            have += len(more)
        whole = b"".join(parts)
        self.data = whole[count:]
        return whole[:count]

    def body(self):
        head = self.until(b"\r\n\r\n")
        return self.take(int(re.search(rb"\r\nContent-Length: (\d+)", head).group(1)))

    def get(self, target, fields=b""):
        self.send(b"GET " + target.encode() + b" HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n")
        return self.body()

    def info(self):
        return dict(line.split("=", 1) for line in self.get("/").decode().splitlines())

    def rest(self):
        """Everything up to close_notify."""
        while True:
            more = self.sock.recv(65536)
            if not more:
                return self.data
            self.data += more


def counters(server):
    """The sums over all workers, asked for without TLS."""
    with server.connect(1) as c:
        text = c.get("/stats").body.decode()
    found = {}
    for name, value in re.findall(r"^peregrine_(\w+?)(?:_total)?\{worker=\"\d+\"\} (\d+)$", text, re.M):
        found[name] = found.get(name, 0) + int(value)
    return found


def counter_reaches(server, name, value):
    """Counters move when the loop gets to it: asked again, at most as long as anything may take."""
    for _ in range(int(TIMEOUT_S * 100)):
        if counters(server)[name] >= value:
            return
        threading.Event().wait(0.01)
    raise Failure(f"{name} to become {value}", counters(server))


# --- requests --------------------------------------------------------------------------------------------------


@suite.case("RFC 8446")
def requests_follow_each_other_on_a_connection(t):
    for version, name in ((V13, "TLSv1.3"), (V12, "TLSv1.2")):
        with Client(arena(t), context_make(version)) as c:
            equal(c.sock.version(), name)
            equal(c.sock.selected_alpn_protocol(), "http/1.1")
            for i in range(50):
                equal(c.get(f"/baseline11?a={i}&b=1"), str(i + 1).encode())


@suite.case("RFC 8446")
def pipelined_requests_are_answered_in_order(t):
    with Client(arena(t)) as c:
        c.send(b"".join(b"GET /baseline11?a=%d&b=0 HTTP/1.1\r\nHost: t\r\n\r\n" % i for i in range(3000)))
        for i in range(3000):
            equal(c.body(), str(i).encode())


@suite.case("RFC 8446 5.1")
def long_bodies_come_whole_in_both_directions(t):
    server = arena(t)
    body = random.Random(1).randbytes(MEBI) * (8 if is_instrumented(t.program("arena_testing")) else 50)
    for version in (V13, V12):
        with Client(server, context_make(version)) as c:
            c.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body))
            c.send(body)
            equal(c.body(), str(len(body)).encode())
            got = c.get(f"/bytes/{len(body)}")
            equal(hashlib.sha256(got).hexdigest(), hashlib.sha256(DIGITS * (len(body) // 64)).hexdigest())


@suite.case("RFC 8446")
def a_client_that_asks_before_it_reads_gets_every_byte(t):
    with Client(arena(t)) as c:
        c.send(b"GET /bytes/1000000 HTTP/1.1\r\nHost: t\r\n\r\n" * 20)
        for _ in range(20):
            equal(c.body(), (DIGITS * 16000)[:1000000])


@suite.case("RFC 8446")
def a_body_goes_both_ways_at_once(t):
    body = random.Random(1).randbytes(20 * MEBI)
    if which("curl") is None:
        raise Skip("curl is not installed")
    run = subprocess.run(["curl", "-sS", "--max-time", "60", "--cacert", LOCALHOST.cert, "--data-binary", "@-",
                          f"https://localhost:{arena(t).port}/echo"], input=body, capture_output=True, timeout=70, check=False)
    check(run.stdout == body, "the same bytes", f"{len(run.stdout)} bytes, {run.stderr!r}")


@suite.case("RFC 8446 5.1")
def a_slow_reader_gets_every_byte(t):
    with Client(arena(t), recv_buf=4096) as c:
        equal(c.get("/bytes/5000000"), (DIGITS * 80000)[:5000000])


@suite.case("RFC 6455")
def websocket_messages_come_back(t):
    def wrap(sock):
        return context_make().wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)
    with Ws(("127.0.0.1", arena(t).port), "/ws", wrap=wrap) as c:
        for size in (1, 1000, 100000, MEBI):
            payload = random.Random(size).randbytes(size)
            c.binary(payload)
            c.expect(BINARY, payload)
        c.text("and text")
        c.expect(TEXT, b"and text")
        c.end()


@suite.case("RFC 8446")
def curl_verifies_the_certificate(t):
    if which("curl") is None:
        raise Skip("curl is not installed")
    url = f"https://localhost:{arena(t).port}/bytes/1000000"
    for more in ((), ("--tls-max", "1.2")):
        run = subprocess.run(["curl", "-sS", "--max-time", "60", "--cacert", LOCALHOST.cert, *more, url, url], capture_output=True,
                             timeout=70, check=False)
        equal((run.returncode, len(run.stdout)), (0, 2000000), run.stderr.decode())


@suite.case("RFC 6066 4")
def a_client_may_ask_for_small_fragments(t):
    run = subprocess.run(["openssl", "s_client", "-quiet", "-no_ign_eof", "-maxfraglen", "512", "-CAfile", LOCALHOST.cert,
                          "-ign_eof", "-connect", f"127.0.0.1:{arena(t).port}"], capture_output=True, timeout=60, check=False,
                         input=b"GET /bytes/3000000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    _, _, body = run.stdout.partition(b"\r\n\r\n")
    check(body == (DIGITS * 50000)[:3000000], "all bytes", f"{len(body)} bytes, {run.stderr[-200:]}")


@suite.case("RFC 8446 4.6.3")
def keys_are_changed_in_both_directions(t):
    with subprocess.Popen(["openssl", "s_client", "-CAfile", LOCALHOST.cert, "-connect", f"127.0.0.1:{arena(t).port}"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        killer = threading.Timer(TIMEOUT_S, client.kill)
        killer.start()
        while not client.stdout.readline().startswith((b"Verify return code", b"    Verify return code")):
            check(client.poll() is None, "a handshake", client.returncode)
        for command in (b"K\n", b"k\n", b"K\n"):  # s_client takes a letter for a command when it is read alone
            client.stdin.write(command)
            client.stdin.flush()
            while client.stderr.readline() != b"KEYUPDATE\n":
                check(client.poll() is None, "a KeyUpdate", client.returncode)
        client.stdin.write(b"GET /pipeline HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        client.stdin.flush()
        output = client.stdout.read()
        killer.cancel()
        check(b"HTTP/1.1 200" in output, "an answer", output[-500:])


# --- the end ---------------------------------------------------------------------------------------------------


@suite.case("RFC 8446 6.1")
def the_last_answer_is_followed_by_close_notify(t):
    for version in (V13, V12):
        with Client(arena(t), context_make(version)) as c:
            c.send(b"GET /pipeline HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            check(c.rest().endswith(b"\r\n\r\nok"), "an answer", c.data)


@suite.case("RFC 8446 6.1")
def close_notify_of_the_client_is_answered(t):
    for version in (V13, V12):
        with Client(arena(t), context_make(version)) as c:
            equal(c.get("/pipeline"), b"ok")
            c.sock.unwrap().close()  # waits for the server's


@suite.case("RFC 8446 6.1")
def a_stream_without_close_notify_is_counted(t):
    with t.serving(app(t)) as server:
        for how in (socket.SHUT_WR, socket.SHUT_RDWR):
            with Client(server) as c:
                c.info()
                c.sock.shutdown(how)  # of TCP alone
        counter_reaches(server, "tls_truncated", 2)
        with Client(server) as c:
            c.info()
            c.sock.unwrap().close()
        got = counters(server)
        equal((got["tls_truncated"], got["tls_handshakes"], got["tls_failed"]), (2, 3, 0))


@suite.case("RFC 8446 6.1")
def a_stop_ends_with_close_notify(t):
    with t.serving(app(t)) as server, Client(server) as c, server.connect() as raw:
        c.info()
        raw.send(b"\x16\x03\x01")  # in its handshake for ever
        counter_reaches(server, "connections_now", 3)
        server.process.send_signal(signal.SIGTERM)
        equal(c.rest(), b"")
        equal(raw.rest(), b"")
        equal(server.join(), [])


# --- what is no TLS --------------------------------------------------------------------------------------------


@suite.case("RFC 8446")
def http_without_tls_is_told_so(t):
    with arena(t).connect() as c:
        got = c.get("/pipeline")
        equal((got.status, b"https://" in got.body), (400, True))
        c.expect_close()


@suite.case("RFC 8446 6.2")
def garbage_is_answered_with_an_alert(t):
    hello = b"\x16\x03\x01\x00\x30\x01\x00\x00\x2c\x03\x03"
    for data in (b"\x80\x2e\x01\x00\x02", b"\0" * 64, b"\x16\x03\x01\xff\xff" + b"\0" * 100, hello + b"\xff" * 42,
                 b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xff" + b"\0" * 16380, b"\x17" + random.Random(5).randbytes(100000)):
        with arena(t).connect() as c:
            with contextlib.suppress(Reset):
                c.send(data)
                c.sock.shutdown(socket.SHUT_WR)  # nothing more is to be waited for
                rest = c.rest()
                check(rest == b"" or (rest[0] == 21 and rest[1] == 3), "an alert or nothing", rest)
    with Client(arena(t)) as c:
        equal(c.get("/pipeline"), b"ok")


@suite.case("RFC 8446 5.2")
def what_is_no_record_behind_a_handshake_ends_the_connection(t):
    for version, data in ((V13, b"\x17\x03\x03\x41\x01" + b"\0" * 100), (V13, b"\x17\x03\x03\x00\x20" + b"\0" * 32),
                          (V13, b"\x14\x03\x03\x00\x01\x01"), (V13, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
                          (V12, b"\x17\x03\x03\x48\x01" + b"\0" * 100), (V12, b"\x17\x03\x03\x00\x20" + b"\0" * 32)):
        with Client(arena(t), context_make(version)) as c:
            equal(c.get("/pipeline"), b"ok")
            os.write(c.sock.fileno(), data)
            try:
                got = c.rest()
            except (ssl.SSLError, ConnectionResetError) as error:
                check("EOF" not in str(error), "an alert", error)
            else:
                raise Failure("an alert", got)


# --- limits ----------------------------------------------------------------------------------------------------


@suite.case("limits")
def a_handshake_has_its_time(t):
    with t.serving(app(t, "--handshake-timeout", "200")) as server:
        for data in (b"", b"\x16\x03\x01\x01"):
            with server.connect() as c:
                c.send(data)
                with contextlib.suppress(Reset):
                    equal(c.rest(), b"")
        counter_reaches(server, "timeouts", 2)


@suite.case("limits")
def handshakes_above_the_limit_are_refused(t):
    with t.serving(app(t, "--handshakes-max", "3")) as server:
        with contextlib.ExitStack() as stack:
            for i in range(3):
                c = stack.enter_context(server.connect())
                c.send(b"\x16\x03\x01\x01")
                counter_reaches(server, "connections_now", i + 2)
            for _ in range(100):
                with contextlib.suppress(ssl.SSLError, OSError), Client(server):
                    continue
                break
            else:
                raise Failure("a refusal", "an answer")
            check(counters(server)["tls_refused"] >= 1, "a refusal", counters(server))
        counter_reaches(server, "tls_failed", 3)
        with Client(server) as c:
            equal(c.info()["tls"], "1")


@suite.case("limits")
def many_handshakes_at_once_come_through(t):
    server, failures = arena(t), []

    def work():
        try:
            for i in range(8):
                with Client(server, context_make(V12 if i % 4 == 0 else V13)) as c:
                    equal(c.get("/pipeline"), b"ok")
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failures, [])


@suite.case("PROXY")
def tls_begins_behind_a_proxy_header(t):
    with t.serving(app(t, "--proxy-trusted", "127.0.0.0/8")) as server:
        with Client(server, first=b"PROXY TCP4 192.0.2.7 192.0.2.8 4242 443\r\n") as c:
            got = c.info()
            equal((got["tls"], got["peer"]), ("1", "192.0.2.7:4242"))
        with contextlib.suppress(Reset), Conn(("127.0.0.1", server.port)) as c:
            c.send(b"\x16\x03\x01\x00\x30\x01\x00\x00\x2c\x03\x03")
            equal(c.rest(), b"")
        equal(counters(server)["bad_requests"], 1)


@suite.case("threads")
def acceptors_hand_connections_of_tls_on(t):
    with t.serving(app(t, "--accept-threads", "1", workers="2")) as server:
        workers = set()
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                workers.add(stack.enter_context(Client(server)).info()["worker"])
        equal(workers, {"0", "1"})


if __name__ == "__main__":
    sys.exit(suite.run())
