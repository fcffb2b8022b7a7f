# SPDX-License-Identifier: MIT
# ws_case.py - the vocabulary of the WebSocket cases: what a client sends behind its handshake, what must come back, how it ends.
# Pure data; test_ws_conformance.py runs it. Used by ws_cases_*.py.
# Invariant: a case says everything about its verdict, and how its bytes are cut never matters.
import dataclasses

from ws_client import BINARY, CLOSE, CONT, PING, PONG, TEXT, close, close_payload, frame  # noqa: F401

END_PING = b"the end"
CANARY = frame(TEXT, b"canary") + frame(PING, b"canary")  # behind a failure: must never be answered
SILENT = "silent"  # nothing comes: the frame is incomplete, and its end is the client's FIN


@dataclasses.dataclass
class Case:
    name: str
    rfc: str
    data: object  # bytes, or a function that takes the agreed Deflate and returns bytes
    expect: list  # (opcode, payload) of messages and control frames, in order
    end: object  # the close code that must come, None for a close frame without one, or SILENT
    cuts: str = "all"  # "once": whole; "few": and behind the handshake; "large": and in pieces of random sizes
    offer: str = ""  # the value of Sec-WebSocket-Extensions
    agreed: object = None  # a function of the agreed Deflate (or None) that returns what is wrong with it, or None
    raw: object = None  # a function of the list of frames that returns what is wrong with them, or None


class Book:
    """Collects cases; one per area."""

    def __init__(self, area):
        self.area, self.cases = area, []

    def add(self, name, rfc, data, expect, end, **more):
        self.cases.append(Case(f"{self.area}/{name}", rfc, data, list(expect), end, **more))

    def ok(self, name, rfc, data, expect=(), **more):
        """Everything is answered, and the connection lives on: a ping and a closing handshake follow."""
        def whole(deflate):
            return (data(deflate) if callable(data) else data) + frame(PING, END_PING) + close(1000)
        self.add(name, rfc, whole if callable(data) else whole(None), [*expect, (PONG, END_PING)], 1000, **more)

    def echo(self, name, rfc, data, opcode, payload, **more):
        self.ok(name, rfc, data, [(opcode, payload)], **more)

    def bad(self, name, rfc, data, code=1002, before=(), **more):
        """The server fails the connection at the last byte of data, and reads nothing that comes behind it."""
        self.add(name, rfc, data, before, code, **more)
        self.add(name + "_and_more", rfc, (lambda d: data(d) + CANARY) if callable(data) else data + CANARY, before, code,
                 **{"cuts": "few", **more})

    def early(self, name, rfc, data, code=1002, before=(), **more):
        """As bad, where data is not a whole frame: the verdict must not wait for the rest."""
        self.add("early_" + name, rfc, data, before, code, **more)

    def closes(self, name, rfc, data, code, before=(), **more):
        """A closing handshake begun by the client: its code comes back."""
        self.add(name, rfc, data, before, code, **more)

    def silent(self, name, rfc, data, before=(), **more):
        self.add("incomplete_" + name, rfc, data, before, SILENT, **more)


def text(payload, **more):
    return frame(TEXT, payload.encode() if isinstance(payload, str) else payload, **more)


def binary(payload, **more):
    return frame(BINARY, payload, **more)


def cont(payload=b"", fin=True, **more):
    return frame(CONT, payload, fin=fin, **more)


def ping(payload=b"", **more):
    return frame(PING, payload, **more)


def pong(payload=b"", **more):
    return frame(PONG, payload, **more)


def pattern(size, seed=0):
    """Bytes that no shift maps onto themselves, and that are ASCII."""
    block = bytes(32 + (i * 7 + i // 89 + seed * 13) % 95 for i in range(min(size, 9973)))
    return (block * (size // len(block) + 1))[:size] if size else b""


def fragments(opcode, payload, size, between=b"", rsv=0):
    """A message in fragments of size bytes, something between any two."""
    pieces = [payload[i:i + size] for i in range(0, len(payload), size)] or [b""]
    frames = [frame(opcode if i == 0 else CONT, piece, fin=i == len(pieces) - 1, rsv=rsv if i == 0 else 0)
              for i, piece in enumerate(pieces)]
    return between.join(frames)
