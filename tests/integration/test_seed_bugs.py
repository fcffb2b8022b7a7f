# SPDX-License-Identifier: MIT
# test_seed_bugs.py - the bugs of the server that this one descends from, each by name (SPEC, last section).
# Some are tested more widely elsewhere; here each has its own short case. WebSocket and static files come with those features.
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import Conn, Failure, Suite, check, equal  # noqa: E402

suite = Suite("bugs of the seed")
SPEC = "SPEC: bugs of the seed"
HELLO = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"


def app(t):
    return t.shared_server("app", t.app)


def info(got):
    lines = dict(line.split(" ", 1) for line in got.body.decode("latin-1").splitlines())
    return {k: (None if v == "-" else v[1:-1]) for k, v in lines.items()}


@suite.case(SPEC)
def response_without_body_does_not_resend_the_previous_body(t):
    with app(t).connect() as c:
        for empty in ("/empty", "/status/204", "/status/304", "/ref/0", "/stream/0", "/copy/0"):
            equal(c.get("/copy/1000").body[:3], b"\0\1\2")
            got = c.get(empty)
            equal(got.body, b"", "body of " + empty)
            equal(c.get("/hello").body, b"hello\n", "the answer behind " + empty)
            c.send(b"GET /copy/1000 HTTP/1.1\r\nHost: t\r\n\r\nGET %s HTTP/1.1\r\nHost: t\r\n\r\n%s" % (empty.encode(), HELLO))
            equal([len(c.response().body) for _ in range(3)], [1000, 0, 6], "lengths, pipelined with " + empty)


@suite.case(SPEC)
def request_line_of_15_bytes(t):
    with app(t).connect() as c:
        line = b"GET / HTTP/1.1"
        equal(len(line) + 1, 15, "with its first terminator")
        for target in (b"/", b"/a", b"/ab"):
            equal(c.ask(b"GET " + target + b" HTTP/1.1\r\nHost: t\r\n\r\n").status, 404)
            equal(c.ask(b"G " + target + b" HTTP/1.1\r\nHost: t\r\n\r\n").status, 404)
    for target in (b"/", b"/a"):
        with app(t).connect() as c:
            got = c.ask(b"GET " + target + b" HTTP/1.0\r\n\r\n")
            equal((got.status, got.closes), (404, True))


@suite.case(SPEC)
def empty_header_value(t):
    with app(t).connect() as c:
        for line in (b"X:", b"X: ", b"X:   ", b"X:\t"):
            for place in (b"%s\r\nHost: t", b"Host: t\r\n%s", b"A: b\r\n%s\r\nHost: t"):
                got = info(c.ask(b"GET /info HTTP/1.1\r\n" + place % line + b"\r\n\r\n"))
                equal(got["x"], "", "value", line)


@suite.case(SPEC)
def value_without_a_space_after_the_colon(t):
    with app(t).connect() as c:
        got = info(c.ask(b"GET /info HTTP/1.1\r\nHost:h\r\nX:y\r\nCookie:a=b\r\n\r\n"))
        equal((got["host"], got["x"], got["cookie"]), ("h", "y", "a=b"))
        equal(info(c.ask(b"POST /info HTTP/1.1\r\nHost:h\r\nContent-Length:3\r\n\r\nabc"))["body"], "abc")


@suite.case(SPEC)
def cookie_of_300_bytes(t):
    with app(t).connect() as c:
        for n in (255, 256, 257, 300, 4000):
            equal(info(c.get("/info", "Cookie: " + "k" * n))["cookie"], "k" * n)


@suite.case(SPEC)
def request_cut_at_every_byte(t):
    data = b"POST /info?a=1 HTTP/1.1\r\nHost: t\r\nX: y\r\nCookie: k=v\r\nContent-Length: 5\r\n\r\nhello"
    with app(t).connect() as c, app(t).connect() as barrier:
        whole = info(c.ask(data))
        for cut in range(1, len(data)):
            c.send(data[:cut])
            equal(barrier.ask(HELLO).body, b"hello\n")  # the server has seen the first part
            c.send(data[cut:])
            equal(info(c.response()), whole, f"request cut at {cut}")
        c.send_bytes(data)
        equal(info(c.response()), whole, "request in single bytes")


@suite.case(SPEC)
def two_and_three_pipelined_requests_in_one_segment(t):
    with app(t).connect() as c:
        for n in (2, 3, 16):
            c.send(HELLO * n)
            for _ in range(n):
                equal(c.response().body, b"hello\n")
        c.send(b"GET /info?1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /info?2 HTTP/1.1\r\nHost: b\r\nContent-Length: 1\r\n\r\nxGET /info?3 HTTP/1.1\r\nHost: c\r\n\r\n")
        equal([(lambda i: (i["query"], i["host"], i["body"]))(info(c.response())) for _ in range(3)],
              [("1", "a", ""), ("2", "b", "x"), ("3", "c", "")])


@suite.case(SPEC)
def connection_close_on_http_1_1(t):
    with app(t).connect() as c:
        got = c.get("/hello", "Connection: close")
        equal((got.body, got.closes), (b"hello\n", True))
        c.expect_close()


@suite.case(SPEC)
def no_body_after_head(t):
    with app(t).connect() as c:
        for target, length in (("/hello", "6"), ("/ref/70000", "70000"), ("/stream/70000", "70000"), ("/none", "13")):
            c.send(f"HEAD {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode() + HELLO)
            equal(c.response("HEAD").get("content-length"), length)
            equal(c.response().body, b"hello\n", "the answer right behind the head of " + target)


@suite.case(SPEC)
def slow_reader_of_a_50_mb_body(t):
    size = 50 << 20
    with Conn(("127.0.0.1", app(t).port), recv_buf=4096, timeout_s=60) as c:
        c.send(b"GET /stream/%d HTTP/1.1\r\nHost: t\r\n\r\n" % size)
        c.until(b"\r\n\r\n")
        period, at = bytes(range(251)) * 300, 0
        while at < size:
            data = c.take(min(60000, size - at))
            check(data == period[at % 251:at % 251 + len(data)], f"the pattern at {at}", "other bytes")
            at += len(data)
        equal(c.get("/hello").body, b"hello\n")


@suite.case(SPEC)
def timeouts_really_fire(t):
    args = ("--idle-timeout-ms", "300", "--head-timeout-ms", "300", "--rate-window-ms", "300", "--body-rate-min", "1000",
            "--write-rate-min", "1000")
    with t.serving(t.app(*args)) as server:
        with server.connect() as c:
            equal(c.ask(b"GET /hel").status, 408, "an unfinished head gets")
            c.expect_close()
        with server.connect() as c:
            equal(c.ask(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc").status, 408, "an unfinished body gets")
            c.expect_close()
        with server.connect() as c:
            equal(c.ask(HELLO).status, 200)
            c.expect_close("an idle connection to be closed")
        before = server.fd_count()
        with Conn(("127.0.0.1", server.port), recv_buf=4096) as c:
            c.send(b"GET /stream/90000000 HTTP/1.1\r\nHost: t\r\n\r\n")
            c.take(1)
            for _ in range(3000):
                if server.fd_count() <= before:
                    return
                threading.Event().wait(0.005)
        raise Failure("a client that does not read to be cut", "never")


@suite.case(SPEC)
def values_longer_than_256_bytes_in_response_headers(t):
    with app(t).connect() as c:
        for n in (255, 256, 257, 300, 5000):
            equal(c.get(f"/header/{n}").get("x-long"), "v" * n)


@suite.case(SPEC)
def shutdown_with_live_connections(t):
    for workers in ("1", "2"):
        server = t.app("--stop-timeout-ms", "300", workers=workers)
        with t.serving(server):
            conns = [server.connect() for _ in range(30)]
            for i, c in enumerate(conns):
                c.send((b"", HELLO, HELLO[:9], b"GET /stream/50000000 HTTP/1.1\r\nHost: t\r\n\r\n",
                        b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx")[i % 5])
            for c in conns[1::5]:
                equal(c.response().body, b"hello\n")
        for c in conns:
            c.close()


@suite.case(SPEC)
def two_servers_in_one_process_stopped_separately(t):
    with t.serving(t.app("--servers", "2")) as server:
        with server.connect(0) as first, server.connect(1) as second:
            equal(first.ask(b"GET /stop HTTP/1.1\r\nHost: t\r\n\r\n").body, b"stopping\n")
            first.expect_close()
            equal(second.ask(HELLO).body, b"hello\n", "the other server")


# Also of that list, elsewhere: EMFILE, descriptor numbers above 32,767, TCP_NODELAY, autotuning, idle CPU: test_resources.py.

if __name__ == "__main__":
    sys.exit(suite.run())
