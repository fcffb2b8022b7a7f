#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test_program.py - peregrine while it serves: hosts, redirects, fields, the health check; the command line alone; metrics; who
# it runs as; sockets that are passed to it; what it tells systemd. Reloads and logs are in test_program_reload.py.
# ctest: backends=io_uring,epoll
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from harness import Conn, Skip, Suite, check, equal, is_instrumented  # noqa: E402
from program import Folder, Program, path_of, run, wait_for  # noqa: E402

suite = Suite("peregrine: serving")


def start(t, *options, workers="2", **kw):
    return Program(path_of(t), "--backend", t.args.backend, "--workers", workers, *options, **kw)


def start_yaml(t, folder, text, *options, **kw):
    return start(t, "--config", folder.write("site.yaml", text), *options, **kw)


def get(server, target, host="test", **kw):
    with server.connect() as c:
        method = kw.get("method", "GET")
        c.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
        return c.response(method)


# --- the command line alone -------------------------------------------------------------------------------------------


@suite.case()
def bare_serves_the_current_directory(t):
    with Folder() as folder:
        folder.write("a.txt", "hello\n")
        with t.serving(start(t, "--port", "0", cwd=folder.path)) as server:
            equal(get(server, "/a.txt").body, b"hello\n")
            equal(get(server, "/healthz").body, b"ok\n")
            equal(get(server, "/none").status, 404)
            check("  serving  " + folder.path in server.lines, "what is served is said", server.lines)


@suite.case()
def a_directory_is_served(t):
    with Folder() as folder:
        folder.write("www/index.html", "<p>index")
        with t.serving(start(t, "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "www", cwd=folder.path)) as server:
            equal(get(server, "/").body, b"<p>index")
            with server.connect(1) as c:
                equal(c.get("/").body, b"<p>index", "body from the second listener")


@suite.case()
def welcome_is_a_page(t):
    with t.serving(start(t, "--port", "0", "--host", "127.0.0.1", "--welcome")) as server:
        page = get(server, "/")
        check(page.status == 200 and b"Peregrine is running" in page.body and t.args.backend.encode() in page.body,
              "the welcome page", page)
        equal(get(server, "/", method="HEAD").body, b"")
        equal(get(server, "/other").status, 404)
        refused = get(server, "/", method="POST")
        equal((refused.status, refused.get("allow")), (405, "GET, HEAD"))
        check("  serving  a welcome page" in server.lines, "what is served is said", server.lines)


def listens(path):
    """A socket's file is there before it listens."""
    try:
        Conn(path).close()
    except OSError:
        return False
    return True


@suite.case()
def quiet_says_nothing(t):
    with Folder() as folder:
        path = os.path.join(folder.path, "p.sock")
        process = subprocess.Popen([path_of(t), "-q", "-l", "unix:" + path, "--welcome"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            wait_for(lambda: listens(path), "a socket that listens")
            with Conn(path) as c:
                equal(c.get("/healthz").status, 200)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
        equal((process.returncode, out, err), (0, b"", b""))


@suite.case()
def an_address_in_use_is_an_error(t):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run(path_of(t), "--listen", f"127.0.0.1:{taken.getsockname()[1]}", "--welcome")
    check(done.returncode == 1 and "in use" in done.stderr, "1 and the reason", (done.returncode, done.stderr))


# --- hosts ------------------------------------------------------------------------------------------------------------

HOSTS = """
listen: [{address: "127.0.0.1:0"}]
hosts:
  - names: [one.org, "127.0.0.1"]
    root: one
  - names: ["*.wild.org", "*.deep.wild.org"]
    root: wild
  - names: ["exact.wild.org", "*.deeper.wild.org", "[::1]"]
    root: two
"""


@suite.case()
def the_host_field_chooses(t):
    with Folder() as folder:
        for name in ("one", "two", "wild", "none"):
            folder.write(name + "/index.html", name)
        with t.serving(start_yaml(t, folder, HOSTS)) as server:
            for host, expected in (("one.org", "one"), ("ONE.org", "one"), ("one.org:80", "one"), ("one.org.", "one"),
                                   ("one.org.:8080", "one"), ("127.0.0.1:1", "one"), ("a.wild.org", "wild"),
                                   ("a.b.wild.org", "wild"), ("A.WILD.ORG.", "wild"), ("exact.wild.org", "two"),
                                   ("a.deeper.wild.org", "two"), ("[::1]:80", "two"), ("[::1]", "two"),
                                   # the first host is for everybody else, where each has names
                                   ("wild.org", "one"), (".wild.org", "one"), ("other.org", "one"), ("", "one"),
                                   ("a" * 300 + ".wild.org", "one"), ("xone.org", "one"), ("one.orgx", "one")):
                equal(get(server, "/", host).body, expected.encode(), f"host for {host!r}")
            with server.connect() as c:
                equal(c.ask(b"GET http://a.wild.org/ HTTP/1.1\r\nHost: one.org\r\n\r\n").body, b"wild", "host of an absolute-form")
                equal(c.ask(b"GET / HTTP/1.0\r\n\r\n").body, b"one", "host of a request without one")
        with t.serving(start_yaml(t, folder, HOSTS + "  - root: none\n")) as server:
            equal(get(server, "/", "other.org").body, b"none", "host without names")
            equal(get(server, "/", "one.org").body, b"one")


@suite.case()
def fields_are_added_to_every_answer(t):
    text = """
listen: [{address: "127.0.0.1:0"}]
server_name: Test/1
health: /alive
hosts:
  - root: .
    headers: [{name: X-Frame-Options, value: DENY}, {name: X-Two, value: "a, b"}, {name: X-Two, value: c}]
    redirects: [{path: /old, to: /new}]
    hsts: {}
"""
    with Folder() as folder:
        folder.write("index.html", "x")
        with t.serving(start_yaml(t, folder, text)) as server:
            for target, status in (("/", 200), ("/none", 404), ("/old", 301)):
                answer = get(server, target)
                equal((answer.status, answer.all("x-frame-options"), answer.all("x-two"), answer.get("server")),
                      (status, ["DENY"], ["a, b", "c"], "Test/1"), target)
                equal(answer.get("strict-transport-security"), None, "no HSTS over plain HTTP (RFC 6797 7.2), that is")
            equal((get(server, "/alive").body, get(server, "/healthz").status), (b"ok\n", 404), "another path for the health check")


@suite.case()
def health_can_be_a_file_or_off(t):
    with Folder() as folder:
        folder.write("healthz", "a file")
        with t.serving(start_yaml(t, folder, "health: off\nlisten: [{address: '127.0.0.1:0'}]\nhosts: [{root: .}]\n")) as server:
            equal(get(server, "/healthz").body, b"a file")


REDIRECTS = """
listen: [{address: "127.0.0.1:0"}]
hosts:
  - redirects:
      - {path: /old, to: /new}
      - {path: /away, to: "https://other.org/x?a=1", status: 302}
      - {path: /plain, to: /new, keep_query: false, status: 308}
      - {prefix: /docs, to: "https://docs.org"}
      - {prefix: /docs/v1, to: /v2, status: 307}
      - {prefix: /far/, to: "https://far.org"}
      - {prefix: /dir/, to: /}
      - {prefix: /here, to: /there/}
      - {prefix: /root, to: /, status: 303}
      - {path: /docs/v1/exact, to: /exact}
"""


@suite.case()
def redirects_lead_where_they_say(t):
    with Folder() as folder, t.serving(start_yaml(t, folder, REDIRECTS)) as server:
        for target, status, location in (("/old", 301, "/new"), ("/old?a=1&b", 301, "/new?a=1&b"), ("/old?", 301, "/new?"),
                                         ("/away", 302, "https://other.org/x?a=1"), ("/away?b", 302, "https://other.org/x?a=1&b"),
                                         ("/plain?a", 308, "/new"), ("/docs", 301, "https://docs.org"),
                                         ("/docs/", 301, "https://docs.org/"), ("/docs/a%20b?c", 301, "https://docs.org/a%20b?c"),
                                         ("/docs/v1/a", 307, "/v2/a"), ("/docs/v1", 307, "/v2"), ("/docs/v1/exact", 301, "/exact"),
                                         ("/docs/v10", 301, "https://docs.org/v10"), ("/dir/a", 301, "/a"),
                                         ("/far/", 301, "https://far.org"), ("/far/a?b", 301, "https://far.org/a?b"),
                                         ("/here/a", 301, "/there/a"), ("/here", 301, "/there/"),
                                         # never to a server whose name the client has chosen
                                         ("/far/.evil.org", 301, "https://far.org/.evil.org"),
                                         ("/far/@evil.org", 301, "https://far.org/@evil.org"),
                                         ("/far/:80@evil.org/", 301, "https://far.org/:80@evil.org/"),
                                         ("/far//evil.org", 301, "https://far.org/evil.org"),
                                         ("/dir//evil.org", 301, "/evil.org"), ("/root//evil.org/", 303, "/evil.org/"),
                                         ("/root///evil.org", 303, "/evil.org"), ("/dir/\\evil.org", 301, "/evil.org")):
            answer = get(server, target)
            equal((answer.status, answer.get("location")), (status, location), target)
        for target in ("/oldx", "/old/", "/docsx", "/dir", "/", "/other"):
            equal(get(server, target).status, 404, f"status of {target}")
        equal(get(server, "/old", method="POST").status, 301)
        equal(get(server, "/old", method="HEAD").get("location"), "/new")


# --- metrics ----------------------------------------------------------------------------------------------------------


@suite.case()
def metrics_count_what_was_asked(t):
    with Folder() as folder:
        folder.write("a", "x" * 1000)
        server = start(t, "--port", "0", "--metrics", "127.0.0.1:0", folder.path)
        with t.serving(server):
            with server.connect() as c:
                for _ in range(50):
                    equal(c.get("/a").status, 200)
                for _ in range(7):
                    equal(c.get("/none").status, 404)
                text = server.metrics()
            samples = parse_metrics(text)
            worker = {name: sum(value for key, value in samples if key[0] == name) for name in {key[0] for key, _ in samples}}
            equal(worker["peregrine_requests_total"], 57, "requests")
            classes = {}
            for key, value in samples:
                if key[0] == "peregrine_responses_total":
                    classes[key[1]["code"]] = classes.get(key[1]["code"], 0) + value
            equal((classes["2xx"], classes["4xx"]), (50, 7), "responses by class")
            equal(worker["peregrine_connections_total"], 1, "connections")
            equal(worker["peregrine_connections_now"], 1, "connections now")
            check(50 * 1000 < worker["peregrine_bytes_out_total"] < 57 * 2000, "bytes sent", worker["peregrine_bytes_out_total"])
            equal(dict(samples_of(samples, "peregrine_build_info"))["backend"], t.args.backend)
            for path, status in (("/healthz", 200), ("/", 404)):
                with Conn(("127.0.0.1", server.metrics_port)) as c:
                    equal(c.get(path).status, status)


@suite.case()
def metrics_that_cannot_listen_are_an_error(t):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(path_of(t), "--listen", "127.0.0.1:0", "--backend", t.args.backend, "--metrics", address, "--welcome")
        check(done.returncode == 1 and f"error: no metrics at {address}: the address is in use\n" in done.stderr, "1 and the reason", done)


def samples_of(samples, name):
    return next(key[1] for key, _ in samples if key[0] == name).items()


PARSER = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
assert all(f.documentation and f.type in ("counter", "gauge") for f in families), families
json.dump([((s.name, s.labels), s.value) for f in families for s in f.samples], sys.stdout)
"""


def parse_metrics(text):
    """[((name, labels), value)], by Prometheus's own parser, which is strict; Debian's package is for Debian's Python."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import prometheus_client"], capture_output=True, check=False).returncode == 0:
            done = subprocess.run([python, "-c", PARSER], input=text, capture_output=True, text=True, check=False, timeout=60)
            check(done.returncode == 0, "text that Prometheus's parser understands", done.stderr + text)
            return json.loads(done.stdout)
    raise Skip("python3-prometheus-client is not installed")


# --- the process ------------------------------------------------------------------------------------------------------


@suite.case()
def root_becomes_somebody_else(t):
    if os.geteuid() != 0:
        raise Skip("only root can give up being root")
    who = pwd.getpwnam("nobody")
    with Folder() as folder:
        folder.write("a", "x")
        os.chmod(folder.path, 0o755)
        server = start(t, "--port", "0", "--metrics", "127.0.0.1:0", "--user", "nobody", folder.path)
        with t.serving(server):
            equal(get(server, "/a").body, b"x")
            for task in os.listdir(f"/proc/{server.pid}/task"):
                with open(f"/proc/{server.pid}/task/{task}/status", encoding="ascii") as file:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
                equal(status["Uid"].split(), [str(who.pw_uid)] * 4, f"user of thread {task}")
                equal(status["Gid"].split(), [str(who.pw_gid)] * 4, f"group of thread {task}")
                equal(status["Groups"].split(), [str(who.pw_gid)], f"groups of thread {task}")
                equal((status["NoNewPrivs"], int(status["CapEff"], 16), int(status["CapPrm"], 16)), ("1", 0, 0), "rights")
            server.reload()
            equal(get(server, "/a").body, b"x", "after a reload")


@suite.case()
def a_folder_that_the_user_may_not_read_is_an_error_at_once(t):
    if os.geteuid() != 0:
        raise Skip("only root can give up being root")
    with Folder() as folder:
        os.chmod(folder.path, 0o700)
        path = folder.write("site.yaml", "listen: [{address: '127.0.0.1:0'}]\nlog: {path: error.log}\nhosts: [{welcome: true}]\n")
        done = run(path_of(t), "--config", path, "--user", "nobody")
        equal(done.returncode, 1)
        check("Permission denied" in done.stderr, "the reason", done.stderr)


@suite.case()
def somebody_else_cannot_become_root(t):
    if os.geteuid() != 0:
        raise Skip("needs root to become somebody else first")
    setpriv = shutil.which("setpriv")
    if not setpriv:
        raise Skip("setpriv is not installed")
    with Folder() as folder:
        copy = os.path.join(folder.path, "peregrine")
        shutil.copy(path_of(t), copy)
        done = subprocess.run([setpriv, "--reuid=nobody", "--clear-groups", copy, "--port", "0", "--user", "root", "--welcome"],
                              capture_output=True, text=True, check=False, timeout=30, cwd="/")
        check(done.returncode == 1 and "only root can become root" in done.stderr, "1 and the reason", done)


@suite.case()
def the_limit_of_descriptors_is_raised(t):
    import resource  # pylint: disable=import-outside-toplevel

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2000))
    with t.serving(start(t, "--port", "0", "--welcome", "-v", preexec=lower)) as server:
        with open(f"/proc/{server.pid}/limits", encoding="ascii") as limits:
            check(re.search(r"Max open files +2000 +2000 ", limits.read()), "2000 descriptors", "less")
        # a quarter is for other things than connections
        check(server.wait_line(re.compile(r"^connections +750 x")), "750 connections for each of two workers", server.lines)


# Passes two sockets and becomes the program, so that its process id is the right one.
PASSING = ("import os, sys\n"
           "high = [os.dup2(int(fd), 100 + i) for i, fd in enumerate(sys.argv[1:3])]\n"
           "[os.dup2(fd, 3 + i) for i, fd in enumerate(high)]\n"
           "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='web:other')\n"
           "os.execv(sys.argv[3], sys.argv[3:])")


@suite.case()
def passed_sockets_are_used(t):
    """What systemd does: descriptors from 3 on, LISTEN_PID that of the program, names."""
    first, second = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in (first, second)]
    program = path_of(t)
    wrapper = (sys.executable, "-c", PASSING, str(first.fileno()), str(second.fileno()))
    fds = (first.fileno(), second.fileno())
    with Folder() as folder:
        folder.write("index.html", "x")
        for options, listening in ((["--welcome"], ports), (["-l", "systemd:other", "--welcome"], ports[1:]),
                                   (["-l", "systemd:1", "--welcome"], ports[1:]), (["-l", "systemd:web", "--welcome"], ports[:1]),
                                   (["-c", folder.write("a.yaml", "hosts: [{root: .}]\n")], ports),
                                   (["-c", folder.write("b.yaml", "listen: [{address: 'systemd:web'}]\nhosts: [{root: .}]\n")],
                                    ports[:1])):
            server = Program(program, "--backend", t.args.backend, "--workers", "2", *options,
                             wrapper=wrapper, pass_fds=fds)
            with t.serving(server):
                equal([server.port_of(i) for i in range(len(server.addresses))], listening, f"ports with {options}")
                for port in listening:
                    with Conn(("127.0.0.1", port)) as c:
                        equal(c.get("/").status, 200)
        # meant for another process
        done = run(program, "-l", "systemd:0", "--welcome", env={**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "1"})
        check(done.returncode == 1 and "no such socket" in done.stderr, "1 and the reason", done)
        done = subprocess.run([*wrapper, program, "-l", "systemd:none", "--welcome"], capture_output=True, text=True,
                              check=False, timeout=30, pass_fds=fds)
        check(done.returncode == 1 and "systemd:none: no such socket was passed" in done.stderr, "1 and the reason", done)
    first.close()
    second.close()


@suite.case()
def a_restart_with_passed_sockets_loses_nobody(t):
    """Each connection is answered: by the one that goes, when it has accepted it, or by the one that comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as sock:
        address = sock.getsockname()
        wrapper = (sys.executable, "-c", PASSING, str(sock.fileno()), str(sock.fileno()))
        for acceptors in ("0", "1"):
            options = ("--backend", t.args.backend, "--workers", "2", "--accept-threads", acceptors, "-l", "systemd:web", "--welcome")
            going = Program(path_of(t), *options, wrapper=wrapper, pass_fds=(sock.fileno(),))
            for _ in range(4):
                with t.serving(going):
                    conns = [Conn(address) for _ in range(40)]
                    going.process.send_signal(signal.SIGTERM)
                    for c in conns:
                        c.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                    coming = Program(path_of(t), *options, wrapper=wrapper, pass_fds=(sock.fileno(),))
                    equal([c.response().status for c in conns], [200] * 40)
                    for c in conns:
                        c.close()
                    check(not going.join(), "a clean end", going.output())
                going = coming
            with t.serving(going):
                equal(get(going, "/").status, 200)


@suite.case()
def systemd_is_told(t):
    with Folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        path = os.path.join(folder.path, "notify")
        sock.bind(path)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

        def told(*keys):
            """The next message that has one of the keys; others are only signs of life."""
            while True:
                message = dict(line.split("=", 1) for line in sock.recv(4096).decode().split("\n"))
                if any(key in message for key in keys):
                    return message
        folder.write("site.yaml", "listen: [{address: '127.0.0.1:0'}]\nhosts: [{welcome: true}]\n")
        server = start(t, "--config", os.path.join(folder.path, "site.yaml"),
                       env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})
        with t.serving(server):
            check("serving with 2 workers" in told("READY")["STATUS"], "READY=1 with a status", "none")
            equal(told("WATCHDOG")["WATCHDOG"], "1")
            server.process.send_signal(signal.SIGHUP)
            reloading = told("RELOADING", "READY")
            check(reloading.get("RELOADING") == "1" and int(reloading["MONOTONIC_USEC"]) > 0, "RELOADING=1 with a time", reloading)
            equal(told("READY")["STATUS"], "serving")
            folder.write("site.yaml", "hosts: 1\n")
            server.process.send_signal(signal.SIGHUP)
            told("RELOADING")
            check("bad" in told("READY")["STATUS"], "a status that says so", "none")
            server.process.send_signal(signal.SIGTERM)
            equal(told("STOPPING")["STOPPING"], "1")
            check(not server.join(), "a clean end", server.output())
        server = start(t, "--port", "0", "--welcome", env={"NOTIFY_SOCKET": "/no/such/socket"})
        with t.serving(server):
            equal(get(server, "/").status, 200, "an answer although nobody listens, that is, status")


@suite.case()
def a_second_signal_cuts(t):
    """A request in flight holds the end up; a second SIGTERM does not wait for it."""
    with Folder() as folder:
        server = start_yaml(t, folder, "listen: [{address: '127.0.0.1:0'}]\ntimeouts: {stop: 1h, head: 1h}\n"
                            "log: {level: info}\nhosts: [{welcome: true}]\n")
        with t.serving(server):
            with server.connect() as c:
                c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
                wait_for(lambda: "ESTABLISHED" and _has_read(server, c), "the server to have the request")
                server.process.send_signal(signal.SIGTERM)
                wait_for(lambda: not _accepts(server), "no listener any more")
                equal(server.process.poll(), None, "still running, that is, its exit code")
                server.process.send_signal(signal.SIGTERM)
                check(not server.join(), "a clean end", server.output())
            equal(infos(server), [f"listening on http://127.0.0.1:{server.port}", "peregrine VERSION has started with 2 workers, process PID",
                                  "stopping: no new connections; requests on N open ones have 1h to be finished",
                                  "told to stop again: the N connections that are left are cut",
                                  "stopped after 1 requests on N connections; N of them were cut"])


def infos(server):
    lines = [line.split(" info: ", 1)[1] for line in server.log().split("\n") if " info: " in line]
    for pattern, text in ((r"process \d+", "process PID"), (r"peregrine [\d.]+", "peregrine VERSION"),
                          # a probe of the test may have been let in
                          (r"\b[1-9]\d* (open|connections|of)", r"N \1")):
        lines = [re.sub(pattern, text, line) for line in lines]
    return [line for line in lines if not line.startswith("backend")]


def _accepts(server):
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
        return True
    except OSError:
        return False


def _has_read(server, conn):
    """Nothing of what this side has sent waits in the kernel of the other (both are here)."""
    port = conn.sock.getsockname()[1]
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            if int(fields[2].split(":")[1], 16) == port and int(fields[1].split(":")[1], 16) == server.port:
                return int(fields[4].split(":")[1], 16) == 0
    return False


@suite.case()
def sigterm_finishes_a_request_in_flight(t):
    with Folder() as folder:
        server = start_yaml(t, folder, "listen: [{address: '127.0.0.1:0'}]\ntimeouts: {stop: 1h, head: 1h}\nhosts: [{welcome: true}]\n")
        with t.serving(server):
            with server.connect() as c:
                c.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
                wait_for(lambda: _has_read(server, c), "the server to have the request")
                server.process.send_signal(signal.SIGTERM)
                wait_for(lambda: not _accepts(server), "no listener any more")
                c.send(b"345")
                answer = c.response()
                equal((answer.status, answer.closes), (404, True))
                c.expect_close()
            check(not server.join(), "a clean end", server.output())


@suite.case()
def a_terminal_that_goes_ends_it(t):
    """SIGHUP reloads; but where the terminal has gone that the program was started from, it stops."""
    import pty  # pylint: disable=import-outside-toplevel
    master, slave = pty.openpty()

    def adopt():
        os.setsid()
        import fcntl  # pylint: disable=import-outside-toplevel
        import termios  # pylint: disable=import-outside-toplevel
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    server = start(t, "--port", "0", "--metrics", "127.0.0.1:0", "--welcome", preexec=adopt, pass_fds=(slave,))
    os.close(slave)
    with t.serving(server):
        server.reload()
        os.close(master)  # the kernel sends SIGHUP
        check(not server.join(), "a clean end", server.output())


@suite.case()
def keys_that_a_reload_cannot_read_are_told(t):
    if os.geteuid() != 0:
        raise Skip("only root can give up being root")
    with Folder() as folder:
        subprocess.run([os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "dev_cert.sh"),
                        os.path.join(folder.path, "site")], check=True, capture_output=True)
        os.chmod(os.path.join(folder.path, "site.pem"), 0o644)
        server = start(t, "--port", "0", "--metrics", "127.0.0.1:0", "--user", "nobody", "--tls-cert", folder.path + "/site.pem",
                       "--tls-key", folder.path + "/site.key", "--welcome")
        with t.serving(server):
            equal(re.findall(r"warning: (.*)", server.log()),
                  [f"a reload will not be able to read {folder.path}/site.key as nobody: Permission denied"])
            server.reload(good=False)
            check(f'--tls-key: "{folder.path}/site.key": Permission denied' in server.log(), "the reason", server.log())
        inner = os.path.join(folder.path, "closed", "open")
        os.makedirs(inner)
        os.chmod(os.path.dirname(inner), 0o700)
        folder.write("closed/open/site.yaml", "listen: [{address: '127.0.0.1:0'}]\nuser: nobody\nhosts: [{welcome: true}]\n")
        server = start(t, "--config", "site.yaml", cwd=inner)
        with t.serving(server):
            equal(re.findall(r"warning: (.*)", server.log()),
                  ["a reload will not be able to read site.yaml as nobody: Permission denied"])


LIMITS = """
listen: [{address: "127.0.0.1:0"}, {address: "unix:%s", unix_mode: "0600", backlog: 5}, {address: "127.0.0.1:0", proxy: true}]
proxy_trusted: [192.0.2.0/24, 127.0.0.0/8]
limits: {head: 300, head_fields: 5, target: 100, body: 10, requests_per_connection: 3}
timeouts: {idle: 100ms}
hosts: [{welcome: true}]
"""


@suite.case()
def numbers_reach_the_library(t):
    with Folder() as folder:
        path = os.path.join(folder.path, "p.sock")
        with t.serving(start_yaml(t, folder, LIMITS % path)) as server:
            for head, status in (("GET /%s HTTP/1.1\r\nHost: a" % ("x" * 99), 404), ("GET /%s HTTP/1.1\r\nHost: a" % ("x" * 100), 414),
                                 ("GET / HTTP/1.1\r\nHost: a\r\nA: %s" % ("x" * 300), 431),
                                 ("GET / HTTP/1.1\r\nHost: a" + "\r\nA: b" * 4, 200), ("GET / HTTP/1.1\r\nHost: a" + "\r\nA: b" * 5, 431),
                                 ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 11", 413)):
                with server.connect() as c:
                    equal(c.ask(head.encode() + b"\r\n\r\n").status, status, f"status of {head[:40]}")
            with server.connect() as c:
                equal([c.get("/").closes for _ in range(3)], [False, False, True])
            with server.connect() as c:
                equal(c.get("/").status, 200)
                c.expect_close("the idle connection to be closed")
            equal(os.stat(path).st_mode & 0o777, 0o600, "permissions of the socket")
            with Conn(path) as c:
                equal(c.get("/").status, 200)
            with server.connect(len(server.addresses) - 1) as c:
                equal(c.ask(b"PROXY TCP4 192.0.2.7 192.0.2.1 5 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200)


@suite.case(alone=True)
def an_idle_program_does_nothing(t):
    if is_instrumented(path_of(t)):
        raise Skip("a sanitizer has threads of its own")
    import time  # pylint: disable=import-outside-toplevel
    with t.serving(start(t, "--port", "0", "--metrics", "127.0.0.1:0", "--welcome")) as server:
        server.metrics()

        def is_quiet():
            before = server.switches()
            time.sleep(0.5)  # what is looked for is that nothing happens in it
            return server.switches() == before
        wait_for(is_quiet, "half a second without a context switch")


if __name__ == "__main__":
    sys.exit(suite.run())
