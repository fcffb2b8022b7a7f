# SPDX-License-Identifier: MIT
# test_ws_conformance.py - runs every WebSocket case of ws_cases_*.py on raw sockets against arena's /ws, cut in several ways.
# Does not know what a case means: sends, reads to the end of the stream, compares with what the case says.
# Invariant: frames and the end of the connection are the same for every cut.
# ctest: timeout=400
import concurrent.futures
import copy
import os
import random
import re
import select
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]

import ws_cases_deflate  # noqa: E402
import ws_cases_frame  # noqa: E402
import ws_cases_handshake  # noqa: E402
import ws_cases_text  # noqa: E402
from harness import Broken, Closed, Conn, Failure, Reset, Suite, brief, check_message, parse_head  # noqa: E402
from ws_case import SILENT  # noqa: E402
from ws_client import CLOSE, NAMES, TEXT, Assembler, check_101, close_payload, frame, handshake, parse_frame  # noqa: E402

WAIT_S = 40.0
BARRIER = b"GET /pipeline HTTP/1.1\r\nHost: barrier\r\n\r\n"
STEPS_MAX = 60  # pieces of one case, when each waits for the server


class Barrier:
    """A second connection to the same worker: when its answer is here, what was sent before has been looked at."""

    local = threading.local()

    @classmethod
    def wait(cls, address):
        if getattr(cls.local, "conn", None) is None:
            cls.local.conn = Conn(address)
        if cls.local.conn.ask(BARRIER).body != b"ok":
            raise Failure("ok on an innocent connection", "something else")


class Stream:
    """Sends and receives at once, so that neither side can wait for the other."""

    def __init__(self, address):
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.parts, self.have, self.is_ended, self.head = [], 0, False, None
        self.limit = time.monotonic() + WAIT_S

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def receive(self):
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return False
        except ConnectionResetError as error:
            raise Failure("an end with FIN", f"a reset behind {brief(b''.join(self.parts))}") from error
        self.is_ended = not data
        if data:
            self.parts.append(data)
            self.have += len(data)
        return bool(data)

    def wait(self, wants_write):
        ready = select.select([] if self.is_ended else [self.sock], [self.sock] if wants_write else [], [],
                              max(0, self.limit - time.monotonic()))
        if not ready[0] and not ready[1]:
            raise Failure("an answer", f"silence behind {self.have} bytes: {brief(self.received())}")
        return ready

    def send(self, data):
        view = memoryview(data)
        while len(view) > 0:
            try:
                view = view[self.sock.send(view[:1 << 20]):]
            except BlockingIOError:
                if self.wait(True)[0]:
                    self.receive()
            except (ConnectionResetError, BrokenPipeError) as error:
                raise Failure("a server that reads on", f"{type(error).__name__} behind {brief(self.received())}") from error

    def received(self):
        self.parts = [b"".join(self.parts)]
        return self.parts[0]

    def read_head(self):
        """The answer to the handshake; what follows it stays."""
        while b"\r\n\r\n" not in self.received():
            if self.is_ended:
                raise Failure("an answer to the handshake", brief(self.received()))
            if self.wait(False)[0]:
                self.receive()
        raw, _, rest = self.received().partition(b"\r\n\r\n")
        self.parts = [rest]
        self.head = parse_head(raw)
        check_message(self.head, "GET")
        return self.head

    def read_end(self):
        while not self.is_ended:
            if self.wait(False)[0]:
                self.receive()
        return self.received()


def send_cut(stream, address, data, how, rng):
    if how == "bytes":
        for i in range(len(data)):
            stream.send(data[i:i + 1])
    elif how == "steps":
        points = range(1, len(data))
        points = sorted(rng.sample(points, STEPS_MAX)) if len(points) > STEPS_MAX else list(points)
        for start, end in zip([0, *points], [*points, len(data)]):
            stream.send(data[start:end])
            Barrier.wait(address)
    elif how == "pieces":
        at = 0
        while at < len(data):
            size = rng.choice((1, 3, 50, 997, 4096, 16384, 65536, 200000))
            stream.send(data[at:at + size])
            at += size
    else:
        stream.send(data)


def exchange(case, address, how, predicted):
    """Sends one case one way; returns what came back as (opcode, payload) pairs, and what was agreed on."""
    rng = random.Random(case.name + how)
    fields = [f"Sec-WebSocket-Extensions: {case.offer}"] if case.offer else []
    with Stream(address) as stream:
        if how == "behind":  # in one segment with the request
            data = case.data(copy.copy(predicted)) if callable(case.data) else case.data
            stream.send(handshake("/ws", *fields) + data)
            agreed = check_101(stream.read_head())
        else:
            stream.send(handshake("/ws", *fields))
            agreed = check_101(stream.read_head())
            data = case.data(copy.copy(agreed)) if callable(case.data) else case.data
            send_cut(stream, address, data, how, rng)
        if case.end == SILENT:
            Barrier.wait(address)
            stream.sock.shutdown(socket.SHUT_WR)
        return read_events(case, stream.read_end(), copy.copy(agreed)), agreed


def read_events(case, data, deflate):
    frames, events, at, assembler = [], [], 0, Assembler(deflate)
    while at < len(data):
        found = parse_frame(data, at)
        if found is None:
            raise Failure("whole frames", brief(data[at:]))
        got, at = found
        frames.append(got)
        event = assembler.feed(got)
        if event:
            events.append(event)
    if case.raw:
        problem = case.raw(frames)
        if problem:
            raise Failure("frames as they should be", problem)
    return events


def check_events(case, events):
    want = list(case.expect)
    if case.end != SILENT:
        want.append((CLOSE, close_payload(case.end)))
    got = [(op, data[:2]) if op == CLOSE else (op, data) for op, data in events]
    for i, (a, b) in enumerate(zip(want, got)):
        if a != b:
            raise Failure(f"frame {i}: {shown(a)}", shown(b))
    if len(want) != len(got):
        raise Failure(f"{len(want)} frames, the last {shown(want[-1]) if want else 'none'}",
                      f"{len(got)}, the last {shown(got[-1]) if got else 'none'}")


def shown(event):
    return f"{NAMES[event[0]]} of {len(event[1])} bytes {brief(event[1], 80)}"


def ways(case):
    if case.cuts == "once":
        return ["whole"]
    return ["whole", "behind"] + {"few": [], "large": ["pieces"], "all": ["steps", "bytes"]}[case.cuts]


def run_case(case, address):
    predicted = None
    for how in ways(case):
        try:
            events, predicted = exchange(case, address, how, predicted)
            check_events(case, events)
            problem = case.agreed(predicted) if case.agreed else None
            if problem:
                raise Failure(f"an agreement that fits {case.offer!r}", f"{problem}: {predicted}")
        except (Failure, Broken, OSError, Closed, Reset, UnicodeDecodeError) as error:
            got = error.got if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
            expected = error.expected if isinstance(error, Failure) else "an exchange"
            return Failure(expected, f"[{how}] {brief(got, 2000)}", None if callable(case.data) else case.data)
    return None


# --- handshakes ------------------------------------------------------------------------------------------------------


def run_handshake(case, address):
    for how in ("whole", "bytes", "steps"):
        try:
            shake(case, address, how)
        except (Failure, Broken, OSError, Closed, Reset) as error:
            got = error.got if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
            return Failure(getattr(error, "expected", "an answer"), f"[{how}] {brief(got, 2000)}", case.data)
    return None


def shake(case, address, how):
    with Conn(address) as conn:
        if how == "bytes":
            conn.send_bytes(case.data)
        elif how == "steps":
            third = len(case.data) // 3
            for piece in (case.data[:third], case.data[third:2 * third], case.data[2 * third:]):
                conn.send(piece)
                Barrier.wait(address)
        else:
            conn.send(case.data)
        for status in case.before:
            got = conn.response()
            if got.status != status:
                raise Failure(f"{status} in front", got)
        if 101 in case.statuses:
            got = conn.head()
            check_101(got, case.key)
            conn.send(frame(TEXT, b"alive"))
            while parse_frame(conn.buffer) is None and conn.fill():
                pass
            echo = parse_frame(conn.buffer)
            if echo is None or echo[0].payload != b"alive":
                raise Failure("an echo", conn.buffer)
        else:
            got = conn.response()
            if got.status not in case.statuses:
                raise Failure(f"status {sorted(case.statuses)}", got)
        for name, value in case.fields:
            if got.get(name) != value:
                raise Failure(f"{name}: {value}", got)


# --- all -------------------------------------------------------------------------------------------------------------


def all_cases():
    cases = [c for module in (ws_cases_frame, ws_cases_text, ws_cases_handshake, ws_cases_deflate) for c in module.cases()]
    names = [c.name for c in cases]
    assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})
    return cases


def main():
    suite = Suite("WebSocket conformance (RFC 6455, RFC 7692, RFC 3629)")
    args = suite.parse_args(lambda p: (
        p.add_argument("--connect", help="HOST:PORT of a server that runs already"),
        p.add_argument("--list", action="store_true", help="only list the cases"),
        p.add_argument("--slow", type=float, default=0, help="print cases that take longer, in seconds")))
    cases = [c for c in all_cases() if re.search(args.only, c.name)]
    if args.list:
        print("\n".join(f"{c.name}  [{c.rfc}]" for c in cases))
        return 0
    if args.connect:
        host, port = args.connect.rsplit(":", 1)
        address = (host, int(port))
    else:
        address = ("127.0.0.1", suite.shared_server("arena", suite.arena).port)
    start = time.monotonic()

    def one(case):
        began = time.monotonic()
        failure = (run_handshake if isinstance(case, ws_cases_handshake.Handshake) else run_case)(case, address)
        if failure:
            suite.fail(case.name, case.rfc, failure)
        else:
            suite.ok(case.name)
        if args.slow and time.monotonic() - began > args.slow:
            print(f"      {case.name} took {time.monotonic() - began:.1f} s")

    with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
        list(pool.map(one, cases))
    print(f"{len(cases)} cases in {time.monotonic() - start:.1f} s")
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
