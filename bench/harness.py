# SPDX-License-Identifier: MIT
# harness.py - servers and load for the benchmarks: starts a server on one CPU, sends load from another, reads what the
# server's processes have used. Nothing here knows what is compared with what. Standard library only, Linux only.
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS, STOP_SECONDS = 10, 10
MIB = 1 << 20
LOAD_FIGURES = re.compile(r"^figures (.*)$", re.MULTILINE)


class Failure(Exception):
    """Something that the user has to know; no traceback."""


def processes_raise_limit():
    """As many descriptors as allowed, for this process and its children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def program_find(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def port_free():
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def read_until(sock, marker, data=b""):
    while marker not in data:
        more = sock.recv(65536)
        if not more:
            break
        data += more
    return data


def fetch(port, path, close=False, keep=False, tls=False, fields=""):
    """(status, bytes of the whole answer); with keep, the socket, its answer read. fields: lines with their ends."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock, server_hostname="localhost")
    line = "Connection: close\r\n" if close else ""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}{line}\r\n".encode())
    answer = read_until(sock, b"\r\n\r\n")
    head = answer.split(b"\r\n\r\n")[0]
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    while length and len(answer) < len(head) + 4 + int(length.group(1)):
        more = sock.recv(65536)
        if not more:
            break
        answer += more
    if keep:
        return sock
    sock.close()
    return int((answer.split(b" ", 2) + [b"0", b"0"])[1]), answer


# --- what a process has used ----------------------------------------------------------------------------------------


def processes_below(pid):
    """The process and all its descendants."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    parents[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def threads_of(pids):
    for pid in pids:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                yield f"/proc/{pid}/task/{thread}"
        except OSError:
            continue


def cpu_ns(pids):
    """CPU time of all threads, the kernel's workers of their rings among them."""
    total = 0
    for thread in threads_of(pids):
        try:
            with open(thread + "/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        except OSError:
            continue
    return total


def wakeups(pids):
    """How often a thread has gone to sleep by itself, which it does after each wake-up."""
    total = 0
    for thread in threads_of(pids):
        try:
            with open(thread + "/status", encoding="utf-8", errors="replace") as file:
                total += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.MULTILINE).group(1))
        except (OSError, AttributeError):
            continue
    return total


def private_bytes(pids):
    """Private memory: what would be free if the processes ended."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += 1024 * sum(int(kib) for kib in re.findall(r"^Private_\w+:\s*(\d+) kB", file.read(), re.MULTILINE))
    return total


# --- servers --------------------------------------------------------------------------------------------------------


class Server:
    """A server on a free port of 127.0.0.1, held to one CPU (None: not held)."""

    def __init__(self, name, make, cpu):
        self.name, self.port, self.said = name, port_free(), ""
        self.output = tempfile.TemporaryFile()
        pin = (lambda: os.sched_setaffinity(0, {cpu})) if cpu is not None else None
        try:
            self.process = subprocess.Popen(make(self.port), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=self.output, preexec_fn=pin)
        except OSError as error:
            raise Failure(f"{name}: {error}") from error
        self._wait_until_it_listens()

    def _wait_until_it_listens(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise Failure(f"{self.name} does not listen on port {self.port}: {self.said.strip()}")

    def pids(self):
        return processes_below(self.process.pid)

    def stop(self):
        """Ends it; what it wrote to stderr is in said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if not self.output.closed:
            self.output.seek(0)
            self.said = self.output.read().decode(errors="replace")
            self.output.close()

    def own_syscalls_per_request(self):
        """From the closing line of arena and floor, over the server's whole life; None for others."""
        match = re.search(r"^stats requests=(\d+) syscalls=(\d+)", self.said, re.MULTILINE)
        return int(match.group(2)) / int(match.group(1)) if match and int(match.group(1)) else None

    def idle_second(self, counter):
        """What it does while nobody asks for anything. Counting system calls may wake a thread: a second of its own."""
        time.sleep(0.5)  # until what the last request started has ended
        pids = self.pids()
        woken, used = wakeups(pids), cpu_ns(pids)
        time.sleep(1)
        figures = {"wakeups": wakeups(pids) - woken, "cpu_us": (cpu_ns(pids) - used) / 1000}
        return {"syscalls": counter.count(pids, ["sleep", "1"]), **figures}


# --- load -----------------------------------------------------------------------------------------------------------


class Load:
    """A load generator on one CPU against one server: command(seconds) gives its words; it ends with a line of figures."""

    def __init__(self, server, cpu, command, unit="request"):
        self.server, self.cpu, self.command, self.unit = server, cpu, command, unit

    def run(self, seconds, wrap=()):
        """Runs once: figures of the load, and of what the server used meanwhile."""
        pids = self.server.pids()
        before = cpu_ns(pids)
        run = subprocess.run([*wrap, "taskset", "-c", str(self.cpu), *self.command(seconds)], capture_output=True,
                             text=True, check=False, timeout=seconds + 60)
        used_us = (cpu_ns(pids) - before) / 1000
        match = LOAD_FIGURES.search(run.stdout)
        if run.returncode != 0 or not match:
            raise Failure(f"load against {self.server.name}: {run.stderr.strip() or run.stdout.strip()}")
        said = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", match.group(1))}
        count = said["bytes"] / MIB if self.unit == "MiB" else said["requests"]
        if count == 0:
            raise Failure(f"{self.server.name} has answered nothing")
        errors = sum(said[key] for key in ("connect", "read", "write", "status", "timeout"))
        return {"count": count, "requests": said["requests"], "rps": said["requests"] / said["us"] * 1e6,
                "errors": errors, "cpu_us": used_us / count, "busy": used_us / said["us"],
                "bytes": said["bytes"] / max(said["requests"], 1), "p50_us": said["p50"], "p99_us": said["p99"]}


def wrk(server, path, connections, tls=False, script="load.lua", words=("1", "0")):
    """A function(seconds) -> command: wrk with one thread. words go to the script."""
    if program_find("wrk") is None:
        raise Failure("no wrk here: apt-get install wrk")
    url = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}{path}"
    return lambda seconds: ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", os.path.join(HERE, script), url,
                            "--", *words]


class SyscallCounter:
    """Counts the system calls of other processes: by perf if it may, else by strace, else not at all."""

    def __init__(self, folder):
        self.file = os.path.join(folder, "syscalls")
        self.how = None
        for how in ("perf", "strace"):
            self.how = how
            if program_find(how) and self.count([os.getpid()], ["true"], probing=True) is not None:
                return
        self.how = None
        print("neither perf nor strace may count system calls here: the servers' own counters are shown")

    def wrap(self, pids):
        """What to put before a command so that perf counts what pids do while it runs."""
        return ["perf", "stat", "-x,", "-o", self.file, "-e", "raw_syscalls:sys_enter", "-p",
                ",".join(map(str, pids)), "--"]

    def forget(self):
        if os.path.exists(self.file):
            os.unlink(self.file)

    def result(self):
        try:
            with open(self.file, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            return None
        if self.how == "perf":
            match = re.search(r"^(\d+|<not counted>),.*raw_syscalls", text, re.MULTILINE)
            return None if match is None else int(match.group(1)) if match.group(1).isdigit() else 0
        rows = [line.split() for line in text.splitlines()]  # share, seconds, usecs/call, calls, (errors,) name
        return sum(int(row[3]) for row in rows if len(row) in (5, 6) and row[3].isdigit() and row[-1] != "total")

    def count(self, pids, command, probing=False):
        """System calls of pids while command runs, or None."""
        self.forget()
        if self.how == "perf":
            run = subprocess.run([*self.wrap(pids), *command], capture_output=True, check=False)
            return self.result() if run.returncode == 0 else None
        if self.how == "strace" and not probing:
            with self.strace(pids):
                subprocess.run(command, capture_output=True, check=False)
            return self.result()
        if self.how == "strace":
            run = subprocess.run(["strace", "-c", "-o", self.file, "true"], capture_output=True, check=False)
            return 0 if run.returncode == 0 else None
        return None

    def strace(self, pids):
        return Strace(pids, self.file)

    def per_request(self, server, load):
        """System calls per request (or other unit of the load) in a short run of its own, or None."""
        pids = server.pids()
        self.forget()
        if self.how == "perf":
            figures = load.run(1, wrap=self.wrap(pids))
        elif self.how == "strace":
            with self.strace(pids):
                figures = load.run(1)
        else:
            return None
        total = self.result()
        return total / figures["count"] if total is not None else None


class Strace:
    """strace -c on processes, between enter and exit."""

    def __init__(self, pids, file):
        self.command = ["strace", "-c", "-f", "-o", file, *(word for pid in pids for word in ("-p", str(pid)))]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE)
        if b"attached" not in self.process.stderr.readline():
            self.__exit__()
            raise Failure("strace may not look into processes here")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.process.stderr.close()
