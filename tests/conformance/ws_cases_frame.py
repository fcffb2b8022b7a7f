# SPDX-License-Identifier: MIT
# ws_cases_frame.py - frames, control frames, reserved bits, opcodes, fragments, limits (RFC 6455 sections 5 and 10.4).
# Pure data for test_ws_conformance.py.
from ws_case import BINARY, Book, CLOSE, CONT, PING, PONG, TEXT, binary, cont, fragments, frame, pattern, ping, pong, text

MESSAGE_MAX = 16 << 20  # arena's limit
SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 31, 32, 33, 63, 64, 65, 123, 124, 125, 126, 127, 128, 129, 255, 256, 257, 1000]
LARGE = [4095, 4096, 16383, 16384, 16385, 32768, 65534, 65535, 65536, 65537, 131072, 1 << 20]


def lengths(b):
    for size in SIZES:
        p = pattern(size)
        b.echo(f"text_of_{size}", "RFC 6455 5.2", text(p), TEXT, p, cuts="all" if size < 130 else "large")
        b.echo(f"binary_of_{size}", "RFC 6455 5.2", binary(bytes(p[::-1])), BINARY, p[::-1], cuts="few")
    for size in LARGE:
        p = pattern(size)
        b.echo(f"text_of_{size}", "RFC 6455 5.2", text(p), TEXT, p, cuts="large")
        b.echo(f"binary_of_{size}", "RFC 6455 5.2", binary(b"\xfe" + p[1:]), BINARY, b"\xfe" + p[1:], cuts="few")
    for size in (0, 1, 125):
        b.bad(f"16_bit_length_of_{size}", "RFC 6455 5.2", binary(pattern(size), form=16), cuts="few")
        b.bad(f"64_bit_length_of_{size}", "RFC 6455 5.2", binary(pattern(size), form=64), cuts="few")
    for size in (126, 1000, 65535):
        b.bad(f"64_bit_length_of_{size}", "RFC 6455 5.2", binary(pattern(size), form=64), cuts="few")
    b.early("16_bit_length_of_125", "RFC 6455 5.2", b"\x82\xfe\x00\x7d")
    b.early("64_bit_length_of_65535", "RFC 6455 5.2", b"\x82\xff" + (65535).to_bytes(8, "big"))
    b.early("64_bit_length_with_the_highest_bit", "RFC 6455 5.2", b"\x82\xff\x80")
    b.bad("64_bit_length_of_2_to_63", "RFC 6455 5.2", binary(b"", form=64, length=1 << 63))
    b.bad("64_bit_length_of_2_to_64_minus_1", "RFC 6455 5.2", binary(b"", form=64, length=(1 << 64) - 1))


def masks(b):
    p = pattern(70)
    for name, mask in (("zero", b"\0\0\0\0"), ("ones", b"\xff\xff\xff\xff"), ("first", b"\xff\0\0\0"), ("last", b"\0\0\0\x80"),
                       ("as_payload", p[:4])):
        b.echo(f"mask_{name}", "RFC 6455 5.3", text(p, mask=mask), TEXT, p)
    b.ok("mask_new_for_every_frame", "RFC 6455 5.3", b"".join(text(p, mask=bytes([i, 255 - i, i * 3 & 255, 7])) for i in range(64)),
         [(TEXT, p)] * 64, cuts="large")
    for opcode, name in ((TEXT, "text"), (BINARY, "binary"), (CONT, "continuation"), (PING, "ping"), (PONG, "pong"),
                         (CLOSE, "close")):
        b.bad(f"unmasked_{name}", "RFC 6455 5.1", frame(opcode, b"", mask=None))
        b.early(f"unmasked_{name}", "RFC 6455 5.1", frame(opcode, b"abcde", mask=None)[:2])
    b.bad("unmasked_after_a_good_one", "RFC 6455 5.1", text("one") + text("two", mask=None), before=[(TEXT, b"one")])
    b.bad("unmasked_fragment", "RFC 6455 5.1", text("one", fin=False) + cont(b"two", mask=None))


def many(b):
    b.ok("two_frames", "RFC 6455 5.2", text("one") + binary(b"two"), [(TEXT, b"one"), (BINARY, b"two")])
    b.ok("fifty_frames", "RFC 6455 5.2", b"".join(text(f"message {i}") for i in range(50)),
         [(TEXT, b"message %d" % i) for i in range(50)], cuts="large")
    b.ok("messages_of_growing_size", "RFC 6455 5.2", b"".join(binary(pattern(i)) for i in range(300)),
         [(BINARY, pattern(i)) for i in range(300)], cuts="large")
    b.ok("empty_messages", "RFC 6455 5.2", text("") * 20 + binary(b"") * 20, [(TEXT, b"")] * 20 + [(BINARY, b"")] * 20)
    b.ok("small_behind_large", "RFC 6455 5.2", binary(pattern(100000)) + text("small"),
         [(BINARY, pattern(100000)), (TEXT, b"small")], cuts="large")
    for cut in range(1, 14):
        b.silent(f"frame_of_{cut}_bytes", "RFC 6455 5.2", binary(pattern(300))[:cut])
    b.silent("message", "RFC 6455 5.4", text("one", fin=False))
    b.silent("payload_behind_an_answer", "RFC 6455 5.2", text("one") + text("two")[:-1], before=[(TEXT, b"one")])


def control(b):
    for size in (0, 1, 4, 8, 31, 32, 33, 64, 124, 125):
        b.ok(f"ping_of_{size}", "RFC 6455 5.5.2", ping(pattern(size)), [(PONG, pattern(size))])
    b.ok("ping_of_any_bytes", "RFC 6455 5.5.2", ping(bytes(range(130, 255))), [(PONG, bytes(range(130, 255)))])
    b.ok("ping_of_bytes_that_are_no_text", "RFC 6455 5.5.2", ping(b"\0\xff\xfe\xfd\xfc\xfb\0\xff"),
         [(PONG, b"\0\xff\xfe\xfd\xfc\xfb\0\xff")])
    b.ok("ten_pings", "RFC 6455 5.5.2", b"".join(ping(b"%d" % i) for i in range(10)), [(PONG, b"%d" % i) for i in range(10)])
    b.ok("pings_and_messages_in_order", "RFC 6455 5.5.2", b"".join(ping(b"p%d" % i) + text(b"m%d" % i) for i in range(20)),
         [got for i in range(20) for got in ((PONG, b"p%d" % i), (TEXT, b"m%d" % i))], cuts="large")
    for size in (0, 1, 125):
        b.ok(f"pong_nobody_asked_for_of_{size}", "RFC 6455 5.5.3", pong(pattern(size)))
    b.ok("pongs_nobody_asked_for", "RFC 6455 5.5.3", pong(b"x") * 30 + text("t") + pong(), [(TEXT, b"t")])
    b.ok("pong_then_ping", "RFC 6455 5.5.3", pong(b"unsolicited") + ping(b"ping"), [(PONG, b"ping")])
    for opcode, name in ((PING, "ping"), (PONG, "pong"), (CLOSE, "close")):
        for form, size in ((16, 126), (16, 127), (16, 65535), (64, 65536), (16, 125), (64, 10)):
            b.bad(f"{name}_of_{size}_in_{form}_bits", "RFC 6455 5.5", frame(opcode, pattern(size), form=form), cuts="few")
        b.early(f"{name}_longer_than_125", "RFC 6455 5.5", bytes([0x80 | opcode, 0xfe]))
        b.bad(f"{name}_fragmented", "RFC 6455 5.5", frame(opcode, b"", fin=False))
        b.early(f"{name}_fragmented", "RFC 6455 5.5", bytes([opcode]))
        b.bad(f"{name}_fragmented_in_a_message", "RFC 6455 5.5", text("a", fin=False) + frame(opcode, b"", fin=False) + cont(b"b"))


def reserved(b):
    for rsv in range(1, 8):
        for opcode, name in ((TEXT, "text"), (BINARY, "binary"), (CONT, "cont"), (PING, "ping"), (PONG, "pong"), (CLOSE, "close")):
            before = text("a", fin=False) if opcode == CONT else b""
            b.bad(f"rsv_{rsv}_in_{name}", "RFC 6455 5.2", before + frame(opcode, b"\x03\xe8" if opcode == CLOSE else b"r", rsv=rsv),
                  cuts="all" if rsv in (1, 4) else "few")
        b.bad(f"rsv_{rsv}_behind_a_message", "RFC 6455 5.2", text("first") + text("second", rsv=rsv), before=[(TEXT, b"first")])
    b.early("rsv", "RFC 6455 5.2", b"\x91")
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        b.bad(f"opcode_{opcode}", "RFC 6455 5.2", frame(opcode, b""))
        b.bad(f"opcode_{opcode}_with_payload", "RFC 6455 5.2", text("before") + frame(opcode, b"reserved"),
              before=[(TEXT, b"before")], cuts="few")
        b.bad(f"opcode_{opcode}_in_a_message", "RFC 6455 5.2", text("a", fin=False) + frame(opcode, b"x") + cont(b"b"), cuts="few")
        b.early(f"opcode_{opcode}", "RFC 6455 5.2", bytes([0x80 | opcode]))


def fragmented(b):
    b.echo("two_fragments", "RFC 6455 5.4", text("one ", fin=False) + cont(b"two"), TEXT, b"one two")
    b.echo("two_fragments_binary", "RFC 6455 5.4", binary(b"\xff\xfe", fin=False) + cont(b"\xfd"), BINARY, b"\xff\xfe\xfd")
    b.echo("fragments_of_one_byte", "RFC 6455 5.4", fragments(TEXT, pattern(60), 1), TEXT, pattern(60), cuts="large")
    for name, sizes in (("first", (0, 5, 5)), ("middle", (5, 0, 5)), ("last", (5, 5, 0)), ("all", (0, 0, 0)), ("but_last", (0, 0, 5))):
        parts = [pattern(s, i) for i, s in enumerate(sizes)]
        b.echo(f"empty_fragments_{name}", "RFC 6455 5.4", text(parts[0], fin=False) + cont(parts[1], fin=False) + cont(parts[2]),
               TEXT, b"".join(parts))
    for size in (64, 125, 126, 1000, 65535, 65536):
        b.echo(f"fragments_of_{size}", "RFC 6455 5.4", fragments(BINARY, pattern(200000), size), BINARY, pattern(200000), cuts="large")
    between = ping(b"between")
    b.ok("ping_between", "RFC 6455 5.4", fragments(TEXT, b"abcdef", 2, between), [(PONG, b"between")] * 2 + [(TEXT, b"abcdef")])
    b.ok("many_pings_between", "RFC 6455 5.4", fragments(TEXT, b"abcdef", 2, between * 10),
         [(PONG, b"between")] * 20 + [(TEXT, b"abcdef")], cuts="large")
    b.ok("pong_between", "RFC 6455 5.4", fragments(BINARY, b"abcdef", 2, pong(b"x")), [(BINARY, b"abcdef")])
    b.ok("ping_between_empty_fragments", "RFC 6455 5.4", text("", fin=False) + between + cont(),
         [(PONG, b"between"), (TEXT, b"")])
    b.ok("messages_in_fragments_one_after_the_other", "RFC 6455 5.4",
         fragments(TEXT, b"abcd", 2) + fragments(BINARY, b"efgh", 3) + text("whole") + fragments(TEXT, b"ijkl", 1),
         [(TEXT, b"abcd"), (BINARY, b"efgh"), (TEXT, b"whole"), (TEXT, b"ijkl")])
    b.ok("large_ping_between_large_fragments", "RFC 6455 5.4", fragments(BINARY, pattern(90000), 30000, ping(pattern(125))),
         [(PONG, pattern(125))] * 2 + [(BINARY, pattern(90000))], cuts="large")
    for fin in (True, False):
        tag = "last" if fin else "middle"
        b.bad(f"continuation_{tag}_of_nothing", "RFC 6455 5.4", cont(b"x", fin=fin))
        b.bad(f"continuation_{tag}_of_nothing_empty", "RFC 6455 5.4", cont(b"", fin=fin))
        b.bad(f"continuation_{tag}_behind_a_message", "RFC 6455 5.4", text("whole") + cont(b"x", fin=fin), before=[(TEXT, b"whole")])
        b.bad(f"continuation_{tag}_behind_fragments", "RFC 6455 5.4", fragments(TEXT, b"abcd", 2) + cont(b"x", fin=fin),
              before=[(TEXT, b"abcd")])
        b.bad(f"continuation_{tag}_behind_a_ping", "RFC 6455 5.4", ping(b"p") + cont(b"x", fin=fin), before=[(PONG, b"p")])
        for first in (TEXT, BINARY):
            for second in (TEXT, BINARY):
                name = f"{'text' if second == TEXT else 'binary'}_{tag}_inside_{'text' if first == TEXT else 'binary'}"
                b.bad(name, "RFC 6455 5.4", frame(first, b"a", fin=False) + frame(second, b"b", fin=fin))
                b.bad(name + "_later", "RFC 6455 5.4", frame(first, b"a", fin=False) + cont(b"b", fin=False) + ping(b"p") +
                      frame(second, b"c", fin=fin), before=[(PONG, b"p")], cuts="few")
    b.early("text_inside_a_message", "RFC 6455 5.4", text("a", fin=False) + text("b" * 50)[:6])
    b.early("continuation_of_nothing", "RFC 6455 5.4", cont(b"b" * 50)[:6])


def limits(b):
    most = pattern(MESSAGE_MAX)
    b.echo("message_of_16_mib", "RFC 6455 10.4", binary(most), BINARY, most, cuts="few")
    b.echo("message_of_16_mib_in_fragments", "RFC 6455 10.4", fragments(TEXT, most, 1 << 20), TEXT, most, cuts="few")
    b.add("message_of_16_mib_and_1", "RFC 6455 10.4", binary(most + b"x"), [], 1009, cuts="few")
    b.early("message_of_16_mib_and_1", "RFC 6455 10.4", binary(b"", length=MESSAGE_MAX + 1), 1009)
    b.early("text_of_16_mib_and_1", "RFC 6455 10.4", text(b"", length=MESSAGE_MAX + 1), 1009)
    b.early("message_of_2_to_63_minus_1", "RFC 6455 10.4", binary(b"", length=(1 << 63) - 1), 1009)
    b.early("message_of_4_gib", "RFC 6455 10.4", binary(b"", length=1 << 32), 1009)
    b.early("fragments_of_16_mib_and_1", "RFC 6455 10.4", binary(most[:-10], fin=False) + cont(b"", length=11), 1009, cuts="few")
    b.early("fragments_that_overflow_64_bits", "RFC 6455 10.4", binary(b"a" * 10, fin=False) + cont(b"", length=(1 << 63) - 1), 1009)
    b.echo("fragments_of_16_mib", "RFC 6455 10.4", binary(most[:-10], fin=False) + cont(most[-10:]), BINARY, most, cuts="few")
    b.ok("large_messages_one_after_the_other", "RFC 6455 10.4", binary(most[:4 << 20]) * 3, [(BINARY, most[:4 << 20])] * 3, cuts="few")
    b.ok("ten_thousand_messages", "RFC 6455 5.2", b"".join(text(b"%d" % i) for i in range(10000)),
         [(TEXT, b"%d" % i) for i in range(10000)], cuts="few")


def cases():
    b = Book("frame")
    for area in (lengths, masks, many, control, reserved, fragmented, limits):
        area(b)
    return b.cases
