# SPDX-License-Identifier: MIT
# program.py - the program peregrine for the tests of it: started with a configuration in a folder of its own, asked for its
# addresses, told to reload. Used by tests/integration/test_program*.py.
import contextlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

from harness import Failure, Server, Skip, check, TIMEOUT_S


class Program(Server):
    """A running peregrine. Its addresses are those that it prints."""

    LISTENING = re.compile(r"^  (?:address|       )  ((?:https?|unix)://?\S+)$")

    def __init__(self, path, *options, **kw):
        super().__init__([path, *options], ready=re.compile(r"^  workers  "), **kw)

    @property
    def metrics_port(self):
        line = self.wait_line(re.compile(r"^  metrics  "))
        return int(re.search(r":(\d+)/metrics", line).group(1))

    def metrics(self):
        """The text of /metrics."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            body = answer.read().decode()
        check(answer.status == 200, "200 for /metrics", answer.status)
        check(answer.getheader("content-type") == "text/plain; version=0.0.4; charset=utf-8", "the exposition format",
              answer.getheader("content-type"))
        return body

    def metric(self, name):
        """The value of a sample without labels, or the sum over its labels."""
        values = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", self.metrics(), re.MULTILINE)
        check(values, f"a metric {name}", self.metrics())
        return sum(float(value) for value in values)

    def reload(self, good=True):
        """SIGHUP, and waits until the program has dealt with it (needs metrics)."""
        name = 'peregrine_reloads_total\\{result="%s"\\}' % ("good" if good else "bad")

        def count():
            return int(re.search(rf"^{name} (\d+)$", self.metrics(), re.MULTILINE).group(1))
        before = count()
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: count() > before, f"one more {'good' if good else 'bad'} reload", self.log)

    def log(self):
        self.stderr.seek(0)
        return self.stderr.read().decode()


def path_of(t):
    """The program. Where libcyaml is not packaged it is left out of the build; on Linux it has to be there."""
    path = os.path.join(os.path.abspath(t.args.bin), "peregrine")
    if not os.access(path, os.X_OK) and not sys.platform.startswith("linux"):
        raise Skip("the program was not built: it needs libcyaml")
    return os.path.abspath(t.program("peregrine"))


def wait_for(condition, what, got=lambda: "nothing"):
    """Asks until it is so; the bound is that of everything that has to happen."""
    import time  # pylint: disable=import-outside-toplevel
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end:
            raise Failure(what, got())
        time.sleep(0.005)


class Load:
    """Clients that ask without a pause and check every answer: some keep their connection, some make a new one each time."""

    def __init__(self, server, target, is_good, keep_alive=3, fresh=2):
        self.server, self.target, self.is_good = server, target, is_good
        self.count, self.bad, self.is_over = 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(i < keep_alive,)) for i in range(keep_alive + fresh)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_for(lambda: self.count > 20, "the load to begin")
        return self

    def __exit__(self, *unused):
        self.is_over = True
        for thread in self.threads:
            thread.join()

    def open(self):
        return self.server.connect()

    def _run(self, keeps):
        try:
            while not self.is_over:
                with self.open() as conn:
                    for _ in range(1000000 if keeps else 1):
                        answer = conn.get(self.target)
                        if not self.is_good(answer) or answer.closes:
                            raise AssertionError(repr(answer))
                        with self.lock:
                            self.count += 1
                        if self.is_over:
                            break
        except Exception as error:  # pylint: disable=broad-except  # whatever it was, it is the result
            self.bad.append(repr(error))


class Folder:
    """A temporary folder with files, removed at the end."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="peregrine-test-")
        os.chmod(self.path, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name, text):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # as an editor does: nobody sees half of it
        with open(path + ".new", "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.rename(path + ".new", path)
        return path

    def read(self, name):
        with open(os.path.join(self.path, name), encoding="utf-8") as file:
            return file.read()


def run(path, *options, cwd=None, env=None, timeout_s=TIMEOUT_S):
    """Runs the program to its end."""
    return subprocess.run([path, *options], capture_output=True, text=True, check=False, timeout=timeout_s, cwd=cwd, env=env)
