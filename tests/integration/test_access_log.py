# SPDX-License-Identifier: MIT
# test_access_log.py - the access log of a real server: a line for each request, whatever became of it; files renamed under
# load; readers that stop; hostile bytes. Lines are compared with what the client did. Uses access_log_app.
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import Failure, Reset, Server, Skip, Suite, check, equal, has_own_thread  # noqa: E402
from tls_certs import Certs  # noqa: E402

suite = Suite("access log")
COMMON = (r'(?P<remote>\S+) - - \[(?P<time>\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d \+0000)\] "(?P<line>[^"]*)" '
          r'(?P<status>\d{3}|-) (?P<bytes>\d+)')
COMBINED = re.compile(COMMON + r' "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"')
MEMBERS = ["time", "remote", "host", "method", "target", "version", "tls", "status", "bytes", "duration_ms", "referer",
           "user_agent", "error"]


def until(condition, what, tries=3000):
    for _ in range(tries):
        if condition():
            return
        threading.Event().wait(0.005)
    raise Failure(what, "never")


class Logged:
    """A server with a log in a folder of its own."""

    def __init__(self, t, *options, path=None, **kw):
        self.folder = tempfile.mkdtemp(prefix="per_log_")
        self.path = path or os.path.join(self.folder, "access.log")
        self.t = t
        self.options = options if "--workers" in options else ("--workers", "1", *options)
        self.kw = kw

    def __enter__(self):
        self.server = Server([self.t.program("access_log_app"), "--backend", self.t.args.backend, "--log", self.path,
                              *self.options], **self.kw)
        return self

    def __exit__(self, kind, *unused):
        problems = self.server.stop(timeout_s=5 if kind else 30)
        shutil.rmtree(self.folder)
        if problems and not kind:
            raise Failure("a clean end", "; ".join(problems))

    def connect(self):
        return self.server.connect()

    def stats(self):
        with self.connect() as c:
            got = c.get("/stats", "Connection: close")
        return {k: int(v) for k, v in (pair.split("=") for pair in got.body.decode().split())}

    def end(self):
        """Stops the server, so that everything is written, and gives the lines of the file."""
        problems = self.server.stop()
        if problems:
            raise Failure("a clean end", "; ".join(problems))
        return lines_of(self.path)


def lines_of(path):
    with open(path, "rb") as file:
        data = file.read()
    check(data == b"" or data.endswith(b"\n"), "whole lines", data[-200:])
    check(data.isascii(), "ASCII", data)
    return data.decode().split("\n")[:-1]


def combined(line):
    found = COMBINED.fullmatch(line)
    check(found, "a line in combined form", line)
    return found.groupdict()


def told(line):
    """(request line, status, bytes) of a line."""
    got = combined(line)
    return got["line"], got["status"], int(got["bytes"])


@suite.case()
def each_request_has_its_line(t):
    with Logged(t) as log:
        with log.connect() as c:
            equal(c.get("/hello?a=b", "User-Agent: tester/1", "Referer: http://r/x").status, 200)
            equal(c.get("/bytes/70000").status, 200)
            equal(c.get("/bytes/70000", method="HEAD").status, 200)
            equal(c.get("/status/404").status, 404)
            equal(c.get("/status/204").status, 204)
            equal(c.get("/fail").status, 500)
            equal(c.get("/hello", method="POST", body=b"x" * 100).status, 200)
            equal(c.get("*", method="OPTIONS").status, 200)
        lines = log.end()
    first = combined(lines[0])
    equal((first["remote"], first["referer"], first["agent"]), ("127.0.0.1", "http://r/x", "tester/1"))
    equal((combined(lines[1])["referer"], combined(lines[1])["agent"]), ("-", "-"))
    equal([told(line) for line in lines], [
        ("GET /hello?a=b HTTP/1.1", "200", 6), ("GET /bytes/70000 HTTP/1.1", "200", 70000),
        ("HEAD /bytes/70000 HTTP/1.1", "200", 0), ("GET /status/404 HTTP/1.1", "404", 7),
        ("GET /status/204 HTTP/1.1", "204", 0), ("GET /fail HTTP/1.1", "500", 22),
        ("POST /hello HTTP/1.1", "200", 6), ("OPTIONS * HTTP/1.1", "200", 0)])


@suite.case()
def pipelined_requests_in_order(t):
    with Logged(t) as log:
        with log.connect() as c:
            c.send(b"".join(b"GET /bytes/%d HTTP/1.1\r\nHost: t\r\n\r\n" % i for i in range(500)))
            for i in range(500):
                equal(len(c.response().body), i)
        lines = log.end()
    equal([told(line) for line in lines], [(f"GET /bytes/{i} HTTP/1.1", "200", i) for i in range(500)])


@suite.case()
def requests_that_the_server_refuses(t):
    with Logged(t) as log:
        for data, status in ((b"BAD\x01 \r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400),
                             (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n", 414),
                             (b"GET / HTTP/1.1\r\nHost: t\r\nUser-Agent: \"q\"\r\nX: " + b"x" * 20000, 431),
                             (b"CONNECT t:1 HTTP/1.1\r\nHost: t:1\r\n\r\n", 501), (b"GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505),
                             (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9999999\r\n\r\n", 413)):
            with log.connect() as c:
                equal(c.ask(data).status, status, "status", data[:50])
        lines = [combined(line) for line in log.end()]
    equal([line["status"] for line in lines], ["400", "400", "414", "431", "501", "505", "413"])
    equal(lines[0]["line"], "BAD\\x01 ")
    equal(lines[1]["line"], "GET / HTTP/1.1")
    check(lines[2]["line"].startswith("GET /xxxxxx"), "the target as far as it had come", lines[2])
    equal(lines[3]["agent"], "\\x22q\\x22")


@suite.case()
def requests_that_are_never_answered(t):
    with Logged(t) as log:
        with log.connect() as c:
            c.send(b"GET /abort HTTP/1.1\r\nHost: t\r\n\r\n")
            try:
                check(not c.fill(), "a cut", c.buffer)
            except Reset:
                pass
        gone = log.connect()
        gone.send(b"GET /never HTTP/1.1\r\nHost: t\r\n\r\n")
        half = log.connect()
        half.send(b"GET /half HTTP/1.1\r\nX")
        until(lambda: log.stats()["lines"] >= 2, "the aborted one")
        gone.reset()
        half.reset()
        with open(log.path, "rb") as file:
            until(lambda: file.seek(0) == 0 and b"GET /half" in file.read(), "the line of the incomplete one")
        lines = log.end()
    got = {told(line) for line in lines if "/stats" not in line}
    equal(got, {("GET /abort HTTP/1.1", "-", 0), ("GET /never HTTP/1.1", "-", 0), ("GET /half HTTP/1.1", "-", 0)})
    check(all(line.startswith("127.0.0.1 ") for line in lines), "the address of those that have left too", lines)


@suite.case()
def heads_that_are_too_slow(t):
    with Logged(t, "--head-timeout-ms", "300") as log:
        slow, idle = log.connect(), log.connect()
        slow.send(b"GET /slow HTTP/1.1\r\nHo")
        equal(slow.response().status, 408)
        idle.expect_close()  # it has sent nothing: no answer and no line
        slow.close()
        lines = log.end()
    equal([told(line) for line in lines], [("GET /slow HTTP/1.1", "408", 16)])


# --- JSON ---------------------------------------------------------------------------------------------------------


@suite.case("RFC 8259")
def json_of_hostile_bytes(t):
    agent = bytes(b for b in range(256) if b >= 0x21 and b != 0x7f)
    with Logged(t, "--format", "json") as log:
        with log.connect() as c:
            c.send(b"GET /a?%22\"\\ HTTP/1.1\r\nHost: t.example:80\r\nUser-Agent: " + agent + b"\r\nReferer: \"}\\\r\n\r\n")
            equal(c.response().status, 200)
            c.send(b"POST /hello HTTP/1.0\r\n\r\n")
            c.response()
        for junk in (b"\x16\x03\x01\x00\xff\xfe\"\\\r\n", b"GET /\xc3\xa9 HTTP/1.1\r\n", b"\x00" * 40):
            with log.connect() as c:
                equal(c.ask(junk).status, 400)
        lines = [json.loads(line) for line in log.end()]
    for line in lines:
        equal([name for name in line if name != "line"], MEMBERS)
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]), "a time", line)
        check(isinstance(line["duration_ms"], int) and 0 <= line["duration_ms"] < 60000, "a duration", line)
    first = lines[0]
    equal(first["user_agent"].encode("latin-1"), agent)
    equal((first["target"], first["referer"], first["host"], first["version"], first["remote"], first["error"]),
          ("/a?%22\"\\", "\"}\\", "t.example:80", "1.1", "127.0.0.1", None))
    equal((lines[1]["method"], lines[1]["version"], lines[1]["host"], lines[1]["user_agent"]), ("POST", "1.0", None, None))
    equal((lines[2]["line"].encode("latin-1")[:1], lines[2]["status"], lines[2]["target"], lines[2]["error"]),
          (b"\x16", 400, None, "protocol"))
    check("line" not in first, "no line where there is a target", first)


@suite.case()
def json_over_tls(t):
    certs = Certs()
    identity = certs.make("t.example", names=("DNS:t.example",))
    context = ssl.create_default_context(cafile=identity.cert)
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    with Logged(t, "--format", "json", "--cert", identity.pem) as log:
        for target in ("hello", "abort"):
            raw = socket.create_connection(("127.0.0.1", log.server.port), timeout=15)
            with context.wrap_socket(raw, server_hostname="t.example") as sock:
                sock.sendall(f"GET /{target} HTTP/1.1\r\nHost: t.example\r\n\r\n".encode())
                if target == "hello":
                    check(sock.recv(1000).startswith(b"HTTP/1.1 200 "), "an answer", "none")
                else:
                    with contextlib.suppress(OSError):
                        equal(sock.recv(1000), b"")
        lines = [json.loads(line) for line in log.end()]
    equal([(line["target"], line["tls"], line["status"], line["error"]) for line in lines],
          [("/hello", "TLSv1.3", 200, None), ("/abort", "TLSv1.3", 0, "gone")])
    equal({line["remote"] for line in lines}, {"127.0.0.1"})


# --- load ---------------------------------------------------------------------------------------------------------


def load(log, connections, requests, depth=20):
    """Sends from several threads; returns when each has all of its answers. Targets are /THREAD/NUMBER."""
    problems = []

    def one(index):
        try:
            with log.connect() as c:
                for begin in range(0, requests, depth):
                    c.send(b"".join(b"GET /%d/%d HTTP/1.1\r\nHost: t\r\n\r\n" % (index, begin + i) for i in range(depth)))
                    for _ in range(depth):
                        equal(c.response().status, 200)
        except Exception as error:  # pylint: disable=broad-except
            problems.append(repr(error))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(connections)]
    for thread in threads:
        thread.start()
    return threads, problems


def check_load(lines, connections, requests):
    """Every request once, those of a connection in their order within a file."""
    found = [tuple(int(n) for n in re.match(r"GET /(\d+)/(\d+) ", told(line)[0]).groups()) for line in lines
             if "/stats" not in line]
    equal(len(found), connections * requests, "lines")
    equal(len(set(found)), connections * requests, "different lines")
    for index in range(connections):
        mine = [number for thread, number in found if thread == index]
        equal(mine, sorted(mine), f"order of connection {index}")


def begin_to_hear(log):
    """ThreadSanitizer loses a signal that comes while threads start: sends some until one is heard."""
    while log.stats()["reopens"] == 0:
        os.kill(log.server.pid, signal.SIGUSR1)
        with contextlib.suppress(Failure):
            until(lambda: log.stats()["reopens"] > 0, "a first reopen", tries=400)


@suite.case(alone=True)
def renamed_under_load_no_line_is_lost(t):
    connections, requests, files = 4, 3000, []
    with Logged(t, "--workers", "2") as log:
        if os.environ.get("PER_SANITIZE") == "thread":
            begin_to_hear(log)
        threads, problems = load(log, connections, requests)
        while any(thread.is_alive() for thread in threads):
            before = log.stats()["reopens"]
            files.append(f"{log.path}.{len(files)}")
            os.rename(log.path, files[-1])
            os.kill(log.server.pid, signal.SIGUSR1)
            until(lambda: log.stats()["reopens"] > before, "a new file")
        equal(problems, [])
        equal(log.stats()["dropped"], 0)
        files.append(log.path)
        log.server.stop()
        check(len(files) >= 4, "several files", files)
        check_load([line for path in files for line in lines_of(path)], connections, requests)


@suite.case(alone=True)
def reader_that_stops_costs_lines_and_no_time(t):
    connections, requests = 2, 3000
    folder = tempfile.mkdtemp(prefix="per_log_")
    path = os.path.join(folder, "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with Logged(t, "--ring-bytes", "65536", path=path) as log:
            threads, problems = load(log, connections, requests)  # far more than ring and pipe take
            for thread in threads:
                thread.join()
            equal(problems, [])
            stats = log.stats()
            check(stats["dropped"] > 1000, "dropped lines", stats)
            check(stats["lines"] + stats["dropped"] >= connections * requests, "each line taken or dropped", stats)
            data = b""
            with log.connect() as c:
                while b"GET /after " not in data:  # it reads again
                    equal(c.get("/after").status, 200)
                    with contextlib.suppress(BlockingIOError):
                        data += os.read(reader, 65536)
            for line in data.decode().split("\n")[:-1]:
                combined(line)
            check(data.count(b"\n") > 1000, "the lines that waited", data[:200])
    finally:
        os.close(reader)
        shutil.rmtree(folder)


@suite.case()
def disk_full_is_counted(t):
    with Logged(t, "--ring-bytes", "65536", path="/dev/full") as log:
        with log.connect() as c:
            for _ in range(100):
                equal(c.get("/hello").status, 200)
        until(lambda: log.stats()["write_errors"] > 0, "an error")
        equal(log.server.stop(), [])
        output = log.server.output()
        check(b"No space left" in output and b"log: a system call failed" in output, "told", output)


@suite.case()
def standard_output(t):
    with Logged(t, path="-") as log:
        with log.connect() as c:
            equal(c.get("/hello").status, 200)
        check(log.server.wait_line(COMBINED), "the line on stdout", log.server.lines)
        with log.connect() as c:
            equal(c.get("/x", "User-Agent: a\nb").status, 400)
        check(log.server.wait_line(re.compile(r'"GET /x HTTP/1.1" 400')), "the next line", log.server.lines)


@suite.case(alone=True)
def idle_server_with_a_log_sleeps(t):
    if has_own_thread(t.program("access_log_app")):
        raise Skip("ThreadSanitizer's own thread wakes up")
    with Logged(t) as log:
        with log.connect() as c:
            equal(c.get("/hello").status, 200)
            until(lambda: log.stats()["bytes_now"] == 0, "the line")
        last = -1
        while log.server.switches() != last:  # the nap behind the last write passes
            last = log.server.switches()
            threading.Event().wait(0.2)
        switches = log.server.switches()
        threading.Event().wait(1.0)  # the observation itself, not a synchronisation
        check(log.server.switches() - switches <= 4, "no wake-up in an idle second", log.server.switches() - switches)


@suite.case(alone=True)
def one_wake_for_many_lines(t):
    """A worker wakes the thread when it sleeps, not for each line."""
    with Logged(t, "--flush-ms", "1000") as log:
        threads, problems = load(log, 2, 2000)
        for thread in threads:
            thread.join()
        equal(problems, [])
        stats = log.stats()
        check(stats["wakes"] <= 4 and stats["lines"] >= 4000, "few wakes", stats)


if __name__ == "__main__":
    suite.parse_args()
    sys.exit(suite.run())
