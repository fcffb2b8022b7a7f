# SPDX-License-Identifier: MIT
# ws_cases_deflate.py - permessage-deflate (RFC 7692): what is agreed on, what is sent, what is refused.
# Pure data for test_ws_conformance.py. Messages are compressed for each connection, because they depend on what was agreed.
# Invariant: what the server compressed inflates with the agreed window and no larger one (ws_client.Deflate).
import functools
import itertools
import random
import zlib

from ws_case import BINARY, PONG, TEXT, Book, cont, fragments, frame, pattern, ping, text

MESSAGE_MAX = 16 << 20
RSV1 = 4
PLAIN = "permessage-deflate"


@functools.lru_cache(maxsize=None)
def words(size, seed=0):
    """Text that compresses to about a quarter, with matches at every distance."""
    if size > 1 << 17:
        return (words(1 << 17, seed) * (size >> 17))[:size] + words(size & (1 << 17) - 1, seed)
    rng = random.Random(seed)
    vocabulary = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 12))) + b" " for _ in range(500)]
    parts, have = [], 0
    while have < size:
        parts.append(rng.choice(vocabulary))
        have += len(parts[-1])
    return b"".join(parts)[:size]


def far_apart(bits, seed=0):
    """The same bytes again, just inside and just outside of a window of that size."""
    rng = random.Random(seed)
    window, block = 1 << bits, bytes(rng.choices(range(33, 127), k=60))
    parts = []
    for distance in (window // 2, window - 300, window - 60, window, window + 60, 2 * window):
        parts += [block, bytes(rng.choices(range(33, 127), k=max(0, distance - 60)))]
    return b"".join(parts) + block


NOISE = random.Random(7).randbytes(1 << 16)


def deflated(deflate, opcode, payload, size=None, between=b""):
    data = deflate.compress(payload)
    return frame(opcode, data, rsv=RSV1) if size is None else fragments(opcode, data, size, between, rsv=RSV1)


def messages(payloads, opcode=TEXT):
    """A function of the agreed Deflate that compresses each; sends them as they are if nothing was agreed on."""
    def data(deflate):
        return b"".join(deflated(deflate, opcode, p) if deflate else frame(opcode, p) for p in payloads)
    return data, [(opcode, p) for p in payloads]


# --- what is agreed on ---------------------------------------------------------------------------------------------


def check_agreed(server_bits, client_bits, server_no, client_no):
    """client_bits: None when not offered, 0 when offered without a value."""
    def agreed(got):
        if server_bits == 8:
            return None if got is None else "an offer of 8 bits for zlib's compressor was not declined"
        if got is None:
            return "declined"
        if got.server_bits != (server_bits or 15):
            return f"server_max_window_bits {got.server_bits}"
        if client_bits is None and "client_max_window_bits" in got.seen:
            return "client_max_window_bits, which was not offered"
        if client_bits and got.client_bits > client_bits:
            return f"client_max_window_bits {got.client_bits}"
        if server_no and not got.server_no_takeover:
            return "server context takeover, which was refused"
        if client_no and not got.client_no_takeover:
            return "client context takeover, which was not wanted"
        return None
    return agreed


def offer_of(server_bits, client_bits, server_no, client_no):
    parts = [PLAIN]
    if server_no:
        parts.append("server_no_context_takeover")
    if client_no:
        parts.append("client_no_context_takeover")
    if server_bits:
        parts.append(f"server_max_window_bits={server_bits}")
    if client_bits is not None:
        parts.append(f"client_max_window_bits={client_bits}" if client_bits else "client_max_window_bits")
    return "; ".join(parts)


def matrix(b):
    for server_bits, client_bits in itertools.product([None, *range(8, 16)], [None, 0, *range(8, 16)]):
        payloads = [words(900), words(900), far_apart(min(server_bits or 15, client_bits or 15, 11)), b"", b"x" * 200, words(500, 3)]
        data, expect = messages(payloads)
        for server_no, client_no in itertools.product((False, True), repeat=2):
            name = f"window_{server_bits or 'any'}_{'none' if client_bits is None else client_bits or 'any'}" \
                f"{'_server_no' * server_no}{'_client_no' * client_no}"
            b.ok(name, "RFC 7692 7.1", data, expect, cuts="once", offer=offer_of(server_bits, client_bits, server_no, client_no),
                 agreed=check_agreed(server_bits, client_bits, server_no, client_no))


def offers(b):
    data, expect = messages([words(300), words(300)])

    def offer(name, value, is_on, rfc="RFC 7692 5"):
        b.ok(f"offer_{name}", rfc, data, expect, offer=value, cuts="once",
             agreed=lambda got: None if (got is not None) == is_on else "accepted" if got else "declined")
    offer("plain", PLAIN, True)
    offer("in_capitals", "PERMESSAGE-DEFLATE", True)
    offer("with_spaces", "  permessage-deflate ;  server_max_window_bits = 10 ; client_max_window_bits  ", True)
    offer("quoted", 'permessage-deflate; server_max_window_bits="12"', True, "RFC 6455 9.1")
    offer("behind_an_unknown_one", "x-foo; a=1; b=\"c, d; e\", permessage-deflate", True)
    offer("second_chosen", "permessage-deflate; server_max_window_bits=8, permessage-deflate", True)
    offer("third_chosen", "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=99, permessage-deflate", True)
    offer("in_two_fields", "x-foo\r\nSec-WebSocket-Extensions: permessage-deflate", True, "RFC 6455 9.1")
    offer("first_of_two", "permessage-deflate; server_max_window_bits=11, permessage-deflate", True)
    offer("unknown", "x-webkit-deflate-frame", False)
    offer("unknown_parameter", "permessage-deflate; foo", False, "RFC 7692 7.1")
    offer("unknown_parameter_with_value", "permessage-deflate; foo=bar", False, "RFC 7692 7.1")
    for bits in ("7", "16", "0", "08", "010", "-9", "+9", "1e1", "15.0", "x", "9 9", "255", '""'):
        offer(f"server_bits_{bits}", f"permessage-deflate; server_max_window_bits={bits}", False, "RFC 7692 7.1.2.1")
        offer(f"client_bits_{bits}", f"permessage-deflate; client_max_window_bits={bits}", False, "RFC 7692 7.1.2.2")
    offer("server_bits_without_value", "permessage-deflate; server_max_window_bits", False, "RFC 7692 7.1.2.1")
    for name in ("server_no_context_takeover", "client_no_context_takeover"):
        offer(f"{name}_with_value", f"permessage-deflate; {name}=1", False, "RFC 7692 7.1.1")
        offer(f"{name}_twice", f"permessage-deflate; {name}; {name}", False, "RFC 7692 7.1")
    offer("server_bits_twice", "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", False, "RFC 7692 7.1")
    offer("client_bits_twice", "permessage-deflate; client_max_window_bits; client_max_window_bits=10", False, "RFC 7692 7.1")
    offer("per_frame", "perframe-deflate", False)
    offer("prefix", "permessage-deflat", False)
    offer("longer", "permessage-deflate2", False)
    offer("bzip2", "permessage-bzip2, permessage-snappy", False)


# --- what is received ------------------------------------------------------------------------------------------------


def vectors(b):
    """The examples of RFC 7692 7.2.3, and what follows from them."""
    def hello(name, rfc, data, expect=((TEXT, b"Hello"),)):
        b.ok(name, rfc, data, expect, offer=PLAIN)
    once = bytes.fromhex("f248cdc9c90700")
    hello("one_block", "RFC 7692 7.2.3.1", frame(TEXT, once, rsv=RSV1))
    hello("two_fragments", "RFC 7692 7.2.3.1", fragments(TEXT, once, 3, rsv=RSV1))
    hello("fragments_of_a_byte", "RFC 7692 7.2.3.1", fragments(TEXT, once, 1, rsv=RSV1))
    hello("takeover", "RFC 7692 7.2.3.2", frame(TEXT, once, rsv=RSV1) + frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1),
          [(TEXT, b"Hello")] * 2)
    hello("no_compression", "RFC 7692 7.2.3.3", frame(TEXT, bytes.fromhex("000500faff48656c6c6f00"), rsv=RSV1))
    hello("final_block", "RFC 7692 7.2.3.4", frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=RSV1))
    hello("two_blocks", "RFC 7692 7.2.3.5", frame(TEXT, bytes.fromhex("f24805000000ffffcac9c90700"), rsv=RSV1))
    hello("final_block_then_takeover", "RFC 7692 7.2.3.4",
          frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=RSV1) + frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1),
          [(TEXT, b"Hello")] * 2)
    hello("final_block_then_another", "RFC 7692 7.2.3.4",
          frame(TEXT, bytes.fromhex("f348cdc9c90700") + once, rsv=RSV1), [(TEXT, b"HelloHello")])
    hello("final_block_in_each_message", "RFC 7692 7.2.3.4", frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=RSV1) * 5,
          [(TEXT, b"Hello")] * 5)
    hello("empty", "RFC 7692 7.2.3.6", frame(TEXT, b"\0", rsv=RSV1), [(TEXT, b"")])
    hello("empty_in_fragments", "RFC 7692 7.2.3.6", frame(TEXT, b"\0", fin=False, rsv=RSV1) + cont(), [(TEXT, b"")])
    hello("empty_first_fragment", "RFC 7692 6.1", frame(TEXT, b"", fin=False, rsv=RSV1) + cont(once))
    hello("empty_last_fragment", "RFC 7692 6.1", frame(TEXT, once, fin=False, rsv=RSV1) + cont(fin=False) + cont())
    hello("tail_left_on", "RFC 7692 7.2.1", frame(TEXT, bytes.fromhex("f248cdc9c907000000ffff"), rsv=RSV1))
    hello("many_empty_blocks", "RFC 7692 7.2.3", frame(TEXT, b"\0\0\0\xff\xff" * 1000 + once, rsv=RSV1))
    hello("ping_between_fragments", "RFC 7692 6.1", fragments(TEXT, once, 2, ping(b"p"), rsv=RSV1), [(PONG, b"p")] * 3 + [(TEXT, b"Hello")])
    hello("some_are_not_compressed", "RFC 7692 6.1",
          frame(TEXT, once, rsv=RSV1) + text("plain") + frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1) + fragments(TEXT, b"plain", 2),
          [(TEXT, b"Hello"), (TEXT, b"plain")] * 2)


def received(b):
    for size in (1, 63, 64, 65, 125, 126, 1000, 16384, 65535, 65536, 200000):
        for cut in (None, 1, 7, 125, 4096):
            if cut is None or size // cut < 3000:
                p = words(size)
                b.ok(f"text_of_{size}_in_{cut or 'one'}", "RFC 7692 7.2.2",
                     lambda d, p=p, cut=cut: deflated(d, TEXT, p, cut), [(TEXT, p)], offer=PLAIN, cuts="few")
    b.ok("noise_compressed", "RFC 7692 7.2.2", *messages([NOISE], BINARY), offer=PLAIN, cuts="large")
    for level in (0, 1, 9):
        def data(deflate, level=level):
            return frame(TEXT, deflate.compress(words(50000), level), rsv=RSV1)
        b.ok(f"level_{level}", "RFC 7692 7.2.1", data, [(TEXT, words(50000))], offer=PLAIN, cuts="large")
    for strategy, name in ((zlib.Z_HUFFMAN_ONLY, "huffman_only"), (zlib.Z_FIXED, "fixed"), (zlib.Z_RLE, "runs")):
        made = zlib.compressobj(9, zlib.DEFLATED, -15, 8, strategy)
        raw = made.compress(words(9000)) + made.flush(zlib.Z_SYNC_FLUSH)
        b.ok(f"strategy_{name}", "RFC 1951 3.2", frame(TEXT, raw[:-4], rsv=RSV1), [(TEXT, words(9000))], offer=PLAIN, cuts="large")
    b.ok("far_matches", "RFC 7692 7.1.2", *messages([far_apart(15, i) for i in range(4)]), offer=PLAIN, cuts="few")
    b.ok("sent_compressed", "RFC 7692 6.1", *messages([b"a" * 5000]), offer=PLAIN,
         raw=lambda frames: None if frames[0].rsv == RSV1 and len(frames[0].payload) < 100 else "not compressed")
    b.ok("context_is_taken_over", "RFC 7692 7.1.1.1", *messages([words(3000)] * 2), offer=PLAIN,
         raw=lambda frames: None if len(frames[1].payload) * 4 < len(frames[0].payload) else "the second is as long as the first")
    b.ok("context_is_not_taken_over", "RFC 7692 7.1.1.1", *messages([words(3000)] * 2), offer=PLAIN + "; server_no_context_takeover",
         raw=lambda frames: None if frames[1].payload == frames[0].payload else "the second differs from the first")
    b.ok("not_compressed_when_not_agreed", "RFC 7692 6", *messages([b"a" * 5000]),
         raw=lambda frames: None if frames[0].rsv == 0 and len(frames[0].payload) == 5000 else "compressed")


def refused(b):
    hello = bytes.fromhex("f248cdc9c90700")

    def bad(name, rfc, data, code, **more):
        b.bad(name, rfc, data, code, offer=more.pop("offer", PLAIN), **more)
    b.bad("rsv1_not_agreed", "RFC 7692 6", frame(TEXT, hello, rsv=RSV1))
    b.early("rsv1_not_agreed", "RFC 7692 6", frame(TEXT, hello, rsv=RSV1)[:6])
    for opcode, name in ((9, "ping"), (10, "pong"), (8, "close")):
        bad(f"rsv1_in_{name}", "RFC 7692 6.1", frame(opcode, b"\x03\xe8" if opcode == 8 else b"x", rsv=RSV1), 1002)
    bad("rsv1_in_continuation", "RFC 7692 6.1", frame(TEXT, hello[:3], fin=False, rsv=RSV1) + cont(hello[3:], rsv=RSV1), 1002)
    bad("rsv1_in_continuation_only", "RFC 7692 6.1", frame(BINARY, hello[:3], fin=False) + cont(hello[3:], rsv=RSV1), 1002)
    for rsv in (1, 2, 3, 5, 6, 7):
        bad(f"rsv_{rsv}", "RFC 6455 5.2", frame(TEXT, hello, rsv=rsv), 1002)
    bad("block_of_type_3", "RFC 1951 3.2.3", frame(BINARY, b"\x07", rsv=RSV1), 1007)
    bad("stored_length_wrong", "RFC 1951 3.2.4", frame(BINARY, bytes.fromhex("000500faee48656c6c6f00"), rsv=RSV1), 1007)
    bad("noise", "RFC 1951 3.2", frame(BINARY, b"\xff" * 50, rsv=RSV1), 1007)
    made = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=words(2000))
    before_the_start = (made.compress(words(2000)) + made.flush(zlib.Z_SYNC_FLUSH))[:-4]
    bad("distance_before_the_start", "RFC 1951 3.2.5", frame(TEXT, before_the_start, rsv=RSV1), 1007)

    def takes_over(deflate):
        deflate.client_no_takeover = False
        return deflated(deflate, TEXT, words(2000)) + deflated(deflate, TEXT, words(2000))
    bad("context_that_was_not_agreed", "RFC 7692 7.1.1.2", takes_over, 1007, before=[(TEXT, words(2000))],
        offer=PLAIN + "; client_no_context_takeover")
    for name, payload in {"ff": b"\xff", "c0": b"ok\xc0", "unended": b"ok\xe2\x82", "surrogate": b"\xed\xa0\x80", "late": words(90000) + b"\x80"}.items():
        bad(f"text_{name}", "RFC 6455 8.1", lambda d, p=payload: deflated(d, TEXT, p), 1007, cuts="few")
    b.early("text_in_a_fragment", "RFC 6455 8.1",
            lambda d: frame(TEXT, d.compress(b"abc\xff") + b"\0\0\xff\xff", fin=False, rsv=RSV1), 1007, offer=PLAIN)
    b.ok("text_cut_in_a_character", "RFC 6455 8.1",
         lambda d: frame(TEXT, d.compress(b"\xe2\x82") + b"\0\0\xff\xff", fin=False, rsv=RSV1) + ping(b"p") + cont(d.compress(b"\xac")),
         [(PONG, b"p"), (TEXT, b"\xe2\x82\xac")], offer=PLAIN)


def limits(b):
    def bomb(size):
        return lambda d: deflated(d, BINARY, bytes(size))
    b.ok("inflates_to_16_mib", "RFC 7692 8", bomb(MESSAGE_MAX), [(BINARY, bytes(MESSAGE_MAX))], offer=PLAIN, cuts="once")
    b.add("inflates_to_16_mib_and_1", "RFC 7692 8", bomb(MESSAGE_MAX + 1), [], 1009, offer=PLAIN, cuts="few")
    b.add("inflates_to_256_mib", "RFC 7692 8", bomb(256 << 20), [], 1009, offer=PLAIN, cuts="once")
    b.add("inflates_to_17_mib_in_fragments", "RFC 7692 8", lambda d: deflated(d, BINARY, bytes(17 << 20), 100), [], 1009,
          offer=PLAIN, cuts="few")
    b.early("inflates_to_17_mib_at_once", "RFC 7692 8", lambda d: deflated(d, BINARY, bytes(17 << 20))[:-50], 1009, offer=PLAIN,
            cuts="few")
    b.add("bomb_in_the_second_message", "RFC 7692 8", lambda d: deflated(d, TEXT, b"fine") + deflated(d, TEXT, b"a" * (17 << 20)),
          [(TEXT, b"fine")], 1009, offer=PLAIN, cuts="once")
    b.ok("noise_of_16_mib", "RFC 7692 8", lambda d: deflated(d, BINARY, NOISE * 256, 1 << 20), [(BINARY, NOISE * 256)], offer=PLAIN,
         cuts="once")
    b.ok("not_compressed_16_mib", "RFC 7692 8", frame(BINARY, NOISE * 256), [(BINARY, NOISE * 256)], offer=PLAIN, cuts="once")
    b.early("frame_longer_than_the_limit", "RFC 6455 10.4", frame(BINARY, b"", length=MESSAGE_MAX + 1), 1009, offer=PLAIN)


# --- many ------------------------------------------------------------------------------------------------------------


# (size, how many) for each window, with and without takeover: 14 times 2,200 messages.
VOLUME = [(16, 500), (64, 500), (256, 500), (1024, 500), (4096, 100), (8192, 50), (16384, 30), (32768, 10), (65536, 6), (131072, 4)]


def volumes(b):
    for bits in range(9, 16):
        for no in ("", "; server_no_context_takeover; client_no_context_takeover"):
            data, expect = messages([words(size, i % 7) for size, count in VOLUME for i in range(count)])
            b.ok(f"many_messages_window_{bits}{'_no_takeover' if no else ''}", "RFC 7692 7.1", data, expect, cuts="once",
                 offer=f"{PLAIN}{no}; server_max_window_bits={bits}; client_max_window_bits={bits}")
    sizes = sorted({max(0, (1 << i) + d) for i in range(21) for d in (-1, 0, 1)})
    data, expect = messages([pattern(size, i) for i, size in enumerate(sizes)])
    b.ok("every_power_of_two_and_its_neighbours", "RFC 7692 7.2", data, expect, offer=PLAIN, cuts="once")
    data, expect = messages([words(size, 1) for size in (1 << 20, 4 << 20, MESSAGE_MAX)])
    b.ok("up_to_16_mib", "RFC 7692 7.2", data, expect, offer=PLAIN, cuts="once")
    data, expect = messages([b"%d of many" % i * (i % 30) for i in range(5000)])
    b.ok("five_thousand_in_one_stream", "RFC 7692 7.2", data, expect, offer=PLAIN, cuts="once")


def cases():
    b = Book("deflate")
    for area in (matrix, offers, vectors, received, refused, limits, volumes):
        area(b)
    return b.cases
