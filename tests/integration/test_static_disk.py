# SPDX-License-Identifier: MIT
# test_static_disk.py - a disk that does not answer: whoever needs it waits, and nobody else on the same worker. The disk is
# tests/support/slow_disk_app.c, which answers when the case says so; so what is asserted is an order, and no time.
import atexit
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import Failure, Server, Skip, Suite, check, equal  # noqa: E402

suite = Suite("static files: slow disks")
BASE = tempfile.mkdtemp(prefix="peregrine-disk-")
atexit.register(shutil.rmtree, BASE, ignore_errors=True)
INSIDE = b"inside\n"
WAYS = ((), ("--polled", "1"))  # large files are sent by the kernel, or read


def content(size):
    return (bytes((i * 11 + 3) % 256 for i in range(251)) * (size // 251 + 1))[:size]


class Disk:
    """The disk of a server: cold() makes it wait, warm() lets everything go on."""

    def __init__(self, t):
        if not sys.platform.startswith("linux"):
            raise Skip("needs seccomp")
        self.program = t.program("slow_disk_app")
        self.sock, self.other = socket.socketpair()
        self.sock.settimeout(20)
        self.held, self.words = 0, b""
        probe, _ = socket.socketpair()
        run = subprocess.run([self.program, str(probe.fileno()), "/bin/true"], pass_fds=[probe.fileno()], stderr=subprocess.DEVNULL,
                             check=False)
        if run.returncode != 0:
            raise Skip("listeners of seccomp are not allowed here")

    def server(self, t, root, *options):
        argv = [t.program("static_app"), "--root", root, "--port", "0", "--workers", "1", "--backend", t.args.backend, *options]
        server = Server(argv, ready=re.compile("^ready$"), wrapper=[self.program, str(self.other.fileno())],
                        pass_fds=[self.other.fileno()])
        self.other.close()
        return server

    def until(self, word):
        while word not in self.words:
            more = self.sock.recv(64)
            if not more:
                raise Failure(f"the disk to say {word!r}", "its end")
            self.words += more
        self.words = self.words.replace(word, b"", 1)

    def cold(self):
        self.sock.sendall(b"c")
        self.until(b"c")

    def warm(self):
        self.sock.sendall(b"w")
        self.until(b"w")

    def holds_one_more(self):
        self.until(b"h")


def root_make(name, **files):
    root = os.path.join(BASE, name)
    os.makedirs(root)
    for file, data in {"inside": INSIDE, **files}.items():
        with open(os.path.join(root, file), "wb") as out:
            out.write(data)
    return root


def ask(server, path):
    c = server.connect()
    c.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    return c


def others_go_on(c):
    """What is in memory, and what does not wait for that disk."""
    for _ in range(20):
        equal(c.get("/inside").body, INSIDE)
        equal(c.get("/none").status, 404)
        equal(c.get("/inside", "Range: bytes=0-1").body, INSIDE[:2])


@suite.case()
def a_cold_file_keeps_only_who_asked_for_it(t):
    for options in WAYS:
        root = root_make("cold" + "".join(options), large=content(300_000), small=content(3000))
        disk = Disk(t)
        with t.serving(disk.server(t, root, *options)) as server, server.connect() as c:
            others_go_on(c)
            equal(c.get("/large", "Range: bytes=0-0").status, 206)
            disk.cold()
            first = ask(server, "/large")
            disk.holds_one_more()
            others_go_on(c)
            second = ask(server, "/small")  # is not open yet; now both threads wait
            disk.holds_one_more()
            equal(c.get("/inside").body, INSIDE)
            third = ask(server, "/large")  # in the queue of the threads
            equal(c.get("/inside").body, INSIDE)
            disk.warm()
            for waiting, size in ((first, 300_000), (second, 3000), (third, 300_000)):
                check(waiting.response().body == content(size), f"all of {size} bytes", "something else")
                waiting.close()


@suite.case()
def a_long_transfer_meets_a_part_that_is_cold(t):
    """By then the kernel gets large parts, and few bytes of each are looked at."""
    data = content(40_000_000)
    for options in WAYS:
        root = root_make("turns-cold" + "".join(options), large=data)
        disk = Disk(t)
        with t.serving(disk.server(t, root, *options)) as server, server.connect() as c:
            others_go_on(c)
            long = ask(server, "/large")
            equal(long.head().status, 200)
            begin = long.take(24_000_000)
            disk.cold()
            got = []
            reader = threading.Thread(target=lambda long=long, got=got: got.append(long.take(len(data) - len(begin))))
            reader.start()
            try:
                disk.holds_one_more()
                others_go_on(c)
            finally:
                disk.warm()
                reader.join()
            check(got and begin + got[0] == data, "all of it", "something else")
            long.close()


@suite.case()
def a_directory_is_read_while_others_are_answered(t):
    root = root_make("many")
    names = [f"name-{i:03}" for i in range(300)]
    os.mkdir(os.path.join(root, "dir"))
    for name in names:
        with open(os.path.join(root, "dir", name), "wb"):
            pass
    # now the system knows its names: nothing but reading it may have to be waited for
    equal(os.path.exists(os.path.join(root, "dir", "index.html")), False)
    disk = Disk(t)
    with t.serving(disk.server(t, root, "--listing", "1")) as server, server.connect() as c:
        others_go_on(c)
        disk.cold()
        listing = server.connect()
        listing.send(b"GET /dir/ HTTP/1.1\r\nHost: test\r\nAccept: application/json\r\n\r\n")
        disk.holds_one_more()
        others_go_on(c)
        disk.warm()
        equal([entry["name"] for entry in json.loads(listing.response().body)], names)
        listing.close()


if __name__ == "__main__":
    sys.exit(suite.run())
