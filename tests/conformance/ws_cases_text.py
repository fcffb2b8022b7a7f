# SPDX-License-Identifier: MIT
# ws_cases_text.py - UTF-8 in messages (RFC 6455 8.1, RFC 3629) and the closing handshake (RFC 6455 5.5.1, 7).
# Pure data for test_ws_conformance.py.
from ws_case import CLOSE, PONG, TEXT, Book, binary, close, cont, fragments, frame, pattern, ping, pong, text

KOSME = "\u03ba\u1f79\u03c3\u03bc\u03b5".encode()

VALID = {
    "one_byte_first": b"\x00", "one_byte_last": b"\x7f", "two_bytes_first": b"\xc2\x80", "two_bytes_last": b"\xdf\xbf",
    "three_bytes_first": b"\xe0\xa0\x80", "before_surrogates": b"\xed\x9f\xbf", "behind_surrogates": b"\xee\x80\x80",
    "replacement_character": b"\xef\xbf\xbd", "byte_order_mark": b"\xef\xbb\xbf", "three_bytes_last": b"\xef\xbf\xbf",
    "four_bytes_first": b"\xf0\x90\x80\x80", "plane_1_last": b"\xf0\x9f\xbf\xbf", "four_bytes_last": b"\xf4\x8f\xbf\xbf",
    "greek": KOSME, "ascii": b"Hello, world!", "latin": "\u00e4\u00f6\u00fc\u00df".encode(), "emoji": "\U0001f600\U0001f680".encode(),
    "mixed_widths": "a\u00e9\u20ac\U0001d11e".encode() * 5,
}

# Bytes that no text has, the last of which is the first that cannot be: (what was good before, the bad byte).
INVALID = {
    "continuation_80": b"\x80", "continuation_bf": b"\xbf", "overlong_c0": b"\xc0", "overlong_c1": b"\xc1",
    "overlong_e0_80": b"\xe0\x80", "overlong_e0_9f": b"\xe0\x9f", "overlong_f0_80": b"\xf0\x80", "overlong_f0_8f": b"\xf0\x8f",
    "surrogate_ed_a0": b"\xed\xa0", "surrogate_ed_af": b"\xed\xaf", "surrogate_ed_b0": b"\xed\xb0", "surrogate_ed_bf": b"\xed\xbf",
    "above_f4_90": b"\xf4\x90", "above_f4_bf": b"\xf4\xbf", "lead_f5": b"\xf5", "lead_f6": b"\xf6", "lead_f7": b"\xf7",
    "five_bytes_f8": b"\xf8", "five_bytes_fb": b"\xfb", "six_bytes_fc": b"\xfc", "six_bytes_fd": b"\xfd",
    "fe": b"\xfe", "ff": b"\xff",
    "c2_then_ascii": b"\xc2A", "c2_then_lead": b"\xc2\xc2", "df_then_c0": b"\xdf\xc0", "df_then_7f": b"\xdf\x7f",
    "e1_then_ascii": b"\xe1A", "e1_then_lead": b"\xe1\xc2", "e1_80_then_ascii": b"\xe1\x80A", "e1_80_then_lead": b"\xe1\x80\xe1",
    "ef_bf_then_c0": b"\xef\xbf\xc0", "ef_bf_then_7f": b"\xef\xbf\x7f", "e0_a0_then_7f": b"\xe0\xa0\x7f",
    "f1_then_ascii": b"\xf1A", "f1_80_then_ascii": b"\xf1\x80A", "f1_80_80_then_ascii": b"\xf1\x80\x80A",
    "f1_80_80_then_lead": b"\xf1\x80\x80\xf1", "f0_90_80_then_c0": b"\xf0\x90\x80\xc0", "f4_8f_then_c0": b"\xf4\x8f\xc0",
    "f4_8f_bf_then_7f": b"\xf4\x8f\xbf\x7f", "one_continuation_too_many": b"\xc2\x80\x80",
}
# Begun, but never ended.
UNENDED = {"c2": b"\xc2", "e1": b"\xe1", "e1_80": b"\xe1\x80", "ef_bf": b"\xef\xbf", "f1": b"\xf1", "f1_80": b"\xf1\x80",
           "f4_8f_bf": b"\xf4\x8f\xbf", "df": b"\xdf", "e0_a0": b"\xe0\xa0", "f0_90_80": b"\xf0\x90\x80"}


def valid(b):
    for name, payload in VALID.items():
        b.echo(f"valid_{name}", "RFC 3629 4", text(payload), TEXT, payload)
        b.echo(f"valid_{name}_byte_by_byte", "RFC 6455 8.1", fragments(TEXT, KOSME + payload, 1, ping(b"p")[:0]), TEXT,
               KOSME + payload, cuts="few")
    for plane in range(17):
        payload = chr(plane << 16 | 0xfffe).encode() + chr(plane << 16 | 0xffff).encode()
        b.echo(f"non_characters_of_plane_{plane}", "RFC 3629 3", text(payload), TEXT, payload, cuts="few")
    payload = "".join(map(chr, range(0xfdd0, 0xfdf0))).encode()
    b.echo("non_characters_fdd0", "RFC 3629 3", text(payload), TEXT, payload, cuts="few")
    every = "".join(chr(c) for c in range(0x110000) if not 0xd800 <= c < 0xe000).encode()
    b.echo("every_character", "RFC 3629 3", text(every), TEXT, every, cuts="large")
    for shift in range(8):  # the eight-byte steps over ASCII, at every alignment
        payload = b"a" * shift + KOSME * 3 + b"b" * (23 - shift) + KOSME + b"c" * 9
        b.echo(f"valid_behind_{shift}_of_ascii", "RFC 3629 4", text(payload), TEXT, payload, cuts="few")
    b.ok("character_cut_by_a_ping", "RFC 6455 8.1", text(b"\xe2\x82", fin=False) + ping(b"p") + cont(b"\xac"),
         [(PONG, b"p"), (TEXT, b"\xe2\x82\xac")])
    b.ok("binary_is_not_checked", "RFC 6455 5.6", binary(b"\xff\xfe\xc0\x80\xed\xa0\x80"), [(2, b"\xff\xfe\xc0\x80\xed\xa0\x80")])
    b.ok("each_message_begins_anew", "RFC 6455 8.1", binary(b"\xc2") + text(b"ok"), [(2, b"\xc2"), (TEXT, b"ok")])


def invalid(b):
    for name, payload in INVALID.items():
        b.add(f"invalid_{name}", "RFC 3629 3", text(KOSME + payload + KOSME), [], 1007, cuts="few")
        b.early(f"invalid_{name}", "RFC 6455 8.1", text(payload + b" and the rest of the message")[:6 + len(payload)], 1007)
        good, bad = payload[:-1], payload[-1:]
        b.add(f"invalid_{name}_in_fragments", "RFC 6455 8.1",
              text(KOSME + good, fin=False) + ping(b"still fine") + cont(bad, fin=False), [(PONG, b"still fine")], 1007, cuts="few")
    for name, payload in UNENDED.items():
        b.bad(f"unended_{name}", "RFC 3629 3", text(KOSME + payload), 1007, cuts="few")
        b.bad(f"unended_{name}_in_fragments", "RFC 6455 8.1",
              text(KOSME, fin=False) + cont(payload, fin=False) + ping(b"still fine") + cont(), 1007,
              before=[(PONG, b"still fine")], cuts="few")
    for shift in (0, 1, 5, 7, 8, 9, 15, 16, 31, 32, 33, 63, 64, 1000, 70000):
        b.add(f"invalid_behind_{shift}_of_ascii", "RFC 3629 3", text(b"a" * shift + b"\xff" + b"b" * 40), [], 1007, cuts="few")
    b.add("invalid_at_the_end_of_1_mib", "RFC 6455 8.1", text(pattern(1 << 20) + b"\x80"), [], 1007, cuts="large")
    b.early("invalid_in_the_middle_of_16_mib", "RFC 6455 8.1",
            text(pattern(1 << 20) + b"\xf5", length=16 << 20), 1007, cuts="large")
    b.early("invalid_from_the_front", "RFC 6455 8.1", text(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90" + b"a" * 40)[:19], 1007)
    b.bad("invalid_behind_a_message", "RFC 6455 8.1", text(b"fine") + text(b"\xff"), 1007, before=[(TEXT, b"fine")])


def codes(b):
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999):
        b.closes(f"code_{code}", "RFC 6455 7.4", close(code), code)
        b.closes(f"code_{code}_with_reason", "RFC 6455 7.4", close(code, b"because"), code, cuts="few")
    for code in (0, 1, 100, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 0x7fff, 0x8000, 65535):
        b.closes(f"invalid_code_{code}", "RFC 6455 7.4", close(code), 1002)
        b.closes(f"invalid_code_{code}_with_reason", "RFC 6455 7.4", close(code, b"because"), 1002, cuts="few")
    b.closes("no_code", "RFC 6455 5.5.1", close(), None)
    for byte in (0x00, 0x03, 0xff):
        b.closes(f"half_a_code_{byte:02x}", "RFC 6455 5.5.1", frame(CLOSE, bytes([byte])), 1002)


def reasons(b):
    for size in (0, 1, 2, 50, 122, 123):
        b.closes(f"reason_of_{size}", "RFC 6455 5.5.1", close(1000, pattern(size)), 1000)
    b.closes("reason_of_124", "RFC 6455 5.5", close(1000, pattern(124)), 1002)
    b.early("reason_of_124", "RFC 6455 5.5", close(1000, pattern(124))[:2], 1002)
    for name in ("greek", "emoji", "four_bytes_last", "byte_order_mark"):
        b.closes(f"reason_{name}", "RFC 6455 5.5.1", close(1000, VALID[name]), 1000, cuts="few")
    for name, payload in INVALID.items():
        b.closes(f"reason_invalid_{name}", "RFC 6455 8.1", close(1000, b"because " + payload), 1007, cuts="few")
    for name, payload in UNENDED.items():
        b.closes(f"reason_unended_{name}", "RFC 6455 8.1", close(1000, payload), 1007, cuts="few")


def behind(b):
    """Nothing that comes behind a close frame is looked at."""
    for name, data in (("text", text("late")), ("ping", ping(b"late")), ("pong", pong(b"late")), ("close", close(1001)),
                       ("nonsense", b"\xff" * 50), ("half_a_frame", text("late")[:4]), ("large", binary(pattern(200000)))):
        b.closes(f"{name}_behind_it", "RFC 6455 5.5.1", close(1000) + data, 1000, cuts="all" if len(data) < 100 else "few")
    b.closes("inside_a_message", "RFC 6455 5.4", text("half", fin=False) + close(1000), 1000)
    b.closes("inside_a_message_with_the_rest_behind", "RFC 6455 5.4", text("half", fin=False) + close(1000) + cont(b"x"), 1000)
    b.closes("inside_a_character", "RFC 6455 5.4", text(b"\xe2\x82", fin=False) + close(1000), 1000)
    b.closes("behind_a_message", "RFC 6455 7.1.2", text("last words") + close(1000), 1000, before=[(TEXT, b"last words")])
    b.closes("behind_a_large_message", "RFC 6455 7.1.2", binary(pattern(1 << 20)) + close(1000), 1000,
             before=[(2, pattern(1 << 20))], cuts="large")
    b.closes("behind_pings", "RFC 6455 7.1.2", ping(b"1") + ping(b"2") + close(4321, b"bye"), 4321, before=[(PONG, b"1"), (PONG, b"2")])
    for cut in range(1, 9):
        b.silent(f"close_of_{cut}_bytes", "RFC 6455 5.5.1", close(1000, b"x")[:cut])
    b.closes("mask_zero", "RFC 6455 5.3", close(1000, b"because", mask=b"\0\0\0\0"), 1000)


def cases():
    utf8, closing = Book("utf8"), Book("close")
    for area in (valid, invalid):
        area(utf8)
    for area in (codes, reasons, behind):
        area(closing)
    return utf8.cases + closing.cases
