# SPDX-License-Identifier: MIT
# test_conformance.py - runs every case of cases_*.py on raw sockets against arena, each cut in several ways.
# Does not know what a case means: sends, reads, compares with what the case says and with the other cuts.
# Invariant: statuses, bodies and the end of the connection are the same for every cut.
import concurrent.futures
import os
import random
import re
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]

import cases_body  # noqa: E402
import cases_connection  # noqa: E402
import cases_field  # noqa: E402
import cases_limit  # noqa: E402
import cases_line  # noqa: E402
import cases_table  # noqa: E402
from case import CLOSE, EITHER, INCOMPLETE, KEEP, WAIT_100, req  # noqa: E402
from harness import Broken, Closed, Conn, Failure, Reset, Suite, brief  # noqa: E402

PROBE = req("/pipeline", "Connection: close", host="probe")
BARRIER = req("/pipeline", host="barrier")
SPLIT_MAX = 100  # pieces of one case, when each piece waits for the server; shorter cases are cut at every byte


class Barrier:
    """A second connection to the same worker: when its answer is here, what was sent before has been looked at."""

    local = threading.local()

    @classmethod
    def wait(cls, address):
        conn = getattr(cls.local, "conn", None)
        for attempt in (1, 2):
            if conn is None:
                conn = cls.local.conn = Conn(address, strict=False)
            try:
                if conn.ask(BARRIER).body != b"ok":
                    raise Failure("ok on an innocent connection", "something else")
                return
            except (Closed, Reset):  # an idle timeout or a limit of requests: once is fine
                conn = cls.local.conn = None
                if attempt == 2:
                    raise Failure("an innocent connection to live", "it was closed") from None


def segments_of(case):
    return case.data if isinstance(case.data, list) else [case.data]


def pieces(data, rng):
    """Cuts where parsers keep state: around CR, LF, SP, colon, comma, semicolon, and a few at random."""
    points = set()
    for i, byte in enumerate(data):
        if byte in b"\r\n :,;/" or len(data) <= SPLIT_MAX:
            points.update((i, i + 1))
    points.update(rng.randrange(len(data)) for _ in range(4) if data)
    points = sorted(p for p in points if 0 < p < len(data))
    if len(points) > SPLIT_MAX:
        points = sorted(rng.sample(points, SPLIT_MAX))
    return [data[a:b] for a, b in zip([0, *points], [*points, len(data)])]


def exchange(case, address, how, rng):
    """Sends one case one way; returns its verdict: a list of (status, body) and the end of the connection."""
    seen, sent_reset = [], None
    with Conn(address) as conn:
        waiting = False
        for segment in segments_of(case):
            if segment is WAIT_100:
                interim = conn.head()
                if interim.status != 100:
                    raise Failure("100 before the body (RFC 9110 10.1.1)", interim, conn.sent)
                waiting = True
                continue
            try:
                if how == "bytes":
                    conn.send_bytes(segment)
                elif how == "pieces":
                    for piece in pieces(segment, rng):
                        conn.send(piece)
                        Barrier.wait(address)
                else:
                    conn.send(segment)
            except Reset as reset:
                sent_reset = reset
        if case.end == INCOMPLETE:
            Barrier.wait(address)
            if conn.readable_now():
                raise Failure("no answer to an incomplete request", brief(conn.rest()), conn.sent)
            conn.shutdown()
            return incomplete_end(conn)
        if how == "half-close":
            conn.shutdown()
        for want in case.answers:
            try:
                got = conn.response(want.method)
            except Closed as closed:
                return seen, f"closed after {len(seen)} answers, {brief(closed.partial)} left"
            except Reset as reset:
                return seen, f"reset after {len(seen)} answers ({reset})"
            except socket.timeout:
                return seen, f"silence after {len(seen)} answers, {brief(conn.buffer)} pending"
            if got.interim and not (waiting or b"expect:" in b"".join(
                    s for s in segments_of(case) if s is not WAIT_100).lower()):
                raise Failure("no interim answer that nobody asked for", got.interim, conn.sent)
            problem = check_answer(want, got, case)
            if problem:
                raise Failure(*problem, conn.sent)
            seen.append((got.status, got.body if got.status < 400 else b"", got.closes))
        return seen, end_of(case, conn, how, seen, sent_reset)


def check_answer(want, got, case):
    if got.status not in want.statuses:
        return f"status {sorted(want.statuses)}", got
    if want.body is not None and got.body != want.body:
        return f"body {brief(want.body)}", got
    for name, value in want.fields:
        have = got.get(name)
        if (value is None and have is not None) or (value is not None and (have or "").lower() != value.lower()):
            return f"{name}: {value}", got
    if got.status == 400 and not got.closes:
        return "Connection: close in a 400 (RFC 9112 9.6)", got
    return None


def incomplete_end(conn):
    try:
        got = conn.response()
    except Closed as closed:
        if closed.partial:
            raise Failure("nothing or a whole response", closed.partial, conn.sent) from None
        return [], "close"
    except Reset:
        return [], "reset"
    if got.status not in (400, 408, 413):
        raise Failure("nothing, 400 or 408 after the FIN of an incomplete request", got, conn.sent)
    conn.expect_close(sent=conn.sent)
    return [(got.status, b"", True)], "close"


def end_of(case, conn, how, seen, sent_reset):
    """What became of the connection: the probe is a request that must be answered on a kept one and nowhere else."""
    end = case.end
    if end == EITHER:
        end = CLOSE if seen and seen[-1][2] else KEEP
    if sent_reset and not case.may_reset:
        return f"reset while the client was sending ({sent_reset})"
    try:
        if end == CLOSE or how == "half-close":
            rest = conn.rest()
            if rest:
                raise Failure("nothing after the last answer (no canary)", rest, conn.sent)
            if end == CLOSE and seen and not seen[-1][2]:
                raise Failure("Connection: close in the last answer (RFC 9112 9.6)", "a close without it", conn.sent)
            return "close" if end == CLOSE else "keep"
        if seen and seen[-1][2]:
            raise Failure("a connection that is kept", f"Connection: close in {seen[-1]}", conn.sent)
        conn.send(PROBE)
        got = conn.response()
        if got.status != 200 or got.body != b"ok":
            raise Failure("the answer to the probe, ok", got, conn.sent)
        rest = conn.rest()
        if rest:
            raise Failure("nothing behind the probe's answer", rest, conn.sent)
        return "keep"
    except Closed as closed:
        return f"closed instead of kept, {brief(closed.partial)} left"
    except Reset as reset:
        return "close" if case.may_reset else f"reset ({reset})"
    except socket.timeout:
        return "silence instead of a close" if end == CLOSE or how == "half-close" else "silence instead of the probe's answer"


def ways(case):
    if case.cuts == "whole":
        return ["whole"]
    if case.cuts == "few":
        return ["whole", "bytes"]
    if case.end == INCOMPLETE:
        return ["whole", "pieces", "bytes"]
    return ["whole", "half-close", "pieces", "bytes"]


def run_case(case, address):
    """None, or a Failure that tells which cut is wrong."""
    first = None
    for how in ways(case):
        rng = random.Random(case.name)
        try:
            verdict = exchange(case, address, how, rng)
        except Failure as failure:
            return Failure(failure.expected, f"[{how}] {brief(failure.got, 2000)}", sent_of(case))
        except Broken as broken:
            return Failure("a valid HTTP/1.1 response", f"[{how}] {broken}", sent_of(case))
        except (OSError, Closed, Reset) as error:
            return Failure("an exchange", f"[{how}] {type(error).__name__}: {error}", sent_of(case))
        want = {KEEP: ("keep",), CLOSE: ("close",), EITHER: ("keep", "close"), INCOMPLETE: ("close", "reset")}[case.end]
        if verdict[1] not in want:
            expected = f"{[sorted(a.statuses) for a in case.answers]} and then {' or '.join(want)}"
            return Failure(expected, f"[{how}] {verdict}", sent_of(case))
        if first is None:
            first = (how, verdict)
        elif verdict[0] != first[1][0]:
            return Failure(f"the same verdict however the bytes are cut: {first}", f"[{how}] {verdict}", sent_of(case))
    return None


def sent_of(case):
    return b"|WAIT|".join(b"".join([s]) if isinstance(s, bytes) else b"" for s in segments_of(case))


def all_cases():
    cases = [c for module in (cases_line, cases_field, cases_body, cases_connection, cases_limit, cases_table)
             for c in module.cases()]
    names = [c.name for c in cases]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
    return cases


def main():
    suite = Suite("conformance (RFC 9110, RFC 9112)")
    args = suite.parse_args(lambda p: (
        p.add_argument("--connect", help="HOST:PORT of a server that runs already"),
        p.add_argument("--list", action="store_true", help="only list the cases")))
    cases = [c for c in all_cases() if re.search(args.only, c.name)]
    if args.list:
        print("\n".join(f"{c.name}  [{c.rfc}] -> {[sorted(a.statuses) for a in c.answers]} {c.end}" for c in cases))
        return 0
    if args.connect:
        host, port = args.connect.rsplit(":", 1)
        address = (host, int(port))
    else:
        address = ("127.0.0.1", suite.shared_server("arena", suite.arena).port)
    start = time.monotonic()

    def one(case):
        failure = run_case(case, address)
        if failure:
            suite.fail(case.name, case.rfc, failure)
        else:
            suite.ok(case.name)

    with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
        list(pool.map(one, cases))
    print(f"{len(cases)} cases in {time.monotonic() - start:.1f} s")
    return suite.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"cannot run: {failure}\n0 passed, 1 failed, 0 skipped")
