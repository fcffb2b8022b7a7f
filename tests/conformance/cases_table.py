# SPDX-License-Identifier: MIT
# cases_table.py - every byte from 0 to 255 at the places where the grammar has a table (RFC 9110 5.6.2, 5.5; RFC 9112 3, 7.1).
# Only data; called by test_conformance.py.
from case import ANY_GOOD, EITHER, KEEP, Book, answer, chunked, echo, shown

TCHAR = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
PCHAR = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@")
REGNAME = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=")
VALUE = frozenset([9, *range(0x20, 0x7f), *range(0x80, 0x100)])
QDTEXT = frozenset([9, 0x20, 0x21, *range(0x23, 0x5c), *range(0x5d, 0x7f), *range(0x80, 0x100)])
HEX = frozenset(b"0123456789abcdefABCDEF")
LINE = b"GET /pipeline HTTP/1.1\r\nHost: t\r\n"
PLAIN = answer(200, b"ok")


def cases():
    b = Book("table")
    for n in range(256):
        c, s = bytes((n,)), shown(n)
        if n in TCHAR or c == b":":
            b.ok(f"name_{s}", "RFC 9110 5.6.2", LINE + b"X" + c + b"Y: v\r\n\r\n", PLAIN, cuts="few")
        else:
            b.bad(f"name_{s}", "RFC 9110 5.6.2", LINE + b"X" + c + b"Y: v\r\n\r\n", cuts="few")
        if n in TCHAR:
            b.ok(f"name_first_{s}", "RFC 9110 5.6.2", LINE + c + b"X: v\r\n\r\n", PLAIN, cuts="few")
        else:
            b.bad(f"name_first_{s}", "RFC 9110 5.6.2", LINE + c + b"X: v\r\n\r\n", cuts="few")
        if n in VALUE:
            b.ok(f"value_{s}", "RFC 9110 5.5", LINE + b"X: a" + c + b"b\r\n\r\n", PLAIN, cuts="few")
            b.ok(f"value_long_{s}", "RFC 9110 5.5", LINE + b"X: " + b"a" * 40 + c + b"b" * 40 + b"\r\n\r\n", PLAIN, cuts="whole")
        else:
            b.bad(f"value_{s}", "RFC 9110 5.5", LINE + b"X: a" + c + b"b\r\n\r\n", cuts="few")
            b.bad(f"value_long_{s}", "RFC 9110 5.5", LINE + b"X: " + b"a" * 40 + c + b"b" * 40 + b"\r\n\r\n", cuts="whole")
        method(b, n, c, s)
        target(b, n, c, s)
        host(b, n, c, s)
        chunk(b, n, c, s)
        coding(b, n, c, s)
    return b.cases


def method(b, n, c, s):
    data = b"G" + c + b"T /none HTTP/1.1\r\nHost: t\r\n\r\n"
    if n in TCHAR:
        b.add(f"method_{s}", "RFC 9110 9.1", data, [answer(ANY_GOOD)], EITHER, "few")
    else:
        b.bad(f"method_{s}", "RFC 9112 3.1", data, cuts="few")


def target(b, n, c, s):
    data = b"GET /none" + c + b"x HTTP/1.1\r\nHost: t\r\n\r\n"
    if n in PCHAR or c in b"/?":
        b.ok(f"target_{s}", "RFC 3986 3.3", data, answer(404), cuts="few")
    elif n <= 0x20 or n == 0x7f or c == b"#":
        b.bad(f"target_{s}", "RFC 9112 3.2", data, cuts="few")
    else:
        b.add(f"target_{s}", "RFC 9112 3.2", data, [answer((404, 400))], EITHER, "few")


def host(b, n, c, s):
    data = b"GET /pipeline HTTP/1.1\r\nHost: a" + c + b"b\r\n\r\n"
    if c == b",":
        b.add(f"host_{s}", "RFC 9110 7.2", data, [answer((200, 400))], EITHER, "few")
    elif n in REGNAME:
        b.ok(f"host_{s}", "RFC 9110 7.2", data, PLAIN, cuts="few")
    else:
        b.bad(f"host_{s}", "RFC 9112 3.2", data, cuts="few")


def chunk(b, n, c, s):
    if n not in HEX:
        b.bad(f"chunk_size_{s}", "RFC 9112 7.1", chunked(c + b"\r\nhello\r\n0\r\n\r\n"), cuts="few")
        if c not in b" \t\r":  # those have cases of their own in cases_body.py
            b.bad(f"chunk_size_end_{s}", "RFC 9112 7.1", chunked(b"5" + c + b"\r\nhello\r\n0\r\n\r\n"), cuts="few")
    b.bad(f"chunk_data_end_{s}", "RFC 9112 7.1", chunked(b"1\r\na" + c + (b"x" if c == b"\r" else b"\n") + b"\r\n0\r\n\r\n"),
          cuts="few")
    extension = chunked(b"5;a" + c + b"b\r\nhello\r\n0\r\n\r\n")
    if n in TCHAR or c in b"=;":
        b.ok(f"chunk_extension_{s}", "RFC 9112 7.1.1", extension, echo(b"hello"), cuts="few")
    else:
        b.bad(f"chunk_extension_{s}", "RFC 9112 7.1.1", extension, cuts="few")
    quoted = chunked(b'5;a="b' + c + b'c"\r\nhello\r\n0\r\n\r\n')
    if n in QDTEXT or c == b"\\":
        b.ok(f"chunk_quoted_{s}", "RFC 9112 7.1.1", quoted, echo(b"hello"), cuts="few")
    else:
        b.bad(f"chunk_quoted_{s}", "RFC 9112 7.1.1", quoted, cuts="few")


def coding(b, n, c, s):
    head = b"POST /echo HTTP/1.1\r\nHost: t\r\n"
    rest = b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    space = c in b" \t"
    after = head + b"Transfer-Encoding: chunked" + c + rest
    before = head + b"Transfer-Encoding: " + c + b"chunked" + rest
    for name, data in (("coding_end", after), ("coding_start", before)):
        if space:
            b.ok(f"{name}_{s}", "RFC 9112 6.1", data, echo(b"hello"), cuts="few")
        elif c == b",":
            b.add(f"{name}_{s}", "RFC 9110 5.6.1", data, [answer((200, 400), None, "POST")], EITHER, "few")
        else:
            b.bad(f"{name}_{s}", "RFC 9112 6.1", data, (400, 501) if n in VALUE else 400, cuts="few")
    length = head + b"Content-Length: 5" + c + b"\r\n\r\nhello"
    if space:
        b.ok(f"length_end_{s}", "RFC 9110 8.6", length, echo(b"hello"), KEEP, "few")
    elif not 0x30 <= n <= 0x39:
        b.bad(f"length_end_{s}", "RFC 9110 8.6", length, cuts="few")
