# SPDX-License-Identifier: MIT
# cases_body.py - message framing: Content-Length, Transfer-Encoding, both, chunks, trailers, Expect (RFC 9112 6, 7).
# Only data; called by test_conformance.py.
# Invariant: wherever two readings of a framing are possible, one of them contains the canary.
from case import CANARY, CLOSE, EITHER, OK, WAIT_100, Book, answer, chunked, chunks, echo, post, req

R61 = "RFC 9112 6.1"
R62 = "RFC 9112 6.2"
R63 = "RFC 9112 6.3"
R71 = "RFC 9112 7.1"
R711 = "RFC 9112 7.1.1"
R712 = "RFC 9112 7.1.2"
R86 = "RFC 9110 8.6"
R1011 = "RFC 9110 10.1.1"
HEAD = b"POST /echo HTTP/1.1\r\nHost: test\r\n"
CL = b"Content-Length: "
TE = b"Transfer-Encoding: "


def cases():
    return [*lengths(), *codings(), *both(), *sizes(), *extensions(), *trailers(), *expect(), *early()]


def lengths():
    b = Book("length")
    for size in (0, 1, 2, 15, 16, 17, 100, 255, 256, 1000, 4095, 4096, 4097, 10000):
        body = bytes(i * 7 % 256 for i in range(size))
        b.ok(f"body_of_{size}", R86, post(body), echo(body))
    for name, value in (
        ("no_space", b"Content-Length:5\r\n"), ("ows", b"Content-Length: \t 5 \t \r\n"), ("lower", b"content-length: 5\r\n"),
        ("upper", b"CONTENT-LENGTH: 5\r\n"), ("leading_zeros", b"Content-Length: 0000000005\r\n"),
    ):
        b.ok(name, R86, HEAD + value + b"\r\nhello", echo(b"hello"))
    b.ok("forty_leading_zeros", R86, HEAD + CL + b"0" * 40 + b"5\r\n\r\nhello", answer((200, 400), None, "POST"), EITHER)
    b.ok("body_is_a_request", R86, post(CANARY), echo(CANARY))
    b.ok("body_is_binary", R86, post(bytes(range(256))), echo(bytes(range(256))))
    b.ok("body_is_crlf", R86, post(b"\r\n\r\n\r\n"), echo(b"\r\n\r\n\r\n"))
    b.ok("two_bodies_in_a_row", R86, post(b"abc") + post(b"defg"), [echo(b"abc"), echo(b"defg")])
    b.ok("body_then_get", R86, post(CANARY) + req(), [echo(CANARY), OK])
    b.ok("zero_then_get", R86, post(b"") + req(), [echo(b""), OK])
    b.ok("no_old_body_after_empty", "SPEC: bugs of the seed", post(b"secret") + post(b"") + post(b""),
         [echo(b"secret"), echo(b""), echo(b"")])
    b.ok("not_decided_by_type", R86, post(b"a=b", "Content-Type: application/x-www-form-urlencoded"), echo(b"a=b"))
    b.ok("1_0_body", R86, post(b"hello", version="HTTP/1.0"), echo(b"hello"), CLOSE)
    b.ok("root_echoes", R86, post(b"hello", target="/"), echo(b"hello"))
    b.ok("baseline_adds_body", R86, post(b"20", target="/baseline11?a=13&b=42"), answer(200, b"75", "POST"))
    b.ok("upload_counts", R86, post(b"x" * 1234, target="/upload"), answer(200, b"1234", "POST"))
    for name, value in (
        ("empty", b""), ("space", b" "), ("plus", b"+5"), ("minus", b"-5"), ("minus_zero", b"-0"), ("hex", b"0x5"), ("hex_letters", b"a"),
        ("float", b"5.0"), ("exponent", b"5e0"), ("letters", b"five"), ("digit_and_letter", b"5x"), ("two_numbers", b"5 5"),
        ("tab_between", b"5\t5"), ("list_same", b"5, 5"), ("list_other", b"5, 6"), ("list_no_space", b"5,5"), ("comma_after", b"5,"),
        ("comma_before", b",5"), ("semicolon", b"5;"), ("quoted", b'"5"'), ("single_quotes", b"'5'"), ("underscore", b"1_0"),
        ("nul_after", b"5\0"), ("nul_before", b"\x005"), ("vt_before", b"\x0b5"), ("ff_after", b"5\x0c"), ("cr_inside", b"5\r5"),
        ("lf_inside", b"5\n5"), ("latin_digit", b"\xb5"), ("arabic_digit", b"\xd9\xa5"), ("equals", b"=5"),
        ("brackets", b"(5)"), ("percent", b"%35"), ("octal", b"0o5"), ("binary", b"0b101"), ("wide_space", b"5\xa0"), ("none", b"none"),
    ):
        b.bad("bad_" + name, R86, HEAD + CL + value + b"\r\n\r\nhello")
    for name, value in (
        ("int64_max_plus_1", b"9223372036854775808"), ("uint64_max", b"18446744073709551615"),
        ("uint64_max_plus_6", b"18446744073709551621"), ("twenty_nines", b"9" * 20), ("two_hundred_nines", b"9" * 200),
        ("int64_max", b"9223372036854775807"),
    ):
        b.bad("huge_" + name, R86, HEAD + CL + value + b"\r\n\r\nhello", (400, 413))
    for name, two in (
        ("same", b"Content-Length: 5\r\nContent-Length: 5\r\n"), ("other", b"Content-Length: 5\r\nContent-Length: 0\r\n"),
        ("zero_first", b"Content-Length: 0\r\nContent-Length: 5\r\n"), ("other_case", b"Content-Length: 5\r\ncontent-length: 5\r\n"),
        ("second_empty", b"Content-Length: 5\r\nContent-Length:\r\n"), ("first_empty", b"Content-Length:\r\nContent-Length: 5\r\n"),
        ("far_apart", b"Content-Length: 5\r\nX: y\r\nContent-Length: 0\r\n"), ("padded", b"Content-Length: 5\r\nContent-Length: 05\r\n"),
        ("three", b"Content-Length: 5\r\n" * 3),
    ):
        b.bad("twice_" + name, R63, HEAD + two + b"\r\nhello")
    b.bad("twice_canary_first", R63, HEAD + CL + b"0\r\n" + CL + b"%d\r\n\r\n" % len(CANARY) + CANARY)
    b.bad("get_bad", R86, b"GET /pipeline HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
    b.bad("get_twice", R63, b"GET /pipeline HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n")
    b.bad("1_0_bad", R86, b"POST /echo HTTP/1.0\r\nContent-Length: +5\r\n\r\nhello")
    b.bad("1_0_twice", R63, b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello")
    b.incomplete("uint32_wrap", R86, HEAD.replace(b"/echo", b"/upload") + CL + b"4294967301\r\n\r\nhello" + CANARY)
    b.incomplete("body", R63, post(b"hello")[:-1])
    b.incomplete("body_without_any", R63, HEAD + CL + b"5\r\n\r\n")
    b.incomplete("body_before_canary", R63, HEAD + CL + b"%d\r\n\r\n" % (len(CANARY) + 1) + CANARY)
    return b.cases


def codings():
    b = Book("coding")
    hello = chunks(b"hello")
    for name, line in (
        ("plain", b"Transfer-Encoding: chunked\r\n"), ("no_space", b"Transfer-Encoding:chunked\r\n"),
        ("ows", b"Transfer-Encoding: \t chunked \t \r\n"), ("capital", b"Transfer-Encoding: Chunked\r\n"),
        ("capitals", b"Transfer-Encoding: CHUNKED\r\n"), ("mixed", b"transfer-encoding: cHuNkEd\r\n"),
        ("name_in_capitals", b"TRANSFER-ENCODING: chunked\r\n"),
    ):
        b.ok(name, R61, HEAD + line + b"\r\n" + hello, echo(b"hello"))
    for name, line in (
        ("empty_element_after", b"chunked,"), ("empty_element_before", b",chunked"), ("empty_elements", b" , ,chunked, ,"),
    ):
        b.add(name, "RFC 9110 5.6.1", HEAD + TE + line + b"\r\n\r\n" + hello, [answer((200, 400), None, "POST")], EITHER)
    for name, value in (
        ("gzip_then_chunked", b"gzip, chunked"), ("deflate_then_chunked", b"deflate, chunked"), ("unknown_then_chunked", b"foo, chunked"),
        ("compress_then_chunked", b"compress,chunked"),
        ("capital_gzip_then_chunked", b"GZip, Chunked"),
    ):
        b.bad(name, R61, HEAD + TE + value + b"\r\n\r\n" + hello, 501)
    b.bad("gzip_then_chunked_on_two_lines", R61, HEAD + TE + b"gzip\r\n" + TE + b"chunked\r\n\r\n" + hello, 501)
    for name, value in (
        ("gzip", b"gzip"), ("deflate", b"deflate"), ("identity", b"identity"), ("unknown", b"foo"), ("xchunked", b"xchunked"),
        ("x_chunked", b"x-chunked"), ("chunkedx", b"chunkedx"), ("chunke", b"chunke"), ("chunked_then_gzip", b"chunked, gzip"),
        ("chunked_then_identity", b"chunked, identity"), ("identity_then_chunked", b"identity, chunked"), ("cow", b"cow"),
        ("quoted", b'"chunked"'), ("single_quotes", b"'chunked'"), ("parameter", b"chunked;q=0.5"), ("equals", b"chunked=x"),
        ("colon", b": chunked"), ("two_words", b"chunked foo"), ("words_before", b"foo chunked"), ("semicolon", b"chunked;"),
        ("brackets", b"[chunked]"), ("dash", b"-chunked"), ("number", b"1"), ("comma_missing", b"gzip chunked"), ("dot", b"chunked."),
        ("parameter_then_chunked", b"foo;a=b, chunked"),
    ):
        b.bad(name, R61, HEAD + TE + value + b"\r\n\r\n" + hello, (400, 501))
    for name, value in (
        ("chunked_twice", b"chunked, chunked"), ("chunked_thrice", b"chunked,chunked,chunked"), ("empty", b""), ("space", b" "),
        ("comma", b","), ("nul", b"chunked\0"), ("nul_before", b"\0chunked"), ("vt_before", b"\x0bchunked"),
        ("vt_after", b"chunked\x0b"), ("ff_before", b"\x0cchunked"), ("bare_cr", b"chunked\rx"), ("bare_cr_before", b"\rchunked"),
        ("bare_lf", b"x\nchunked"), ("del", b"chunked\x7f"), ("bs", b"chunkedx\x08"), ("cr_at_end", b"chunked\r"),
    ):
        b.bad("bad_" + name, R61, HEAD + TE + value + b"\r\n\r\n" + hello)
    b.bad("high_byte", R61, HEAD + TE + b"chunked\xff\r\n\r\n" + hello, (400, 501))
    b.bad("nbsp", R61, HEAD + TE + b"\xa0chunked\r\n\r\n" + hello, (400, 501))
    b.bad("dotless_i", R61, HEAD + TE + b"\xc4\xb1dent\xc4\xb1ty" + b"\r\n\r\n" + hello, (400, 501))
    b.bad("twice", R61, HEAD + TE + b"chunked\r\n" + TE + b"chunked\r\n\r\n" + hello)
    b.bad("twice_other_case", R61, HEAD + TE + b"chunked\r\ntransfer-encoding: Chunked\r\n\r\n" + hello)
    b.bad("chunked_and_empty", R61, HEAD + TE + b"chunked\r\n" + TE + b"\r\n\r\n" + hello, (400, 200))
    b.bad("chunked_and_identity", R61, HEAD + TE + b"chunked\r\n" + TE + b"identity\r\n\r\n" + hello, (400, 501))
    b.bad("identity_and_chunked", R61, HEAD + TE + b"identity\r\n" + TE + b"chunked\r\n\r\n" + hello, (400, 501))
    b.bad("chunked_and_x", R61, HEAD + TE + b"chunked\r\n" + TE + b"x\r\n\r\n" + hello, (400, 501))
    b.bad("get_chunked_bad", R61, b"GET /pipeline HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", (400, 501))
    b.bad("1_0", R61, b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + hello)
    b.bad("1_0_keep_alive", R61, b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + hello)
    b.bad("1_0_identity", R61, b"POST /echo HTTP/1.0\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", (400, 501))
    b.bad("1_0_get", R61, b"GET /pipeline HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    return b.cases


def both():
    b = Book("both")
    zero = b"0\r\n\r\n"
    for name, one, two in (
        ("length_first", CL + b"5", TE + b"chunked"), ("coding_first", TE + b"chunked", CL + b"5"),
        ("length_0", CL + b"0", TE + b"chunked"), ("length_of_all", TE + b"chunked", CL + b"%d" % len(zero + CANARY)),
        ("coding_in_capitals", CL + b"5", TE + b"CHUNKED"), ("names_in_lower_case", b"content-length: 5", b"transfer-encoding: chunked"),
    ):
        b.bad(name, R63, HEAD + one + b"\r\n" + two + b"\r\n\r\n" + zero)
    for name, one, two in (
        ("identity", CL + b"5", TE + b"identity"), ("gzip", CL + b"5", TE + b"gzip"), ("unknown", TE + b"x", CL + b"5"),
        ("empty_coding", CL + b"5", TE), ("xchunked", CL + b"5", TE + b"xchunked"), ("gzip_chunked", CL + b"5", TE + b"gzip, chunked"),
        ("chunked_twice", CL + b"5", TE + b"chunked, chunked"), ("vt_chunked", CL + b"5", TE + b"\x0bchunked"),
        ("space_before_colon", CL + b"5", b"Transfer-Encoding : chunked"), ("bad_length", CL + b"x", TE + b"chunked"),
        ("nul_name", CL + b"5", b"Transfer-Encoding\0: chunked"), ("fold", CL + b"5", b"Transfer-Encoding:\r\n chunked"),
        ("fold_2", CL + b"5", b"X: y\r\n Transfer-Encoding: chunked"), ("bare_cr", CL + b"5", b"X: y\rTransfer-Encoding: chunked"),
        ("bare_lf", CL + b"5", b"X: y\nTransfer-Encoding: chunked"), ("empty_length", TE + b"chunked", CL),
    ):
        b.bad(name, R63, HEAD + one + b"\r\n" + two + b"\r\n\r\n" + zero, (400, 501))
    b.bad("on_get", R63, req("/pipeline", "Content-Length: 0", "Transfer-Encoding: chunked", body=zero))
    b.bad("1_0", R63, b"POST /echo HTTP/1.0\r\n" + CL + b"5\r\n" + TE + b"chunked\r\n\r\n" + zero)
    b.ok("underscores_are_other_fields", R63, HEAD + CL + b"5\r\nTransfer_Encoding: chunked\r\n\r\nhello", echo(b"hello"))
    b.ok("x_prefix_is_another_field", R63, HEAD + CL + b"5\r\nX-Transfer-Encoding: chunked\r\n\r\nhello", echo(b"hello"))
    b.ok("te_is_another_field", R63, HEAD + CL + b"5\r\nTE: chunked\r\n\r\nhello", answer((200, 400), None, "POST"), EITHER)
    b.ok("content_encoding_is_no_framing", R63, HEAD + CL + b"5\r\nContent-Encoding: chunked\r\n\r\nhello", echo(b"hello"))
    b.ok("length_in_connection_still_counts", "RFC 9110 7.6.1", post(b"hello", "Connection: content-length"), echo(b"hello"))
    b.ok("coding_in_connection_still_counts", "RFC 9110 7.6.1", chunked(chunks(b"hello"), "Connection: transfer-encoding"),
         echo(b"hello"))
    b.ok("length_in_value", R63, post(b"hello", "X: Content-Length: 0"), echo(b"hello"))
    return b.cases


def sizes():
    b = Book("chunk")
    for name, raw, body in (
        ("one", chunks(b"hello"), b"hello"), ("none", chunks(), b""), ("two", chunks(b"hel", b"lo"), b"hello"),
        ("many_of_one", chunks(*[b"%c" % (i % 256) for i in range(200)]), bytes(i % 256 for i in range(200))),
        ("lower_hex", b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"), ("upper_hex", b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        ("two_digits", chunks(b"x" * 0x1f), b"x" * 0x1f), ("mixed_hex", b"aB\r\n" + b"y" * 171 + b"\r\n0\r\n\r\n", b"y" * 171),
        ("leading_zeros", b"0005\r\nhello\r\n0\r\n\r\n", b"hello"), ("many_zeros_last", b"5\r\nhello\r\n00000\r\n\r\n", b"hello"),
        ("data_is_crlf", chunks(b"\r\n\r\n"), b"\r\n\r\n"), ("data_is_a_last_chunk", chunks(b"0\r\n\r\n"), b"0\r\n\r\n"),
        ("data_is_a_request", chunks(CANARY), CANARY), ("data_is_all_bytes", chunks(bytes(range(256))), bytes(range(256))),
        ("four_kilobytes", chunks(b"z" * 4096), b"z" * 4096), ("ten_kilobytes_in_two", chunks(b"a" * 5000, b"b" * 5000),
                                                            b"a" * 5000 + b"b" * 5000),
    ):
        b.ok(name, R71, chunked(raw), echo(body))
    b.ok("then_get", R71, chunked(chunks(b"hello")) + req(), [echo(b"hello"), OK])
    b.ok("two_requests", R71, chunked(chunks(b"ab")) * 2, [echo(b"ab")] * 2)
    b.ok("canary_then_get", R71, chunked(chunks(CANARY)) + req(), [echo(CANARY), OK])
    b.ok("upload", R71, chunked(chunks(b"x" * 1000, b"y" * 234), target="/upload"), answer(200, b"1234", "POST"))
    b.ok("baseline", R71, chunked(chunks(b"2", b"0"), target="/baseline11?a=13&b=42"), answer(200, b"75", "POST"))
    b.ok("on_root", R71, chunked(chunks(b"hello"), target="/"), echo(b"hello"))
    b.either("thirty_leading_zeros", R71, chunked(b"0" * 30 + b"5\r\nhello\r\n0\r\n\r\n"), (200, 400))
    for name, raw in (
        ("no_size", b"\r\nhello\r\n0\r\n\r\n"), ("space_only", b" \r\nhello\r\n0\r\n\r\n"), ("not_hex", b"g\r\nhello\r\n0\r\n\r\n"),
        ("hex_prefix", b"0x5\r\nhello\r\n0\r\n\r\n"), ("plus", b"+5\r\nhello\r\n0\r\n\r\n"), ("minus", b"-5\r\nhello\r\n0\r\n\r\n"),
        ("minus_zero", b"-0\r\n\r\n"), ("space_before", b" 5\r\nhello\r\n0\r\n\r\n"), ("tab_before", b"\t5\r\nhello\r\n0\r\n\r\n"),
        ("space_after", b"5 \r\nhello\r\n0\r\n\r\n"), ("tab_after", b"5\t\r\nhello\r\n0\r\n\r\n"), ("vt_after", b"5\x0b\r\nhello\r\n0\r\n\r\n"),
        ("nul_after", b"5\0\r\nhello\r\n0\r\n\r\n"), ("nul_before", b"\x005\r\nhello\r\n0\r\n\r\n"), ("letters_after", b"5x\r\nhello\r\n0\r\n\r\n"),
        ("two_sizes", b"5 5\r\nhello\r\n0\r\n\r\n"), ("float", b"5.0\r\nhello\r\n0\r\n\r\n"), ("underscore", b"1_0\r\nhello\r\n0\r\n\r\n"),
        ("quoted", b'"5"\r\nhello\r\n0\r\n\r\n'), ("h_suffix", b"5h\r\nhello\r\n0\r\n\r\n"), ("comma", b"5,5\r\nhello\r\n0\r\n\r\n"),
        ("lf_after_size", b"5\nhello\r\n0\r\n\r\n"), ("cr_after_size", b"5\rhello\r\n0\r\n\r\n"), ("cr_cr_lf_after_size", b"5\r\r\nhello\r\n0\r\n\r\n"),
        ("lf_cr_after_size", b"5\n\rhello\r\n0\r\n\r\n"), ("crlf_before_size", b"\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("lf_after_data", b"5\r\nhello\n0\r\n\r\n"), ("cr_after_data", b"5\r\nhello\r0\r\n\r\n"), ("nothing_after_data", b"5\r\nhello0\r\n\r\n"),
        ("data_too_long", b"5\r\nhelloo\r\n0\r\n\r\n"), ("data_too_short", b"6\r\nhello\r\n0\r\n\r\n"), ("space_after_data", b"5\r\nhello \r\n0\r\n\r\n"),
        ("two_crlf_after_data", b"5\r\nhello\r\n\r\n0\r\n\r\n"), ("lf_lf_after_data", b"5\r\nhello\n\n0\r\n\r\n"),
        ("two_bytes_after_data", b"5\r\nhelloXX0\r\n\r\n"), ("canary_after_data", b"5\r\nhello" + CANARY),
        ("lf_after_last", b"0\n\r\n"), ("lf_for_last_line", b"0\r\n\n"), ("lf_lf_at_end", b"0\n\n"), ("cr_after_last", b"0\rX\r\n"),
        ("space_after_last", b"0 \r\n\r\n"), ("space_before_last", b" 0\r\n\r\n"), ("last_with_letters", b"0x\r\n\r\n"),
        ("raw_body", b"hello world, this is no chunk"), ("cr_in_end", b"0\r\n\rX"),
    ):
        b.bad("bad_" + name, R71, chunked(raw))
    for name, raw in (
        ("int64_max_plus_1", b"8000000000000000"), ("uint64_max", b"ffffffffffffffff"), ("wraps_to_5", b"10000000000000005"),
        ("wraps_to_0", b"10000000000000000"), ("hundred_f", b"f" * 100),
    ):
        b.bad("huge_" + name, R71, chunked(raw + b"\r\nhello\r\n0\r\n\r\n"), (400, 413))
    for name, raw in (("int64_max", b"7fffffffffffffff"), ("two_pow_48", b"1000000000000"), ("wraps_32_to_5", b"100000005")):
        b.incomplete("huge_" + name, R71, chunked(raw + b"\r\nhello\r\n0\r\n\r\n" + CANARY))
    b.bad("huge_for_upload", R71, chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n", target="/upload"), (400, 413))
    b.bad("second_bad", R71, chunked(b"5\r\nhello\r\nx\r\n\r\n"))
    b.bad("second_bad_for_upload", R71, chunked(b"5\r\nhello\r\nx\r\n\r\n", target="/upload"))
    b.bad("after_good_request", R71, req() + chunked(b"x\r\n"), before=[OK])
    b.incomplete("size", R71, chunked(b"5"))
    b.incomplete("size_line", R71, chunked(b"5\r\n"))
    b.incomplete("data", R71, chunked(b"5\r\nhell"))
    b.incomplete("data_end", R71, chunked(b"5\r\nhello"))
    b.incomplete("data_end_cr", R71, chunked(b"5\r\nhello\r"))
    b.incomplete("without_last", R71, chunked(b"5\r\nhello\r\n"))
    b.incomplete("last", R71, chunked(b"0"))
    b.incomplete("last_line", R71, chunked(b"0\r\n"))
    b.incomplete("last_cr", R71, chunked(b"0\r\n\r"))
    b.incomplete("canary_is_data", R71, chunked(b"fff\r\n" + CANARY))
    return b.cases


def extensions():
    b = Book("extension")
    for name, ext in (
        ("name", b";a"), ("name_value", b";a=b"), ("quoted", b';a="b c"'), ("two", b";a=b;c=d"), ("quoted_semicolon", b';a=";"'),
        ("quoted_pair", b';a="\\""'), ("quoted_empty", b';a=""'), ("name_only_twice", b";a;b"), ("tchars", b";!#$%&'*+-.^_`|~09az"),
        ("obs_text", b';a="\x80\xff"'), ("quoted_tab", b';a="\t"'), ("long", b";a=" + b"x" * 1000), ("digits", b";1=2"),
        ("quoted_hex", b';a="5"'), ("quoted_backslash", b';a="\\\\"'),
    ):
        b.ok(name, R711, chunked(b"5" + ext + b"\r\nhello\r\n0" + ext + b"\r\n\r\n"), echo(b"hello"))
    for name, ext in (
        ("space_before", b" ;a=b"), ("space_after_semicolon", b"; a=b"), ("space_around_equals", b";a = b"), ("tab_before", b"\t;a"),
        ("space_between", b";a ;b"),
    ):
        b.either("bws_" + name, R711, chunked(b"5" + ext + b"\r\nhello\r\n0\r\n\r\n"), (200, 400))
    for name, ext in (
        ("empty", b";"), ("two_semicolons", b";;"), ("semicolon_at_end", b";a;"), ("no_name", b";=b"), ("no_value", b";a="),
        ("bad_name", b";a(b"), ("bad_value", b";a=b(c"), ("unclosed_quote", b';a="b'), ("text_behind_quote", b';a="b"c'),
        ("nul", b";a\0"), ("nul_quoted", b';a="\0"'), ("control_quoted", b';a="\x01"'), ("bare_cr", b";a\rb"), ("bare_cr_end", b";a\r"),
        ("bare_cr_quoted", b';a="\r"'), ("del_quoted", b';a="\x7f"'), ("two_equals", b";a==b"), ("two_values", b";a=b=c"),
        ("words", b";a b"), ("colon", b";a:b"), ("high_byte", b";\x80"), ("quoted_name", b';"a"=b'), ("backslash", b";a\\b"),
        ("comma", b",a"), ("quoted_pair_of_control", b';a="\\\x01"'), ("space_at_end", b";a "), ("spaces_only", b";  "),
    ):
        b.bad("bad_" + name, R711, chunked(b"5" + ext + b"\r\nhello\r\n0\r\n\r\n"))
    b.bad("lf_ends", R711, chunked(b"5;a\nhello\r\n0\r\n\r\n"))
    b.bad("lf_ends_quoted", R711, chunked(b'5;a="\nhello\r\n0\r\n\r\n'))
    b.bad("crlf_in_quotes", R711, chunked(b'5;a="\r\nhello"\r\n0\r\n\r\n'))
    b.bad("lf_hides_canary", R711, chunked(b"2;\nxx\r\n" + b"%x\r\n" % (len(CANARY) + 7) + b"0\r\n\r\n" + CANARY))
    b.bad("lf_on_last", R711, chunked(b"5\r\nhello\r\n0;a\n\r\n"))
    b.bad("bad_on_last", R711, chunked(b"5\r\nhello\r\n0;\r\n\r\n"))
    b.bad("fold", R711, chunked(b"5;a\r\n b\r\nhello\r\n0\r\n\r\n"))
    return b.cases


def trailers():
    b = Book("trailer")
    for name, lines in (
        ("one", b"X: y\r\n"), ("two", b"X: y\r\nZ: w\r\n"), ("empty_value", b"X:\r\n"), ("no_space", b"X:y\r\n"), ("obs_text", b"X: \xff\r\n"),
        ("looks_like_request", b"GET: /bytes/17 HTTP/1.1\r\n"), ("ten", b"".join(b"T%d: %d\r\n" % (i, i) for i in range(10))),
        ("same_twice", b"X: 1\r\nX: 2\r\n"), ("connection_close", b"Connection: x\r\n"), ("long", b"X: " + b"v" * 2000 + b"\r\n"),
    ):
        b.ok(name, R712, chunked(chunks(b"hello", trailers=lines)), echo(b"hello"))
    b.ok("then_get", R712, chunked(chunks(b"hello", trailers=b"X: y\r\n")) + req(), [echo(b"hello"), OK])
    for name, lines in (
        ("content_length", b"Content-Length: 5\r\n"), ("content_length_of_canary", b"Content-Length: %d\r\n" % len(CANARY)),
        ("transfer_encoding", b"Transfer-Encoding: chunked\r\n"), ("host", b"Host: other\r\n"), ("expect", b"Expect: 100-continue\r\n"),
        ("bad_length", b"Content-Length: x\r\n"), ("close", b"Connection: close\r\n"),
    ):
        b.either("not_merged_" + name, "RFC 9110 6.5.1", chunked(chunks(b"hello", trailers=lines)), (200, 400))
    for name, lines in (
        ("no_colon", b"X\r\n"), ("empty_name", b": y\r\n"), ("space_before_colon", b"X : y\r\n"), ("space_in_name", b"X Y: z\r\n"),
        ("fold", b"X: y\r\n z\r\n"), ("fold_first", b" X: y\r\n"), ("bare_cr", b"X: y\rz\r\n"), ("bare_lf", b"X: y\nZ: w\r\n"),
        ("nul", b"X: \0\r\n"), ("control", b"X: \x01\r\n"), ("lf_ends", b"X: y\n"), ("bad_name_byte", b"X(: y\r\n"), ("only_space", b" \r\n"),
        ("request_line", b"GET /bytes/17 HTTP/1.1\r\n"), ("chunk_again", b"5\r\nhello\r\n"), ("cr_cr", b"X: y\r\r\n"),
    ):
        b.bad("bad_" + name, R712, chunked(chunks(b"hello", trailers=lines)))
    b.bad("ends_with_lf", R712, chunked(b"5\r\nhello\r\n0\r\nX: y\r\n\n"))
    b.bad("bad_for_upload", R712, chunked(chunks(b"hello", trailers=b"X : y\r\n"), target="/upload"))
    b.incomplete("name", R712, chunked(b"0\r\nX"))
    b.incomplete("line", R712, chunked(b"0\r\nX: y\r\n"))
    b.incomplete("last_cr", R712, chunked(b"0\r\nX: y\r\n\r"))
    return b.cases


def expect():
    b = Book("expect")
    head = post(b"hello", "Expect: 100-continue")[:-5]
    b.ok("waits_for_100", R1011, [head, WAIT_100, b"hello"], echo(b"hello"))
    b.ok("waits_for_100_upload", R1011, [post(b"hello", "Expect: 100-continue", target="/upload")[:-5], WAIT_100, b"hello"],
         answer(200, b"5", "POST"))
    b.ok("waits_for_100_chunked", R1011, [chunked(b"", "Expect: 100-continue"), WAIT_100, chunks(b"hello")], echo(b"hello"))
    b.ok("waits_then_pipelines", R1011, [head, WAIT_100, b"hello" + req()], [echo(b"hello"), OK])
    b.ok("in_capitals", R1011, [post(b"hello", "EXPECT: 100-Continue")[:-5], WAIT_100, b"hello"], echo(b"hello"))
    b.ok("body_at_once", R1011, post(b"hello", "Expect: 100-continue"), echo(b"hello"))
    b.ok("body_at_once_chunked", R1011, chunked(chunks(b"hello"), "Expect: 100-continue"), echo(b"hello"))
    b.ok("empty_body", R1011, post(b"", "Expect: 100-continue"), echo(b""))
    b.ok("without_body", R1011, req("/pipeline", "Expect: 100-continue"), OK)
    b.ok("1_0_is_ignored", R1011, post(b"hello", "Expect: 100-continue", version="HTTP/1.0"), echo(b"hello"), CLOSE)
    b.ok("body_is_canary", R1011, post(CANARY, "Expect: 100-continue"), echo(CANARY))
    for name, value in (
        ("unknown", "200-ok"), ("word", "x"), ("continue_without_number", "continue"), ("number_only", "100"), ("other_number", "101-continue"),
        ("prefix", "100-continued"), ("suffix", "x100-continue"), ("parameter", "foo=bar"), ("quoted", '"100-continue"'),
    ):
        b.bad("unknown_" + name, R1011, req("/pipeline", "Expect: " + value), 417)
    b.bad("unknown_with_body", R1011, post(b"hello", "Expect: unknown"), 417)
    b.bad("unknown_without_waiting", R1011, post(CANARY, "Expect: unknown"), 417)
    b.bad("known_and_unknown", R1011, post(b"hello", "Expect: 100-continue, foo"), 417)
    b.bad("known_and_unknown_lines", R1011, post(b"hello", "Expect: 100-continue", "Expect: foo"), 417)
    b.either("empty", R1011, req("/pipeline", "Expect:"), (200, 400, 417))
    b.either("twice", R1011, post(b"hello", "Expect: 100-continue", "Expect: 100-continue"), (200, 400, 417))
    b.either("unknown_1_0", R1011, req("/pipeline", "Expect: unknown", version="HTTP/1.0"), (200, 417))
    b.bad("too_large_gets_no_100", R1011, req("/echo", "Content-Length: 99999999999", "Expect: 100-continue", method="POST"), 413)
    b.bad("bad_head_gets_no_100", R1011, req("/echo", "Content-Length: x", "Expect: 100-continue", method="POST"), 400)
    return b.cases


def early():
    b = Book("body")
    big = b"POST /echo HTTP/1.1\r\nHost: test\r\n"
    for name, data, status in (
        ("too_large_by_length", big + b"Content-Length: 99999999999\r\n\r\n", 413),
        ("length_digit", big + b"Content-Length: 5x\r\n", 400), ("chunk_byte", big + b"Transfer-Encoding: chunked\r\n\r\nx", 400),
        ("chunk_lf", big + b"Transfer-Encoding: chunked\r\n\r\n5\n", 400),
        ("chunk_end", big + b"Transfer-Encoding: chunked\r\n\r\n1\r\naX", 400),
        ("chunk_end_lf", big + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\n", 400),
        ("trailer_byte", big + b"Transfer-Encoding: chunked\r\n\r\n0\r\n(", 400),
        ("trailer_lf", big + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\n", 400),
        ("both", big + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("unknown_coding", big + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("unknown_expectation", big + b"Content-Length: 5\r\nExpect: x\r\n\r\n", 417),
        ("extension_byte", big + b"Transfer-Encoding: chunked\r\n\r\n5;(", 400),
    ):
        b.early(name, R63, data, status)
    return b.cases
