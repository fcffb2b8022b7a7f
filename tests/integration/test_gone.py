# SPDX-License-Identifier: MIT
# test_gone.py - clients that leave while something is awaited: who waits for them is told, and everything they held comes back.
# A reset is told whether or not the server receives at that moment; a client that only ends its side still gets its answer.
# ctest: timeout=300
import os
import re
import socket
import ssl
import struct
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import tls_certs  # noqa: E402
from harness import TIMEOUT_S, Conn, Failure, Server, Suite, check, equal  # noqa: E402
from ws_client import TEXT, Ws, frame  # noqa: E402

suite = Suite("clients that leave")
CERTS = tls_certs.Certs()
LOCALHOST = CERTS.make("localhost", names=("DNS:localhost",))
ROUNDS, BATCH = 1000, 50


def get(path):
    return b"GET " + path + b" HTTP/1.1\r\nHost: t\r\n\r\n"


# What a client has done before it leaves. Each returns what has to be left.


def deferred(server):
    return sent(server, get(b"/hold/1"))


def pipelined(server):
    """The answer is awaited, and more requests lie behind it: nothing is received meanwhile."""
    c = sent(server, get(b"/hold/1"))
    look(server)
    c.send(get(b"/hello") * 3)
    return c


def pipelined_at_once(server):
    return sent(server, get(b"/hold/1") + get(b"/hello") * 3)


def half_closed(server):
    c = sent(server, get(b"/hold/1"))
    c.shutdown()
    return c


def body_paused(server):
    c = sent(server, b"POST /stuck-body HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" + b"b" * 1000)
    look(server)
    c.send(b"b" * 1000)
    return c


def unread_answer(server):
    return sent(server, get(b"/stream/1000000000"))


def websocket_paused(server):
    ws = Ws(("127.0.0.1", server.port), "/ws/cmd")
    ws.conn.send(frame(TEXT, b"pause") + frame(TEXT, b"more") * 3)
    equal(ws.frame().payload, b"paused", "the answer to the first")
    return ws.conn


SITUATIONS = (deferred, pipelined, pipelined_at_once, half_closed, body_paused, unread_answer, websocket_paused)


def sent(server, data):
    c = server.connect()
    c.send(data)
    return c


def look(server):
    """When this has come back, the only worker has looked at what was sent before."""
    with server.connect() as c:
        equal(c.get("/hello").status, 200)


class Watch:
    """A connection that asks how many others there are."""

    def __init__(self, server, index=0, path="/text/prometheus"):
        self.conn, self.path = server.connect(index), path
        self.before = self.pools()

    def text(self):
        return self.conn.get(self.path).body.decode()

    def pools(self):
        text = self.text()
        found = dict(re.findall(r'^peregrine_pool_used{worker="0",pool="(\w+)"} (\d+)$', text, re.M))
        found["overflow"] = re.search(r'^peregrine_overflow_bytes{worker="0"} (\d+)$', text, re.M).group(1)
        return found

    def until(self, condition, what):
        for _ in range(3000):
            if condition():
                return
            threading.Event().wait(0.005)
        raise Failure(what, f"never; in use are {self.pools()}")

    def until_alone(self, what):
        self.until(lambda: self.pools() == self.before, f"all memory back after {what}")


def counts(watch):
    return {k: int(v) for k, v in (pair.split("=") for pair in watch.conn.get("/counts").body.decode().split())}


@suite.case("config.h: on_done tells PER_EGONE")
def reset_is_told_whatever_is_awaited(t):
    server = t.app()
    with t.serving(server):
        watch = Watch(server)
        for situation in SITUATIONS:
            gone = counts(watch)["error4"]
            c = situation(server)
            look(server)
            c.reset()
            watch.until_alone(situation.__name__)
            told = counts(watch)["error4"] - gone
            equal(told, 0 if situation is websocket_paused else 1, f"requests that ended with PER_EGONE: {situation.__name__}")
        with server.connect() as c:
            equal(c.get("/ws-counts").body.split()[1], b"closed=1", "the WebSocket's on_close")
            c.get("/release/1")


@suite.case("RFC 9112 9.6: half of a connection may be closed")
def end_of_the_clients_side_is_no_abort(t):
    server = t.app()
    with t.serving(server):
        watch = Watch(server)
        for behind in (b"", get(b"/hello") * 2):
            with server.connect() as c:
                c.send(get(b"/hold/7") + behind)
                look(server)
                c.shutdown()
                look(server)
                watch.until(lambda: int(watch.conn.get("/held").body) == 1, "the request to be held")
                watch.conn.get("/release/7")
                for _ in range(1 + len(behind) // len(get(b"/hello"))):
                    equal(c.response().status, 200, "an answer behind the end of the client's side")
                c.expect_close()
        equal(counts(watch)["error4"], 0, "requests that were told their client is gone")


@suite.case("backend.h: B8")
def closed_unix_client_is_told(t):
    """Nobody can read there any more, and the kernel says so. With requests behind, those are answered first."""
    path = os.path.join(tempfile.mkdtemp(prefix="per_gone_"), "socket")
    server = t.app("--listen", "unix:" + path)
    with t.serving(server):
        watch = Watch(server)
        for _ in range(20):
            c = Conn(path)
            c.send(get(b"/hold/1"))
            look(server)
            c.close()
            watch.until_alone("a close")
        equal(counts(watch)["error4"], 20, "requests that ended with PER_EGONE")
        watch.conn.get("/release/1")
    os.rmdir(os.path.dirname(path))


@suite.case("nothing is left behind")
def a_thousand_resets_leave_nothing(t):
    server = t.app()
    with t.serving(server):
        watch = Watch(server)
        fds = server.fd_count()
        for start in range(0, ROUNDS, BATCH):
            crowd = [SITUATIONS[i % len(SITUATIONS)](server) for i in range(start, start + BATCH)]
            for c in crowd:
                c.reset()
            watch.until_alone(f"{start + BATCH} resets")
            watch.conn.get("/release/1")
        watch.until(lambda: server.fd_count() == fds, "all descriptors back")
        got = counts(watch)
        equal(got["seen"] - got["done"], 1, "requests in progress")


# --- TLS -------------------------------------------------------------------------------------------------------


def tls_client(server):
    raw = socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ssl.create_default_context(cafile=LOCALHOST.cert).wrap_socket(raw, server_hostname="localhost")


def reset(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


def close_unread(c):
    """The tickets behind the handshake have not been read, so that the kernel answers the close with a reset."""
    c.close()


@suite.case("TLS: reset, and closed with unread bytes")
def tls_client_that_leaves_is_told(t):
    server = Server([t.program("tls_app"), "--backend", t.args.backend, "--workers", "1", "--cert", LOCALHOST.cert, "--key",
                     LOCALHOST.key], ready=re.compile(r"^ready$"))
    with t.serving(server):
        watch = Watch(server, 1, "/stats")
        for leave in (reset, close_unread):
            for behind in (b"", get(b"/") * 3):
                for _ in range(25):
                    c = tls_client(server)
                    c.sendall(get(b"/never"))
                    watch.until(lambda: int(watch.pools()["exchanges"]) == 2, "the request to be awaited")
                    c.sendall(behind)
                    watch.text()
                    leave(c)
                    watch.until_alone(f"{leave.__name__} with {len(behind)} bytes behind the request")
        check("peregrine_tls_failed_total{worker=\"0\"} 0" in watch.text(), "no failed handshake", watch.text())


if __name__ == "__main__":
    sys.exit(suite.run())
