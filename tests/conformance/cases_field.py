# SPDX-License-Identifier: MIT
# cases_field.py - field lines and Host (RFC 9110 5, 7.2; RFC 9112 3.2, 5).
# Only data; called by test_conformance.py.
from case import CANARY, CLOSE, OK, Book, answer, req

R5 = "RFC 9112 5"
R51 = "RFC 9112 5.1"
R52 = "RFC 9112 5.2"
R55 = "RFC 9110 5.5"
R32 = "RFC 9112 3.2"
LINE = b"GET /pipeline HTTP/1.1\r\n"
HOST = b"Host: test\r\n"


def cases():
    return [*syntax(), *host(), *early()]


def fields(*lines):
    return LINE + HOST + b"".join(lines) + b"\r\n"


def syntax():
    b = Book("field")
    for name, line in (
        ("usual", b"X: y\r\n"), ("no_space_after_colon", b"X:y\r\n"), ("empty_value", b"X:\r\n"),
        ("empty_value_with_space", b"X: \r\n"), ("empty_value_with_spaces", b"X:    \r\n"), ("empty_value_with_tab", b"X:\t\r\n"),
        ("ows_before", b"X: \t \ty\r\n"), ("ows_after", b"X: y \t \t\r\n"), ("ows_inside", b"X: a \t b\r\n"),
        ("colon_in_value", b"X: a:b:c\r\n"), ("value_begins_with_colon", b"X::\r\n"), ("quotes", b'X: "a\\"b"\r\n'),
        ("unclosed_quote", b'X: "a\r\n'), ("obs_text", b"X: \x80\xff\xc3\xa9\r\n"), ("one_letter", b"a:b\r\n"),
        ("digits_name", b"123: x\r\n"), ("all_tchars", b"!#$%&'*+-.^_`|~09azAZ: x\r\n"), ("same_name_twice", b"X: 1\r\nX: 2\r\n"),
        ("same_name_other_case", b"X: 1\r\nx: 2\r\n"), ("cookie_of_300_bytes", b"Cookie: " + b"c" * 300 + b"\r\n"),
        ("value_of_4000_bytes", b"X: " + b"v" * 4000 + b"\r\n"), ("name_of_300_bytes", b"N" * 300 + b": v\r\n"),
        ("fifty_fields", b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(50))), ("underscore_name", b"a_b: c\r\n"),
        ("looks_like_a_request", b"X: GET /bytes/17 HTTP/1.1\r\n"), ("value_is_crlf_encoded", b"X: %0d%0aY: z\r\n"),
        ("name_that_begins_like_host", b"Hos: a\r\nHostt: b\r\nXHost: c\r\n"), ("te_trailers", b"TE: trailers\r\n"),
        ("name_that_begins_like_length", b"Content-Lengt: 5\r\nContent-Length2: 5\r\nXContent-Length: 5\r\n"),
        ("underscore_is_no_dash", b"Content_Length: 5\r\n"), ("accept_all", b"Accept: */*\r\n"),
        ("name_like_transfer_encoding", b"Transfer_Encoding: chunked\r\nTransfer-Encodin: chunked\r\n"),
        ("upgrade_ignored", b"Upgrade: foo/9\r\n"), ("upgrade_with_connection", b"Connection: upgrade\r\nUpgrade: foo/9\r\n"),
    ):
        b.ok(name, R5, fields(line))
    b.ok("no_field_at_all_1_0", R5, b"GET /pipeline HTTP/1.0\r\n\r\n", OK, CLOSE)
    b.ok("host_last", R5, LINE + b"A: b\r\nC: d\r\n" + HOST + b"\r\n")
    for name, line in (
        ("space_before_colon", b"X : y\r\n"), ("tab_before_colon", b"X\t: y\r\n"), ("spaces_before_colon", b"X   : y\r\n"),
        ("space_before_colon_length", b"Content-Length : 5\r\n"), ("space_before_colon_te", b"Transfer-Encoding : chunked\r\n"),
        ("tab_before_colon_te", b"Transfer-Encoding\t: chunked\r\n"), ("space_before_colon_connection", b"Connection : close\r\n"),
        ("nul_before_colon", b"X\0: y\r\n"), ("vt_before_colon_te", b"Transfer-Encoding\x0b: chunked\r\n"),
    ):
        b.bad(name, R51, fields(line))
    for name, line in (
        ("no_colon", b"X\r\n"), ("no_colon_with_words", b"X y z\r\n"), ("no_colon_te", b"Transfer-Encoding chunked\r\n"),
        ("empty_name", b": y\r\n"), ("empty_name_and_value", b":\r\n"), ("name_is_space", b" : y\r\n"),
        ("space_in_name", b"X Y: z\r\n"), ("tab_in_name", b"X\tY: z\r\n"), ("nul_in_name", b"X\0Y: z\r\n"),
        ("paren_in_name", b"X(Y): z\r\n"), ("quoted_name", b'"X": z\r\n'), ("at_in_name", b"X@Y: z\r\n"),
        ("slash_in_name", b"X/Y: z\r\n"), ("bracket_in_name", b"[X]: z\r\n"), ("brace_in_name", b"{X}: z\r\n"),
        ("equals_in_name", b"X=Y: z\r\n"), ("comma_in_name", b"X,Y: z\r\n"), ("semicolon_in_name", b"X;Y: z\r\n"),
        ("backslash_in_name", b"X\\Y: z\r\n"), ("question_in_name", b"X?: z\r\n"), ("utf8_in_name", b"\xe1\xba\x8a: z\r\n"),
        ("latin_in_name", b"X\xe9: z\r\n"), ("del_in_name", b"X\x7f: z\r\n"), ("high_in_name", b"\xff\xfe: z\r\n"),
        ("less_in_name", b"<X>: z\r\n"), ("request_line_as_field", b"GET /bytes/17 HTTP/1.1\r\n"),
        ("bom_in_name", b"\xef\xbb\xbfX: z\r\n"), ("esc_in_name", b"X\x1b: z\r\n"),
    ):
        b.bad(name, R5, fields(line))
    for name, line in (
        ("nul_in_value", b"X: a\0b\r\n"), ("nul_at_start", b"X: \0b\r\n"), ("nul_at_end", b"X: a\0\r\n"), ("only_nul", b"X:\0\r\n"),
        ("bare_cr_in_value", b"X: a\rb\r\n"), ("bare_cr_at_start", b"X:\ra\r\n"), ("bare_cr_before_crlf", b"X: a\r\r\n"),
        ("bare_cr_injects", b"X: a\rContent-Length: 5\r\n"), ("bare_cr_injects_te", b"X: a\rTransfer-Encoding: chunked\r\n"),
        ("bare_cr_after_name", b"X\r: a\r\n"), ("cr_cr_end", b"X: a\r\r"), ("lf_cr_end", b"X: a\n\rY: b\r\n"),
        ("bare_lf_in_value", b"X: a\nY: b\r\n"), ("bare_lf_injects", b"X: a\nContent-Length: 5\r\n"),
        ("bare_lf_injects_te", b"X: a\nTransfer-Encoding: chunked\r\n"), ("bare_lf_in_name", b"X\nY: b\r\n"),
        ("bell_in_value", b"X: a\x07b\r\n"), ("del_in_value", b"X: a\x7fb\r\n"), ("vt_in_value", b"X: a\x0bb\r\n"),
        ("escape_in_value", b"X: \x1b[31m\r\n"), ("lf_lf", b"X: a\n\nGET /bytes/17 HTTP/1.1\r\nHost: c\r\n"),
        ("cr_lf_split_by_space", b"X: a\r \nY: b\r\n"),
    ):
        b.bad(name, R55, fields(line))
    for name, line in (
        ("fold_space", b"X: a\r\n b\r\n"), ("fold_tab", b"X: a\r\n\tb\r\n"), ("fold_empty", b"X:\r\n b\r\n"),
        ("fold_only_space", b"X: a\r\n \r\n"), ("fold_only_tab", b"X: a\r\n\t\r\n"), ("fold_colon", b"X: a\r\n b: c\r\n"),
        ("fold_te", b"Transfer-Encoding:\r\n chunked\r\n"), ("fold_length", b"Content-Length:\r\n 5\r\n"),
        ("fold_hides_te", b"X: a\r\n Transfer-Encoding: chunked\r\n"), ("fold_many", b"X: a\r\n b\r\n c\r\n d\r\n"),
        ("fold_in_te_value", b"Transfer-Encoding: chu\r\n nked\r\n"), ("fold_host", b"Y: z\r\nX:\r\n\tw\r\n"),
        ("fold_lf", b"X: a\n b\r\n"), ("fold_cr", b"X: a\r b\r\n"),
    ):
        b.bad(name, R52, fields(line))
    b.bad("space_before_first_field", "RFC 9112 2.2", LINE + b" X: y\r\n" + HOST + b"\r\n")
    b.bad("tab_before_first_field", "RFC 9112 2.2", LINE + b"\tX: y\r\n" + HOST + b"\r\n")
    b.bad("space_line_before_first_field", "RFC 9112 2.2", LINE + b" \r\n" + HOST + b"\r\n")
    b.bad("space_before_host", "RFC 9112 2.2", LINE + b" " + HOST + b"\r\n")
    b.bad("head_ends_with_lf", "RFC 9112 2.2", LINE + HOST + b"\n")
    b.bad("head_ends_with_cr", "RFC 9112 2.2", LINE + HOST + b"\rX")
    b.bad("head_ends_with_space_crlf", R5, LINE + HOST + b" \r\n\r\n")
    b.bad("field_ends_with_lf", "RFC 9112 2.2", LINE + b"Host: test\n\r\n")
    b.incomplete("name", R5, LINE + b"Hos")
    b.incomplete("name_and_colon", R5, LINE + b"Host:")
    b.incomplete("value", R5, LINE + b"Host: te")
    b.incomplete("value_and_cr", R5, LINE + b"Host: test\r")
    b.incomplete("field", R5, LINE + HOST)
    b.incomplete("last_cr", R5, LINE + HOST + b"\r")
    return b.cases


def host():
    b = Book("host")
    for name, value in (
        ("name", "example.org"), ("name_and_port", "example.org:8080"), ("empty", ""), ("empty_port", "example.org:"),
        ("ipv4", "192.0.2.1"), ("ipv4_port", "192.0.2.1:80"), ("ipv6", "[2001:db8::1]"), ("ipv6_port", "[2001:db8::1]:80"),
        ("ipv6_loopback", "[::1]"), ("underscore", "a_b"), ("percent", "a%41"), ("sub_delims", "a!$&'()*+;=b"), ("tilde", "~a~"),
        ("capitals", "EXAMPLE.ORG"), ("final_dot", "example.org."), ("one_letter", "a"), ("digits", "1"), ("port_0", "a:0"),
        ("port_65535", "a:65535"), ("leading_dash", "-a"), ("long_name", "a" * 255),
    ):
        b.ok(name, "RFC 9110 7.2", req(host=value))
    b.ok("no_space", "RFC 9110 7.2", LINE + b"Host:test\r\n\r\n")
    b.ok("ows", "RFC 9110 7.2", LINE + b"Host: \t test \t \r\n\r\n")
    b.ok("lower_case_name", "RFC 9110 5.1", LINE + b"host: test\r\n\r\n")
    b.ok("upper_case_name", "RFC 9110 5.1", LINE + b"HOST: test\r\n\r\n")
    b.ok("mixed_case_name", "RFC 9110 5.1", LINE + b"hOsT: test\r\n\r\n")
    b.ok("empty_without_space", "RFC 9110 7.2", LINE + b"Host:\r\n\r\n")
    b.either("ipvfuture", "RFC 3986 3.2.2", req(host="[v1.fe80::a]"), (200, 400))
    b.either("comma", "RFC 3986 3.2.2", req(host="a,b"), (200, 400))  # a reg-name, or two Host values joined by somebody
    b.either("port_65536", "RFC 3986 3.2.3", req(host="a:65536"), (200, 400))
    b.either("ipv4_of_ipv6", "RFC 3986 3.2.2", req(host="[::ffff:192.0.2.1]"), (200, 400))
    b.bad("missing", R32, req(host=None))
    b.bad("missing_with_others", R32, req("/pipeline", "X: y", "Accept: */*", host=None))
    b.bad("missing_with_body", R32, req("/echo", "Content-Length: 40", method="POST", host=None))
    b.bad("twice_same", R32, req("/pipeline", "Host: test"))
    b.bad("twice_other", R32, req("/pipeline", "Host: other"))
    b.bad("twice_far_apart", R32, req("/pipeline", "A: 1", "B: 2", "host: test"))
    b.bad("twice_empty", R32, LINE + b"Host:\r\nHost:\r\n\r\n")
    b.bad("three_times", R32, req("/pipeline", "Host: a", "Host: b"))
    b.bad("twice_1_0", R32, req("/pipeline", "Host: b", version="HTTP/1.0"))
    b.bad("bad_1_0", R32, req(host="a b", version="HTTP/1.0"))
    for name, value in (
        ("space_inside", "a b"), ("tab_inside", "a\tb"), ("slash", "a/b"), ("path", "a/pipeline"), ("url", "http://a/"),
        ("userinfo", "user@a"), ("userinfo_password", "u:p@a"), ("query", "a?b"), ("fragment", "a#b"), ("two_ports", "a:80:80"),
        ("port_letters", "a:http"), ("port_mixed", "a:80x"), ("port_negative", "a:-1"), ("port_plus", "a:+1"),
        ("port_space", "a: 80"), ("space_port", "a :80"), ("only_bracket", "["), ("unclosed_bracket", "[::1"),
        ("unopened_bracket", "::1]"), ("empty_brackets", "[]"), ("text_behind_brackets", "[::1]a"), ("bare_ipv6", "2001:db8::1"),
        ("text_before_brackets", "a[::1]"), ("letters_in_brackets", "[xyz]"), ("backslash", "a\\b"), ("caret", "a^b"),
        ("quote", 'a"b'), ("angle", "<a>"), ("brace", "{a}"), ("pipe", "a|b"), ("backtick", "a`b"), ("latin", "a\xe9"),
        ("bad_percent", "a%zz"), ("short_percent", "a%4"), ("lone_percent", "%"), ("comma_space", "a, b"), ("del", "a\x7f"),
        ("nul", "a\0b"), ("two_in_one_line", "a, Host: b"), ("bracket_zone_raw", "[fe80::1%eth0]"),
    ):
        b.bad(name, R32, req(host=value))
    b.bad("folded", R32, LINE + b"Host:\r\n test\r\n\r\n")
    b.bad("space_before_colon", R32, LINE + b"Host : test\r\n\r\n")
    b.bad("name_with_nul", R32, LINE + b"Ho\0st: test\r\n\r\n")
    b.bad("only_in_second_line_of_fold", R32, LINE + b"X: y\r\n Host: test\r\n\r\n")
    b.ok("1_0_without", R32, req(version="HTTP/1.0", host=None), OK, CLOSE)
    b.ok("1_0_empty", R32, req(version="HTTP/1.0", host=""), OK, CLOSE)
    return b.cases


def early():
    b = Book("field")
    for name, data in (
        ("space_before_colon", LINE + b"X "), ("empty_name", LINE + b":"), ("fold", LINE + HOST + b" "), ("fold_tab", LINE + HOST + b"\t"),
        ("bad_name_byte", LINE + b"X("), ("nul_in_value", LINE + b"X: a\0"), ("lf_in_value", LINE + b"X: a\n"),
        ("cr_not_lf", LINE + b"X: a\rb"), ("lf_for_empty_line", LINE + HOST + b"\n"), ("cr_not_lf_at_end", LINE + HOST + b"\r\r"),
        ("no_colon", LINE + b"X\r"), ("second_host", LINE + HOST + HOST), ("bad_host", LINE + b"Host: a b\r\n"),
        ("bad_length", LINE + b"Content-Length: 5x\r\n"), ("second_length", LINE + b"Content-Length: 5\r\nContent-Length: 5\r\n"),
        ("no_host_at_end", LINE + b"\r\n"),
    ):
        b.early(name, R5, data)
    b.early("bad_field_hides_canary", R5, LINE + b"X : y\r\n\r\n" + CANARY)
    return b.cases
