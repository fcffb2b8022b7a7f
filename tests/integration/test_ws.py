# SPDX-License-Identifier: MIT
# test_ws.py - the WebSocket interface from outside, on raw sockets: through arena's /ws and test_app's /ws/... endpoints.
# Frames and rules of the protocol are in tests/conformance; here is what an application sees, settings, slow readers, publishing,
# many connections. No timing is asserted: what must happen is waited for.
# ctest: timeout=400
import contextlib
import os
import random
import re
import resource
import select
import signal
import socket
import sys
import threading
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import Closed, Failure, Reset, Skip, Suite, check, equal, is_instrumented  # noqa: E402
from ws_client import (BINARY, CLOSE, CONT, NAMES, PING, PONG, TEXT, Ws, check_101, close, close_payload,  # noqa: E402
                       frame, handshake)

suite = Suite("WebSocket")
EAGAIN, EGONE, ESTATE = 3, 4, 5


def until(condition, what, tries=3000):
    for _ in range(tries):
        got = condition()
        if got:
            return got
        threading.Event().wait(0.005)
    raise Failure(what, f"never; the last was {condition()!r}")


def counts(server):
    with server.connect() as c:
        return {k: int(v) for k, v in (pair.split("=") for pair in c.get("/ws-counts").body.decode().split())}


def closes(server, number):
    """The next endings that the application has seen, as (key, code, reason)."""
    found = []

    def look():
        with server.connect() as c:
            lines = c.get("/ws-closes").body.decode().splitlines()
        found.extend(re.match(r"(-?\d+) (\d+) \[(.*)\]\Z", line).groups() for line in lines)
        return len(found) >= number
    until(look, f"{number} calls of on_close")
    return [(int(key), int(code), reason) for key, code, reason in found]


def pause_for(server, path="/hello"):
    """When this has come back, the (only) worker has looked at everything that was sent before."""
    with server.connect() as c:
        equal(c.get(path).status, 200)


def app(t, key="app", *options):
    return t.shared_server(key, lambda: t.app(*options))


def arena(t):
    return t.shared_server("arena", t.arena)


def ws(server, path="/ws", *fields, **more):
    return Ws(("127.0.0.1", server.port), path, *fields, **more)


# --- what arrives how ---------------------------------------------------------------------------------------------


@suite.case("SPEC: bugs of the seed; RFC 6455 4.1")
def data_right_behind_the_upgrade_request(t):
    for server, path in ((arena(t), "/ws"), (app(t), "/ws/echo")):
        for behind in (frame(TEXT, b"one"), frame(TEXT, b"one") + frame(TEXT, b"two") + frame(PING, b"three")[:5]):
            with ws(server, path, behind=behind) as c:
                c.expect(TEXT, b"one")
                if len(behind) > 20:
                    c.expect(TEXT, b"two")
                    c.conn.send(frame(PING, b"three")[5:])
                    c.expect(PONG, b"three")
                c.end()


@suite.case("SPEC: bugs of the seed")
def handshake_and_frames_cut_at_every_byte(t):
    server = arena(t)
    data = handshake() + frame(TEXT, b"hello") + close(1000)
    want = frame(TEXT, b"hello", mask=None) + close(1000, mask=None)
    for cut in range(1, len(data)):
        with server.connect() as c:
            c.send(data[:cut])
            pause_for(server, "/pipeline")
            c.send(data[cut:])
            check_101(c.head())
            equal(c.rest(), want, f"frames, cut at {cut},")


@suite.case("SPEC: bugs of the seed")
def frame_cut_at_every_byte(t):
    server = arena(t)
    payload = bytes(i * 7 & 127 for i in range(200))
    data = frame(TEXT, payload[:130], fin=False) + frame(PING, b"in between") + frame(CONT, payload[130:]) + frame(BINARY, b"")
    with ws(server) as c:
        for cut in range(1, len(data)):
            c.conn.send(data[:cut])
            pause_for(server, "/pipeline")
            c.conn.send(data[cut:])
            c.expect(PONG, b"in between")
            c.expect(TEXT, payload)
            c.expect(BINARY, b"")
        c.end()


@suite.case("SPEC: bugs of the seed")
def frames_in_one_read_are_answered_in_order(t):
    for count in (2, 50, 1000):
        with ws(arena(t)) as c:
            c.conn.send(b"".join(frame(TEXT, b"message %d" % i) + (frame(PING, b"%d" % i) if i % 10 == 0 else b"")
                                 for i in range(count)))
            for i in range(count):
                c.expect(TEXT, b"message %d" % i)
                if i % 10 == 0:
                    c.expect(PONG, b"%d" % i)
            c.end()


@suite.case("issue 3: frames")
def four_mib_in_fragments_of_64_bytes(t):
    payload = os.urandom(4 << 20)
    pieces = [payload[i:i + 64] for i in range(0, len(payload), 64)]
    data = b"".join(frame(BINARY if i == 0 else CONT, p, fin=i == len(pieces) - 1) for i, p in enumerate(pieces))
    with ws(arena(t)) as c:
        c.conn.send(data)
        c.expect(BINARY, payload)
        c.end()
    with ws(app(t), "/ws/pieces") as c:
        c.conn.send(data)
        opcode, text = c.next()
        equal(text.decode().split()[:3], ["binary", f"bytes={4 << 20}", f"adler={zlib.adler32(payload)}"])
        c.end()


@suite.case("issue 3: frames")
def sizes_up_to_16_mib(t):
    for deflate in (False, True):
        with ws(arena(t), deflate=deflate) as c:
            for size in (0, 1, 125, 126, 65535, 65536, 1 << 20, 4 << 20, 16 << 20):
                text = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
                c.text(text, compress=deflate)
                c.expect(TEXT, text)
            c.end()


# --- the handshake, as the application sees it ----------------------------------------------------------------------


@suite.case("RFC 6455 4.2.2")
def subprotocols(t):
    server = app(t)
    for offered, chosen in (("alpha", "alpha"), ("alpha, beta", "beta"), ("gamma, alpha", "alpha"), ("x.y-z", "x.y-z"),
                            ("ALPHA", None), ("gamma", None), ("alphabet, betamax", None), ("gamma\r\nSec-WebSocket-Protocol: beta", "beta")):
        with ws(server, "/ws/protocols", f"Sec-WebSocket-Protocol: {offered}") as c:
            equal(c.response.get("sec-websocket-protocol"), chosen, f"protocol out of {offered!r},")
            c.ask("hello")
            c.end()
    with ws(server, "/ws/protocols") as c:
        equal(c.response.get("sec-websocket-protocol"), None, "protocol when none is offered,")
    for offered in ((), ("Sec-WebSocket-Protocol: other",)):
        with server.connect() as c:
            c.send(handshake("/ws/echo?protocol=mine", *offered))
            got = c.response()
            equal((got.status, got.body), (400, b"refused -1\n"), "answer to a protocol that was not offered")


@suite.case("issue 3: handshake")
def refusal_with_any_status(t):
    server = app(t)
    with server.connect() as c:
        for status in (401, 403, 404, 429, 500, 503):
            c.send(handshake(f"/ws/refuse/{status}"))
            got = c.response()
            equal((got.status, got.body), (status, b"not for you\n"))
            equal(got.get("sec-websocket-accept"), None, "no accept in a refusal, that is")
        c.send(handshake("/ws/echo"))  # the connection is as good as any
        check_101(c.head())


@suite.case("issue 3: handshake")
def all_request_fields_are_visible(t):
    server = app(t)
    with server.connect() as c:
        c.send(handshake("/ws/origin", "Origin: https://evil.example"))
        equal(c.response().status, 403)
    with ws(server, "/ws/origin", "Origin: https://good.example", "Cookie: session=1") as c:
        equal(c.response.get("x-cookie"), "session=1", "field added by the application")
        c.ask("hello")
    with server.connect() as c:
        for request, is_upgrade in ((handshake("/ws/is-upgrade"), b"1\n"), (b"GET /ws/is-upgrade HTTP/1.1\r\nHost: t\r\n\r\n", b"0\n"),
                                    (handshake("/ws/is-upgrade").replace(b"websocket\r", b"h2c\r"), b"0\n"),
                                    (handshake("/ws/is-upgrade").replace(b"GET", b"PUT", 1), b"0\n")):
            equal(c.ask(request).body, is_upgrade, "per_ws_is_upgrade()", request)


@suite.case("ws.h: per_ws_accept")
def accepting_late_and_twice(t):
    with t.serving(t.app()) as server:
        with ws(server, "/ws/late", behind=frame(TEXT, b"early")) as c:
            c.expect(TEXT, b"early")
            c.ask("hello")
            c.end()
        with ws(server, "/ws/twice") as c:
            c.ask("once")
            c.end()
        got = counts(server)
        equal((got["accept0"], got[f"accept{ESTATE}"]), (2, 1), "accepts that were good and refused")


@suite.case("ws.h: on_open")
def messages_from_on_open(t):
    server = app(t)
    with ws(server, "/ws/echo?greet=1", behind=frame(TEXT, b"me")) as c:
        c.expect(TEXT, b"welcome")
        c.expect(TEXT, b"me")
        c.end()
    with ws(server, "/ws/echo?goodbye=1&greet=1", behind=frame(TEXT, b"me")) as c:
        c.expect(TEXT, b"welcome")
        c.expect_close(4000, b"goodbye")


# --- closing --------------------------------------------------------------------------------------------------------


@suite.case("RFC 6455 7.1")
def the_client_closes(t):
    with t.serving(t.app()) as server:
        sent = [(1000, b""), (1001, b"away"), (1011, b"\xce\xba" * 60), (3000, b"x" * 123), (4999, b"last")]
        for i, (code, reason) in enumerate(sent):
            with ws(server, f"/ws/echo?key={i}") as c:
                c.ask("hello")
                c.end(code, reason)
        with ws(server, "/ws/echo?key=10") as c:
            c.end(None)
        with ws(server, "/ws/echo?key=11") as c:
            c.ask("hello")
            c.conn.shutdown()
            c.conn.expect_close()
        with ws(server, "/ws/echo?key=12") as c:
            c.ask("hello")
            c.conn.reset()
        with ws(server, "/ws/echo?key=13") as c:
            c.send(TEXT, b"\xff")
            c.expect_close(1007)
        with ws(server, "/ws/echo?key=14") as c:
            c.conn.send(b"\xff")
            c.expect_close(1002)
        want = [(i, code, reason.decode()) for i, (code, reason) in enumerate(sent)]
        want += [(10, 1005, ""), (11, 1006, ""), (12, 1006, ""), (13, 1007, ""), (14, 1002, "")]
        equal(sorted(closes(server, len(want))), want, "what on_close was told")
        got = counts(server)
        equal((got["opened"], got["closed"]), (len(want), len(want)), "on_open and on_close")


@suite.case("RFC 6455 7.1")
def the_server_closes(t):
    with t.serving(t.app()) as server:
        want = []
        for i, (code, reason) in enumerate([(1000, ""), (1001, "away"), (1014, ""), (3000, "r" * 123), (4999, "end"), (0, "")]):
            with ws(server, f"/ws/cmd?key={i}") as c:
                c.text(f"close {code} {reason}".rstrip())
                opcode, payload = c.next()
                equal((NAMES[opcode], payload), ("close", close_payload(code or None, reason.encode())))
                c.text("this is not looked at any more")
                c.send(PING, b"nor is this")
                c.send(CLOSE, payload[:2])
                c.conn.expect_close()
            want.append((i, code or 1005, ""))
        with ws(server, "/ws/cmd?key=20") as c:
            c.text("abort")
            with contextlib.suppress(Reset):
                equal(c.conn.rest(), b"", "nothing behind an abort, that is")
        want.append((20, 1006, ""))
        got = sorted(closes(server, len(want)))
        equal([(key, code) for key, code, _ in got], [(key, code) for key, code, _ in want], "what on_close was told")


@suite.case("RFC 6455 7.1")
def both_close_at_once(t):
    with ws(app(t), "/ws/cmd") as c:
        c.conn.send(frame(TEXT, b"close 4001 mine") + close(4002, b"yours"))
        c.expect_close(4001, b"mine", answer=False)


@suite.case("ws.h: close_timeout_ms")
def a_peer_that_does_not_answer_our_close_is_cut(t):
    with t.serving(t.app()) as server:
        with ws(server, "/ws/cmd?close=300&key=1") as c:
            c.text("close 4001")
            equal(c.next(), (CLOSE, close_payload(4001)))
            with contextlib.suppress(Reset):
                equal(c.conn.rest(), b"")
        equal(closes(server, 1), [(1, 4001, "")])


@suite.case("ws.h: errors")
def calls_that_must_be_refused(t):
    with ws(app(t), "/ws/cmd") as c:
        c.text("wrong")
        equal(c.next()[1].split(), [b"-1"] * 17, "errors")
        c.text("nonsense")
        c.expect(TEXT, b"what?")
        c.end()


@suite.case("SPEC: graceful stop")
def server_shutdown_says_1001(t):
    for workers in ("1", "2"):
        with t.serving(t.app(workers=workers)) as server:
            clients = [ws(server, f"/ws/echo?key={i}") for i in range(40)]
            for c in clients[:30]:
                c.ask("hello")
            clients[30].send(TEXT, b"half a message", fin=False)
            clients[31].conn.send(frame(TEXT, b"half a frame")[:7])
            os.kill(server.pid, signal.SIGTERM)
            for c in clients:
                c.expect_close(1001)
                c.conn.close()
            equal(server.join(), [], "problems")


@suite.case("SPEC: graceful stop")
def server_shutdown_does_not_wait_for_ever(t):
    with t.serving(t.app("--stop-timeout-ms", "300")) as server:
        clients = [ws(server, "/ws/echo") for _ in range(10)]
        os.kill(server.pid, signal.SIGTERM)
        for c in clients:
            equal(c.next(), (CLOSE, close_payload(1001)))
        equal(server.join(), [], "problems")
        for c in clients:
            c.conn.close()


# --- pings ----------------------------------------------------------------------------------------------------------


@suite.case("RFC 6455 5.5.2")
def pings_of_the_application(t):
    with ws(app(t), "/ws/cmd?tell-pong=1") as c:
        for payload in (b"", b"hello", b"p" * 125):
            c.text(b"ping " + payload)
            c.expect(PING, payload)
            c.send(PONG, payload)
            c.expect(TEXT, b"pong " + payload)
        c.send(PONG, b"unsolicited")
        c.expect(TEXT, b"pong unsolicited")
        c.end()


@suite.case("ws.h: idle_timeout_ms")
def a_silent_peer_is_pinged_and_lives_if_it_answers(t):
    with ws(app(t), "/ws/echo?idle=150&pong=4000") as c:
        for _ in range(4):
            opcode, payload = c.next()
            equal(opcode, PING, "opcode")
            c.send(PONG, payload)
        c.ask("still here")


@suite.case("ws.h: pong_timeout_ms")
def a_peer_that_does_not_answer_pings_is_cut(t):
    with t.serving(t.app()) as server:
        with ws(server, "/ws/echo?idle=150&pong=200&key=3") as c:
            equal(c.next()[0], PING, "opcode")
            with contextlib.suppress(Reset, Closed):
                got = c.next()
                raise Failure("an end without a close frame", got)
        equal(closes(server, 1), [(3, 1006, "")])


# --- limits ---------------------------------------------------------------------------------------------------------


@suite.case("ws.h: message_bytes_max")
def small_message_limit(t):
    server = app(t)
    for path in ("/ws/echo?message=1000", "/ws/pieces?message=1000", "/ws/echo?message=1000&deflate=1"):
        for data, is_good in ((frame(TEXT, b"x" * 1000), True), (frame(TEXT, b"x" * 1001), False),
                              (frame(TEXT, b"x" * 600, fin=False) + frame(CONT, b"x" * 400), True),
                              (frame(TEXT, b"x" * 600, fin=False) + frame(CONT, b"x" * 401), False)):
            with ws(server, path, deflate="deflate" in path) as c:
                c.conn.send(data)
                if is_good:
                    opcode, payload = c.next()
                    check(payload == b"x" * 1000 or payload.startswith(b"text bytes=1000 "), "1000 bytes", payload)
                    c.end()
                else:
                    c.expect_close(1009)
    for size, is_good in ((1000, True), (1001, False), (1 << 20, False)):
        for path in ("/ws/echo?message=1000&deflate=1", "/ws/pieces?message=1000&deflate=1"):
            with ws(server, path, deflate=True) as c:
                c.text(b"x" * size, compress=True)
                if is_good:
                    equal(c.next()[0], TEXT, "opcode")
                    c.end()
                else:
                    c.expect_close(1009)


@suite.case("ws.h: fragments_max")
def small_fragment_limit(t):
    with ws(app(t), "/ws/echo?fragments=3") as c:
        for _ in range(3):
            c.conn.send(frame(TEXT, b"a", fin=False) + frame(CONT, b"b", fin=False) + frame(CONT, b"c"))
            c.expect(TEXT, b"abc")
        c.conn.send(frame(TEXT, b"a", fin=False) + frame(CONT, b"", fin=False) * 3)
        c.expect_close(1008)


# --- pieces, pausing ------------------------------------------------------------------------------------------------


@suite.case("ws.h: on_piece")
def messages_in_pieces(t):
    for deflate in (False, True):
        with ws(app(t), f"/ws/pieces{'?deflate=1' if deflate else ''}", deflate=deflate) as c:
            for size in (0, 1, 1000, 100000, 3 << 20):
                payload = (os.urandom(997) * (size // 997 + 1))[:size]
                data = c.deflate.compress(payload) if deflate else payload
                cut = len(data) // 3
                rsv = 4 if deflate else 0
                c.conn.send(frame(BINARY, data[:cut], fin=False, rsv=rsv) + frame(CONT, data[cut:]))
                opcode, text = c.next()
                words = text.decode().split()
                equal(words[:3], ["binary", f"bytes={size}", f"adler={zlib.adler32(payload)}"])
                if size > 1 << 20:
                    check(int(words[3][7:]) > 10, "many pieces", words[3])
            c.text("text", compress=deflate)
            equal(c.next()[1].decode().split()[0], "text")
            c.end()


@suite.case("ws.h: on_piece")
def a_piece_comes_before_its_message_ends(t):
    with t.serving(t.app()) as server:
        with ws(server, "/ws/pieces?key=1") as c:
            c.conn.send(frame(TEXT, b"x" * 1000)[:500])
            c.conn.shutdown()
            c.conn.expect_close()
        equal(closes(server, 1), [(1, 1006, "")])


@suite.case("ws.h: per_ws_pause")
def pause_and_resume(t):
    with t.serving(t.app()) as server, ws(server, "/ws/cmd?key=1") as c:
        for _ in range(3):
            c.conn.send(frame(TEXT, b"pause") + b"".join(frame(TEXT, b"no %d" % i) + frame(PING, b"%d" % i) for i in range(20)))
            c.expect(TEXT, b"paused")
            c.conn.send(frame(TEXT, b"no") * 1000)
            pause_for(server)
            pause_for(server)
            check(not c.conn.readable_now(), "nothing while it is paused", c.conn.buffer)
            with server.connect() as other:
                equal(other.get("/ws-resume?key=1").body, b"0\n")
            for i in range(20):
                c.expect(TEXT, b"what?")
                c.expect(PONG, b"%d" % i)
            for _ in range(1000):
                c.expect(TEXT, b"what?")
        c.end()


# --- slow readers ---------------------------------------------------------------------------------------------------


def flooded(c):
    """The numbers of the messages that came, up to the end of the stream or the word."""
    numbers = []
    while True:
        opcode, payload = c.next()
        if opcode != TEXT or not re.match(rb"\d{8} ", payload):
            return numbers, opcode, payload
        numbers.append(int(payload[:8]))


@suite.case("ws.h: PER_WS_POLICY_CLOSE")
def slow_reader_is_closed(t):
    with t.serving(t.app()) as server:
        with ws(server, "/ws/cmd?queue=100000&policy=close&key=1") as c:
            c.text("flood 1000 1000")
            numbers, opcode, payload = flooded(c)
            equal((NAMES[opcode], payload), ("close", close_payload(1008)))
            equal(numbers, list(range(len(numbers))), "messages in front of the close")
            check(99 <= len(numbers) <= 110, "about 100 messages of 1000 bytes in a queue of 100000", len(numbers))
            c.send(CLOSE, payload)
            c.conn.expect_close()
        equal(closes(server, 1), [(1, 1008, "")])
        got = counts(server)
        equal(got["send0"] + got[f"send{EAGAIN}"] + got[f"send{ESTATE}"], 1000, "results")
        equal((got[f"send{EAGAIN}"], got[f"send{ESTATE}"]), (1, 1000 - len(numbers)), "PER_EAGAIN and PER_ESTATE")


@suite.case("ws.h: PER_WS_POLICY_DROP")
def slow_reader_loses_messages(t):
    with t.serving(t.app()) as server:
        with ws(server, "/ws/cmd?queue=100000&policy=drop&tell-drain=1") as c:
            for _ in range(3):
                c.text("flood 1000 1000")
                numbers, opcode, payload = flooded(c)
                equal(payload, b"drained", "word")
                equal(numbers, list(range(len(numbers))), "messages that were not dropped")
                check(99 <= len(numbers) <= 110, "about 100 messages", len(numbers))
            c.end()
        got = counts(server)
        equal(got["drains"], 3, "calls of on_drain")
        equal(got["send0"] + got[f"send{EAGAIN}"], 3003, "results")


@suite.case("ws.h: PER_WS_POLICY_LATEST")
def slow_reader_gets_the_latest(t):
    with t.serving(t.app()) as server, ws(server, "/ws/cmd?queue=100000&policy=latest&tell-drain=1") as c:
        for _ in range(3):
            c.text("flood 1000 1000")
            numbers, opcode, payload = flooded(c)
            equal(payload, b"drained", "word")
            equal(numbers[-1], 999, "the last message")
            equal(numbers[:-1], list(range(len(numbers) - 1)), "messages in front of it")
            check(99 <= len(numbers) <= 111, "about 100 messages", len(numbers))
        c.end()


@suite.case("issue 3: sending")
def readers_that_stop_reading(t):
    """The kernel's buffers fill up, over many turns; then each policy does its work, and others are not delayed."""
    with t.serving(t.app()) as server:
        for policy in ("close", "drop", "latest"):
            with ws(server, f"/ws/cmd?queue=500000&policy={policy}&tell-drain=1&key=1", recv_buf=4096) as c:
                have = counts(server)

                def is_full():
                    c.text("flood 20 10000")
                    pause_for(server)
                    now = counts(server)
                    return now[f"send{EAGAIN}"] > have[f"send{EAGAIN}"]
                until(is_full, "PER_EAGAIN")
                with ws(server, "/ws/echo") as other:
                    other.ask("not delayed")
                last, seen, opcode = -1, 0, None
                try:
                    while True:
                        opcode, payload = c.next()
                        if opcode != TEXT or payload == b"drained":
                            break
                        last, seen = int(payload[:8]), seen + 1
                except Reset:
                    check(policy == "close", "a reset only after a close", policy)
                check(seen > 20, "what was queued", seen)
                if policy == "close":
                    check(opcode in (CLOSE, TEXT), "a close frame, or a reset", opcode)
                else:
                    equal(payload, b"drained")
                    if policy == "latest":
                        equal(last, 19, "the newest message")
                    c.text("queued")
                    equal(c.next()[1], b"queued 0")
                    c.end()


@suite.case("SPEC: backpressure")
def an_echo_that_is_not_read_is_not_read_from(t):
    """A client that only sends is slowed down; nothing is lost, and memory stays bounded."""
    server = arena(t)
    with ws(server, recv_buf=4096) as c:
        c.conn.sock.settimeout(1)
        data, sent = frame(BINARY, b"e" * 60000) * 20, 0
        with contextlib.suppress(socket.timeout):
            while sent < 4000:
                c.conn.sock.sendall(data)
                sent += 20
        check(sent < 4000, "a client that is slowed down", f"{sent} messages of 60000 bytes taken")
        with ws(server) as other:
            other.ask("not delayed")
        c.conn.sock.settimeout(15)
        for _ in range(sent):
            c.expect(BINARY, b"e" * 60000)


# --- other threads --------------------------------------------------------------------------------------------------


@suite.case("ws.h: per_ws_send_to")
def sending_from_other_threads(t):
    with t.serving(t.app(workers="2")) as server:
        clients = [ws(server, f"/ws/echo?key={i}") for i in range(8)]
        with server.connect() as c:
            for i in range(8):
                equal(c.get(f"/ws-to?key={i}&count=2000&size={20 + i * 40}").status, 200)
        for i, client in enumerate(clients):
            for n in range(2000):
                opcode, payload = client.next()
                equal((int(payload[:8]), len(payload)), (n, 20 + i * 40), "number and size")
            client.ask("and back")
            client.end()
        equal(counts(server)["send0"], 16000 + 8)


@suite.case("ws.h: per_ref")
def references_do_not_dangle(t):
    with t.serving(t.app(workers="2")) as server:
        with server.connect() as c:
            with ws(server, "/ws/echo?key=1") as client:
                equal(c.get("/ws-post?key=1").body, b"0\n")
                client.expect(TEXT, b"posted")
                client.end()
            until(lambda: counts(server)["closed"] == 1, "on_close")
            others = [ws(server, "/ws/echo") for _ in range(20)]  # one of them has the slot now
            for _ in range(100):
                equal(c.get("/ws-post?key=1").body, b"0\n")
            until(lambda: counts(server)["posts_gone"] == 100, "100 posts to nobody")
            equal(c.get("/ws-to?key=1&count=100&size=20").status, 200)
            c.get("/ws-post?key=2")  # a key without a connection
            for other in others:
                other.ask("nothing but this")
                other.end()
        equal(counts(server)["posts_run"], counts(server)["post0"], "posts that ran")


@suite.case("ws.h: per_ws_send_to")
def sending_to_connections_that_leave(t):
    with t.serving(t.app(workers="2")) as server:
        for i in range(100):
            with ws(server, f"/ws/echo?key={i}") as client, server.connect() as c:
                c.get(f"/ws-to?key={i}&count=500&size=100")
                if i % 3 == 0:
                    client.conn.reset()
                elif i % 3 == 1:
                    client.conn.send(close(1000))
        until(lambda: (lambda n: n["opened"] == n["closed"])(counts(server)), "every connection to end")


# --- topics ---------------------------------------------------------------------------------------------------------


@suite.case("ws.h: per_ws_subscribe")
def subscribing_and_leaving(t):
    with t.serving(t.app(workers="2")) as server:
        a, b = ws(server, "/ws/cmd"), ws(server, "/ws/cmd")
        for c, topic in ((a, "news"), (a, "news"), (a, "other"), (b, "news"), (b, "t" * 255), (a, "\u00fc x \u20ac")):
            c.text(f"sub {topic}")
            c.expect(TEXT, b"rc 0")
        b.text("pub news me 2 50")
        for c in (a, b):
            for i in range(2):
                c.expect(TEXT, (b"me %08d" % i + b" ").ljust(50, b"x"))
        a.text("pub nobody me 1 50")
        a.text("unsub news")
        a.expect(TEXT, b"rc 0")
        a.text("unsub news")
        a.expect(TEXT, b"rc 0")
        b.text("pub news two 1 50")
        b.expect(TEXT, b"two 00000000 ".ljust(50, b"x"))
        b.text("pub other three 1 60")
        a.expect(TEXT, b"three 00000000 ".ljust(60, b"x"))
        a.end()
        b.text("pub other four 1 50")
        b.text("pub news five 1 50")
        b.expect(TEXT, b"five 00000000 ".ljust(50, b"x"))
        b.end()
        equal(counts(server)["publish0"], 7, "publications")


class Subscribers:
    """Many subscribers read by one thread; each message is "ID NUMBER xxx" of one size."""

    def __init__(self, server, count, size, path="/ws/echo?topic=1"):
        self.size, self.clients = size, [ws(server, path) for _ in range(count)]
        self.by_fd = {c.conn.sock.fileno(): c for c in self.clients}

    def read(self, total):
        """{publisher: numbers} of each, once every one has had total messages."""
        got = {fd: {} for fd in self.by_fd}
        left = {fd: total for fd in self.by_fd}
        poll = select.poll()
        for fd in left:
            poll.register(fd, select.POLLIN)
        step = self.size + (2 if self.size < 126 else 4)
        while left:
            ready = poll.poll(15000)
            if not ready:
                raise Failure(f"{total} messages each", f"silence, {len(left)} are short, the least by {max(left.values())}")
            for fd, _ in ready:
                conn = self.by_fd[fd].conn
                if not conn.fill():
                    raise Failure("a subscriber that stays", "the end of its stream")
                end = len(conn.buffer) // step * step
                for at in range(0, end, step):
                    name, number = conn.buffer[at + step - self.size:at + step].split(b" ", 2)[:2]
                    got[fd].setdefault(name, []).append(int(number))
                conn.buffer = conn.buffer[end:]
                left[fd] -= end // step
                if left[fd] <= 0:
                    poll.unregister(fd)
                    del left[fd]
        return list(got.values())

    def end(self):
        for c in self.clients:
            c.conn.close()


@suite.case("issue 3: a topic with many subscribers", alone=True)
def publish_to_many_subscribers(t):
    """500 of them, or as many as asked for; 10,000 have been tried."""
    raise_fd_limit(t.args.subscribers + 500)
    with t.serving(t.app(workers="3")) as server:
        many = Subscribers(server, t.args.subscribers, 60)
        slow = [ws(server, f"/ws/echo?topic=1&queue=20000&policy={policy}&key={i}", recv_buf=4096)
                for i, policy in enumerate(("close", "drop", "latest"))]
        leaver = ws(server, "/ws/echo?topic=1")
        publishers = [ws(server, "/ws/cmd") for _ in range(3)]
        with server.connect() as c:
            equal(c.get("/ws-publish?id=t1&count=150&size=60").status, 200)
            equal(c.get("/ws-publish?id=t2&count=150&size=60").status, 200)
        for i, p in enumerate(publishers):
            p.text(f"pub topic p{i} 100 60")
        leaver.conn.reset()
        got = many.read(600)
        want = {name: list(range(n)) for name, n in ((b"t1", 150), (b"t2", 150), (b"p0", 100), (b"p1", 100), (b"p2", 100))}
        for one in got:
            equal(one, want, "what a subscriber has got")
        # Now so much that the slow ones have to meet their policies.
        publishers[0].text("pub topic big 3000 60")
        for one in many.read(3000):
            equal(one, {b"big": list(range(3000))}, "what a subscriber has got")
        many.end()
        for client in (*slow, *publishers):
            client.conn.close()


@suite.case("issue 3: a slow reader delays nobody", alone=True)
def slow_subscribers_meet_their_policy(t):
    with t.serving(t.app(workers="2")) as server:
        many = Subscribers(server, 20, 5000)
        slow = {policy: ws(server, f"/ws/echo?topic=1&queue=50000&policy={policy}&key={i}", recv_buf=4096)
                for i, policy in enumerate(("close", "drop", "latest"))}
        publisher = ws(server, "/ws/cmd")
        for _ in range(60):  # 30 MB in all, more than any buffer of the kernel; 500 kB at a time, less than queue_bytes
            publisher.text("pub topic id 100 5000")
            for one in many.read(100):
                equal(one, {b"id": list(range(100))}, "what a subscriber has got")
        numbers = []
        with contextlib.suppress(Reset):
            while True:
                opcode, payload = slow["close"].next()
                if opcode != TEXT:
                    equal((NAMES[opcode], payload), ("close", close_payload(1008)))
                    break
                numbers.append(int(payload.split()[1]))
        equal(numbers, [i % 100 for i in range(len(numbers))], "messages in order before the close")
        equal(closes(server, 1)[0], (0, 1008, ""))
        for policy in ("drop", "latest"):
            numbers = []
            slow[policy].text("end")
            while True:
                opcode, payload = slow[policy].next()
                if payload == b"end":
                    break
                numbers.append(int(payload.split()[1]))
            check(10 < len(numbers) < 6000, "some, but not all", len(numbers))
            if policy == "latest":
                equal(numbers[-1], 99, "the newest")
        many.end()
        for client in (*slow.values(), publisher):
            client.conn.close()


@suite.case("issue 3: the frame is built and compressed once")
def compressed_and_plain_subscribers(t):
    """Published frames and the connection's own compressed messages in one stream: the contexts must not mix."""
    with t.serving(t.app(workers="2")) as server:
        offers = [False, True, "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_max_window_bits=9",
                  "permessage-deflate; server_max_window_bits=15", "permessage-deflate; client_no_context_takeover"]
        clients = [ws(server, f"/ws/echo?topic=1&deflate=1&n={i}", deflate=offer) for i, offer in enumerate(offers) for _ in range(2)]
        publisher = ws(server, "/ws/cmd")
        own = "my own text, which is long enough to be compressed, and which repeats itself, repeats itself " * 3
        for size in (50, 63, 64, 65, 75, 500, 20000, 300000):
            for round_ in range(3):
                for c in clients:
                    c.ask(own)
                publisher.text(f"pub topic id 2 {size}")
                publisher.text(f"pub topic noise 1 {size}")
                noise = None
                for c in clients:
                    for i in range(2):
                        c.expect(TEXT, (b"id %08d" % i + b" ").ljust(size, b"x"))
                    opcode, payload = c.next()
                    noise = noise or payload
                    equal((opcode, payload, len(payload)), (TEXT, noise, size), "noise")
                    c.ask(own)
        for c in (*clients, publisher):
            c.end()


# --- permessage-deflate ---------------------------------------------------------------------------------------------


@suite.case("ws.h: per_ws_config")
def compression_settings(t):
    server = app(t)
    offer = "permessage-deflate; client_max_window_bits"
    for query, want in (("deflate=1", (15, 15, False, False)), ("deflate=1&sbits=9&cbits=10", (9, 10, False, False)),
                        ("deflate=1&snt=1", (15, 15, True, False)), ("deflate=1&cnt=1", (15, 15, False, True)),
                        ("deflate=1&snt=1&cnt=1&sbits=12&cbits=9&level=9", (12, 9, True, True))):
        with ws(server, f"/ws/echo?{query}", deflate=offer) as c:
            got = c.deflate
            equal((got.server_bits, got.client_bits, got.server_no_takeover, got.client_no_takeover), want, query)
            for size in (10, 1000, 100000):
                text = " ".join(map(str, random.Random(size).choices(range(1000), k=size // 3))).encode()
                c.text(text, compress=True)
                c.expect(TEXT, text)
            c.end()
    with ws(server, "/ws/echo", deflate=offer) as c:
        equal(c.deflate, None, "compression, which is off by default,")
        c.ask("plain")


@suite.case("ws.h: deflate_min_bytes")
def short_messages_are_sent_as_they_are(t):
    for query, size, is_compressed in (("", 63, False), ("", 64, True), ("&dmin=1000", 999, False), ("&dmin=1000", 1000, True),
                                       ("&dmin=1", 1, False), ("&dmin=1", 20, True)):  # a byte would only grow
        with ws(app(t), f"/ws/echo?deflate=1{query}", deflate=True) as c:
            c.text(b"s" * size)
            got = c.frame()
            equal((got.rsv, c.assembler.feed(got)), (4 if is_compressed else 0, (TEXT, b"s" * size)), f"frame of {size} bytes")
            c.end()


@suite.case("ws.h: deflate_memory_bytes")
def compression_within_its_budget(t):
    with t.serving(t.app()) as server:
        clients = [ws(server, "/ws/echo?deflate=1&dmem=1500000", deflate=True) for _ in range(20)]
        compressed = 0
        for i, c in enumerate(clients):
            c.text(b"m" * 1000, compress=c.deflate is not None and i % 2 == 0)  # what was agreed on must work for good
            got = c.frame()
            compressed += got.rsv == 4
            equal(c.assembler.feed(got), (TEXT, b"m" * 1000))
        for c in reversed(clients):
            c.text(b"n" * 2000, compress=c.deflate is not None)
            c.expect(TEXT, b"n" * 2000)
        check(1 <= compressed < 20, "some that are compressed, and some above the budget", compressed)
        for c in clients:
            c.end()
        until(lambda: counts(server)["closed"] == 20, "the end of all")
        with ws(server, "/ws/echo?deflate=1&dmem=1500000", deflate=True) as c:  # the budget is free again
            c.text(b"m" * 1000)
            equal(c.frame().rsv, 4, "rsv")


# --- many connections -----------------------------------------------------------------------------------------------


def raise_fd_limit(need):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(need, hard), hard))
    return min(need, max(soft, hard))


@suite.case("issue 3: clients", alone=True)
def thousand_connections_at_once(t):
    raise_fd_limit(4000)
    with t.serving(t.app(workers="2")) as server:
        clients = [ws(server, f"/ws/echo{'?deflate=1' if i % 2 else ''}", deflate=bool(i % 2)) for i in range(1000)]
        for round_ in range(3):
            for i, c in enumerate(clients):
                c.text(f"round {round_} of {i}, with some more text so that it is compressed", compress=bool(i % 2))
            for i, c in enumerate(clients):
                c.expect(TEXT, f"round {round_} of {i}, with some more text so that it is compressed".encode())
        equal(counts(server)["opened"], 1000)
        for c in clients:
            c.conn.send(close(1000))
        for c in clients:
            equal(c.next(), (CLOSE, close_payload(1000)))
            c.conn.close()
        until(lambda: counts(server)["closed"] == 1000, "the end of all")


def come_and_go(address, number):
    """One short life, in one of several ways."""
    source = f"127.0.1.{number % 200 + 1}"  # of so many connections, closed ones would use up the ports of one address
    sock = socket.create_connection(address, source_address=(source, 0))
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        way = number % 5
        shake = handshake("/ws/refuse/403" if way == 4 else "/ws/echo?deflate=1",
                          "Sec-WebSocket-Extensions: permessage-deflate" if number % 2 else "X: y")
        sock.sendall(shake + {0: frame(TEXT, b"t" * 100) + close(1000), 1: frame(TEXT, b"t" * 100)[:50], 2: b"\xff",
                              3: frame(TEXT, b"t" * 100), 4: b""}[way])
        if way in (0, 2):
            while sock.recv(65536):
                pass
        else:
            sock.recv(65536)
        if way == 3:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    finally:
        sock.close()


def private_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as smaps:
        return sum(int(line.split()[1]) for line in smaps if line.startswith("Private_")) * 1024


@suite.case("SPEC: bugs of the seed", alone=True)
def no_descriptor_and_no_memory_left_behind(t):
    total = t.args.connections or (10000 if is_instrumented(t.program("test_app")) else 100000)
    with t.serving(t.app(workers="2")) as server:
        address = ("127.0.0.1", server.port)

        def run(first, last):
            errors = []

            def part(offset):
                try:
                    for i in range(first + offset, last, 4):
                        come_and_go(address, i)
                except OSError as error:
                    errors.append(error)
            threads = [threading.Thread(target=part, args=(i,)) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if errors:
                raise errors[0]
            until(lambda: (lambda n: n["opened"] == n["closed"])(counts(server)), "every on_close")
        run(0, 500)
        with server.connect() as c:
            until(lambda: c.get("/stats").body.split()[5] == b"1", "one connection left")
            fds, memory = server.fd_count(), private_bytes(server.pid)
            run(500, total)
            until(lambda: c.get("/stats").body.split()[5] == b"1", "one connection left")
            equal(server.fd_count(), fds, "descriptors afterwards")
            grown = private_bytes(server.pid) - memory
        got = counts(server)
        equal((got["opened"], got["closed"]), (total * 4 // 5, total * 4 // 5), "on_open and on_close")
        if not is_instrumented(server.argv[0]):
            check(grown < 2 << 20, "less than 2 MiB of growth", f"{grown} bytes")


@suite.case("issue 3: memory", alone=True)
def idle_connections_are_small(t):
    if is_instrumented(t.program("arena_testing")):
        raise Skip("memory of an instrumented program says nothing")
    if t.args.backend == "kqueue" and sys.platform == "linux":
        raise Skip("the kqueue of the tests keeps a table of its own for each descriptor")
    count = min(6000, raise_fd_limit(20000) - 500)
    with t.serving(t.arena(workers="1")) as server:
        clients = [ws(server) for _ in range(200)]
        for c in clients:
            c.ask("warm")
        before = private_bytes(server.pid)
        more = [ws(server) for _ in range(count)]
        for c in more:
            c.ask("a message")
        each = (private_bytes(server.pid) - before) / count
        for c in clients + more:
            c.conn.close()
        check(each <= 512, "at most 512 bytes each", f"{each:.0f} bytes each of {count}")


if __name__ == "__main__":
    suite.parse_args(lambda p: (
        p.add_argument("--subscribers", type=int, default=500, help="how many listen to one topic"),
        p.add_argument("--connections", type=int, help="how many come and go")))
    sys.exit(suite.run())
