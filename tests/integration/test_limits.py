# SPDX-License-Identifier: MIT
# test_limits.py - every limit of per_config at max and at max + 1, and every timeout, through test_app's flags.
# No timing is asserted: what has to happen is waited for, what must not happen is checked after a timeout elsewhere.
# ctest: timeout=400
import os
import select
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import Closed, Conn, Failure, Reset, Suite, check, equal  # noqa: E402

suite = Suite("limits and timeouts")
IDLE = ("--idle-timeout-ms", "400")


def get(target="/hello", *fields):
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: t", *fields, "", ""]).encode()


def counts(c):
    return {k: int(v) for k, v in (pair.split("=") for pair in c.get("/counts").body.decode().split())}


def stats(c):
    return {k: int(v) for k, v in (line.split() for line in c.get("/stats").body.decode().splitlines())}


def until(condition, what, tries=3000):
    for _ in range(tries):
        if condition():
            return
        threading.Event().wait(0.005)
    raise Failure(what, "never")


def pass_time(server, times=2):
    """Waits as long as this server's idle timeout, measured by the server itself."""
    for _ in range(times):
        with server.connect() as clock:
            clock.get("/hello")
            clock.expect_close("the idle timeout to close")


def dribble(conn, data, pause_s=0.02):
    """One byte at a time until the server says something; what of data is left."""
    for i in range(len(data)):
        if select.select([conn.sock], [], [], pause_s)[0]:
            return data[i:]
        conn.send(data[i:i + 1])
    return b""


# --- limits -----------------------------------------------------------------------------------------------------


@suite.case("RFC 6585 5")
def head_bytes_max(t):
    with t.serving(t.app("--head-bytes-max", "1000")) as server:
        def of(size):
            return get("/hello", "X: " + "v" * (size - len(get("/hello", "X: "))))
        with server.connect() as c:
            equal(c.ask(of(1000)).status, 200, "a head of 1000 bytes is")
            equal(c.ask(of(1001)).status, 431, "a head of 1001 bytes is")
            c.expect_close()


@suite.case("RFC 6585 5")
def head_fields_max(t):
    with t.serving(t.app("--head-fields-max", "10")) as server, server.connect() as c:
        equal(c.ask(get("/hello", *["A: b"] * 9)).status, 200, "10 fields are")
        equal(c.ask(get("/hello", *["A: b"] * 10)).status, 431, "11 fields are")
        c.expect_close()


@suite.case("RFC 9110 15.5.15")
def target_bytes_max(t):
    with t.serving(t.app("--target-bytes-max", "100")) as server, server.connect() as c:
        equal(c.ask(get("/hello?" + "q" * 93)).status, 200, "a target of 100 bytes is")
        equal(c.ask(get("/hello?" + "q" * 94)).status, 414, "a target of 101 bytes is")
        c.expect_close()


@suite.case("RFC 9110 15.5.14")
def body_bytes_max(t):
    with t.serving(t.app("--body-bytes-max", "1000")) as server:
        for chunked in (False, True):
            for size, status in ((1000, 200), (1001, 413), (1000000, 413)):
                with server.connect() as c:
                    if chunked:
                        data = b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, b"b" * size)
                    else:
                        data = b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s" % (size, b"b" * size)
                    equal(c.ask(data).status, status, f"status of {size} bytes", f"chunked: {chunked}")


@suite.case("config.h: requests_per_connection_max")
def requests_max(t):
    with t.serving(t.app("--requests-max", "5")) as server:
        with server.connect() as c:
            for i in range(5):
                equal(c.get("/hello").closes, i == 4, f"Connection: close in answer {i + 1}")
            c.expect_close()
        with server.connect() as c:
            c.send(get() * 20)
            equal([c.response().closes for _ in range(5)], [False] * 4 + [True])
            c.expect_close("nothing beyond the fifth of 20 pipelined requests")


@suite.case("SPEC: overload")
def connections_max(t):
    with t.serving(t.app("--connections-max", "20", "--stop-timeout-ms", "500")) as server:
        conns = [server.connect() for _ in range(20)]
        for c in conns:
            equal(c.get("/hello").body, b"hello\n")
        extra = [server.connect() for _ in range(10)]
        for c in extra:
            try:
                c.send(get())
            except Reset:
                pass  # refused at once
        for c in conns:
            equal(c.get("/hello").body, b"hello\n", "an old connection still")
        answered = [c for c in extra if c.readable_now() and b"200" in peek(c)]
        equal(answered, [], "no answer above the limit, that is")
        check(stats(conns[0])["connections_now"] == 20, "20 open", stats(conns[0]))
        for c in conns[1:] + extra:
            c.close()
        for _ in range(15):  # slots come back
            c = connect_until_served(server)
            c.close()
        equal(conns[0].get("/hello").body, b"hello\n")
        conns[0].close()


def peek(conn):
    try:
        return conn.sock.recv(100, 2)
    except OSError:
        return b""


def connect_until_served(server, tries=300):
    for _ in range(tries):
        c = server.connect()
        try:
            c.get("/hello")
            return c
        except (Closed, Reset):
            c.close()
            threading.Event().wait(0.02)
    raise Failure("a connection to be served again", f"never in {tries} tries")


@suite.case("config.h: write_queue_bytes")
def write_queue_is_small_and_streams_are_whole(t):
    with t.serving(t.app("--write-queue-bytes", "4096")) as server, server.connect() as c:
        for query in ("", "?unknown=1", "?ref=1", "?piece=100000"):
            equal(len(c.get("/stream/3000000" + query).body), 3000000, "length", query)
        n = counts(c)
        check(n["writable"] > 0, "on_writable to be called", n)


@suite.case("config.h: recv_buf_bytes, recv_buf_count")
def receive_buffers_few_and_small(t):
    """More uploads at once than there are receive buffers: nobody starves, nobody loses a byte."""
    with t.serving(t.app("--recv-buf-bytes", "1024", "--recv-buf-count", "8")) as server:
        conns = [server.connect() for _ in range(100)]
        body = b"r" * 50000
        for c in conns:
            c.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 150000\r\n\r\n")
        for _ in range(3):
            for c in conns:
                c.send(body)
        for c in conns:
            equal(c.response().body.split()[0], b"150000")
            c.close()


@suite.case("SPEC: memory")
def memory_budget_refuses_cleanly(t):
    with t.serving(t.app("--memory-bytes", str(8 << 20), "--stop-timeout-ms", "500", "--body-bytes-max", str(4 << 20))) as server:
        conns = [server.connect() for _ in range(20)]
        for c in conns:
            try:
                c.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2000000\r\n\r\n")
                c.send(b"m" * 1900000)
            except Reset:
                pass
        seen = set()
        for c in conns:
            try:
                c.send(b"m" * 100000)
                seen.add(c.response().status)
            except (Closed, Reset):
                seen.add("cut")
            c.close()
        check(seen <= {200, 413, 500, 503}, "only 200, 413, 500, 503", seen)
        check(seen & {413, 503, 500}, "a budget of 8 MiB to refuse some of 40 MB", seen)
        with server.connect() as c:
            equal(c.get("/hello").body, b"hello\n", "afterwards")
            equal(len(c.get("/echo", method="POST", body=b"x" * 1000000).body), 1000000, "afterwards")


@suite.case("SPEC: memory")
def heads_cut_on_many_connections(t):
    """Partial heads cost memory: many of them are either kept or refused, and the server recovers."""
    with t.serving(t.app("--memory-bytes", str(4 << 20), "--stop-timeout-ms", "500")) as server:
        conns = [server.connect() for _ in range(600)]
        for c in conns:
            try:
                c.send(get("/hello", "X: " + "p" * 12000)[:-4])
            except Reset:
                pass
        seen = set()
        for c in conns:
            try:
                c.send(b"\r\n\r\n")
                seen.add(c.response().status)
            except (Closed, Reset):
                seen.add("cut")
            c.close()
        check(200 in seen and seen <= {200, 431, 503, 413}, "200, and clean refusals only", seen)
        with server.connect() as c:
            equal(c.get("/hello").body, b"hello\n", "afterwards")


@suite.case()
def bad_configurations_are_refused(t):
    for args in (["--head-bytes-max", "70000"], ["--recv-buf-count", "100"], ["--recv-buf-bytes", "10"],
                 ["--listen", "nonsense"], ["--listen", "127.0.0.1:99999"], ["--proxy-trusted", "10.0.0.0/99"]):
        try:
            server = t.app(*args)
        except Failure as failure:
            check("peregrine" in failure.got and "exit 3" in failure.got, "exit 3 and a reason on stderr", failure.got)
        else:
            server.kill()
            raise Failure("a refused configuration", "a running server", " ".join(args))


# --- timeouts ---------------------------------------------------------------------------------------------------


@suite.case("SPEC: timeouts; bugs of the seed")
def idle_connection_is_closed(t):
    with t.serving(t.app(*IDLE)) as server:
        with server.connect() as busy, server.connect() as idle:
            idle.get("/hello")
            while not idle.readable_now():
                equal(busy.get("/hello").body, b"hello\n")
            idle.expect_close()
            equal(busy.get("/hello").body, b"hello\n", "a busy connection")


@suite.case("RFC 9110 15.5.9")
def connection_without_a_request_is_closed(t):
    with t.serving(t.app("--head-timeout-ms", "400", *IDLE)) as server, server.connect() as c:
        rest = c.rest()
        check(rest == b"" or rest.startswith(b"HTTP/1.1 408 "), "nothing or 408", rest)


@suite.case("RFC 9110 15.5.9; SPEC: bugs of the seed")
def unfinished_head_gets_408(t):
    with t.serving(t.app("--head-timeout-ms", "400")) as server:
        for data in (b"G", b"GET / HT", b"GET /hello HTTP/1.1\r\nHost: t\r\n", get()[:-1], b"\r\n"):
            with server.connect() as c:
                got = c.ask(data)
                equal((got.status, got.closes), (408, True), "answer", data)
                c.expect_close()
        with server.connect() as c:
            equal(c.ask(get()).status, 200)
            equal(c.ask(b"GET /second").status, 408, "an unfinished second head gets")


@suite.case("SPEC: timeouts")
def head_byte_by_byte_too_slowly_gets_408(t):
    with t.serving(t.app("--head-timeout-ms", "500")) as server, server.connect() as c:
        check(dribble(c, get("/hello", "X: " + "y" * 5000)) != b"", "an answer before the head is complete", "none")
        equal(c.response().status, 408)


@suite.case("SPEC: timeouts")
def stalled_body_gets_408(t):
    with t.serving(t.app("--rate-window-ms", "400", "--body-rate-min", "1000")) as server:
        for path in ("/echo", "/upload"):
            for start in (b"Content-Length: 1000\r\n\r\n", b"Content-Length: 1000\r\n\r\nxyz", b"Transfer-Encoding: chunked\r\n\r\n",
                          b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"):
                with server.connect() as c:
                    got = c.ask(b"POST " + path.encode() + b" HTTP/1.1\r\nHost: t\r\n" + start)
                    equal((got.status, got.closes), (408, True), "answer", start)
                    c.expect_close()


@suite.case("SPEC: timeouts")
def body_byte_by_byte_too_slowly_gets_408(t):
    with t.serving(t.app("--rate-window-ms", "500", "--body-rate-min", "1000")) as server:
        for path in (b"/echo", b"/upload"):
            with server.connect() as c:
                c.send(b"POST " + path + b" HTTP/1.1\r\nHost: t\r\nContent-Length: 10000\r\n\r\n")
                check(dribble(c, b"b" * 3000) != b"", "an answer before the body is complete", "none")
                equal(c.response().status, 408)


@suite.case("SPEC: progress based timeouts")
def body_above_its_rate_is_not_cut(t):
    with t.serving(t.app("--rate-window-ms", "300", "--body-rate-min", "500", *IDLE)) as server, server.connect() as c:
        c.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100):  # 1000 bytes per 20 ms, for several windows
            c.send(b"b" * 1000)
            check(not select.select([c.sock], [], [], 0.02)[0] or _ == 99, "no answer before the end", "one")
        equal(c.response().status, 200)


@suite.case("SPEC: write timeout")
def client_that_stops_reading_is_cut(t):
    with t.serving(t.app("--rate-window-ms", "400", "--write-rate-min", "10000", "--idle-timeout-ms", "60000")) as server:
        with server.connect() as watch:
            for target in ("/stream/50000000", "/stream/50000000?ref=1", "/ref/50000000"):
                before = counts(watch)["done"]
                with Conn(("127.0.0.1", server.port), recv_buf=4096) as c:
                    c.send(get(target))
                    c.take(1000)
                    until(lambda: (lambda n: n["done"] + 1 == n["seen"] and n["lent"] == n["released"])(counts(watch)) and
                          stats(watch)["connections_now"] == 1, f"the reader of {target} to be cut")
                check(counts(watch)["done"] > before, "on_done", counts(watch))
            check(stats(watch)["timeouts"] >= 3, "three timeouts", stats(watch))


@suite.case("SPEC: write timeout")
def pipelining_client_that_never_reads_is_cut(t):
    with t.serving(t.app("--rate-window-ms", "400", "--write-rate-min", "10000", "--write-queue-bytes", "65536")) as server:
        with server.connect() as watch, Conn(("127.0.0.1", server.port), recv_buf=4096) as c:
            c.sock.settimeout(15)
            try:
                for _ in range(20000):
                    c.sock.sendall(get("/copy/100000", "X: " + "p" * 8000))
                raise Failure("the server to stop reading and cut", "20,000 requests of 8 KB taken")
            except OSError:
                pass
            until(lambda: stats(watch)["connections_now"] == 1, "the connection to be cut")


@suite.case("SPEC: progress based timeouts")
def slow_but_steady_reader_is_not_cut(t):
    with t.serving(t.app("--rate-window-ms", "300", "--write-rate-min", "1000", *IDLE)) as server:
        with Conn(("127.0.0.1", server.port), recv_buf=16384) as c:
            c.send(get("/stream/20000000"))
            c.until(b"\r\n\r\n")
            left, waiting = 20000000, threading.Event()
            for _ in range(60):
                left -= len(c.take(20000))
                waiting.wait(0.02)
            equal(len(c.take(left)), left, "the rest")


@suite.case("RFC 9112 9.6")
def lingering_ends(t):
    """After an error the server waits for the client's close, but not for ever, and not for a flood."""
    with t.serving(t.app("--linger-timeout-ms", "300")) as server, server.connect() as watch:
        silent = server.connect()
        equal(silent.ask(b"BAD\r\n\r\n").status, 400)
        until(lambda: stats(watch)["connections_now"] == 1, "a silent client's connection to end")
        silent.close()
        flood = server.connect()
        equal(flood.ask(b"BAD\r\n\r\n").status, 400)
        try:
            while True:
                flood.sock.sendall(b"f" * 65536)
        except OSError:
            pass
        until(lambda: stats(watch)["connections_now"] == 1, "a flooding client's connection to end")
        flood.close()


@suite.case("config.h: timeouts")
def the_application_may_take_its_time(t):
    """No timeout runs while a request waits for its answer."""
    args = ("--head-timeout-ms", "300", "--rate-window-ms", "300", "--body-rate-min", "100000", "--write-rate-min", "100000", *IDLE)
    with t.serving(t.app(*args)) as server, server.connect() as c, server.connect() as d:
        c.send(get("/hold/1"))
        d.send(b"POST /hold/1 HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello")
        pass_time(server, 3)
        with server.connect() as other:
            equal(other.get("/release/1").body, b"2\n")
        equal(c.response().body, b"deferred\n")
        equal(d.response().body, b"deferred\n")
        equal(c.get("/hello").body, b"hello\n")


@suite.case("config.h: timeouts")
def timeouts_apply_behind_a_pipelined_answer(t):
    with t.serving(t.app("--head-timeout-ms", "400", "--idle-timeout-ms", "500")) as server, server.connect() as c:
        c.send(get() + b"GET /second HTT")
        equal(c.response().status, 200)
        equal(c.response().status, 408)
        c.expect_close()


@suite.case("SPEC: idle")
def many_idle_connections_are_all_closed(t):
    with t.serving(t.app("--idle-timeout-ms", "3000", "--head-timeout-ms", "3000", workers="2")) as server:
        conns = [server.connect() for _ in range(500)]
        for c in conns[:250]:
            equal(c.get("/hello").body, b"hello\n")
        for c in conns:
            rest = c.rest()
            check(rest == b"" or rest.startswith(b"HTTP/1.1 408 "), "nothing or 408", rest)
            c.close()
        with server.connect() as c:
            until(lambda: stats(c)["connections_now"] == 1, "all slots to come back")


if __name__ == "__main__":
    sys.exit(suite.run())
