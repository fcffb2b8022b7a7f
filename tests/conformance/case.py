# SPDX-License-Identifier: MIT
# case.py - the vocabulary of the conformance cases: what is sent, what must come back, how the connection ends.
# Pure data; test_conformance.py runs it. Used by cases_*.py.
# Invariant: a case says everything about its verdict; how its bytes are cut never matters.
import dataclasses

CANARY = b"GET /bytes/17 HTTP/1.1\r\nHost: canary\r\n\r\n"  # its answer has 17 bytes; it must never come by accident

KEEP, CLOSE, EITHER, INCOMPLETE = "keep", "close", "either", "incomplete"
ANY_GOOD = frozenset((200, 204, 404, 405, 501))  # "understood as a request", whatever the application says


@dataclasses.dataclass(frozen=True)
class Answer:
    """One final response: statuses allowed, body (None: any), and the method, which decides whether there is a body."""

    statuses: frozenset
    body: bytes = None
    method: str = "GET"
    fields: tuple = ()  # (name, value or None for "absent")


@dataclasses.dataclass
class Case:
    name: str
    rfc: str
    data: bytes  # may be a list of segments; WAIT_100 between two of them waits for the interim answer
    answers: list
    end: str = KEEP
    cuts: str = "all"  # "few": whole and byte-wise only (tables); "whole": once
    may_reset: bool = False  # the client broke its own promise to send nothing more: RST is tolerated behind whole answers


WAIT_100 = object()


def answer(status=200, body=None, method="GET", **fields):
    statuses = frozenset((status,)) if isinstance(status, int) else frozenset(status)
    return Answer(statuses, body, method, tuple((k.replace("_", "-"), v) for k, v in fields.items()))


OK = answer(200, b"ok")
SEVENTEEN = answer(200)  # the answer to a canary that is a request of its own right


def echo(body):
    return answer(200, body, "POST")


def req(target="/pipeline", *fields, method="GET", version="HTTP/1.1", host="test", body=b""):
    """A request as bytes; fields are str or bytes without CRLF; host None leaves the field out."""
    def raw(value):
        return value if isinstance(value, bytes) else value.encode("latin-1")
    lines = [b" ".join((raw(method), raw(target), raw(version)))]
    if host is not None:
        lines.append(b"Host: " + raw(host))
    return b"\r\n".join(lines + [raw(f) for f in fields] + [b"", b""]) + body


def post(body, *fields, target="/echo", version="HTTP/1.1", method="POST"):
    return req(target, f"Content-Length: {len(body)}", *fields, method=method, version=version, body=body)


def chunked(raw, *fields, target="/echo", coding="Transfer-Encoding: chunked", method="POST"):
    return req(target, coding, *fields, method=method, body=raw)


def chunks(*pieces, trailers=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n" + trailers + b"\r\n"


class Book:
    """Collects cases; one per area."""

    def __init__(self, area):
        self.area, self.cases = area, []

    def add(self, name, rfc, data, answers, end=KEEP, cuts="all", may_reset=False):
        answers = answers if isinstance(answers, list) else [answers]
        self.cases.append(Case(f"{self.area}/{name}", rfc, data, answers, end, cuts, may_reset))

    def ok(self, name, rfc, data, answers=OK, end=KEEP, cuts="all"):
        self.add(name, rfc, data, answers, end, cuts)

    def last(self, name, rfc, data, answers=OK):
        """The client asked for the close, so nothing it sends behind is answered (RFC 9112 9.6)."""
        self.add(name, rfc, data, answers, CLOSE, may_reset=True)

    def bad(self, name, rfc, data, status=400, canary=True, before=(), cuts="all", method="GET"):
        """One error answer, then the close; the canary behind it is never answered."""
        self.add(name, rfc, data + (CANARY if canary else b""), [*before, answer(status, None, method)], CLOSE, cuts)

    def early(self, name, rfc, data, status=400):
        """The verdict is due at the last byte of data: nothing follows."""
        self.add("early_" + name, rfc, data, [answer(status)], CLOSE)

    def either(self, name, rfc, data, status, cuts="all", follow=True):
        """The RFC leaves a choice: a good answer and a kept connection, or an error and a close; never the canary."""
        self.add(name, rfc, data, [answer(status)], EITHER, cuts)

    def incomplete(self, name, rfc, data):
        """No answer while the client may still send; after its FIN nothing or one 400 (or 408)."""
        self.add("incomplete_" + name, rfc, data, [], INCOMPLETE)


def shown(byte):
    return f"{byte:02x}" + (f"_{chr(byte)}" if byte < 128 and chr(byte).isalnum() else "")
