# SPDX-License-Identifier: MIT
# test_tls.py - TLS under real clients: Python's ssl module (OpenSSL) and curl. Basics of the connection: bodies, WebSocket,
# closing, garbage, HTTP where HTTPS is expected, many handshakes at once.
# Does not test the codec byte by byte (tests/unit, tests/sim).
import base64
import hashlib
import os
import random
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import TIMEOUT_S, Failure, Skip, Suite, check, equal, which  # noqa: E402

suite = Suite("TLS with real clients")
DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
MEBI = 1 << 20
ISSUE = "issue: TLS"
FOLDER = tempfile.TemporaryDirectory(prefix="peregrine-tls-")
CERT, KEY = os.path.join(FOLDER.name, "cert.pem"), os.path.join(FOLDER.name, "key.pem")


def certificate_make():
    if which("openssl") is None:
        sys.exit("cannot run: openssl is not installed")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", KEY, "-out", CERT],
                   check=True, capture_output=True)


def arena(t, *more, key="arena", workers="2"):
    return t.shared_server(key, lambda: t.arena("--tls-cert", CERT, "--tls-key", KEY, "--tls12", *more, workers=workers))


def context_make(version=ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=CERT)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["http/1.1"])
    return context


class Client:
    """A connection of TLS. An end without close_notify raises ssl.SSLEOFError."""

    def __init__(self, server, context=None, session=None):
        raw = socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = (context or context_make()).wrap_socket(raw, server_hostname="localhost", session=session,
                                                            suppress_ragged_eofs=False)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

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
        self.sock.sendall(b"GET " + target.encode() + b" HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n")
        return self.body()

    def rest(self):
        """Everything up to close_notify."""
        while True:
            more = self.sock.recv(65536)
            if not more:
                return self.data
            self.data += more


def curl(server, target, *args, data=None):
    if which("curl") is None:
        raise Skip("curl is not installed")
    run = subprocess.run(["curl", "-sS", "--max-time", "60", "--cacert", CERT, *args, f"https://localhost:{server.port}{target}"],
                         input=data, capture_output=True, timeout=70, check=False)
    check(run.returncode == 0, "curl to succeed", f"exit {run.returncode}, {run.stderr!r}")
    return run.stdout


@suite.case(ISSUE)
def requests_follow_each_other_on_a_connection(t):
    with Client(arena(t)) as c:
        equal(c.sock.version(), "TLSv1.3")
        equal(c.sock.selected_alpn_protocol(), "http/1.1")
        for i in range(100):
            equal(c.get(f"/baseline11?a={i}&b=1"), str(i + 1).encode())


@suite.case(ISSUE)
def tls_1_2_works_where_it_is_asked_for(t):
    with Client(arena(t), context_make(ssl.TLSVersion.TLSv1_2)) as c:
        equal(c.sock.version(), "TLSv1.2")
        equal(c.get("/bytes/100000"), (DIGITS * 2000)[:100000])


@suite.case(ISSUE)
def pipelined_requests_are_answered_in_order(t):
    with Client(arena(t)) as c:
        c.sock.sendall(b"".join(b"GET /baseline11?a=%d&b=0 HTTP/1.1\r\nHost: t\r\n\r\n" % i for i in range(3000)))
        for i in range(3000):
            equal(c.body(), str(i).encode())


@suite.case(ISSUE)
def long_bodies_come_whole_in_both_directions(t):
    body = random.Random(1).randbytes(20 * MEBI)
    got = curl(arena(t), "/echo", "--data-binary", "@-", data=body)
    equal(hashlib.sha256(got).hexdigest(), hashlib.sha256(body).hexdigest())


@suite.case(ISSUE)
def a_client_that_asks_before_it_reads_gets_every_byte(t):
    with Client(arena(t)) as c:
        c.sock.sendall(b"GET /bytes/1000000 HTTP/1.1\r\nHost: t\r\n\r\n" * 20)
        for _ in range(20):
            equal(c.body(), (DIGITS * 16000)[:1000000])


@suite.case(ISSUE)
def the_last_answer_is_followed_by_close_notify(t):
    with Client(arena(t)) as c:
        c.sock.sendall(b"GET /pipeline HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        check(c.rest().endswith(b"\r\n\r\nok"), "an answer", c.data)


@suite.case(ISSUE)
def close_notify_of_the_client_is_answered(t):
    with Client(arena(t)) as c:
        equal(c.get("/pipeline"), b"ok")
        c.sock.unwrap()  # waits for the server's


@suite.case(ISSUE)
def a_session_is_resumed(t):
    context = context_make()
    with Client(arena(t), context) as c:
        c.get("/pipeline")
        session = c.sock.session
        equal(c.sock.session_reused, False)
    with Client(arena(t), context, session) as c:
        equal(c.get("/pipeline"), b"ok")
        equal(c.sock.session_reused, True)


@suite.case(ISSUE)
def websocket_messages_come_back(t):
    with Client(arena(t)) as c:
        key = base64.b64encode(os.urandom(16))
        c.sock.sendall(b"GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n")
        check(c.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101"), "101", c.data)
        for size in (1, 1000, 100000, MEBI):
            payload = random.Random(size).randbytes(size)
            length = (struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0xfe, size) if size < 65536
                      else struct.pack("!BQ", 0xff, size))
            c.sock.sendall(b"\x82" + length + b"\0\0\0\0" + payload)
            first = c.take(2)
            if first[1] >= 126:
                c.take(2 if first[1] == 126 else 8)
            equal(c.take(size), payload)


@suite.case(ISSUE)
def http_without_tls_is_told_so(t):
    with arena(t).connect() as c:
        got = c.get("/pipeline")
        equal((got.status, b"https://" in got.body), (400, True))
        c.expect_close()


@suite.case(ISSUE)
def garbage_is_answered_with_an_alert(t):
    hello = b"\x16\x03\x01\x00\x30\x01\x00\x00\x2c\x03\x03"
    for data in (b"\0" * 64, b"\x16\x03\x01\xff\xff" + b"\0" * 100, hello + b"\xff" * 42):
        with arena(t).connect() as c:
            c.send(data)
            rest = c.rest()
            check(rest == b"" or (rest[0] == 21 and rest[1] == 3), "an alert or nothing", rest)
    with Client(arena(t)) as c:
        equal(c.get("/pipeline"), b"ok")


@suite.case(ISSUE)
def many_handshakes_at_once_come_through(t):
    server, failures = arena(t), []

    def work():
        try:
            for _ in range(10):
                with Client(server) as c:
                    equal(c.get("/pipeline"), b"ok")
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failures, [])


if __name__ == "__main__":
    certificate_make()
    try:
        sys.exit(suite.run())
    except Failure as failure:
        sys.exit(f"cannot run: {failure}")
