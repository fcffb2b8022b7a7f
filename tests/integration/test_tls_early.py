# SPDX-License-Identifier: MIT
# test_tls_early.py - 0-RTT with openssl s_client: a request that comes before the handshake has ended is answered then, and
# marked. Only with early_data_max; without it nothing changes.
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import tls_certs  # noqa: E402
from harness import Failure, Server, Suite, check, equal  # noqa: E402

suite = Suite("0-RTT")
ISSUE = "RFC 8446 section 2.3"
CERTS = tls_certs.Certs()
LOCALHOST = CERTS.make("localhost", names=("DNS:localhost",))
CLOSING = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
STAYING = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def app(t, *options):
    return Server([t.program("tls_app"), "--backend", t.args.backend, "--workers", "2", "--cert", LOCALHOST.cert, "--key",
                   LOCALHOST.key, *options], ready=re.compile(r"^ready$"))


def s_client(server, *options, text=b""):
    """What it has printed. -ign_eof: it waits for the server's end."""
    run = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-servername", "localhost", "-CAfile",
                          LOCALHOST.cert, "-ign_eof", *options], input=text, capture_output=True, timeout=60, check=False)
    check(run.returncode == 0, "s_client to succeed", run.stderr + run.stdout)
    return run.stdout


def session_get(server, name):
    path = CERTS.path(name)
    s_client(server, "-sess_out", path, text=CLOSING)
    return path


def file_make(name, data):
    path = CERTS.path(name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def answers(output):
    """The early= of each answer, in order."""
    return [found.decode() for found in re.findall(rb"^early=(\d)$", output, re.M)]


@suite.case(ISSUE)
def a_request_in_early_data_is_answered_and_marked(t):
    with t.serving(app(t, "--early-data", "16384")) as server:
        for i in range(4):  # on either worker
            session = session_get(server, f"session-{i}")
            output = s_client(server, "-sess_in", session, "-early_data", file_make("closing", CLOSING))
            check(b"Early data was accepted" in output, "early data to be accepted", output)
            equal(answers(output), ["1"])


@suite.case(ISSUE)
def requests_behind_the_handshake_are_not_marked(t):
    with t.serving(app(t, "--early-data", "16384")) as server:
        session = session_get(server, "session-both")
        output = s_client(server, "-sess_in", session, "-early_data", file_make("three", STAYING * 3), text=STAYING + CLOSING)
        equal(answers(output), ["1", "1", "1", "0", "0"])


@suite.case(ISSUE)
def a_request_that_begins_early_and_ends_later_is_marked(t):
    with t.serving(app(t, "--early-data", "16384")) as server:
        session = session_get(server, "session-cut")
        output = s_client(server, "-sess_in", session, "-early_data", file_make("cut", CLOSING[:30]), text=CLOSING[30:])
        equal(answers(output), ["1"])


@suite.case(ISSUE)
def without_early_data_max_there_is_none(t):
    with t.serving(app(t)) as server:
        session = session_get(server, "session-off")
        output = s_client(server, "-sess_in", session, text=CLOSING)
        check(b"Reused, TLSv1.3" in output, "a resumed session", output)
        equal(answers(output), ["0"])


if __name__ == "__main__":
    try:
        sys.exit(suite.run())
    except Failure as failure:
        sys.exit(f"cannot run: {failure}")
