# SPDX-License-Identifier: MIT
# test_api.py - what a program sees of the public interface, through test_app: answers, streams, deferral, bodies, accounting.
# Does not test limits and timeouts (test_limits.py) or the life of a server (test_life.py).
import os
import re
import sys
import threading
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import Closed, Conn, Failure, Reset, Suite, check, equal  # noqa: E402

suite = Suite("public interface")
PERIOD = bytes(range(251))
EINVAL, ETOOBIG = -1, -11


def app(t):
    return t.shared_server("app", lambda: t.app(workers="2"))


def pattern(n):
    return (PERIOD * (n // 251 + 1))[:n]


def counts(c):
    return {k: int(v) for k, v in (pair.split("=") for pair in c.get("/counts").body.decode().split())}


def until(condition, what, tries=2000):
    """Polls by asking the server, so that every look is a round trip."""
    last = None
    for _ in range(tries):
        last = condition()
        if last:
            return last
        threading.Event().wait(0.005)
    raise Failure(what, f"never in {tries} looks (last {last!r})")


def info(got):
    lines = dict(line.split(" ", 1) for line in got.body.decode("latin-1").splitlines())
    return {k: (None if v == "-" else v[1:-1]) for k, v in lines.items()}


# --- answers ----------------------------------------------------------------------------------------------------


@suite.case()
def reply_with_text(t):
    with app(t).connect() as c:
        got = c.get("/hello")
        equal((got.status, got.body, got.get("content-type")), (200, b"hello\n", "text/plain"))


@suite.case("RFC 9110 8.6")
def reply_without_body_has_length_0(t):
    with app(t).connect() as c:
        got = c.get("/empty")
        equal((got.status, got.body, got.get("content-length"), got.get("content-type")), (200, b"", "0", None))


@suite.case("RFC 9110 15")
def every_status(t):
    with app(t).connect() as c:
        for status in (200, 201, 202, 206, 301, 302, 307, 308, 400, 401, 403, 404, 410, 418, 422, 429, 451, 500, 502, 503, 504, 599):
            got = c.get(f"/status/{status}")
            equal((got.status, got.body), (status, b"status body\n"), f"/status/{status}")
            check(status in (418, 599) or got.reason, "a reason phrase", got)


@suite.case("RFC 9110 15.3.5, 15.4.5; RFC 9112 6.3")
def no_body_with_204_and_304(t):
    with app(t).connect() as c:
        for status in (204, 304):
            for method in ("GET", "HEAD", "POST"):
                got = c.get(f"/status/{status}", method=method)
                equal(got.status, status)
                check(status != 204 or not got.all("content-length"), "no Content-Length in 204", got)
                equal(c.get("/hello").body, b"hello\n", "the next answer, in its place")
            got = c.get(f"/ref/1000?status={status}")
            equal((got.status, c.get("/hello").body), (status, b"hello\n"), "by reference")


@suite.case("RFC 9110 9.3.2")
def no_body_with_head(t):
    with app(t).connect() as c:
        for target, length in (("/hello", "6"), ("/ref/5000", "5000"), ("/stream/5000", "5000"), ("/stream/300000", "300000"),
                               ("/defer", "9"), ("/copy/70000", "70000"), ("/empty", "0")):
            got = c.get(target, method="HEAD")
            equal((got.status, got.get("content-length")), (200, length), "status and length", "HEAD " + target)
            equal(c.get("/hello").body, b"hello\n", "the next answer after HEAD " + target)
        got = c.get("/stream/5000?unknown=1", method="HEAD")
        equal(got.status, 200)
        equal(c.get("/trailers", method="HEAD").status, 200)
        equal(c.get("/hello").body, b"hello\n", "the next answer")


@suite.case()
def statuses_outside_200_to_599_are_refused(t):
    with app(t).connect() as c:
        for status in (0, 1, 99, 100, 101, 199, 600, 999, 1000, 20000):
            equal(c.get(f"/status/{status}").body, b"refused %d\n" % EINVAL, "answer", f"/status/{status}")


@suite.case("RFC 9110 12.5.1, 15")
def errors_in_the_form_that_the_client_reads(t):
    browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    with app(t).connect() as c:
        got = c.get("/error/404", browser)
        equal((got.status, got.get("content-type"), got.get("x-before")), (404, "text/html; charset=utf-8", "kept"))
        check("default-src 'none'" in got.get("content-security-policy"), "a page that loads nothing", got)
        check(b"<b>404</b>Not Found" in got.body and got.body.endswith(b"</html>\n"), "the page", got.body)
        got = c.get("/error/503", "Accept: application/json, */*")
        equal((got.status, got.get("content-type"), got.body),
              (503, "application/json", b'{"status":503,"reason":"Service Unavailable"}\n'))
        for fields in ([], ["Accept: */*"], ["Accept: image/png", "Accept: text/html;q=0"]):
            got = c.get("/error/410", *fields)
            equal((got.status, got.get("content-type"), got.body), (410, "text/plain", b"Gone\n"), "text", fields)
        equal(c.get("/error/404", "Accept: a/b", browser).get("content-type"), "text/html; charset=utf-8", "a second line")
        equal(c.get("/error/404", browser, method="HEAD").body, b"")
        for status in (200, 304, 399, 600):
            equal(c.get(f"/error/{status}").body, b"refused %d\n" % EINVAL, "answer", status)


@suite.case("RFC 9110 5.5; SPEC: bugs of the seed")
def header_values_of_any_length(t):
    with app(t).connect() as c:
        for n in (0, 1, 255, 256, 257, 300, 1000, 4096, 10000):
            got = c.get(f"/header/{n}")
            equal((got.body, got.get("x-long")), (b"rc=0\n", "v" * n), f"value of {n} bytes")
        got = c.get("/header/300?count=50")
        equal(len(got.all("x-long")), 50, "fields")


@suite.case()
def header_too_large_is_an_error_not_a_crash(t):
    with app(t).connect() as c:
        got = c.get("/header/10000000")
        check(got.status in (200, 500), "200 with an error code or 500", got)
        if got.status == 200 and got.body != b"rc=0\n":
            check(int(got.body[3:]) in (ETOOBIG, -2), "PER_ETOOBIG or PER_ENOMEM", got.body)
    with app(t).connect() as c:
        equal(c.get("/hello").body, b"hello\n")


@suite.case("RFC 9110 5.5; SPEC")
def hostile_fields_are_refused(t):
    with app(t).connect() as c:
        got = c.get("/hostile")
        codes = [int(code) for code in got.body.split()]
        equal(codes, [EINVAL] * 18, "codes")
        equal((got.get("x-good"), got.get("x-empty"), got.get("injected")), ("still here", "", None))
        equal([k for k, _ in got.headers if k.lower() not in ("date", "content-type", "content-length", "connection")],
              ["X-Good", "X-Empty"], "fields")
        got = c.get("/hostile-type")
        equal((got.body, got.get("injected"), got.get("content-type")), (b"-1\n", None, "text/plain"))


@suite.case()
def connection_close_field_closes(t):
    with app(t).connect() as c:
        got = c.get("/close")
        equal((got.body, got.closes, len(got.all("connection"))), (b"hello\n", True, 1))
        c.expect_close()


@suite.case("RFC 9110 15.2")
def interim_answers(t):
    with app(t).connect() as c:
        got = c.get("/interim")
        equal([i.status for i in got.interim], [103, 102], "interim statuses")
        equal((got.interim[0].get("link"), got.interim[1].get("link"), got.get("link")), ("</a.css>; rel=preload", None, None))
        equal(got.body, b"0 0 -1 -1 -1 -1\n", "codes")
        equal(c.get("/hello").body, b"hello\n")
    with app(t).connect() as c:
        got = c.get("/interim", version="1.0")
        equal((got.interim, got.status), ([], 200), "nothing interim for HTTP/1.0")


@suite.case()
def second_answer_is_an_error(t):
    with app(t).connect() as c:
        equal(c.get("/twice").body, b"first\n")
        equal(c.get("/hello").body, b"hello\n")


@suite.case()
def failing_handlers(t):
    with app(t).connect() as c:
        equal(c.get("/never").status, 500, "no answer at all is")
    with app(t).connect() as c:
        equal(c.get("/fail").status, 500, "a negative return is")
    with app(t).connect() as c:
        c.send(b"GET /fail-begun HTTP/1.1\r\nHost: t\r\n\r\n")
        try:
            got = c.response()
        except (Closed, Reset):
            got = None
        equal(got, None, "a cut answer instead of")
    with app(t).connect() as c:
        c.send(b"GET /abort HTTP/1.1\r\nHost: t\r\n\r\n")
        try:
            rest = c.rest()
        except Reset:
            rest = b""
        equal(rest, b"", "nothing at all, that is")


# --- what a request looks like ----------------------------------------------------------------------------------


@suite.case()
def request_is_seen_as_sent(t):
    with app(t).connect() as c:
        got = info(c.ask(b"POST /info/x%41?a=1&b HTTP/1.1\r\nHost: h.example:81\r\nX:  spaced \t\r\nX: second\r\nContent-Length: 4\r\n\r\nbody"))
        want = {"method": "POST", "target": "/info/x%41?a=1&b", "path": "/info/x%41", "query": "a=1&b", "host": "h.example:81",
                "x": "spaced", "body": "body", "number": "3", "version": "11", "fields": "4", "length": "4", "trailer": None}
        equal({k: got[k] for k in want}, want, "request")
        equal(got["peer"], "%s:%d" % c.sock.getsockname(), "peer")
        got = info(c.get("/info"))
        equal((got["query"], got["body"], got["length"], got["x"]), (None, "", "0", None))
        got = info(c.get("/info?"))
        equal((got["query"], got["path"]), ("", "/info"))
        equal(info(c.get("http://abs.example:8/info?q"))["host"], "abs.example:8", "host of the absolute-form")
        equal(info(c.get("/info", "X:"))["x"], "", "an empty value")
        got = info(c.get("/info", "Connection: keep-alive", version="1.0"))
        equal(got["version"], "10")
        equal(info(c.get("/info", method="FROB"))["number"], "0", "unknown method")


@suite.case("SPEC: bugs of the seed")
def cookie_of_300_bytes(t):
    with app(t).connect() as c:
        equal(info(c.get("/info", "Cookie: " + "c" * 300))["cookie"], "c" * 300)


@suite.case()
def fields_in_order_as_sent(t):
    with app(t).connect() as c:
        got = c.ask(b"GET /fields HTTP/1.1\r\nHost: t\r\nA:1\r\nb: 2\r\nA: \t3 \r\nEmpty:\r\n\r\n").body
        equal(got, b"Host=[t]\nA=[1]\nb=[2]\nA=[3]\nEmpty=[]\n")


@suite.case("RFC 9112 7.1.2")
def trailers_are_readable(t):
    with app(t).connect() as c:
        got = info(c.ask(b"POST /info HTTP/1.1\r\nHost: t\r\nX-Sum: head\r\nTransfer-Encoding: chunked\r\n\r\n"
                         b"4\r\nbody\r\n0\r\nX-Sum: 42\r\nHost: evil\r\n\r\n"))
        equal((got["trailer"], got["body"], got["length"], got["host"]), ("42", "body", "-1", "t"))


@suite.case("RFC 3986 2.1")
def query_iteration_and_decoding(t):
    with app(t).connect() as c:
        got = c.get("/query?a=1&b&c=&&d=%41+%42&e=%zz&f=a=b&=x").body.decode()
        equal(got, "a=1[1]\nb=-100[]\nc=0[]\nd=3[A B]\ne=-1[]\nf=3[a=b]\n=1[x]\n")


@suite.case()
def a_request_that_arrives_byte_by_byte_is_the_same(t):
    data = b"POST /info?q=1 HTTP/1.1\r\nHost: h\r\nX: y\r\nCookie: c\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"
    with app(t).connect() as c:
        whole = info(c.ask(data))
        c.send_bytes(data)
        equal(info(c.response()), whole, "request")
        for cut in range(1, len(data)):
            c.send(data[:cut])
            with app(t).connect() as other:
                other.get("/hello")
            c.send(data[cut:])
            equal(info(c.response()), whole, f"request cut at {cut}")


# --- bodies of answers ------------------------------------------------------------------------------------------


@suite.case()
def body_by_reference(t):
    with app(t).connect() as c:
        before = counts(c)
        for n in (0, 1, 1000, 65536, 1000000, 5000000):
            got = c.get(f"/ref/{n}")
            check(got.body == pattern(n), f"the pattern of {n} bytes", len(got.body))
        equal(c.get("/ref-static").body, pattern(100000))
        c.get("/ref/1000", method="HEAD")
        equal(c.get("/ref/5?status=9999").status, 500, "a failed per_reply_ref")
        after = until(lambda: (lambda n: n if n["released"] == n["lent"] else None)(counts(c)), "every block released")
        check(after["lent"] - before["lent"] >= 8, "8 blocks lent", after)


@suite.case()
def body_by_copy_of_any_size(t):
    with app(t).connect() as c:
        for n in (0, 1, 4095, 4096, 16384, 65536, 262144, 1 << 20):
            check(c.get(f"/copy/{n}").body == pattern(n), f"the pattern of {n} bytes", "other bytes")


@suite.case("RFC 9112 7.1")
def streams_with_and_without_length(t):
    with app(t).connect() as c:
        for n in (0, 1, 100, 16384, 100000, 3000000):
            for query in ("", "?unknown=1", "?ref=1", "?ref=1&unknown=1", "?piece=1000000", "?piece=100000&unknown=1"):
                got = c.get(f"/stream/{n}{query}")
                check(got.body == pattern(n), f"the pattern of {n} bytes", f"{len(got.body)} bytes", query)
                equal(got.is_chunked, "unknown" in query, "chunked", query)
        small = c.get("/stream/3000?piece=1&unknown=1")
        check(small.body == pattern(3000), "pieces of one byte", small)


@suite.case("RFC 9112 6.1")
def streams_for_http_1_0(t):
    with app(t).connect() as c:
        got = c.get("/stream/500000?unknown=1", version="1.0")
        check(got.body == pattern(500000) and got.closes and not got.is_chunked, "all bytes, ended by the close", got)
    with app(t).connect() as c:
        got = c.get("/stream/500000", "Connection: keep-alive", version="1.0")
        check(got.body == pattern(500000) and not got.closes, "all bytes, kept by the length", got)
        equal(c.get("/hello").body, b"hello\n")
    with app(t).connect() as c:
        got = c.get("/trailers", version="1.0")
        equal((got.body, got.trailers), (b"data", []))


@suite.case("RFC 9112 7.1.2")
def trailers_are_sent(t):
    with app(t).connect() as c:
        got = c.get("/trailers")
        equal((got.body, got.trailers), (b"data", [("X-Sum", "42")]))


@suite.case("RFC 9112 8")
def short_answer_is_cut(t):
    with app(t).connect() as c:
        c.send(b"GET /short HTTP/1.1\r\nHost: t\r\n\r\n" * 2)
        try:
            got = c.response()
        except (Closed, Reset):
            return
        raise Failure("a close before the announced end", got)


@suite.case()
def write_beyond_the_length_is_refused(t):
    with app(t).connect() as c:
        equal(c.get("/over").body, b"ok")
        equal(c.get("/hello").body, b"hello\n")


@suite.case("SPEC: backpressure")
def streams_stop_at_a_slow_reader(t):
    with app(t).connect() as watch:
        before = counts(watch)["writable"]
        memory = rss(app(t).pid)
        slow = [Conn(("127.0.0.1", app(t).port), recv_buf=4096) for _ in range(4)]
        for c in slow:
            c.send(b"GET /stream/50000000 HTTP/1.1\r\nHost: t\r\n\r\n")
            c.take(200000)
        grown = rss(app(t).pid) - memory
        check(grown < 100 << 20, "less than 100 MiB for 200 MB of answers", f"{grown >> 20} MiB")
        c = slow[0]
        got = c.take(5000000)
        check(len(got) == 5000000, "more bytes", len(got))
        check(counts(watch)["writable"] > before, "on_writable to be called", counts(watch))
        for c in slow:
            c.reset()
        until(lambda: settled(watch), "every exchange to end")


def rss(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def settled(c):
    """Only the asking request itself is not done."""
    n = counts(c)
    return n["done"] <= n["seen"] and n["lent"] == n["released"] and n["posted"] == n["ran"]


@suite.case("config.h: on_done exactly once")
def clients_that_leave_are_accounted_for(t):
    with t.serving(t.app(workers="2")) as server, server.connect() as watch:
        counts(watch)
        for i in range(36):
            for target in ("/stream/9000000", "/stream/9000000?ref=1", "/ref/9000000", "/defer", "/hold/77", "/defer-ref/3000000",
                           "/stream/9000000?ref=1&unknown=1", "/defer-stream/900000"):
                c = server.connect()
                c.send(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode() * (1 + i % 2))
                if i % 3 == 1 and "hold" not in target:
                    c.fill()
                c.reset() if i % 2 else c.close()
            for head in (b"POST /upload HTTP/1.1", b"POST /slow-body HTTP/1.1", b"POST /echo-stream HTTP/1.1", b"POST /echo HTTP/1.1"):
                c = server.connect()
                c.send(head + b"\r\nHost: t\r\nContent-Length: 500000\r\n\r\n" + b"u" * (i * 500))
                c.reset() if i % 2 else c.close()

        def all_done():
            watch.get("/release/77")  # again and again: more may have come
            n = counts(watch)
            return n["lent"] == n["released"] and n["seen"] == n["done"] + 1
        until(all_done, "seen = done + this one")


# --- answers from another thread --------------------------------------------------------------------------------


@suite.case()
def deferred_answers(t):
    with app(t).connect() as c:
        for _ in range(200):
            equal(c.get("/defer").body, b"deferred\n")
        check(c.get("/defer-ref/1000000").body == pattern(1000000), "the pattern", "other bytes")
        got = c.get("/defer-stream/1000000")
        check(got.body == pattern(1000000) and got.is_chunked, "the pattern, chunked", got)


@suite.case("RFC 9112 9.3.2")
def deferred_answers_keep_the_order_of_a_pipeline(t):
    with app(t).connect() as c:
        c.send(b"GET /defer HTTP/1.1\r\nHost: t\r\n\r\nGET /hello HTTP/1.1\r\nHost: t\r\n\r\nGET /defer-ref/100000 HTTP/1.1\r\nHost: t\r\n\r\n"
               b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n" * 20)
        for _ in range(20):
            equal([len(c.response().body) for _ in range(4)], [9, 6, 100000, 6], "lengths")


@suite.case("response.h: per_post")
def answer_after_the_client_is_gone(t):
    with t.serving(t.app()) as server, server.connect() as watch:
        gone = [server.connect() for _ in range(50)]
        for c in gone:
            c.send(b"GET /hold/5 HTTP/1.1\r\nHost: t\r\n\r\n")
        until(lambda: int(watch.get("/held").body) == 50, "50 held")
        for i, c in enumerate(gone):
            c.reset() if i % 2 else c.close()
        until(lambda: counts(watch)["done"] >= 25, "the reset ones to end")
        equal(watch.get("/release/5").body, b"50\n")
        n = until(lambda: (lambda n: n if n["ran"] == 50 and n["done"] + 1 == n["seen"] else None)(counts(watch)), "all ran and done")
        check(n["gone"] >= 25, "at least the reset ones were gone", n)


@suite.case("response.h: per_defer")
def answer_after_half_close(t):
    with app(t).connect() as watch, app(t).connect() as c:
        c.send(b"GET /hold/6 HTTP/1.1\r\nHost: t\r\n\r\n")
        c.shutdown()
        until(lambda: int(watch.get("/held").body) >= 1, "held")
        watch.get("/release/6")
        equal(c.response().body, b"deferred\n")
        c.expect_close()


@suite.case()
def many_deferred_at_once(t):
    with t.serving(t.app(workers="2")) as server, server.connect() as watch:
        conns = [server.connect() for _ in range(300)]
        for c in conns:
            c.send(b"GET /hold/8 HTTP/1.1\r\nHost: t\r\n\r\n")
        until(lambda: int(watch.get("/held").body) == 300, "300 held")
        equal(watch.get("/release/8").body, b"300\n")
        for c in conns:
            equal(c.response().body, b"deferred\n")
            c.close()


# --- request bodies ---------------------------------------------------------------------------------------------


@suite.case()
def streamed_upload_is_complete(t):
    data = os.urandom(3000000)
    want = b"%d %d\n" % (len(data), zlib.adler32(data))
    with app(t).connect() as c:
        equal(c.get("/upload", method="POST", body=data).body, want, "count and Adler-32")
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (data[i:i + 33333] for i in range(0, len(data), 33333)))
        equal(c.ask(b"POST /upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + b"0\r\n\r\n").body, want)
        equal(c.get("/upload", method="POST", body=b"").body, b"0 1\n")


@suite.case("request.h: per_req_pause_body")
def paused_upload_is_complete(t):
    data = os.urandom(2000000)
    with app(t).connect() as c:
        equal(c.get("/slow-body", method="POST", body=data).body, b"%d %d\n" % (len(data), zlib.adler32(data)))
        equal(c.get("/hello").body, b"hello\n")


@suite.case("SPEC: backpressure")
def streamed_echo_with_backpressure(t):
    data = os.urandom(20 << 20)
    with app(t).connect() as c:
        thread = threading.Thread(target=lambda: c.sock.sendall(
            b"POST /echo-stream HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(data) + data))
        thread.start()
        got = c.response()
        thread.join()
        check(got.body == data, "the same bytes", f"{len(got.body)} bytes")
        equal(c.get("/hello").body, b"hello\n")


@suite.case("config.h: on_head")
def refusal_before_the_body_is_readable(t):
    """The client sends all of a large body without looking; the answer has to be readable nevertheless."""
    for status in (413, 401):
        for size in (1, 1000, 100000, 10000000):
            with app(t).connect() as c:
                head = b"POST /echo HTTP/1.1\r\nHost: t\r\nX-Refuse: %d\r\nContent-Length: %d\r\n\r\n" % (status, size)
                try:
                    c.send(head)
                    c.sock.sendall(b"r" * size)
                except OSError:
                    pass  # the server may stop reading at its own time, but not before its answer is out
                got = c.response("POST")
                equal(got.status, status)
                check(got.closes or size == 0, "Connection: close", got)
                check(status != 401 or got.get("www-authenticate"), "WWW-Authenticate", got)


@suite.case("RFC 9110 10.1.1")
def refusal_instead_of_100(t):
    with app(t).connect() as c:
        got = c.ask(b"POST /echo HTTP/1.1\r\nHost: t\r\nX-Refuse: 413\r\nContent-Length: 10000000\r\nExpect: 100-continue\r\n\r\n")
        equal((got.status, got.interim), (413, []))
        c.expect_close()


@suite.case()
def refusal_in_the_middle_of_a_body(t):
    with app(t).connect() as c:
        try:
            c.send(b"POST /refuse-mid/100000 HTTP/1.1\r\nHost: t\r\nContent-Length: 5000000\r\n\r\n")
            c.sock.sendall(b"m" * 5000000)
        except (OSError, Reset):
            pass
        equal(c.response("POST").status, 413)


@suite.case("request.h: per_req_set_body_max")
def own_body_limits(t):
    for path in ("/limit", "/upload-limit"):
        with app(t).connect() as c:
            equal(c.get(f"{path}/1000", method="POST", body=b"l" * 1000).status, 200, path)
            equal(c.ask(b"POST %s/1000 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n%s\r\n0\r\n\r\n" % (
                path.encode(), b"l" * 1000)).status, 200, "chunked " + path)
            equal(c.get(f"{path}/1000", method="POST", body=b"l" * 1001).status, 413, "one more " + path)
            c.expect_close()
        with app(t).connect() as c:
            equal(c.ask(b"POST %s/1000 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n%s\r\n0\r\n\r\n" % (
                path.encode(), b"l" * 1001)).status, 413, "one more, chunked " + path)
            c.expect_close()
    with app(t).connect() as c:
        equal(c.get("/limit/3000000", method="POST", body=b"l" * 2500000).status, 200, "a limit above the default")


@suite.case()
def broken_upload_ends_with_eproto(t):
    with t.serving(t.app()) as server, server.connect() as watch:
        with server.connect() as c:
            got = c.ask(b"POST /upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxx\r\n")
            equal(got.status, 400)
            c.expect_close()
        n = until(lambda: (lambda n: n if n["error13"] == 1 else None)(counts(watch)), "one on_done with PER_EPROTO")
        equal(n["done"] + 1, n["seen"], "done + 1")


# --- counters ---------------------------------------------------------------------------------------------------


def stats(c, query=""):
    return {k: int(v) for k, v in (line.split() for line in c.get("/stats" + query).body.decode().splitlines())}


@suite.case("server.h: per_stats")
def statistics_count(t):
    with t.serving(t.app(workers="2")) as server, server.connect() as c:
        for _ in range(10):
            c.get("/hello")
        c.get("/none")
        with server.connect() as bad:
            equal(bad.ask(b"BAD\r\n\r\n").status, 400)
            bad.expect_close()
        n = stats(c)
        equal((n["requests"], n["connections"], n["bad_requests"]), (12, 2, 1), "requests, connections, bad ones")
        check(n["r2"] >= 10 and n["r4"] == 2, "10 of 2xx, two of 4xx", n)
        check(n["bytes_in"] > 300 and n["bytes_out"] > 1000 and n["turns"] > 0, "bytes and turns", n)
        until(lambda: stats(c)["connections_now"] == 1, "one connection left")
        equal(sum(stats(c, f"?worker={w}")["connections"] for w in (0, 1)), 2, "sum over workers")
        equal(c.get("/stats?worker=7").status, 500, "no such worker")


@suite.case("exposition format 0.0.4")
def prometheus_text_is_valid(t):
    with app(t).connect() as c:
        text = c.get("/text/prometheus").body.decode()
        samples = [line for line in text.splitlines() if line and not line.startswith("#")]
        check(len(samples) >= 10, "10 samples", text[:500])
        for line in samples:
            check(re.match(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z_]+="[^"\\]*",?)*\})? [0-9.e+]+\Z', line), "a valid sample", line)


@suite.case()
def memory_account_and_probe_are_text(t):
    with app(t).connect() as c:
        for path in ("/text/memory", "/text/probe"):
            text = c.get(path).body.decode()
            check(len(text.splitlines()) >= 2 and text.isprintable() is False, "some lines", text)
            check("io_uring" in text or "memory" in path, "io_uring in the probe", text)


@suite.case()
def server_name_field(t):
    with t.serving(t.app("--server-name", "peregrine-test")) as server, server.connect() as c:
        equal(c.get("/hello").get("server"), "peregrine-test")
        equal(c.get("/stream/10").get("server"), "peregrine-test")
    with app(t).connect() as c:
        equal(c.get("/hello").get("server"), None, "no Server field")


@suite.case()
def worker_hooks_are_paired(t):
    server = t.app(workers="3")
    with t.serving(server), server.connect() as c:
        until(lambda: counts(c)["init"] == 3, "three workers")
    account = next(line for line in server.lines if line.startswith("account"))
    check("init=3 exit=3" in account, "init=3 exit=3", account)


@suite.case("embedding: per_server_poll")
def own_event_loop(t):
    server = t.app("--embed", "--idle-timeout-ms", "300")
    with t.serving(server):
        with server.connect() as c:
            for _ in range(50):
                equal(c.get("/hello").body, b"hello\n")
            equal(c.get("/defer").body, b"deferred\n")
            check(c.get("/stream/2000000").body == pattern(2000000), "a stream", "other bytes")
            c.expect_close("the idle timeout to close")
    check(any(line.startswith("stopped") for line in server.lines), "a clean stop", server.lines)


@suite.case()
def options_star_reaches_no_hook(t):
    with t.serving(t.app()) as server, server.connect() as c:
        got = c.ask(b"OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n")
        equal((got.status, got.get("content-length")), (200, "0"))
        n = counts(c)
        equal((n["seen"], n["stray"]), (1, 0), "hooks that saw the OPTIONS, stray on_done")


if __name__ == "__main__":
    sys.exit(suite.run())
