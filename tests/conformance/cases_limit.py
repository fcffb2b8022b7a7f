# SPDX-License-Identifier: MIT
# cases_limit.py - the limits of a server with its default configuration, at max and at max + 1 (RFC 9112 3, RFC 6585 5).
# Only data; called by test_conformance.py. The configured limits of test_app are in tests/integration/limits_test.py.
from case import EITHER, Book, answer, chunked, chunks, echo, post, req

R3 = "RFC 9112 3"
R431 = "RFC 6585 5"
R413 = "RFC 9110 15.5.14"
TARGET_MAX = 8192
HEAD_MAX = 16384
FIELDS_MAX = 100
BODY_MAX = 1 << 20
EXTENSION_MAX = 4096


def head_of(size):
    """A GET whose head has exactly size bytes, its last CRLF included."""
    base = req("/pipeline", "X: ")
    return req("/pipeline", "X: " + "v" * (size - len(base)))


def cases():
    b = Book("limit")
    b.ok("target_at_max", R3, req("/" + "a" * (TARGET_MAX - 1)), answer(404), cuts="few")
    b.ok("target_query_at_max", R3, req("/pipeline?" + "q" * (TARGET_MAX - 10)), answer(200, b"ok"), cuts="few")
    b.bad("target_above_max", R3, req("/" + "a" * TARGET_MAX), 414, cuts="few")
    b.bad("target_query_above_max", R3, req("/pipeline?" + "q" * (TARGET_MAX - 9)), 414, cuts="few")
    b.bad("target_far_above_max", R3, req("/" + "a" * 200000), 414, cuts="whole")
    b.bad("target_absolute_above_max", R3, req("http://test/" + "a" * TARGET_MAX), 414, cuts="few")
    b.bad("target_that_never_ends", R3, b"GET /" + b"a" * 100000, 414, canary=False, cuts="whole")
    b.bad("method_that_never_ends", R3, b"A" * 100000, (400, 414, 431, 501), canary=False, cuts="whole")
    b.bad("long_method", R3, req(method="M" * 20000), (400, 414, 431, 501), cuts="whole")
    b.bad("version_that_never_ends", R3, b"GET / HTTP/1." + b"1" * 100000, (400, 431), canary=False, cuts="whole")
    b.ok("head_at_max", R431, head_of(HEAD_MAX), answer(200, b"ok"), cuts="few")
    b.bad("head_above_max", R431, head_of(HEAD_MAX + 1), 431, cuts="few")
    b.bad("head_far_above_max", R431, head_of(500000), 431, cuts="whole")
    b.bad("value_that_never_ends", R431, req()[:-2] + b"X: " + b"v" * 100000, 431, canary=False, cuts="whole")
    b.bad("name_that_never_ends", R431, req()[:-2] + b"N" * 100000, 431, canary=False, cuts="whole")
    b.bad("ows_that_never_ends", R431, req()[:-2] + b"X:" + b" " * 100000, 431, canary=False, cuts="whole")
    b.bad("small_fields_that_never_end", R431, req()[:-2] + b"X: y\r\n" * 20000, 431, canary=False, cuts="whole")
    b.ok("fields_at_max", R431, req("/pipeline", *["X: y"] * (FIELDS_MAX - 1)), answer(200, b"ok"))
    b.bad("fields_above_max", R431, req("/pipeline", *["X: y"] * FIELDS_MAX), 431)
    b.ok("head_at_max_then_another", R431, head_of(HEAD_MAX) * 3, [answer(200, b"ok")] * 3, cuts="few")
    b.ok("body_of_64_kib", R413, post(b"b" * 65536), echo(b"b" * 65536), cuts="few")
    b.ok("body_at_max", R413, post(b"b" * BODY_MAX, target="/none"), answer(404, None, "POST"), cuts="whole")
    b.bad("body_above_max", R413, post(b"b" * (BODY_MAX + 1), target="/none"), 413, cuts="whole")
    b.ok("chunked_body_at_max", R413, chunked(chunks(*[b"c" * 65536] * 16), target="/none"), answer(404, None, "POST"), cuts="whole")
    b.bad("chunked_body_above_max", R413, chunked(chunks(*[b"c" * 65536] * 16, b"d"), target="/none"), 413, cuts="whole")
    b.ok("chunked_body_of_tiny_chunks", R413, chunked(chunks(*[b"c"] * 30000)), echo(b"c" * 30000), cuts="few")
    b.ok("extensions_below_max", "RFC 9112 7.1.1", chunked(b"1;a=" + b"x" * (EXTENSION_MAX - 100) + b"\r\na\r\n0\r\n\r\n"), echo(b"a"),
         cuts="few")
    b.bad("extensions_above_max", "RFC 9112 7.1.1", chunked(b"1;a=" + b"x" * (EXTENSION_MAX + 100) + b"\r\na\r\n0\r\n\r\n"),
          cuts="few")
    b.bad("extensions_above_max_in_sum", "RFC 9112 7.1.1", chunked((b"1;a=" + b"x" * 500 + b"\r\na\r\n") * 10 + b"0\r\n\r\n"), cuts="few")
    b.bad("extension_that_never_ends", "RFC 9112 7.1.1", chunked(b"1;a=" + b"x" * 100000), canary=False, cuts="whole")
    b.bad("size_that_never_ends", "RFC 9112 7.1", chunked(b"0" * 100000), canary=False, cuts="whole")
    b.ok("trailers_at_max", R431, chunked(chunks(b"a", trailers=b"X: y\r\n" * FIELDS_MAX)), answer((200, 431), None, "POST"), EITHER)
    b.bad("trailers_above_max", R431, chunked(chunks(b"a", trailers=b"X: y\r\n" * (FIELDS_MAX * 2 + 1))), 431)
    b.bad("trailer_above_head_max", R431, chunked(chunks(b"a", trailers=b"X: " + b"v" * HEAD_MAX + b"\r\n")), 431, cuts="few")
    b.bad("trailer_that_never_ends", R431, chunked(b"0\r\nX: " + b"v" * 100000), 431, canary=False, cuts="whole")
    b.ok("bytes_0", "issue: /bytes/N", req("/bytes/0"), answer(200, b""))
    b.bad("upload_of_int64", R413, req("/upload", "Content-Length: 9223372036854775808", method="POST"), (400, 413))
    return b.cases
