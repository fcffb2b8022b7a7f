# SPDX-License-Identifier: MIT
# cases_line.py - the request line: methods, target forms, versions, and what may stand before it (RFC 9112 2.2, 3).
# Only data; called by test_conformance.py.
from case import ANY_GOOD, CANARY, CLOSE, EITHER, OK, Book, answer, req

R3 = "RFC 9112 3"
R32 = "RFC 9112 3.2"
R23 = "RFC 9112 2.3"
R22 = "RFC 9112 2.2"
TAIL = b"Host: test\r\n\r\n"


def cases():
    return [*syntax(), *methods(), *targets(), *versions(), *leading(), *early()]


def syntax():
    b = Book("line")
    b.ok("fifteen_byte_line", R3, b"GET / HTTP/1.1\r\n" + TAIL, answer(200))
    b.ok("shortest_line_1_0", R3, b"G / HTTP/1.0\r\n\r\n", answer(ANY_GOOD), CLOSE)
    for name, line in (
        ("two_spaces_after_method", b"GET  /pipeline HTTP/1.1"),
        ("two_spaces_before_version", b"GET /pipeline  HTTP/1.1"),
        ("tab_after_method", b"GET\t/pipeline HTTP/1.1"),
        ("tab_before_version", b"GET /pipeline\tHTTP/1.1"),
        ("trailing_space", b"GET /pipeline HTTP/1.1 "),
        ("trailing_tab", b"GET /pipeline HTTP/1.1\t"),
        ("trailing_word", b"GET /pipeline HTTP/1.1 x"),
        ("trailing_bytes_on_version", b"GET /pipeline HTTP/1.1x"),
        ("space_in_target", b"GET /pipe line HTTP/1.1"),
        ("tab_in_target", b"GET /pipe\tline HTTP/1.1"),
        ("nul_in_target", b"GET /pipe\0line HTTP/1.1"),
        ("nul_in_method", b"GE\0T /pipeline HTTP/1.1"),
        ("nul_in_version", b"GET /pipeline HTTP/1.1\0"),
        ("no_target", b"GET HTTP/1.1"),
        ("empty_target", b"GET  HTTP/1.1"),
        ("no_method", b" /pipeline HTTP/1.1"),
        ("only_method", b"GET"),
        ("only_method_and_space", b"GET "),
        ("no_version", b"GET /pipeline"),
        ("no_version_but_space", b"GET /pipeline "),
        ("vertical_tab_separates", b"GET\x0b/pipeline HTTP/1.1"),
        ("form_feed_separates", b"GET\x0c/pipeline HTTP/1.1"),
        ("colon_after_method", b"GET: /pipeline HTTP/1.1"),
        ("quoted_method", b'"GET" /pipeline HTTP/1.1'),
        ("method_with_slash", b"GE/T /pipeline HTTP/1.1"),
        ("method_in_utf8", b"G\xc3\x89T /pipeline HTTP/1.1"),
        ("method_in_parens", b"(GET) /pipeline HTTP/1.1"),
        ("bom_before_method", b"\xef\xbb\xbfGET /pipeline HTTP/1.1"),
        ("a_field_instead", b"Host: test"),
        ("a_response_instead", b"HTTP/1.1 200 OK"),
        ("tls_hello_instead", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("ssh_instead", b"SSH-2.0-OpenSSH_9.2"),
        ("proxy_header_instead", b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 80"),
        ("proxy_v2_instead", b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x0c"),
    ):
        b.bad(name, R3, line + b"\r\n" + TAIL)
    b.bad("bare_lf_ends_line", R22, b"GET /pipeline HTTP/1.1\n" + TAIL)
    b.bad("bare_lf_everywhere", R22, b"GET /pipeline HTTP/1.1\nHost: test\n\n")
    b.bad("bare_cr_ends_line", R22, b"GET /pipeline HTTP/1.1\r" + TAIL)
    b.bad("cr_cr_lf_ends_line", R22, b"GET /pipeline HTTP/1.1\r\r\n" + TAIL)
    b.bad("cr_space_lf_ends_line", R22, b"GET /pipeline HTTP/1.1\r \n" + TAIL)
    b.bad("lf_cr_ends_line", R22, b"GET /pipeline HTTP/1.1\n\r" + TAIL)
    b.bad("bare_cr_in_target", R22, b"GET /pipe\rline HTTP/1.1\r\n" + TAIL)
    b.bad("bare_cr_in_method", R22, b"GE\rT /pipeline HTTP/1.1\r\n" + TAIL)
    b.bad("bare_cr_before_version", R22, b"GET /pipeline \rHTTP/1.1\r\n" + TAIL)
    b.bad("bare_lf_in_target", R22, b"GET /pipe\nline HTTP/1.1\r\n" + TAIL)
    b.bad("line_folded", R22, b"GET /pipeline\r\n HTTP/1.1\r\n" + TAIL)
    b.bad("canary_in_target_by_cr", R22, b"GET /x\r" + CANARY[:-2] + b" HTTP/1.1\r\n" + TAIL)
    b.incomplete("method", R3, b"GE")
    b.incomplete("method_and_space", R3, b"GET ")
    b.incomplete("target", R3, b"GET /pipe")
    b.incomplete("version", R3, b"GET /pipeline HTTP/1.")
    b.incomplete("line_without_lf", R3, b"GET /pipeline HTTP/1.1\r")
    b.incomplete("line_only", R3, b"GET /pipeline HTTP/1.1\r\n")
    b.incomplete("nothing", R3, b"")
    return b.cases


def methods():
    b = Book("method")
    rfc = "RFC 9110 9.1"
    b.ok("get", "RFC 9110 9.3.1", req())
    b.ok("head", "RFC 9110 9.3.2", req(method="HEAD"), answer((200, 405), b"", "HEAD"))
    b.ok("head_of_root", "RFC 9110 9.3.2", req("/", method="HEAD"), answer((200, 405), b"", "HEAD"))
    b.ok("head_of_unknown", "RFC 9110 9.3.2", req("/none", method="HEAD"), answer((404, 405), b"", "HEAD"))
    b.ok("head_of_large", "RFC 9110 9.3.2", req("/bytes/100000", method="HEAD"), answer((200, 405), b"", "HEAD"))
    b.ok("head_then_get", "RFC 9110 9.3.2", req(method="HEAD") + req(), [answer((200, 405), b"", "HEAD"), OK])
    b.ok("post_without_length", "RFC 9112 6.3", req("/echo", method="POST"), answer((200, 411), None, "POST"), EITHER)
    b.ok("post_empty", "RFC 9112 6.3", req("/echo", "Content-Length: 0", method="POST"), answer(200, b"", "POST"))
    b.ok("put_on_root", rfc, req("/", "Content-Length: 3", method="PUT", body=b"abc"), answer((200, 405), None, "PUT"), EITHER)
    b.ok("patch_on_root", rfc, req("/", "Content-Length: 3", method="PATCH", body=b"abc"), answer((200, 405), None), EITHER)
    b.ok("delete_with_body", "RFC 9110 9.3.5", req("/", f"Content-Length: {len(CANARY)}", method="DELETE", body=CANARY),
         answer(ANY_GOOD | {400}), EITHER)
    b.ok("get_with_body_is_framed", "RFC 9110 9.3.1", req("/pipeline", f"Content-Length: {len(CANARY)}", body=CANARY),
         answer((200, 400)), EITHER)
    b.ok("get_with_chunked_body_is_framed", "RFC 9110 9.3.1", req(
        "/pipeline", "Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(CANARY), CANARY)),
        answer((200, 400)), EITHER)
    b.ok("head_with_body_is_framed", "RFC 9110 9.3.2", req(
        "/pipeline", f"Content-Length: {len(CANARY)}", method="HEAD", body=CANARY), answer((200, 400, 405), b"", "HEAD"), EITHER)
    b.ok("options_with_body_is_framed", "RFC 9110 9.3.7", req(
        "/pipeline", f"Content-Length: {len(CANARY)}", method="OPTIONS", body=CANARY), answer(ANY_GOOD | {400}), EITHER)
    for name in ("get", "Get", "gET", "POSTS", "GE", "GETT", "FOO", "M-SEARCH", "PROPFIND", "PRI", "X", "a" * 64,
                 "!#$%&'*+-.^_`|~", "0", "1234567890", "QUERY", "BREW", "LINK", "PURGE", "*", "GET.", "-GET"):
        b.ok(f"token_{name.encode().hex()[:40]}", rfc, req(method=name), answer((200, 404, 405, 501)), EITHER)
    b.ok("case_sensitive_head", rfc, req(method="head"), answer((404, 405, 501)), EITHER)
    b.ok("wrong_method_405", "RFC 9110 15.5.6", req("/pipeline", method="DELETE"), answer(405))
    b.ok("wrong_method_405_with_allow", "RFC 9110 15.5.6", req("/pipeline", "Content-Length: 0", method="PUT"), answer(405))
    b.ok("wrong_method_405_body_is_read", "RFC 9112 9.3", req(
        "/pipeline", f"Content-Length: {len(CANARY)}", method="PUT", body=CANARY), answer(405), EITHER)
    b.add("trace", "RFC 9110 9.3.8", req(method="TRACE"), [answer((200, 405, 501))], EITHER)
    b.add("trace_does_not_echo_by_default", "RFC 9110 9.3.8", req("/none", "Cookie: secret", method="TRACE"),
          [answer((404, 405, 501))], EITHER)
    b.ok("options_star", "RFC 9110 9.3.7", req("*", method="OPTIONS"), answer(200, b"", Content_Length="0"))
    b.ok("options_star_twice", "RFC 9110 9.3.7", req("*", method="OPTIONS") * 2, [answer(200, b"")] * 2)
    b.ok("options_star_1_0", "RFC 9110 9.3.7", req("*", method="OPTIONS", version="HTTP/1.0"), answer(200, b""), CLOSE)
    b.ok("options_star_with_body", "RFC 9110 9.3.7", req("*", f"Content-Length: {len(CANARY)}", method="OPTIONS", body=CANARY),
         answer((200, 400), None), EITHER)
    b.ok("options_path", "RFC 9110 9.3.7", req("/pipeline", method="OPTIONS"), answer(ANY_GOOD), EITHER)
    b.bad("options_star_without_host", R32, req("*", method="OPTIONS", host=None))
    b.bad("connect_authority", "RFC 9110 9.3.6", req("example.org:443", method="CONNECT", host="example.org:443"), 501)
    b.bad("connect_ipv6", "RFC 9110 9.3.6", req("[2001:db8::1]:443", method="CONNECT", host="[2001:db8::1]:443"), 501)
    b.bad("connect_1_0", "RFC 9110 9.3.6", req("example.org:443", method="CONNECT", version="HTTP/1.0"), 501)
    b.bad("connect_with_length", "RFC 9110 9.3.6", req("example.org:443", "Content-Length: 5", method="CONNECT"), (400, 501))
    b.bad("connect_without_port", "RFC 9110 9.3.6", req("example.org", method="CONNECT"), (400, 501))
    b.bad("connect_bad_port", "RFC 9110 9.3.6", req("example.org:x", method="CONNECT"), (400, 501))
    b.bad("connect_origin_form", R32, req("/pipeline", method="CONNECT"), (400, 501))
    b.bad("connect_absolute_form", R32, req("http://example.org/", method="CONNECT"), (400, 501))
    b.bad("connect_asterisk", R32, req("*", method="CONNECT"), (400, 501))
    b.bad("connect_without_host", R32, req("example.org:443", method="CONNECT", host=None), 400)
    return b.cases


def targets():
    b = Book("target")
    four = answer(404)
    for name, target, want in (
        ("root", "/", answer(200)), ("query_on_root", "/?", answer(200)), ("query_only_name", "/?a", answer(200)),
        ("query_with_question_marks", "/pipeline?a?b?c", OK), ("query_with_slash", "/pipeline?/../x", OK),
        ("query_with_colon_at", "/pipeline?u=http://a:b@c/", OK), ("sub_delims", "/!$&'()*+,;=:@-._~", four),
        ("percent_encoded", "/%41%2f%00", answer((400, 404))), ("percent_encoded_lower", "/%c3%a9", four),
        ("double_slash", "//pipeline", four), ("empty_segments", "/////", four),
        ("dot_segments", "/../../etc/passwd", answer((400, 404))), ("long_path", "/" + "a" * 2000, four),
        ("semicolon_parameters", "/a;b=c;d", four), ("baseline_query", "/baseline11?a=13&b=42", answer(200, b"55")),
        ("query_plus_percent", "/baseline11?a=1%33&b=42", answer((200, 400))),
        ("case_sensitive_path", "/PIPELINE", four), ("trailing_slash_differs", "/pipeline/", four),
        ("prefix_differs", "/pipelin", four), ("suffix_differs", "/pipelines", four), ("root_like", "/index.html", four),
    ):
        b.add("origin_" + name, "RFC 9112 3.2.1", req(target), [want], EITHER if 400 in want.statuses else "keep")
    for name, target, want in (
        ("plain", "http://test/pipeline", OK), ("with_port", "http://test:80/pipeline", OK),
        ("without_path", "http://test", answer(200)), ("without_path_with_query", "http://test?a=1", answer((200, 404))),
        ("root", "http://test/", answer(200)), ("query", "http://test/pipeline?x=y", OK),
        ("scheme_in_capitals", "HTTP://test/pipeline", OK), ("https", "https://test/pipeline", answer((200, 400, 421))),
        ("ipv6", "http://[::1]/pipeline", OK), ("ipv6_port", "http://[::1]:8080/pipeline", OK),
        ("ipv4", "http://127.0.0.1/pipeline", OK), ("other_host_wins", "http://other.example/pipeline", OK),
    ):
        b.add("absolute_" + name, "RFC 9112 3.2.2", req(target), [want], EITHER if 400 in want.statuses else "keep")
    b.ok("absolute_1_0", "RFC 9112 3.2.2", req("http://test/pipeline", version="HTTP/1.0"), OK, CLOSE)
    b.bad("absolute_without_host_field", R32, req("http://test/pipeline", host=None))
    b.bad("absolute_with_two_host_fields", R32, req("http://test/pipeline", "Host: b"))
    b.bad("absolute_with_bad_host_field", R32, req("http://test/pipeline", host="a b"))
    for name, target in (
        ("empty_host", "http:///pipeline"), ("userinfo", "http://user@test/pipeline"),
        ("userinfo_password", "http://u:p@test/pipeline"), ("bad_port", "http://test:8x/pipeline"),
        ("space", "http://te st/pipeline"), ("one_slash", "http:/test/pipeline"), ("no_slashes", "http:test"),
        ("unclosed_bracket", "http://[::1/pipeline"), ("text_behind_bracket", "http://[::1]x/pipeline"),
        ("scheme_only", "http:"), ("scheme_and_slashes", "http://"), ("scheme_bad_char", "ht_tp://test/pipeline"),
        ("backslash_host", "http://test\\@evil/pipeline"), ("fragment", "http://test/pipeline#x"),
    ):
        b.bad("absolute_" + name, "RFC 9110 4.2", req(target))
    b.either("absolute_other_scheme", "RFC 9110 4.2", req("ftp://test/pipeline"), (200, 400, 404, 421))
    for name, target in (
        ("no_slash", "pipeline"), ("relative", "./pipeline"), ("query_only", "?a=b"), ("host_only", "test"),
        ("authority_with_get", "test:80"), ("asterisk_with_get", "*"), ("asterisk_and_path", "*/pipeline"),
        ("double_asterisk", "**"), ("fragment", "/pipeline#x"), ("fragment_only", "#"), ("backslash", "\\pipeline"),
        ("slash_colon", ":/pipeline"), ("quoted", '"/pipeline"'), ("angle", "</pipeline>"),
    ):
        b.bad(name, R32, req(target))
    b.bad("asterisk_with_post", "RFC 9112 3.2.4", req("*", "Content-Length: 0", method="POST"))
    b.bad("asterisk_with_query_options", "RFC 9112 3.2.4", req("*?x", method="OPTIONS"))
    b.bad("asterisk_path_options", "RFC 9112 3.2.4", req("**", method="OPTIONS"))
    b.bad("high_bytes_raw_control", R32, b"GET /\x80\x01 HTTP/1.1\r\n" + TAIL)
    b.either("percent_broken", "RFC 3986 2.1", req("/%"), (400, 404))
    b.either("percent_broken_digit", "RFC 3986 2.1", req("/%4"), (400, 404))
    b.either("percent_broken_letters", "RFC 3986 2.1", req("/%zz"), (400, 404))
    b.bad("percent_crlf_is_not_crlf", "RFC 3986 2.1", req("/x%0d%0a\r\n Host: y"), 400)
    b.ok("percent_crlf_stays_data", "RFC 3986 2.1", req("/x%0d%0aGET%20/bytes/17%20HTTP/1.1"), answer((400, 404)), EITHER)
    return b.cases


def versions():
    b = Book("version")
    b.ok("1_1", R23, req(version="HTTP/1.1"))
    b.ok("1_0", R23, req(version="HTTP/1.0"), OK, CLOSE)
    b.ok("1_0_without_host", R32, req(version="HTTP/1.0", host=None), OK, CLOSE)
    for minor in "23456789":
        b.ok(f"1_{minor}_counts_as_1_1", "RFC 9110 2.5", req(version=f"HTTP/1.{minor}"), OK)
    b.bad("1_2_without_host", "RFC 9110 2.5", req(version="HTTP/1.2", host=None), 400)
    for major in "023456789":
        b.bad(f"major_{major}_0", R23, req(version=f"HTTP/{major}.0"), 505 if major != "0" else (400, 505))
        b.bad(f"major_{major}_1", R23, req(version=f"HTTP/{major}.1"), 505 if major != "0" else (400, 505))
    b.bad("0_9", R23, req(version="HTTP/0.9"), (400, 505))
    b.bad("http2_preface", "RFC 9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505))
    for name, version in (
        ("lower_case", "http/1.1"), ("mixed_case", "Http/1.1"), ("no_minor", "HTTP/1"), ("no_minor_but_dot", "HTTP/1."),
        ("no_major", "HTTP/.1"), ("two_digit_minor", "HTTP/1.10"), ("two_digit_major", "HTTP/11.1"),
        ("leading_zero_major", "HTTP/01.1"), ("leading_zero_minor", "HTTP/1.01"), ("comma", "HTTP/1,1"),
        ("three_parts", "HTTP/1.1.1"), ("negative", "HTTP/-1.1"), ("plus", "HTTP/+1.1"), ("letters", "HTTP/a.b"),
        ("hex", "HTTP/0x1.1"), ("no_slash", "HTTP1.1"), ("space_after_slash", "HTTP/ 1.1"), ("backslash", "HTTP\\1.1"),
        ("space_before_slash", "HTTP /1.1"), ("https", "HTTPS/1.1"), ("other_protocol", "RTSP/1.0"), ("sip", "SIP/2.0"),
        ("short_name", "HTP/1.1"), ("long_name", "HHTTP/1.1"), ("only_name", "HTTP"), ("only_slash", "HTTP/"),
        ("word", "x"), ("double_slash", "HTTP//1.1"), ("version_only", "1.1"), ("wide_digit", "HTTP/1.\xb9"),
        ("exponent", "HTTP/1e1"), ("fractional_long", "HTTP/1.1000000000000000000000000001"),
    ):
        b.bad(name, R23, req(version=version), 400)
    return b.cases


def leading():
    b = Book("leading")
    get = req()
    b.ok("one_crlf", R22, b"\r\n" + get)
    b.bad("two_crlf", R22, b"\r\n\r\n" + get)
    b.bad("many_crlf", R22, b"\r\n" * 100 + get)
    b.bad("one_lf", R22, b"\n" + get)
    b.bad("one_cr", R22, b"\r" + get)
    b.bad("cr_cr_lf", R22, b"\r\r\n" + get)
    b.bad("crlf_and_lf", R22, b"\r\n\n" + get)
    b.bad("crlf_and_cr", R22, b"\r\n\r" + get)
    b.bad("space", R3, b" " + get)
    b.bad("tab", R3, b"\t" + get)
    b.bad("crlf_and_space", R3, b"\r\n " + get)
    b.bad("nul", R3, b"\0" + get)
    b.bad("many_nul", R3, b"\0" * 64 + get)
    b.bad("high_byte", R3, b"\xff" + get)
    b.ok("one_crlf_between", R22, get + b"\r\n" + get, [OK, OK])
    b.ok("one_crlf_before_and_between", R22, b"\r\n" + get + b"\r\n" + get, [OK, OK])
    b.bad("two_crlf_between", R22, get + b"\r\n\r\n" + get, before=[OK])
    b.bad("lf_between", R22, get + b"\n" + get, before=[OK])
    b.bad("space_between", R3, get + b" " + get, before=[OK])
    b.bad("junk_between", R3, get + b"x\0" + get, before=[OK])
    b.ok("one_crlf_after_body", R22, req("/echo", "Content-Length: 3", method="POST", body=b"abc\r\n") + get,
         [answer(200, b"abc", "POST"), OK])
    b.bad("two_crlf_after_body", R22, req("/echo", "Content-Length: 3", method="POST", body=b"abc\r\n\r\n") + get,
          before=[answer(200, b"abc", "POST")])
    b.incomplete("one_crlf_only", R22, b"\r\n")
    b.incomplete("cr_only", R22, b"\r")
    return b.cases


def early():
    b = Book("line")
    for name, data, status in (
        ("bad_method_byte", b"GE\0", 400), ("bad_first_byte", b"\0", 400), ("space_first", b" ", 400), ("lf_first", b"\n", 400),
        ("cr_then_letter", b"\rG", 400), ("two_spaces", b"GET  ", 400), ("control_in_target", b"GET /\x01", 400),
        ("lf_in_target", b"GET /\n", 400), ("not_a_target", b"GET x ", 400), ("bad_version_letter", b"GET / HTP", 400),
        ("version_lower_case", b"GET / h", 400), ("major_two", b"GET / HTTP/2.0\r\n", 505), ("bad_minor", b"GET / HTTP/1.x", 400),
        ("lf_after_version", b"GET / HTTP/1.1\n", 400), ("space_after_version", b"GET / HTTP/1.1 ", 400),
        ("cr_not_lf", b"GET / HTTP/1.1\rX", 400), ("tls_hello", b"\x16\x03\x01", 400), ("two_crlf", b"\r\n\r", 400),
    ):
        b.early(name, R3, data, status)
    return b.cases
