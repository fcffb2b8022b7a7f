#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test_program_log.py - the program's own log where nobody reads it: a pipe that is full, a FIFO without a reader, a stderr that
# is closed. Requests are answered all the same, and what is lost is counted.
# ctest: backends=io_uring,epoll
import fcntl
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from harness import Suite, check, equal  # noqa: E402
from program import Folder, Program, path_of, wait_for  # noqa: E402

suite = Suite("peregrine: its log")
PLAIN = "listen: [{address: '127.0.0.1:0'}]\nmetrics: {address: '127.0.0.1:0'}\nengine: {workers: 2}\nhosts: [{welcome: true}]\n"
BOTH = """
listen: [{address: '127.0.0.1:0'}, {address: '127.0.0.1:0', tls: true}]
metrics: {address: '127.0.0.1:0'}
engine: {workers: 2}
log: {level: debug}
hosts: [{welcome: true, certificates: [{cert: site.pem, key: site.key}]}]
"""
NO_HANDSHAKE = b"\x16\x03\x03\x00\x05wrong"  # a record of the type of a handshake; at level debug, each is a line
LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?:error|warning|info|debug): [^\n]+")


def start(t, folder, text, **kw):
    return Program(path_of(t), "--backend", t.args.backend, "--config", folder.write("site.yaml", text), **kw)


def certificate(folder):
    subprocess.run([os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "dev_cert.sh"),
                    os.path.join(folder.path, "site")], check=True, capture_output=True)


class Stalled:
    """A pipe for stderr that takes little, and that nobody reads until read() is called."""

    def __init__(self):
        self.read_fd, self.write_fd = os.pipe()
        fcntl.fcntl(self.write_fd, fcntl.F_SETPIPE_SZ, 4096)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        os.close(self.read_fd)

    def start(self, t, folder, text):
        server = start(t, folder, text, preexec=lambda: os.dup2(self.write_fd, 2))
        os.close(self.write_fd)
        os.set_blocking(self.read_fd, False)
        return server

    def read(self):
        """What it holds. Its end is b"", and is none yet."""
        try:
            self.data += os.read(self.read_fd, 1 << 16)
        except BlockingIOError:
            pass
        return self.data


def waits_of(server):
    """Of stderr, and of every other descriptor for the same pipe: does a write to it wait?"""
    folder = f"/proc/{server.pid}/fd"
    pipe, waits = os.readlink(folder + "/2"), {}
    for fd in os.listdir(folder):
        if os.readlink(f"{folder}/{fd}") == pipe:
            with open(f"{folder}info/{fd}", encoding="ascii") as file:
                waits[int(fd)] = not int(re.search(r"flags:\s+(\d+)", file.read())[1], 8) & os.O_NONBLOCK
    return waits.pop(2), list(waits.values())


def fail_handshakes(server, count):
    while count > 0:
        some = [server.connect(1) for _ in range(min(count, 50))]
        for conn in some:
            conn.send(NO_HANDSHAKE)
        for conn in some:
            conn.rest()
            conn.close()
        count -= len(some)


@suite.case()
def a_stalled_reader_costs_lines_and_no_request(t):
    with Folder() as folder, Stalled() as pipe:
        certificate(folder)
        server = pipe.start(t, folder, BOTH)
        with t.serving(server):
            equal(waits_of(server), (True, [False]), "stderr as others have it, and one of its own that does not wait")
            sent = 0
            while server.metric("peregrine_log_lost_total") == 0:
                check(sent < 50000, "lines that find no room", sent)
                fail_handshakes(server, 500)
                sent += 500
            for _ in range(20):  # on either worker
                with server.connect() as c:
                    equal(c.get("/healthz").body, b"ok\n")
            wait_for(lambda: b"lines of this log were lost" in pipe.read(), "the line that tells of lost ones", lambda: pipe.data[-500:])
            lost = int(server.metric("peregrine_log_lost_total"))
            lines = pipe.data.split(b"\n")[:-1]
            equal([line for line in lines if not LINE.fullmatch(line)], [], "lines that are not whole")
            check(lines[-1].endswith(b" warning: %d lines of this log were lost: they could not be written in time" % lost),
                  f"{lost} lines lost, at the end", lines[-1])
            equal(sum(b"TLS with a client has failed" in line for line in lines) + lost, sent, "lines written and lost")
            # it goes on as if nothing had been
            fail_handshakes(server, 1)
            wait_for(lambda: pipe.read().count(b"TLS with a client has failed") + lost == sent + 1, "one more line")


@suite.case()
def a_stalled_reader_does_not_hold_up_the_end(t):
    with Folder() as folder, Stalled() as pipe:
        certificate(folder)
        server = pipe.start(t, folder, BOTH)
        with t.serving(server):
            fail_handshakes(server, 200)  # more than the pipe takes
            server.process.send_signal(signal.SIGTERM)
            check(not server.join(), "a clean end", server.output())


@suite.case()
def a_fifo_is_opened_without_waiting_for_its_reader(t):
    with Folder() as folder:
        fifo = os.path.join(folder.path, "log")
        os.mkfifo(fifo)
        server = start(t, folder, PLAIN + "log: {path: log, level: info}\n")
        with t.serving(server):
            check(f"warning: nobody reads the log {fifo}, a FIFO; lines wait for a reader\n" in server.log(), "a warning",
                  server.log())
            server.process.send_signal(signal.SIGUSR1)
            server.reload()
            with server.connect() as c:
                equal(c.get("/healthz").body, b"ok\n")
            for text in (b"info: the logs were opened again\n", b"info: the configuration was read again\n"):
                reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
                data = [b""]

                def read():
                    try:
                        data[0] += os.read(reader, 1 << 16)
                    except BlockingIOError:
                        pass
                    return data[0]
                wait_for(lambda: text in read(), text, read)
                os.close(reader)  # pylint: disable=undefined-loop-variable
                server.reload()  # is for the next one
            # a file takes its place
            folder.write("site.yaml", PLAIN + "log: {path: file, level: info}\n")
            server.reload()
            check("info: the configuration was read again" in folder.read("file"), "lines in the file", folder.read("file"))


@suite.case()
def a_closed_stderr_is_not_taken_by_a_socket(t):
    with Folder() as folder:
        server = start(t, folder, PLAIN, preexec=lambda: os.close(2))
        with t.serving(server):
            equal(os.readlink(f"/proc/{server.pid}/fd/2"), "/dev/null")


if __name__ == "__main__":
    sys.exit(suite.run())
