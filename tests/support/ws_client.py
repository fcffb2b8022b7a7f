# SPDX-License-Identifier: MIT
# ws_client.py - a WebSocket client on a raw socket for the outside suites: frames to bytes, bytes to frames, the opening
# handshake, permessage-deflate. Sends anything, also what is forbidden; accepts only what RFC 6455 and RFC 7692 allow a server.
# Invariant: a frame that a server must not send raises Broken, whatever the test was about.
import base64
import dataclasses
import hashlib
import os
import zlib

from harness import Broken, Closed, Conn, equal

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NAMES = {CONT: "cont", TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
TAIL = b"\x00\x00\xff\xff"  # RFC 7692 7.2.1


# --- frames ------------------------------------------------------------------------------------------------------


def masked(payload, mask):
    if not payload:
        return b""
    key = (mask * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(len(payload), "little")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=b"\x37\xfa\x21\x3d", form=None, length=None):
    """A client's frame. mask None: unmasked; form 7, 16 or 64: the length's form, shortest by itself; length: a lie."""
    size = len(payload) if length is None else length
    form = form or (7 if size < 126 else 16 if size < 65536 else 64)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0 if mask is None else 0x80
    if form == 7:
        head += bytes([bit | size])
    elif form == 16:
        head += bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + size.to_bytes(8, "big")
    return head + payload if mask is None else head + mask + masked(payload, mask)


def close_payload(code=None, reason=b""):
    return b"" if code is None else code.to_bytes(2, "big") + reason


def close(code=None, reason=b"", **more):
    return frame(CLOSE, close_payload(code, reason), **more)


@dataclasses.dataclass
class Frame:
    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0

    @property
    def code(self):
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else None


def parse_frame(data, at=0):
    """(Frame, end), or None when more bytes are needed. Checks what holds for every frame of a server."""
    if len(data) < at + 2:
        return None
    fin, rsv, opcode = bool(data[at] & 0x80), data[at] >> 4 & 7, data[at] & 15
    if opcode not in NAMES:
        raise Broken(f"opcode {opcode} from a server (RFC 6455 5.2)")
    if data[at + 1] & 0x80:
        raise Broken("a masked frame from a server (RFC 6455 5.1)")
    size, head = data[at + 1] & 0x7f, 2
    if size >= 126:
        more = 2 if size == 126 else 8
        head += more
        if len(data) < at + head:
            return None
        size = int.from_bytes(data[at + 2:at + head], "big")
        if size < 126 or (more == 8 and (size < 65536 or size >> 63)):
            raise Broken(f"a length of {size} in {more} bytes (RFC 6455 5.2)")
    if opcode >= CLOSE and (not fin or rsv or size > 125):
        raise Broken(f"a control frame with fin {fin}, rsv {rsv}, {size} bytes (RFC 6455 5.5)")
    if rsv & 3:
        raise Broken(f"rsv {rsv} (RFC 6455 5.2)")
    if len(data) < at + head + size:
        return None
    got = Frame(opcode, bytes(data[at + head:at + head + size]), fin, rsv)
    if opcode == CLOSE:
        check_close(got.payload)
    return got, at + head + size


def check_close(payload):
    if len(payload) == 1:
        raise Broken("a close frame of one byte (RFC 6455 5.5.1)")
    code = int.from_bytes(payload[:2], "big")
    if payload and not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise Broken(f"a close frame with code {code} (RFC 6455 7.4)")
    try:
        payload[2:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise Broken(f"a close reason that is not UTF-8: {payload[2:]!r}") from error


class Assembler:
    """Frames to messages, with the rules of fragments, compression and UTF-8."""

    def __init__(self, deflate=None):
        self.deflate, self.opcode, self.parts, self.rsv1 = deflate, None, [], False

    def feed(self, got):
        """A (opcode, payload) when the frame completes a message, or a control frame's; None inside a message."""
        if got.opcode >= CLOSE:
            return got.opcode, got.payload
        if (got.opcode == CONT) != (self.opcode is not None):
            raise Broken(f"{NAMES[got.opcode]} {'inside' if self.opcode else 'outside'} a message (RFC 6455 5.4)")
        if got.rsv and (self.deflate is None or got.opcode == CONT):
            raise Broken("RSV1 where it was not agreed on (RFC 7692 6)")
        if got.opcode != CONT:
            self.opcode, self.rsv1 = got.opcode, bool(got.rsv)
        self.parts.append(got.payload)
        if not got.fin:
            return None
        payload, opcode = b"".join(self.parts), self.opcode
        self.opcode, self.parts = None, []
        if self.rsv1:
            payload = self.deflate.inflate(payload)
        if opcode == TEXT:
            payload.decode("utf-8")
        return opcode, payload


# --- permessage-deflate --------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Deflate:
    """The agreed parameters, and both contexts of the client's side."""

    server_bits: int = 15
    client_bits: int = 15
    server_no_takeover: bool = False
    client_no_takeover: bool = False

    def __post_init__(self):
        self.deflater = self.inflater = None

    @classmethod
    def parse(cls, value):
        """The server's answer; only what RFC 7692 7.1 allows in one."""
        names = [part.strip() for part in value.split(";")]
        if names[0] != "permessage-deflate":
            raise Broken(f"extension {value!r}")
        made, seen = cls(), set()
        for name, _, bits in (n.partition("=") for n in names[1:]):
            if name in seen:
                raise Broken(f"a parameter twice: {value!r} (RFC 7692 7.1)")
            seen.add(name)
            if name.endswith("_no_context_takeover") and not bits:
                setattr(made, name.replace("_context", ""), True)
            elif name in ("server_max_window_bits", "client_max_window_bits") and bits in map(str, range(8, 16)):
                setattr(made, name.replace("max_window_", ""), int(bits))
            else:
                raise Broken(f"parameter {name}={bits} (RFC 7692 7.1)")
        made.seen = seen
        return made

    def compress(self, payload, level=6):
        """A message's payload, without the tail."""
        if self.deflater is None or self.client_no_takeover:
            self.deflater = zlib.compressobj(level, zlib.DEFLATED, -max(9, self.client_bits))
        data = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        return data[:-4]

    def inflate(self, payload):
        """Decodes with no larger a window than agreed: small steps keep zlib from looking back into its own output."""
        if self.inflater is None or self.server_no_takeover:
            self.inflater = zlib.decompressobj(-max(9, self.server_bits))
        step = 1 << self.server_bits >> 1 if self.server_bits < 15 else 0
        parts, rest = [], payload + TAIL
        try:
            while rest:
                parts.append(self.inflater.decompress(rest, step))
                rest = self.inflater.unconsumed_tail
                if self.inflater.eof:
                    raise Broken("BFINAL in a message of the server")
        except zlib.error as error:
            raise Broken(f"what the server compressed does not inflate with {self}: {error}") from error
        return b"".join(parts)


# --- the connection ------------------------------------------------------------------------------------------------


def accept_value(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def handshake(path="/ws", *fields, key=KEY, host="test"):
    """A valid opening handshake as bytes."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def check_101(response, key=KEY):
    """A valid answer; returns the agreed Deflate, or None."""
    equal(response.status, 101, "status", rfc="RFC 6455 4.2.2")
    for name, value in (("upgrade", "websocket"), ("sec-websocket-accept", accept_value(key))):
        equal([v if name != "upgrade" else v.lower() for v in response.all(name)], [value], name, rfc="RFC 6455 4.2.2")
    tokens = [t.strip().lower() for v in response.all("connection") for t in v.split(",")]
    equal("upgrade" in tokens, True, "upgrade in Connection", rfc="RFC 6455 4.2.2")
    extensions = response.all("sec-websocket-extensions")
    return Deflate.parse(", ".join(extensions)) if extensions else None


class Ws:
    """A connection behind its handshake. Control frames are returned like messages."""

    def __init__(self, address, path="/ws", *fields, deflate=False, behind=b"", host="test", **options):
        offer = ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"] if deflate is True else \
            [f"Sec-WebSocket-Extensions: {deflate}"] if deflate else []
        key = base64.b64encode(os.urandom(16)).decode()
        self.conn = Conn(address, **options)
        try:
            self.conn.send(handshake(path, *offer, *fields, key=key, host=host) + behind)
            self.response = self.conn.head()
            if self.response.status != 101:
                self.refusal = self.response
                raise Broken(f"no 101: {self.response}")
            self.deflate = check_101(self.response, key)
        except BaseException:
            self.conn.close()
            raise
        self.assembler = Assembler(self.deflate)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.conn.close()

    def send(self, opcode, payload=b"", **more):
        self.conn.send(frame(opcode, payload, **more))

    def text(self, text, compress=False):
        payload = text.encode() if isinstance(text, str) else text
        if compress:
            self.send(TEXT, self.deflate.compress(payload), rsv=4)
        else:
            self.send(TEXT, payload)

    def binary(self, payload):
        self.send(BINARY, payload)

    def frame(self):
        """The next frame; Closed at the end of the stream."""
        conn = self.conn
        while True:
            got = parse_frame(conn.buffer)
            if got:
                conn.buffer = conn.buffer[got[1]:]
                return got[0]
            if not conn.fill():
                raise Closed(conn.buffer)

    def next(self):
        """The next message or control frame: (opcode, payload). Not for large messages."""
        while True:
            got = self.assembler.feed(self.frame())
            if got:
                return got

    def expect(self, opcode, payload=b""):
        got = self.next()
        equal((NAMES[got[0]], got[1]), (NAMES[opcode], payload), "frame")

    def ask(self, text):
        """An echo."""
        self.text(text)
        self.expect(TEXT, text.encode())

    def expect_close(self, code=None, reason=None, answer=True):
        """The server's close frame, our answer, the end of the stream."""
        opcode, payload = self.next()
        equal(NAMES[opcode], "close", "frame")
        equal(int.from_bytes(payload[:2], "big") if payload else None, code, "close code")
        if reason is not None:
            equal(payload[2:], reason, "close reason")
        if answer:
            self.send(CLOSE, payload[:2])
        self.conn.expect_close()

    def end(self, code=1000, reason=b""):
        """The closing handshake from our side."""
        self.conn.send(close(code, reason))
        opcode, payload = self.next()
        equal((NAMES[opcode], payload[:2]), ("close", close_payload(code)), "answer to our close")
        self.conn.expect_close()
        self.conn.close()
