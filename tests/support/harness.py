# SPDX-License-Identifier: MIT
# harness.py - what every outside suite shares: starting and ending a server, a strict HTTP/1.x client on a raw socket,
# and a runner for named cases. Does not know any endpoint. Used by tests/conformance and tests/integration.
# Invariant: a server that is still alive at the end, exits 0 on SIGTERM and printed no sanitizer report, or the suite fails.
import argparse
import concurrent.futures
import contextlib
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SUPPORT = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 15.0  # how long anything that must happen may take before it is called missing
REPORTS = (b"ERROR: AddressSanitizer", b"ERROR: LeakSanitizer", b"runtime error:", b"WARNING: ThreadSanitizer",
           b"ssertion", b"per__assert_fail", b"SUMMARY: ", b"DEADLYSIGNAL")


class Failure(Exception):
    def __init__(self, expected, got, sent=None, rfc=None):
        super().__init__(f"expected {expected}; got {got}")
        self.expected, self.got, self.sent, self.rfc = expected, got, sent, rfc


class Skip(Exception):
    pass


def check(condition, expected, got, sent=None, rfc=None):
    if not condition:
        raise Failure(expected, got, sent, rfc)


def equal(got, expected, what="value", sent=None, rfc=None):
    if got != expected:
        raise Failure(f"{what} {brief(expected)}", brief(got), sent, rfc)


def brief(value, limit=400):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[:limit // 2]} ... {text[-limit // 4:]} ({len(value)} long)"


# --- the server ------------------------------------------------------------------------------------------------


class Server:
    """A program under test. Reads its addresses from its stdout; ends it by its own pid."""

    LISTENING = re.compile(r"listening on (\S+)")

    def __init__(self, argv, ready=None, wrapper=(), env=None, pass_fds=(), preexec=None, cwd=None, timeout_s=TIMEOUT_S * 2):
        self.argv = list(wrapper) + list(argv)
        self.name = " ".join(os.path.basename(a) if i == 0 else a for i, a in enumerate(self.argv))
        self.lines, self.addresses, self.stopped = [], [], False
        self.changed = threading.Condition()
        self.eof = False
        self.stderr = tempfile.TemporaryFile()
        full_env = dict(os.environ)
        full_env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1:abort_on_error=0")
        full_env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=0")
        full_env.update(env or {})
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.stderr,
                                        env=full_env, pass_fds=pass_fds, preexec_fn=preexec, cwd=cwd)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        ready = ready or self.LISTENING
        if not self.wait_line(ready, timeout_s):
            output = self.output()
            self.kill()
            raise Failure(f"{self.name} to print a line with {ready.pattern!r}", f"exit {self.process.poll()}, {output!r}")

    def _read(self):
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            with self.changed:
                self.lines.append(line)
                found = self.LISTENING.search(line)
                if found:
                    self.addresses.append(found.group(1))
                self.changed.notify_all()
        with self.changed:
            self.eof = True
            self.changed.notify_all()

    def wait_line(self, pattern, timeout_s=TIMEOUT_S):
        """The first stdout line that matches, or None at the end of the output or the timeout."""
        def find():
            return next((line for line in self.lines if pattern.search(line)), None)
        with self.changed:
            self.changed.wait_for(lambda: self.eof or find() is not None, timeout_s)
            return find()

    def output(self):
        self.stderr.seek(0)
        return "\n".join(self.lines).encode() + b"\n" + self.stderr.read()

    @property
    def port(self):
        return self.port_of(0)

    def port_of(self, index):
        return int(self.addresses[index].rstrip("/").rsplit(":", 1)[1])

    def connect(self, index=0, **options):
        return Conn(("127.0.0.1", self.port_of(index)), **options)

    def cpu_s(self):
        """User and system time used so far, in seconds."""
        with open(f"/proc/{self.pid}/stat", "rb") as stat:
            fields = stat.read().rsplit(b")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def switches(self):
        """Context switches of all threads: an idle server makes none."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/status", encoding="ascii") as status:
                total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
        return total

    def fd_count(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def kill(self):
        self.stopped = True
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(TIMEOUT_S)

    def reports(self):
        output = self.output()
        found = [mark.decode() for mark in REPORTS if mark in output]
        return [f"a report of the program itself: {found}\n{output[-6000:].decode('utf-8', 'replace')}"] if found else []

    def stop(self, sig=signal.SIGTERM, timeout_s=TIMEOUT_S * 2):
        """Ends the server and returns what was wrong with it, an empty list if nothing was."""
        if self.stopped:
            return []
        self.stopped = True
        problems = []
        if self.process.poll() is not None:
            problems.append(f"died during the test with {self.process.returncode}: {self.output()[-4000:]!r}")
        else:
            self.process.send_signal(sig)
        return problems + self.join(timeout_s)

    def join(self, timeout_s=TIMEOUT_S * 2):
        """Waits for the end of a server that was told to stop; what was wrong."""
        self.stopped = True
        problems = []
        try:
            code = self.process.wait(timeout_s)
            if code != 0:
                problems.append(f"exit code {code}, not 0: {self.output()[-3000:]!r}")
        except subprocess.TimeoutExpired:
            problems.append(f"still running {timeout_s:.0f} s after it was told to stop: {self.output()[-3000:]!r}")
            self.process.kill()
            self.process.wait()
        self.reader.join(TIMEOUT_S)
        problems += self.reports()
        for line in self.lines:
            if line.startswith(("account ", "wsaccount ")) and not problems:
                problems += account_problems(line)
        return problems


def account_problems(line):
    """test_app's last word: everything that was begun, lent or posted has ended exactly once."""
    got = {key: int(value) for key, value in (pair.split("=") for pair in line.split()[1:])}
    return [f"{left}={got[left]} but {right}={got[right]} ({line})"
            for left, right in (("seen", "done"), ("lent", "released"), ("posted", "ran"), ("opened", "closed"))
            if got.get(left) != got.get(right)]


def is_instrumented(path):
    """Was this program built with a sanitizer? Preloading and tracing do not go well with one."""
    with open(path, "rb") as binary:
        data = binary.read()
    return b"__asan_init" in data or b"__tsan_init" in data


def has_own_thread(path):
    """ThreadSanitizer brings a thread that wakes up ten times a second."""
    with open(path, "rb") as binary:
        return b"__tsan_init" in binary.read()


def build_support(source, output, *flags):
    """Compiles a small helper of tests/support/ into a temporary directory. Raises Skip without a compiler."""
    compiler = next((c for c in ("cc", "gcc", "clang") if which(c)), None)
    if compiler is None:
        raise Skip("no C compiler for " + source)
    run = subprocess.run([compiler, "-O1", "-o", output, os.path.join(SUPPORT, source), *flags], capture_output=True, text=True)
    if run.returncode != 0:
        raise Skip(f"{source} does not compile here: {run.stderr[:300]}")
    return output


def which(program):
    return next((p for p in (os.path.join(d, program) for d in os.environ.get("PATH", "").split(":"))
                 if os.access(p, os.X_OK)), None)


# --- the client ------------------------------------------------------------------------------------------------


class Closed(Exception):
    """The stream ended; partial says what had come of an incomplete message."""

    def __init__(self, partial=b""):
        super().__init__(f"end of stream after {brief(partial)}")
        self.partial = partial


class Reset(Exception):
    pass


class Broken(Exception):
    """What came is no valid HTTP/1.1 response."""


class Response:
    def __init__(self, version, status, reason, headers):
        self.version, self.status, self.reason, self.headers = version, status, reason, headers
        self.body, self.trailers, self.interim, self.is_chunked = b"", [], [], False

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name, default=None):
        return next(iter(self.all(name)), default)

    @property
    def closes(self):
        tokens = {t.strip().lower() for v in self.all("connection") for t in v.split(",")}
        return "close" in tokens or (self.version == "HTTP/1.0" and "keep-alive" not in tokens)

    def __repr__(self):
        fields = ", ".join(f"{k}: {brief(v, 60)}" for k, v in self.headers)
        return f"<{self.status} {self.reason} [{fields}] body {brief(self.body, 80)}>"


TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
STATUS_LINE = re.compile(r"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([\t -~\x80-\xff]*)\Z")
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
                  r"\d\d:\d\d:\d\d GMT\Z")


def parse_head(raw):
    lines = raw.decode("latin-1").split("\r\n")
    found = STATUS_LINE.match(lines[0])
    if not found:
        raise Broken(f"status line {lines[0]!r} (RFC 9112 4)")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.match(name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise Broken(f"field line {line!r} (RFC 9112 5)")
        headers.append((name, value.strip(" \t")))
    return Response(found.group(1), int(found.group(2)), found.group(3), headers)


def check_message(response, method):
    """What must hold for every response of this server, whatever the request was."""
    status = response.status
    if len(response.all("content-length")) > 1:
        raise Broken(f"two Content-Length fields (RFC 9110 8.6): {response}")
    if response.all("content-length") and response.all("transfer-encoding"):
        raise Broken(f"Content-Length and Transfer-Encoding together (RFC 9112 6.2): {response}")
    if status < 200 or status == 204:
        if response.all("content-length") or response.all("transfer-encoding"):
            raise Broken(f"a length in a {status} (RFC 9110 8.6, RFC 9112 6.1): {response}")
    if status >= 200 and (len(response.all("date")) != 1 or not DATE.match(response.get("date"))):
        raise Broken(f"no single valid Date (RFC 9110 6.6.1): {response}")
    if status == 405 and not response.all("allow"):
        raise Broken(f"405 without Allow (RFC 9110 15.5.6): {response}")


class Conn:
    """A raw connection with a strict response reader. Never sleeps; every wait has a bound."""

    def __init__(self, address, timeout_s=TIMEOUT_S, recv_buf=None, strict=True, source=None, wrap=None):
        """wrap makes the socket another one when it is connected: for TLS."""
        family = socket.AF_UNIX if isinstance(address, (str, bytes)) else (
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout_s)
        if recv_buf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, recv_buf)
        if source:
            self.sock.bind(source)
        self.sock.connect(address)
        if family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if wrap:
            self.sock = wrap(self.sock)
        self.buffer, self.strict, self.sent = b"", strict, b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, data):
        if len(self.sent) < 2000:
            self.sent += data[:2000]
        try:
            self.sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Reset(f"{type(error).__name__} while sending") from error

    def send_bytes(self, data):
        """One segment per byte (TCP_NODELAY is on)."""
        if len(self.sent) < 2000:
            self.sent += data[:2000]
        send = self.sock.send
        try:
            for i in range(len(data)):
                send(data[i:i + 1])
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Reset(f"{type(error).__name__} while sending byte {i}") from error

    def shutdown(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def fill(self):
        """Reads something into the buffer; False at the end of the stream."""
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError as error:
            raise Reset(f"reset by the server after {brief(self.buffer)}") from error
        self.buffer += data
        return bool(data)

    def take(self, count):
        if len(self.buffer) < count:  # gathers big bodies in linear time
            parts, have = [self.buffer], len(self.buffer)
            self.buffer = b""
            while have < count:
                try:
                    data = self.sock.recv(min(1 << 20, max(65536, count - have)))
                except ConnectionResetError as error:
                    raise Reset(f"reset by the server, {count - have} bytes short") from error
                if not data:
                    raise Closed(b"".join(parts))
                parts.append(data)
                have += len(data)
            self.buffer = b"".join(parts)
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def until(self, mark):
        start = 0
        while True:
            at = self.buffer.find(mark, start)
            if at >= 0:
                data, self.buffer = self.buffer[:at], self.buffer[at + len(mark):]
                return data
            start = max(0, len(self.buffer) - len(mark) + 1)
            if not self.fill():
                raise Closed(self.buffer)

    def head(self, method="GET"):
        response = parse_head(self.until(b"\r\n\r\n"))
        if self.strict:
            check_message(response, method)
        return response

    def response(self, method="GET"):
        """The next final response with its body; interim ones are kept in .interim."""
        interim = []
        while True:
            response = self.head(method)
            if response.status >= 200:
                break
            interim.append(response)
        response.interim = interim
        if method == "HEAD" or response.status in (204, 304):
            return response
        if response.all("transfer-encoding"):
            if response.get("transfer-encoding").lower() != "chunked":
                raise Broken(f"Transfer-Encoding: {response.get('transfer-encoding')!r}")
            response.is_chunked = True
            response.body = self._chunked(response)
        elif response.all("content-length"):
            if not re.match(r"[0-9]+\Z", response.get("content-length")):
                raise Broken(f"Content-Length: {response.get('content-length')!r}")
            response.body = self.take(int(response.get("content-length")))
        else:
            if not response.closes:
                raise Broken(f"no length and no Connection: close (RFC 9112 6.3): {response}")
            response.body = self.rest()
        return response

    def _chunked(self, response):
        parts = []
        while True:
            line = self.until(b"\r\n")
            if not re.match(rb"[0-9A-Fa-f]{1,16}(;.*)?\Z", line):
                raise Broken(f"chunk size line {line!r} (RFC 9112 7.1)")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            parts.append(self.take(size))
            if self.take(2) != b"\r\n":
                raise Broken("no CRLF after chunk data (RFC 9112 7.1)")
        while True:
            line = self.until(b"\r\n")
            if not line:
                return b"".join(parts)
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not TOKEN.match(name):
                raise Broken(f"trailer line {line!r}")
            response.trailers.append((name, value.strip(" \t")))

    def rest(self):
        """Everything up to the end of the stream."""
        parts = [self.buffer]
        self.buffer = b""
        while True:
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError as error:
                raise Reset(f"reset by the server after {brief(b''.join(parts))}") from error
            if not data:
                return b"".join(parts)
            parts.append(data)

    def readable_now(self):
        return bool(self.buffer) or bool(select.select([self.sock], [], [], 0)[0])

    def ask(self, data, method="GET"):
        self.send(data)
        return self.response(method)

    def get(self, target, *fields, method="GET", body=None, version="1.1"):
        head = [f"{method} {target} HTTP/{version}", "Host: test", *fields]
        if body is not None:
            head.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(head + ["", ""]).encode("latin-1") + (body or b""))
        return self.response(method)

    def expect_close(self, what="the server to close", sent=None):
        """The end of the stream, nothing before it."""
        try:
            rest = self.rest()
        except socket.timeout as error:
            raise Failure(what, "a connection that stays open", sent) from error
        except Reset as error:
            raise Failure(what + " with FIN", str(error), sent) from error
        equal(rest, b"", "nothing more before the close, that is", sent)


# --- the runner ------------------------------------------------------------------------------------------------


class Suite:
    """Named cases, run on several threads; shared servers that are checked at the end."""

    def __init__(self, title):
        self.title, self.cases, self.shared = title, [], {}
        self.passed = self.failed = 0
        self.skips = []
        self.lock = threading.RLock()
        self.args = None

    def case(self, rfc="", alone=False):
        """alone: not beside other cases, for those that measure the processor or fill the machine."""
        def register(function):
            self.cases.append((function.__name__.lstrip("_"), rfc, function, alone))
            return function
        return register

    def parse_args(self, extra=None):
        parser = argparse.ArgumentParser(description=self.title)
        parser.add_argument("--backend", default="auto", help="io_uring, epoll, kqueue")
        parser.add_argument("--bin", default="build/debug/bin", help="directory with arena_testing and test_app")
        parser.add_argument("--only", default="", help="regular expression on the names of cases")
        parser.add_argument("--threads", type=int, default=8)
        parser.add_argument("--verbose", action="store_true")
        if extra:
            extra(parser)
        self.args = parser.parse_args()
        return self.args

    # servers

    def program(self, name):
        path = os.path.join(self.args.bin, name)
        if not os.access(path, os.X_OK):
            raise Failure(f"a program {path}", "none there")
        return path

    def arena(self, *options, backend=None, workers="1", **kw):
        return Server([self.program("arena_testing"), "--port", "0", "--workers", workers, "--backend",
                       backend or self.args.backend, *options], **kw)

    def app(self, *options, backend=None, workers="1", **kw):
        return Server([self.program("test_app"), "--port", "0", "--workers", workers, "--backend",
                       backend or self.args.backend, *options], ready=re.compile(r"^ready$"), **kw)

    def shared_server(self, key, make):
        """A server for several cases, started at the first use and stopped after the last case."""
        with self.lock:
            if key not in self.shared:
                self.shared[key] = make()
            return self.shared[key]

    @contextlib.contextmanager
    def serving(self, server):
        """A server for one case: whatever is wrong with it at the end fails the case."""
        try:
            yield server
        except BaseException:
            problems = server.stop(timeout_s=5)
            if problems:
                print("\n".join(f"  also: {p}" for p in problems), flush=True)
            raise
        problems = server.stop()
        if problems:
            raise Failure(f"a clean end of {server.name}", "; ".join(problems))

    # results

    def ok(self, name):
        with self.lock:
            self.passed += 1
            if self.args and self.args.verbose:
                print(f"ok    {name}", flush=True)

    def fail(self, name, rfc, failure):
        with self.lock:
            self.failed += 1
            print(f"FAIL  {name}" + (f" [{rfc}]" if rfc else ""))
            if getattr(failure, "sent", None) is not None:
                print(f"      sent:     {brief(failure.sent, 1200)}")
            print(f"      expected: {brief(failure.expected, 1500)}")
            print(f"      got:      {brief(failure.got, 6000)}", flush=True)

    def skip(self, name, reason):
        with self.lock:
            self.skips.append((name, reason))
            print(f"SKIP  {name}: {reason}", flush=True)

    def run_case(self, name, rfc, function):
        start = time.monotonic()
        try:
            function(self)
            self.ok(name)
        except Skip as skip:
            self.skip(name, str(skip))
        except Failure as failure:
            self.fail(name, failure.rfc or rfc, failure)
        except (Closed, Reset, Broken, OSError, subprocess.TimeoutExpired) as error:
            where = traceback.extract_tb(error.__traceback__)
            lines = ", ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in where[-3:])
            self.fail(name, rfc, Failure("no such error", f"{type(error).__name__}: {brief(str(error))} at {lines}"))
        except Exception:  # a mistake in the case itself
            self.fail(name, rfc, Failure("a case without mistakes", traceback.format_exc()))
        finally:
            spent = time.monotonic() - start
            if self.args.verbose or spent > 15:
                print(f"      {name} took {spent:.1f} s", flush=True)

    def run(self):
        self.args or self.parse_args()
        chosen = [c for c in self.cases if re.search(self.args.only, c[0])]
        with concurrent.futures.ThreadPoolExecutor(self.args.threads) as pool:
            list(pool.map(lambda c: self.run_case(*c[:3]), [c for c in chosen if not c[3]]))
        for name, rfc, function, _ in (c for c in chosen if c[3]):
            self.run_case(name, rfc, function)
        return self.finish()

    def finish(self):
        for server in self.shared.values():
            problems = server.stop()
            if problems:
                self.fail(f"end of {server.name}", "", Failure("alive, exit 0 on SIGTERM, no report", "; ".join(problems)))
            else:
                self.ok(f"end of {server.name}")
        if self.skips:
            print(f"--- skipped, {len(self.skips)} of {self.title}:")
            for name, reason in self.skips:
                print(f"    {name}: {reason}")
        print(f"{self.passed} passed, {self.failed} failed, {len(self.skips)} skipped", flush=True)
        return 1 if self.failed else 0


def import_path():
    """For suites: makes `import harness` work from anywhere (they put this directory on sys.path themselves)."""
    return SUPPORT


if __name__ == "__main__":
    sys.exit("harness.py is a module; run a *_test.py")
