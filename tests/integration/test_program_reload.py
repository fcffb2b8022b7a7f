#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test_program_reload.py - peregrine while its configuration changes: hundreds of reloads under load without one failed request,
# a bad configuration that changes nothing, what needs a restart, logs that are renamed.
# ctest: backends=io_uring,epoll
import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from harness import Suite, check, equal, is_instrumented  # noqa: E402
from program import Folder, Load, Program, path_of, run, wait_for  # noqa: E402

suite = Suite("peregrine: reloads and logs")
HEAD = "listen: [{address: '127.0.0.1:0'}]\nmetrics: {address: '127.0.0.1:0'}\nengine: {workers: 2}\n"


def start(t, folder, text, *options):
    return Program(path_of(t), "--backend", t.args.backend, "--config",
                   folder.write("site.yaml", HEAD + text), *options)


@suite.case(alone=True)
def hundreds_of_reloads_under_load_fail_no_request(t):
    """Two configurations in turn: other files, fields, redirects, limits. Each answer is whole, and of one of them."""
    reloads = 60 if is_instrumented(path_of(t)) else 300
    sites = ["limits: {head: %s, body: %s}\ntimeouts: {idle: %s, rate_window: %s}\n"
             "hosts: [{root: %s, headers: [{name: X-Site, value: %s}]}, {names: [b.org], redirects: [{path: /, to: /%s}]}]\n" %
             (*numbers, name, name, name) for name, *numbers in (("one", "1KiB", "4KiB", "10s", "1s"),
                                                                 ("two", "16KiB", "256KiB", "60s", "10s"))]

    def is_good(answer):
        site = answer.get("x-site")
        return answer.status == 200 and site in ("one", "two") and answer.body == site.encode() * 2000
    with Folder() as folder:
        for name in ("one", "two"):
            folder.write(f"{name}/index.html", name * 2000)
        server = start(t, folder, sites[0])
        with t.serving(server):
            descriptors = None
            with Load(server, "/", is_good) as load:
                for i in range(reloads):
                    folder.write("site.yaml", HEAD + sites[(i + 1) % 2])
                    server.reload()
                    if i == 10:
                        descriptors = server.fd_count()
                now = server.fd_count()
            equal(load.bad, [], "failed requests")
            check(load.count > 2 * reloads, "a load worth the name", load.count)
            check(now <= descriptors + 12, "as many descriptors as after ten reloads", (descriptors, now))
            expected = "two" if reloads % 2 else "one"
            with server.connect() as c:
                equal(c.get("/").get("x-site"), expected, "the last configuration")
            equal(server.metric("peregrine_reloads_total"), reloads)
            requests = server.metric("peregrine_requests_total")
            equal(requests, load.count + 1, "requests counted by the server")
            check(server.metric("peregrine_files_hits_total") + server.metric("peregrine_files_misses_total") >= load.count,
                  "counters of files that outlive a reload", server.metrics())


@suite.case()
def a_bad_configuration_changes_nothing(t):
    good = "hosts: [{root: ., redirects: [{path: /old, to: /new}]}]\n"
    with Folder() as folder:
        folder.write("a", "x")
        server = start(t, folder, good)
        with t.serving(server):
            with server.connect() as c:
                for text, complaint in (("hosts: [{root: nowhere}]\n", ":4: hosts[0].root: "), ("hosts: [\n", "not YAML"),
                                        ("hosts: [{rot: .}]\n", ':4: hosts[0].rot: unknown key; did you mean "root"?'),
                                        ("hosts: [{root: ., headers: [{name: a b, value: x}]}]\n", ":4: hosts[0].headers[0].name: ")):
                    folder.write("site.yaml", HEAD + text)
                    server.reload(good=False)
                    check(complaint in server.log(), complaint, server.log())
                    equal((c.get("/old").get("location"), c.get("/a").body), ("/new", b"x"))
                os.remove(os.path.join(folder.path, "site.yaml"))
                server.reload(good=False)
                check("site.yaml: cannot read it: No such file or directory" in server.log(), "the reason", server.log())
                equal(server.log().count("the configuration stays as it was"), 5)
                equal(server.metric("peregrine_reload_last_good"), 0)
                folder.write("site.yaml", HEAD + good)
                server.reload()
                equal(server.metric("peregrine_reload_last_good"), 1)
                equal(c.get("/old").get("location"), "/new", "location on the same connection")


@suite.case()
def nothing_in_the_place_of_a_file_holds_a_reload(t):
    """A pipe that nobody writes to, a folder, a file without end: a complaint, and signals are heard."""
    with Folder() as folder:
        path = os.path.join(folder.path, "site.yaml")
        folder.write("a", "x")
        server = start(t, folder, "hosts: [{root: .}]\n")
        with t.serving(server):
            with server.connect() as c:
                for i, make in enumerate((os.mkfifo, os.mkdir, lambda name: os.symlink("/dev/zero", name))):
                    os.rename(path, f"{path}.{i}")
                    make(path)
                    server.reload(good=False)
                    equal(c.get("/a").body, b"x")
                equal(server.log().count("site.yaml: cannot read it: not a regular file"), 2)


@suite.case()
def what_needs_a_restart_is_said(t):
    with Folder() as folder:
        server = start(t, folder, "hosts: [{welcome: true}]\n")
        with t.serving(server):
            folder.write("site.yaml", """
listen: [{address: '127.0.0.1:0'}, {address: '127.0.0.1:0'}]
metrics: {address: '127.0.0.1:1'}
engine: {workers: 3, pin: true, memory: 1GiB}
limits: {head: 8192, head_fields: 9, body: 1024KiB}
timeouts: {idle: 1m, stop: 1s}
server_name: x
user: nobody
proxy_trusted: ["::1"]
hosts: [{redirects: [{path: /, to: /new}]}]
""")
            server.reload()
            check("warning: needs a restart: listen, server_name, user, engine.pin, engine.workers, engine.memory, "
                  "limits.head_fields, metrics.address\n" in server.log(), "all of it and no more", server.log())
            with server.connect() as c:
                equal(c.get("/").get("location"), "/new", "the rest is in use: location")
            folder.write("site.yaml", HEAD + "hosts: [{welcome: true}]\n")
            server.reload()
            equal(server.log().count("needs a restart"), 1, "times it was said")


@suite.case()
def limits_and_timeouts_change_for_connections_that_are_open(t):
    hosts = "hosts: [{welcome: true}]\n"
    with Folder() as folder:
        server = start(t, folder, hosts)
        with t.serving(server), server.connect() as c, server.connect() as idle:
            long = "X: " + "x" * 3000
            equal((c.get("/", long).status, idle.get("/").status), (200, 200), "before")
            folder.write("site.yaml", HEAD + "limits: {head: 2KiB}\ntimeouts: {head: 2s, idle: 300ms}\n" + hosts)
            server.reload()
            check("needs a restart" not in server.log(), "all of it in use", server.log())
            equal(idle.get("/").status, 200, "a short head")
            equal(idle.rest(), b"", "closed when it has been idle")
            equal(c.get("/", long).status, 431, "a long head on a connection from before")
            with server.connect() as slow:
                slow.send(b"GET / HT")
                check(slow.rest().startswith(b"HTTP/1.1 408 "), "a head that does not come", "")
            folder.write("site.yaml", HEAD + hosts)
            server.reload()
            with server.connect() as c2:
                equal(c2.get("/", long).status, 200, "what is not in the file is as it was by default")


@suite.case()
def trusted_proxies_change(t):
    head = HEAD.replace("'127.0.0.1:0'}]\nmetrics", "'127.0.0.1:0', proxy: true}]\nmetrics")
    text = head + "proxy_trusted: [%s]\nhosts: [{welcome: true}]\n"
    request = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    def status(server):
        with server.connect() as c:
            c.send(request)
            return c.rest()[:12]
    with Folder() as folder:
        server = Program(path_of(t), "--backend", t.args.backend, "--config", folder.write("site.yaml", text % "192.0.2.1"))
        with t.serving(server):
            equal(status(server), b"HTTP/1.1 400", "from somebody who is not trusted")
            folder.write("site.yaml", text % "192.0.2.1, 127.0.0.1")
            server.reload()
            equal(status(server), b"HTTP/1.1 200", "from somebody who is")
            folder.write("site.yaml", text % "192.0.2.1")
            server.reload()
            equal(status(server), b"HTTP/1.1 400", "from nobody again")


@suite.case()
def reloads_without_a_file_find_new_folders(t):
    """Started without --config: SIGHUP opens the directory anew."""
    with Folder() as folder:
        folder.write("www/a", "old")
        server = Program(path_of(t), "--backend", t.args.backend, "--port", "0", "--metrics",
                         "127.0.0.1:0", "www", cwd=folder.path)
        with t.serving(server):
            with server.connect() as c:
                equal(c.get("/a").body, b"old")
                os.rename(os.path.join(folder.path, "www"), os.path.join(folder.path, "old"))
                folder.write("www/a", "new")
                server.reload()
                equal(c.get("/a").body, b"new")


@suite.case()
def a_slow_download_survives_reloads(t):
    """Its site, its folder and its file are gone long before its end."""
    data = os.urandom(1 << 20) * 24
    with Folder() as folder:
        folder.write("www/big", data)
        server = start(t, folder, "hosts: [{root: www}]\n")
        with t.serving(server):
            with server.connect(recv_buf=65536) as c:
                c.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
                head = c.head()
                body = c.take(1000)
                for i in range(5):
                    os.rename(os.path.join(folder.path, "www"), os.path.join(folder.path, f"old{i}"))
                    folder.write("www/big", "other")
                    server.reload()
                os.remove(os.path.join(folder.path, "old0/big"))
                with server.connect() as other:
                    equal(other.get("/big").body, b"other")
                body += c.take(int(head.get("content-length")) - 1000)
                check(body == data, "the whole file", len(body))
                equal(c.get("/big").body, b"other", "the next answer on the same connection")


# --- logs -------------------------------------------------------------------------------------------------------------


@suite.case()
def the_error_log_is_a_file_with_times(t):
    with Folder() as folder:
        server = start(t, folder, "log: {path: error.log, level: info}\nhosts: [{welcome: true}]\n")
        with t.serving(server):
            server.reload()
            descriptors = server.fd_count()
            line = folder.read("error.log").split("\n")[-2]
            check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info: the configuration was read again", line), "a line", line)
            os.rename(os.path.join(folder.path, "error.log"), os.path.join(folder.path, "error.log.1"))
            server.process.send_signal(signal.SIGUSR1)
            wait_for(lambda: os.path.exists(os.path.join(folder.path, "error.log")), "a new log")
            wait_for(lambda: "the logs were opened again" in folder.read("error.log"), "a line in it")
            check("opened again" not in folder.read("error.log.1"), "nothing more in the old one", folder.read("error.log.1"))
            for _ in range(8):
                os.remove(os.path.join(folder.path, "error.log"))
                server.process.send_signal(signal.SIGUSR1)
                wait_for(lambda: os.path.exists(os.path.join(folder.path, "error.log")), "a new log")
            check(server.fd_count() < descriptors + 8, "no more descriptors than before", (descriptors, server.fd_count()))
            folder.write("site.yaml", HEAD + "log: {path: other.log, level: error}\nhosts: [{welcome: true}]\n")
            server.reload()
            folder.write("site.yaml", HEAD + "hosts: 1\n")
            server.reload(good=False)
            check("hosts: \"1\": expected a list" in folder.read("other.log") and "read again" not in folder.read("other.log"),
                  "errors only, in the other file", folder.read("other.log"))


@suite.case()
def a_log_that_cannot_be_opened_leaves_the_old_one(t):
    with Folder() as folder:
        os.makedirs(os.path.join(folder.path, "logs"))
        server = start(t, folder, "log: {path: logs/error.log, level: info}\nhosts: [{welcome: true}]\n")
        with t.serving(server):
            os.rename(os.path.join(folder.path, "logs"), os.path.join(folder.path, "gone"))
            server.process.send_signal(signal.SIGUSR1)
            wait_for(lambda: "cannot open the log" in folder.read("gone/error.log"), "a line in the old log")


COMBINED = re.compile(rb'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /a HTTP/1\.1" 200 1 "-" "-"')
SITE = "access_log: {path: %s, format: %s}\nhosts: [{root: .}]\n"


def lines_of(folder, *names):
    lines = []
    for name in names:
        with open(os.path.join(folder.path, name), "rb") as file:
            data = file.read()
        check(data == b"" or data.endswith(b"\n"), f"whole lines in {name}", data[-200:])
        lines += data.split(b"\n")[:-1]
    return lines


@suite.case()
def access_logs_have_three_forms(t):
    with Folder() as folder:
        folder.write("a", "x")
        server = start(t, folder, SITE % ("access.log", "combined"))
        with t.serving(server):
            with server.connect() as c:
                c.get("/a?q=1", "Referer: http://r/", "User-Agent: me")
                for form in ("common", "json"):
                    folder.write("site.yaml", HEAD + SITE % (form + ".log", form))
                    server.reload()
                    c.get("/none")
                c.send(b"NONSENSE\r\n\r\n")
                equal(c.response().status, 400)
                # a reload opens the log again, too
                os.rename(os.path.join(folder.path, "json.log"), os.path.join(folder.path, "json.old"))
                server.reload()
                wait_for(lambda: os.path.exists(os.path.join(folder.path, "json.log")), "a new log")
            wait_for(lambda: len(lines_of(folder, "json.log", "json.old")) == 2, "two lines")
            line = lines_of(folder, "access.log")[0]
            check(line.endswith(b'"GET /a?q=1 HTTP/1.1" 200 1 "http://r/" "me"'), "a combined line", line)
            line = lines_of(folder, "common.log")[0]
            check(re.search(rb'"GET /none HTTP/1\.1" 404 \d+$', line), "a common line", line)
            first, second = (json.loads(line) for line in lines_of(folder, "json.old", "json.log"))
            equal((first["method"], first["target"], first["status"], second["status"]), ("GET", "/none", 404, 400))
            equal(server.metric("peregrine_access_log_lines_total"), 4, "lines of all logs together")


@suite.case(alone=True)
def rotation_under_load_loses_no_line(t):
    """Renamed and opened again, and changed by reloads to other files and forms: a whole line for each request, in one of them."""
    with Folder() as folder:
        folder.write("a", "x")
        server = start(t, folder, SITE % ("log.0", "combined"))
        with t.serving(server):
            names = ["log.0"]
            with Load(server, "/a", lambda answer: answer.status == 200) as load:
                for i in range(30):
                    reopens = server.metric("peregrine_access_log_reopens_total")
                    old, new = names[-1], f"log.{i}.old"
                    os.rename(os.path.join(folder.path, old), os.path.join(folder.path, new))
                    names[-1:] = [new, old]
                    server.process.send_signal(signal.SIGUSR1)
                    wait_for(lambda n=reopens: server.metric("peregrine_access_log_reopens_total") > n, "the log to be opened again")
                    if i % 3 == 0:
                        names.append(f"log.{i + 1}")
                        folder.write("site.yaml", HEAD + SITE % (names[-1], "combined"))
                        server.reload()
            equal(load.bad, [], "failed requests")
            equal(server.metric("peregrine_access_log_dropped_total"), 0, "dropped lines")
        lines = lines_of(folder, *dict.fromkeys(names))
        equal(len(lines), load.count, "lines")
        equal([line for line in lines if not COMBINED.fullmatch(line)], [], "lines that are not whole")


@suite.case()
def an_access_log_that_cannot_be_opened_is_an_error(t):
    with Folder() as folder:
        server = start(t, folder, SITE % ("access.log", "common"))
        with t.serving(server):
            os.makedirs(os.path.join(folder.path, "other"))
            os.symlink("nowhere/at/all", os.path.join(folder.path, "other/access.log"))
            folder.write("site.yaml", HEAD + SITE % ("other/access.log", "common"))
            server.reload(good=False)
            check("no access log " in server.log(), "the reason", server.log())
            with server.connect() as c:
                c.get("/a")
            wait_for(lambda: len(lines_of(folder, "access.log")) == 1, "a line in the old log")
        done = run(path_of(t), "--config", os.path.join(folder.path, "site.yaml"))
        check(done.returncode == 1 and "no access log" in done.stderr, "1 and the reason", done)


@suite.case()
def the_access_log_can_be_the_standard_output(t):
    with Folder() as folder:
        folder.write("a", "x")
        server = Program(path_of(t), "--backend", t.args.backend, "--port", "0", "--access-log", "-", folder.path)
        with t.serving(server):
            with server.connect() as c:
                c.get("/a")
            check(server.wait_line(re.compile('"GET /a HTTP/1.1" 200 1')), "a line on stdout", server.lines)


if __name__ == "__main__":
    sys.exit(suite.run())
