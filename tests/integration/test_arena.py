# SPDX-License-Identifier: MIT
# test_arena.py - the endpoints of arena under real clients: curl, raw sockets, many at once, wrk where it is installed.
# Does not test syntax (tests/conformance) or limits (test_limits.py).
import hashlib
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import Conn, Failure, Skip, Suite, check, equal, which  # noqa: E402

suite = Suite("arena with real clients")
DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
MEBI = 1 << 20
ISSUE = "issue: endpoints of arena"


def arena(t):
    return t.shared_server("arena", lambda: t.arena(workers="2"))


def pattern(n):
    return (DIGITS * (n // 64 + 1))[:n]


def noise(n, seed=1):
    return random.Random(seed).randbytes(n)


def curl(*args, data=None):
    if which("curl") is None:
        raise Skip("curl is not installed")
    run = subprocess.run(["curl", "-sS", "--max-time", "60", *args], input=data, capture_output=True, timeout=70)
    check(run.returncode == 0, "curl to succeed", f"exit {run.returncode}, {run.stderr!r}", " ".join(args))
    return run.stdout


def url(t, target):
    return f"http://127.0.0.1:{arena(t).port}{target}"


# --- what each path answers -------------------------------------------------------------------------------------


@suite.case(ISSUE)
def baseline_adds_query_and_body(t):
    with arena(t).connect() as c:
        equal(c.get("/baseline11?a=13&b=42").body, b"55")
        equal(c.get("/baseline11?a=13&b=42", method="POST", body=b"20").body, b"75")
        equal(c.get("/baseline11?a=-5&b=2").body, b"-3")
        c.send(b"POST /baseline11?a=13&b=42 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n1\r\n0\r\n0\r\n\r\n")
        equal(c.response().body, b"75")


@suite.case(ISSUE)
def pipeline_answers_ok(t):
    with arena(t).connect() as c:
        got = c.get("/pipeline")
        equal((got.status, got.body), (200, b"ok"))
        equal(got.get("content-length"), "2")


@suite.case(ISSUE)
def unknown_path_is_404_and_wrong_method_405_with_allow(t):
    with arena(t).connect() as c:
        equal(c.get("/nothing/here").status, 404)
        for target, method, allowed in (("/pipeline", "POST", "GET"), ("/upload", "GET", "POST"), ("/echo", "GET", "POST"),
                                        ("/baseline11", "DELETE", "GET"), ("/bytes/5", "PUT", "GET")):
            got = c.get(target, method=method)
            equal(got.status, 405, "status", f"{method} {target}")
            check(allowed in got.get("allow", ""), f"Allow with {allowed}", got.get("allow"), f"{method} {target}")


@suite.case(ISSUE)
def root_answers_and_other_methods_echo(t):
    with arena(t).connect() as c:
        got = c.get("/")
        check(got.status == 200 and 0 < len(got.body) < 1000, "a small body", got)
        for method in ("POST", "PUT", "PATCH", "DELETE", "FROB"):
            equal(c.get("/", method=method, body=b"same " + method.encode()).body, b"same " + method.encode(), method)


@suite.case("RFC 9110 9.3.2")
def head_answers_as_get_without_body(t):
    with arena(t).connect() as c:
        for target in ("/", "/pipeline", "/bytes/5", "/bytes/100000", "/bytes/10485760"):
            head = c.get(target, method="HEAD")
            equal(head.body, b"")
            get = c.get(target) if "10485760" not in target else None
            if get:
                equal(head.get("content-length"), str(len(get.body)), "Content-Length of HEAD", target)


def bytes_case(n):
    def run(t):
        with arena(t).connect() as c:
            got = c.get(f"/bytes/{n}")
            equal(got.status, 200)
            equal(len(got.body), n, "length")
            equal(got.get("content-length"), str(n), "Content-Length")
            check(got.body == pattern(n), "the pattern", "other bytes")
            equal(c.get("/pipeline").body, b"ok", "the next answer")
    run.__name__ = f"bytes_{n}"
    return run


for size in (0, 1, 63, 64, 65, 4095, 4096, 65535, 65536, 65537, 10 * MEBI):
    suite.case(ISSUE)(bytes_case(size))
suite.case(ISSUE)(bytes_case(100 * MEBI))


@suite.case(ISSUE)
def bytes_bad_counts_are_refused(t):
    with arena(t).connect() as c:
        for n in ("x", "", "-1", "104857601", "99999999999999999999", "1x", "0x10"):
            status = c.get("/bytes/" + n).status
            check(status in (400, 404), "400 or 404", status, n)


# --- curl -------------------------------------------------------------------------------------------------------


@suite.case()
def curl_get_head_post(t):
    equal(curl(url(t, "/pipeline")), b"ok")
    check(b"200 OK" in curl("-I", url(t, "/pipeline")), "200 to curl -I", "not")
    equal(curl("-d", "20", url(t, "/baseline11?a=13&b=42")), b"75")
    equal(curl("-X", "DELETE", "-o", "/dev/null", "-w", "%{http_code}", url(t, "/pipeline")), b"405")


@suite.case()
def curl_http_1_0(t):
    out = curl("--http1.0", "-i", url(t, "/pipeline"))
    check(out.endswith(b"\r\n\r\nok") and out.startswith(b"HTTP/1.1 200"), "ok as HTTP/1.1 answer", out)
    equal(len(curl("--http1.0", url(t, "/bytes/1000000"))), 1000000, "length")


@suite.case("RFC 9112 9.3")
def curl_reuses_the_connection(t):
    out = curl("-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ",
               *[url(t, "/pipeline")] * 3)
    equal(out.split(), [b"1", b"0", b"0"], "connections per request")


def curl_upload(t, *args):
    data = noise(20 * MEBI)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        equal(curl(*args, "--data-binary", "@" + file.name, url(t, "/upload")), str(len(data)).encode(), "counted")


@suite.case()
def curl_upload_20_mb(t):
    curl_upload(t)


@suite.case("RFC 9112 7.1")
def curl_upload_20_mb_chunked(t):
    curl_upload(t, "-H", "Transfer-Encoding: chunked")


@suite.case("RFC 9110 10.1.1")
def curl_upload_20_mb_expect_continue(t):
    curl_upload(t, "-H", "Expect: 100-continue", "--expect100-timeout", "30")


@suite.case("RFC 9110 10.1.1")
def curl_upload_20_mb_chunked_expect_continue(t):
    curl_upload(t, "-H", "Expect: 100-continue", "-H", "Transfer-Encoding: chunked", "--expect100-timeout", "30")


@suite.case()
def curl_echo_20_mb_by_checksum(t):
    data = noise(20 * MEBI, 2)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        for extra in ([], ["-H", "Transfer-Encoding: chunked"]):
            out = curl(*extra, "-H", "Expect:", "--data-binary", "@" + file.name, url(t, "/echo"))
            equal(hashlib.sha256(out).digest(), hashlib.sha256(data).digest(), "checksum")


# --- raw sockets ------------------------------------------------------------------------------------------------


@suite.case("issue: cut into 1-byte segments")
def upload_in_one_byte_segments(t):
    data = noise(200000, 3)
    with arena(t).connect() as c:
        c.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(data))
        c.send_bytes(data)
        equal(c.response().body, b"200000")
        equal(c.get("/pipeline").body, b"ok")


@suite.case("issue: cut into 1-byte segments")
def upload_chunked_in_one_byte_segments(t):
    data = b"".join(b"%x\r\n%s\r\n" % (n, b"z" * n) for n in [1, 2, 3, 500] * 100) + b"0\r\n\r\n"
    with arena(t).connect() as c:
        c.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        c.send_bytes(data)
        equal(c.response().body, b"50600")


@suite.case("issue: cut into small segments")
def upload_20_mb_in_1_kib_segments(t):
    data = noise(1024, 4)
    with arena(t).connect() as c:
        c.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % (20 * MEBI))
        send = c.sock.send
        for _ in range(20 * 1024):
            sent = send(data)
            while sent < 1024:
                sent += send(data[sent:])
        equal(c.response().body, str(20 * MEBI).encode())


@suite.case("issue: cut into small segments")
def upload_20_mb_chunked_in_1_kib_chunks(t):
    piece = b"400\r\n" + b"q" * 1024 + b"\r\n"
    with arena(t).connect() as c:
        c.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20 * 64):
            c.send(piece * 16)
        c.send(b"0\r\n\r\n")
        equal(c.response().body, str(20 * MEBI).encode())


def echo_large(t, size, head, frame):
    """Sends and reads at once: an echo of more than all buffers together must not stall."""
    data = noise(size, 5)
    with arena(t).connect() as c:
        sender = threading.Thread(target=lambda: c.sock.sendall(head + frame(data)))
        sender.start()
        got = c.response()
        sender.join()
        equal(hashlib.sha256(got.body).digest(), hashlib.sha256(data).digest(), f"checksum of {size} bytes")
        equal(c.get("/pipeline").body, b"ok")


@suite.case(ISSUE)
def echo_binary_of_many_sizes(t):
    with arena(t).connect() as c:
        for size in (0, 1, 255, 256, 4096, 16383, 16384, 16385, 65535, 65536):
            data = noise(size, size)
            equal(c.get("/echo", method="POST", body=data).body, data, f"echo of {size} bytes")


@suite.case(ISSUE)
def echo_30_mb_with_length(t):
    size = 30 * MEBI
    echo_large(t, size, b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size, lambda d: d)


@suite.case(ISSUE)
def echo_30_mb_chunked(t):
    def frame(data):
        return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (data[i:i + 70001] for i in range(0, len(data), 70001))) + b"0\r\n\r\n"
    echo_large(t, 30 * MEBI, b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n", frame)


@suite.case("RFC 9112 9.3.2")
def pipelining_16_deep_1000_times(t):
    batch = b"GET /pipeline HTTP/1.1\r\nHost: t\r\n\r\n" * 16
    with arena(t).connect() as c:
        first = c.ask(b"GET /pipeline HTTP/1.1\r\nHost: t\r\n\r\n")
        equal(first.body, b"ok")
        for _ in range(1000):
            c.send(batch)
            for _ in range(16):
                head = c.until(b"\r\n\r\n")
                check(head.startswith(b"HTTP/1.1 200 OK\r\n") and c.take(2) == b"ok", "ok", head)
        check(not c.readable_now(), "nothing more", "bytes")


@suite.case("RFC 9112 9.3.2")
def pipelining_without_reading_50000(t):
    """All requests are written before the first answer is read: bounded memory, nothing lost."""
    one = b"GET /pipeline HTTP/1.1\r\nHost: t\r\n\r\n"
    with arena(t).connect() as c:
        sender = threading.Thread(target=lambda: c.sock.sendall(one * 50000))
        sender.start()
        for _ in range(50000):
            c.until(b"\r\n\r\n")
            check(c.take(2) == b"ok", "ok", "other bytes")
        sender.join()


@suite.case("issue: 10 requests per connection")
def ten_requests_per_connection(t):
    for _ in range(100):
        with arena(t).connect() as c:
            for i in range(10):
                last = ["Connection: close"] if i == 9 else []
                equal(c.get("/pipeline", *last).body, b"ok")
            c.expect_close()


@suite.case("issue: wrk -c 512", alone=True)
def connections_512_at_once(t):
    server = arena(t)
    conns = [server.connect() for _ in range(512)]
    try:
        for round_no in range(4):
            for c in conns:
                c.send(b"GET /bytes/100 HTTP/1.1\r\nHost: t\r\n\r\n")
            for c in conns:
                equal(c.response().body, pattern(100), f"round {round_no}")
    finally:
        for c in conns:
            c.close()


@suite.case("issue: wrk -c 512", alone=True)
def wrk_512_connections(t):
    if which("wrk") is None:
        raise Skip("wrk is not installed")
    server = arena(t)
    run = subprocess.run(["wrk", "-t1", "-c512", "-d2s", f"http://127.0.0.1:{server.port}/pipeline"], capture_output=True,
                         text=True, timeout=60)
    check("Requests/sec" in run.stdout, "a result", run.stdout + run.stderr)
    check("Non-2xx" not in run.stdout, "only 200", run.stdout)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", run.stdout)
    check(errors is None or set(errors.groups()) == {"0"}, "no socket errors", run.stdout)


@suite.case()
def clients_that_leave_at_any_moment(t):
    server = arena(t)
    request = b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello"
    for cut in range(len(request) + 1):
        for leave in ("close", "reset", "shutdown"):
            c = server.connect()
            c.send(request[:cut])
            c.shutdown() if leave == "shutdown" else None
            c.reset() if leave == "reset" else c.close()
    for target in ("/bytes/10485760", "/bytes/104857600"):
        for leave in range(20):
            c = server.connect()
            c.send(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            if leave % 2:
                c.take(1000 * leave)
            c.reset() if leave % 3 else c.close()
    for leave in range(20):
        c = server.connect()
        c.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n" + b"x" * (1000 * leave))
        c.reset() if leave % 2 else c.close()
    with server.connect() as c:
        equal(c.get("/pipeline").body, b"ok")


@suite.case("SPEC: priorities")
def slow_neighbours_do_not_disturb(t):
    server = arena(t)
    slow = [Conn(("127.0.0.1", server.port), recv_buf=4096) for _ in range(20)]
    try:
        for i, c in enumerate(slow):
            c.send(b"GET /bytes/52428800 HTTP/1.1\r\nHost: t\r\n\r\n" if i % 2 else b"GET /pipeline HTTP/1.1\r\nHo")
        with server.connect() as c:
            for _ in range(200):
                equal(c.get("/pipeline").body, b"ok")
    finally:
        for c in slow:
            c.reset()


@suite.case("SPEC: bugs of the seed")
def slow_reader_of_50_mb(t):
    size = 50 * MEBI
    with Conn(("127.0.0.1", arena(t).port), recv_buf=8192, timeout_s=60) as c:
        c.send(b"GET /bytes/%d HTTP/1.1\r\nHost: t\r\n\r\n" % size)
        head = c.head()
        equal(head.get("content-length"), str(size))
        digest, left = hashlib.sha256(), size
        while left > 0:
            data = c.take(min(left, 65536))
            digest.update(data)
            left -= len(data)
        equal(digest.digest(), hashlib.sha256(pattern(size)).digest(), "checksum")
        equal(c.get("/pipeline").body, b"ok")


@suite.case("RFC 9112 9.6")
def half_close_after_request_still_answers(t):
    for target, size in (("/pipeline", 2), ("/bytes/5000000", 5000000)):
        with arena(t).connect() as c:
            c.send(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            c.shutdown()
            equal(len(c.response().body), size)
            c.expect_close()
    with arena(t).connect() as c:
        c.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello")
        c.shutdown()
        equal(c.response().body, b"5")
        c.expect_close()


@suite.case("RFC 9112 9.6")
def half_request_behind_good_one(t):
    with arena(t).connect() as c:
        c.send(b"GET /pipeline HTTP/1.1\r\nHost: t\r\n\r\nGET /pipe")
        equal(c.response().body, b"ok")
        c.shutdown()
        rest = c.rest()
        check(rest == b"" or rest.startswith(b"HTTP/1.1 400 "), "nothing or 400", rest)


@suite.case()
def bad_command_lines_are_refused(t):
    for args in (["--port", "70000"], ["--backend", "select"], ["--workers", "x"], ["--nonsense"]):
        run = subprocess.run([t.program("arena_testing"), *args], capture_output=True, timeout=30)
        check(run.returncode not in (0, -6, -11), "a non-zero exit", run.returncode, args)
        check(run.stderr, "words on stderr", run.stderr, args)


@suite.case()
def port_in_use_is_said(t):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = subprocess.run([t.program("arena_testing"), "--port", str(taken.getsockname()[1]), "--backend",
                              t.args.backend], capture_output=True, timeout=30)
        check(run.returncode == 1 and b"in use" in run.stderr, "exit 1 and the reason", (run.returncode, run.stderr))


@suite.case()
def prints_address_and_backend(t):
    check(f"backend {t.args.backend}" in arena(t).lines[0], f"backend {t.args.backend}", arena(t).lines)


if __name__ == "__main__":
    try:
        sys.exit(suite.run())
    except Failure as failure:
        sys.exit(f"cannot run: {failure}")
