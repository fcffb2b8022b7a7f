/* SPDX-License-Identifier: MIT */
/*
 * http_h1_parse_test.c - request lines, targets and field lines and what RFC 9112 and RFC 9110 say of them,
 * as tables. Every entry is run through every parser whole, cut in two at every byte, and byte by byte. What
 * known fields say is in http_h1_fields_test.c; limits and generated input are in http_h1_limits_test.c.
 */
#include "support/h1_harness.h"

/* RFC 9112 sections 2.2, 3, 3.1, 2.3 */
static void test_h1_parse_request_line_gives_verdict(void **state)
{
	static const struct h1_case cases[] = {
		OK(LINE("GET / HTTP/1.1"), "1o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("HEAD / HTTP/1.1"), "2o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("POST / HTTP/1.1"), "3o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("PUT / HTTP/1.1"), "4o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("DELETE / HTTP/1.1"), "5o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("CONNECT a:1 HTTP/1.1"), "6c11 p= q=- h=h l=- : [Host=h]"),
		OK(LINE("OPTIONS / HTTP/1.1"), "7o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("TRACE / HTTP/1.1"), "8o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("PATCH / HTTP/1.1"), "9o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("PROPFIND / HTTP/1.1"), "0o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("get / HTTP/1.1"), "0o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("G / HTTP/1.1"), "0o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("GETS / HTTP/1.1"), "0o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("POSTS / HTTP/1.1"), "0o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("!#$%&'*+-.^_`|~09azAZ / HTTP/1.1"), "0o11 p=/ q=- h=h l=- : [Host=h]"),
		OK(LINE("M2345678901234567890123456789032 / HTTP/1.1"), NULL),
		BAD(501, LINE("M23456789012345678901234567890323 / HTTP/1.1")),
		/* the shortest ones */
		OK("GET / HTTP/1.0\r\n\r\n", "1o10 p=/ q=- h=- l=- :"),
		OK("A / HTTP/1.0\r\n\r\n", "0o10 p=/ q=- h=- l=- :"),
		OK("GET / HTTP/1.1\r\nHost:\r\n\r\n", "1o11 p=/ q=- h= l=- : [Host=]"),
		MORE(""),
		MORE("G"),
		MORE("GET / HTTP/1.1\r\nHost: h\r\n\r"),
		/* one empty line before it, and not two */
		OK("\r\n" LINE("GET / HTTP/1.1"), "1o11 p=/ q=- h=h l=- : [Host=h]"),
		OK("\r\n" LINE("POST /x?y HTTP/1.1"), "3o11 p=/x q=y h=h l=- : [Host=h]"),
		BAD(400, "\r\n\r\n" LINE("GET / HTTP/1.1")),
		BAD(400, "\n" LINE("GET / HTTP/1.1")),
		BAD(400, "\r" LINE("GET / HTTP/1.1")),
		BAD(400, "\r\r\n" LINE("GET / HTTP/1.1")),
		BAD(400, "\r\n\n" LINE("GET / HTTP/1.1")),
		BAD(400, " \r\n" LINE("GET / HTTP/1.1")),
		MORE("\r"),
		MORE("\r\n"),
		/* spaces: one, one, none elsewhere */
		BAD(400, LINE(" GET / HTTP/1.1")),
		BAD(400, LINE("\tGET / HTTP/1.1")),
		BAD(400, LINE("GET  / HTTP/1.1")),
		BAD(400, LINE("GET /  HTTP/1.1")),
		BAD(400, LINE("GET\t/ HTTP/1.1")),
		BAD(400, LINE("GET \t/ HTTP/1.1")),
		BAD(400, LINE("GET /\tHTTP/1.1")),
		BAD(400, LINE("GET / HTTP/1.1 ")),
		BAD(400, LINE("GET / HTTP/1.1\t")),
		BAD(400, LINE("GET / a HTTP/1.1")),
		BAD(400, LINE("GET\v/ HTTP/1.1")),
		BAD(400, LINE("GET / \x0cHTTP/1.1")),
		BAD(400, LINE("GET\r\n/ HTTP/1.1")),
		BAD(400, LINE("GET /\r HTTP/1.1")),
		BAD(400, LINE("GET\xa0/ HTTP/1.1")),
		/* line ends */
		BAD(400, "GET / HTTP/1.1\nHost: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\rHost: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\n\rHost: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\n\n"),
		/* parts that are missing */
		BAD(400, LINE("GET")),
		BAD(400, LINE("GET ")),
		BAD(400, LINE("GET /")),
		BAD(400, "GET /\r\n"),
		BAD(400, "GET /\n"),
		BAD(400, LINE("GET / ")),
		BAD(400, LINE("GET  HTTP/1.1")),
		BAD(400, LINE("/ HTTP/1.1")),
		BAD(400, LINE("HTTP/1.1")),
		BAD(400, LINE("HTTP/1.1 200 OK")),
		/* method */
		BAD(400, LINE("G(T / HTTP/1.1")),
		BAD(400, LINE("GET: / HTTP/1.1")),
		BAD(400, LINE("\"GET\" / HTTP/1.1")),
		BAD(400, LINE("G\0T / HTTP/1.1")),
		BAD(400, LINE("G\x7fT / HTTP/1.1")),
		BAD(400, LINE("G\xc3\x89T / HTTP/1.1")),
		BAD(400, LINE("GET,POST / HTTP/1.1")),
		BAD(400, LINE("GET/ / HTTP/1.1")),
		BAD(400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), /* TLS on a plain port */
		/* version */
		OK("GET / HTTP/1.2\r\nHost: h\r\n\r\n", "1o11 p=/ q=- h=h l=- : [Host=h]"),
		OK("GET / HTTP/1.9\r\nHost: h\r\n\r\n", "1o11 p=/ q=- h=h l=- : [Host=h]"),
		OK("GET / HTTP/1.0\r\nHost: h\r\n\r\n", "1o10 p=/ q=- h=h l=- : [Host=h]"),
		BAD(400, "GET / HTTP/1.2\r\n\r\n"),
		BAD(505, LINE("GET / HTTP/2.0")),
		BAD(505, LINE("GET / HTTP/0.9")),
		BAD(505, LINE("GET / HTTP/3.1")),
		BAD(505, LINE("GET / HTTP/9.9")),
		BAD(505, "GET / HTTP/2.0\r\n"),
		MORE("GET / HTTP/2.0\r"),
		BAD(400, "GET / HTTP/2.0\n"),
		BAD(400, "GET / HTTP/2.0 \r\n"),
		BAD(400, LINE("GET / http/1.1")),
		BAD(400, LINE("GET / Http/1.1")),
		BAD(400, LINE("GET / HTTP/1.10")),
		BAD(400, LINE("GET / HTTP/11.1")),
		BAD(400, LINE("GET / HTTP/01.1")),
		BAD(400, LINE("GET / HTTP/1.01")),
		BAD(400, LINE("GET / HTTP/1")),
		BAD(400, LINE("GET / HTTP/1.")),
		BAD(400, LINE("GET / HTTP/.1")),
		BAD(400, LINE("GET / HTTP/1,1")),
		BAD(400, LINE("GET / HTTP/ 1.1")),
		BAD(400, LINE("GET / HTTP 1.1")),
		BAD(400, LINE("GET / HTTP/1 .1")),
		BAD(400, LINE("GET / HTTP/-1.1")),
		BAD(400, LINE("GET / HTTP/a.1")),
		BAD(400, LINE("GET / HTTP/1.x")),
		BAD(400, LINE("GET / HTTPS/1.1")),
		BAD(400, LINE("GET / HTP/1.1")),
		BAD(400, LINE("GET / XHTTP/1.1")),
		BAD(400, LINE("GET / HTTP/1.1x")),
		BAD(400, LINE("GET / HTTP\\1.1")),
		BAD(400, LINE("GET / HTTP/1.1\0")),
		BAD(400, LINE("PRI * HTTP/2.0")),
	};

	(void)state;
	h1_check_all(cases, PER_ARRAY_LEN(cases));
}

/* RFC 9112 section 3.2 */
static void test_h1_parse_target_gives_form_and_parts(void **state)
{
	static const struct h1_case cases[] = {
		OK(TARGET("/a/b.css?v=1&w"), "1o11 p=/a/b.css q=v=1&w h=h l=- : [Host=h]"),
		OK(TARGET("/?"), "1o11 p=/ q= h=h l=- : [Host=h]"),
		OK(TARGET("/a??b?c"), "1o11 p=/a q=?b?c h=h l=- : [Host=h]"),
		OK(TARGET("//a//b"), "1o11 p=//a//b q=- h=h l=- : [Host=h]"),
		OK(TARGET("/../a/./%2e%2E/%zz%"), "1o11 p=/../a/./%2e%2E/%zz% q=- h=h l=- : [Host=h]"),
		OK(TARGET("/!\"$%&'()*+,-.0:;<=>@A[\\]^_`a{|}~"),
		   "1o11 p=/!\"$%&'()*+,-.0:;<=>@A[\\]^_`a{|}~ q=- h=h l=- : [Host=h]"),
		OK(TARGET("/http://a@b/"), "1o11 p=/http://a@b/ q=- h=h l=- : [Host=h]"),
		OK(TARGET("/0123456789012345678901234567890123456789?a="
			  "0123456789012345678901234567890123456789"),
		   "1o11 p=/0123456789012345678901234567890123456789 "
		   "q=a=0123456789012345678901234567890123456789 h=h l=- : [Host=h]"),
		BAD(400, TARGET("/#")),
		BAD(400, TARGET("/a#b")),
		BAD(400, TARGET("/a?b#c")),
		BAD(400, TARGET("#")),
		BAD(400, TARGET("/a\x7f")),
		BAD(400, TARGET("/a\x80")),
		BAD(400, TARGET("/\xc3\xa9")),
		BAD(400, TARGET("/a\x01")),
		BAD(400, TARGET("/a\0b")),
		BAD(400, TARGET("/a?b\x7f")),
		BAD(400, TARGET("/a?b\xff")),
		BAD(400, TARGET("/a?\tb")),
		BAD(400, TARGET("a")),
		BAD(400, TARGET("a/b")),
		BAD(400, TARGET("?a")),
		BAD(400, TARGET("h:80")),
		BAD(400, TARGET("www.example.com")),
		BAD(400, TARGET("www.example.com:80")),
		BAD(400, TARGET("\\a")),
		BAD(400, TARGET("%2f")),
		BAD(400, TARGET("..")),
		/* asterisk-form */
		OK("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "7*11 p=* q=- h=h l=- : [Host=h]"),
		BAD(400, TARGET("*")),
		BAD(400, LINE("POST * HTTP/1.1")),
		BAD(400, LINE("options * HTTP/1.1")),
		BAD(400, LINE("OPTIONS ** HTTP/1.1")),
		BAD(400, LINE("OPTIONS */ HTTP/1.1")),
		BAD(400, LINE("OPTIONS *?a HTTP/1.1")),
		/* absolute-form; its authority counts, not the Host field */
		OK(TARGET("http://a/"), "1h11 p=/ q=- h=a l=- : [Host=h]"),
		OK(TARGET("http://a"), "1h11 p= q=- h=a l=- : [Host=h]"),
		OK(TARGET("http://a?b"), "1h11 p= q=b h=a l=- : [Host=h]"),
		OK(TARGET("http://a?b/c"), "1h11 p= q=b/c h=a l=- : [Host=h]"),
		OK(TARGET("http://a:8080/b/c?d"), "1h11 p=/b/c q=d h=a:8080 l=- : [Host=h]"),
		OK(TARGET("HTTP://A.example/b"), "1h11 p=/b q=- h=A.example l=- : [Host=h]"),
		OK(TARGET("hTTpS://a/b"), "1h11 p=/b q=- h=a l=- : [Host=h]"),
		OK(TARGET("https://[::1]:1/"), "1h11 p=/ q=- h=[::1]:1 l=- : [Host=h]"),
		OK(LINE("OPTIONS http://a HTTP/1.1"), "7h11 p= q=- h=a l=- : [Host=h]"),
		OK("GET http://a/ HTTP/1.0\r\n\r\n", "1h10 p=/ q=- h=a l=- :"),
		OK("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", "1h11 p=/ q=- h=a l=- : [Host=]"),
		OK("GET http://a/x HTTP/1.1\r\nHost: b\r\n\r\n", "1h11 p=/x q=- h=a l=- : [Host=b]"),
		BAD(400, "GET http://a/ HTTP/1.1\r\n\r\n"),
		BAD(400, "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
		BAD(400, "GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n"),
		BAD(400, TARGET("http://")),
		BAD(400, TARGET("http:///")),
		BAD(400, TARGET("http://?a")),
		BAD(400, TARGET("http:///a")),
		BAD(400, TARGET("https://")),
		BAD(400, TARGET("http://:80/")),
		BAD(400, TARGET("http://u@a/")),
		BAD(400, TARGET("http://u:p@a/")),
		BAD(400, TARGET("http://@a/")),
		BAD(400, TARGET("http://a:99999/")),
		BAD(400, TARGET("http://a:b/")),
		BAD(400, TARGET("http://a, b/")),
		BAD(400, TARGET("http://a\\b/")),
		BAD(400, TARGET("http://[::1/")),
		BAD(400, TARGET("http:/a/")),
		BAD(400, TARGET("http:a")),
		BAD(400, TARGET("http:\\\\a/")),
		BAD(400, TARGET("httpx://a/")),
		BAD(400, TARGET("h://a/")),
		BAD(400, TARGET("http")),
		BAD(400, TARGET("ftp://a/")),
		BAD(400, TARGET("ws://a/")),
		BAD(400, TARGET("file:///a")),
		BAD(400, TARGET("http://a/#b")),
		/* authority-form: CONNECT, always, and nothing else */
		OK(LINE("CONNECT www.example.com:443 HTTP/1.1"), "6c11 p= q=- h=h l=- : [Host=h]"),
		OK(LINE("CONNECT [::1]:443 HTTP/1.1"), "6c11 p= q=- h=h l=- : [Host=h]"),
		OK(LINE("CONNECT 127.0.0.1:0 HTTP/1.1"), "6c11 p= q=- h=h l=- : [Host=h]"),
		BAD(400, LINE("CONNECT www.example.com HTTP/1.1")),
		BAD(400, LINE("CONNECT 127.0.0.1 HTTP/1.1")),
		BAD(400, LINE("CONNECT host1 HTTP/1.1")),
		BAD(400, LINE("CONNECT [::1] HTTP/1.1")),
		BAD(400, LINE("CONNECT 443 HTTP/1.1")),
		BAD(400, LINE("CONNECT a: HTTP/1.1")),
		BAD(400, LINE("CONNECT :443 HTTP/1.1")),
		BAD(400, LINE("CONNECT a:65536 HTTP/1.1")),
		BAD(400, LINE("CONNECT a:b HTTP/1.1")),
		BAD(400, LINE("CONNECT u@a:1 HTTP/1.1")),
		BAD(400, LINE("CONNECT a:1/ HTTP/1.1")),
		BAD(400, LINE("CONNECT a:1?b HTTP/1.1")),
		BAD(400, LINE("CONNECT / HTTP/1.1")),
		BAD(400, LINE("CONNECT * HTTP/1.1")),
		BAD(400, LINE("CONNECT http://a:1 HTTP/1.1")),
		BAD(400, LINE("CONNECT  HTTP/1.1")),
	};

	(void)state;
	h1_check_all(cases, PER_ARRAY_LEN(cases));
}

/* RFC 9112 section 5, RFC 9110 section 5 */
static void test_h1_parse_field_lines_give_verdict(void **state)
{
	static const struct h1_case cases[] = {
		OK(FIELDS("a:b\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [a=b]"),
		OK(FIELDS("a: b\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [a=b]"),
		OK(FIELDS("a: \t b c\td \t \r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [a=b c\td]"),
		OK(FIELDS("a:\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [a=]"),
		OK(FIELDS("a: \r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [a=]"),
		OK(FIELDS("a:\t \t\r\nb:c\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [a=] [b=c]"),
		OK(FIELDS("a::\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [a=:]"),
		OK(FIELDS("a: b:c\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [a=b:c]"),
		OK(FIELDS("a: \x80\xff\xc3\xa9\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [a=\x80\xff\xc3\xa9]"),
		OK(FIELDS("a: b\r\na: c\r\nA: d\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [a=b] [a=c] [A=d]"),
		OK(FIELDS("!#$%&'*+-.^_`|~09azAZ: b\r\n"),
		   "3o11 p=/ q=- h=h l=- : [Host=h] [!#$%&'*+-.^_`|~09azAZ=b]"),
		OK(FIELDS("a: !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~\r\n"),
		   "3o11 p=/ q=- h=h l=- : [Host=h] [a=!\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~]"),
		OK(FIELDS("a-name-that-is-longer-than-one-block-of-thirty-two-bytes: v\r\n"),
		   "3o11 p=/ q=- h=h l=- : [Host=h] "
		   "[a-name-that-is-longer-than-one-block-of-thirty-two-bytes=v]"),
		OK("GET / HTTP/1.1\r\na: b\r\nHost: h\r\n\r\n", "1o11 p=/ q=- h=h l=- : [a=b] [Host=h]"),
		OK("GET / HTTP/1.0\r\na: b\r\n\r\n", "1o10 p=/ q=- h=- l=- : [a=b]"),
		/* the name and its colon */
		BAD(400, FIELDS("a : b\r\n")),
		BAD(400, FIELDS("a\t: b\r\n")),
		BAD(400, FIELDS("a b: c\r\n")),
		BAD(400, FIELDS(": b\r\n")),
		BAD(400, FIELDS(":\r\n")),
		BAD(400, FIELDS("a\r\n")),
		BAD(400, FIELDS("a b\r\n")),
		BAD(400, FIELDS("a\0: b\r\n")),
		BAD(400, FIELDS("a\x7f: b\r\n")),
		BAD(400, FIELDS("\xc3\xa9: b\r\n")),
		BAD(400, FIELDS("a(: b\r\n")),
		BAD(400, FIELDS("a@b: c\r\n")),
		BAD(400, FIELDS("\"a\": b\r\n")),
		BAD(400, FIELDS("a,b: c\r\n")),
		BAD(400, FIELDS("a/b: c\r\n")),
		BAD(400, FIELDS("a;b: c\r\n")),
		BAD(400, FIELDS("a{}: c\r\n")),
		BAD(400, FIELDS("a\r: b\r\n")),
		BAD(400, FIELDS("a\n: b\r\n")),
		BAD(400, FIELDS("Transfer-Encoding : chunked\r\n")),
		BAD(400, FIELDS("Content-Length : 5\r\n")),
		BAD(400, FIELDS("Content-Length\v: 5\r\n")),
		BAD(400, "GET / HTTP/1.1\r\nHost : h\r\n\r\n"),
		/* folded lines */
		BAD(400, FIELDS("a: b\r\n c\r\n")),
		BAD(400, FIELDS("a: b\r\n\tc\r\n")),
		BAD(400, FIELDS("a: b\r\n \r\n")),
		BAD(400, FIELDS("a:\r\n b\r\n")),
		BAD(400, FIELDS(" a: b\r\n")),
		BAD(400, FIELDS("\ta: b\r\n")),
		BAD(400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\r\n\tHost: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\r\n \r\nHost: h\r\n\r\n"),
		BAD(400, FIELDS("Transfer-Encoding:\r\n chunked\r\n")),
		/* line ends and controls */
		BAD(400, FIELDS("a: b\nc: d\r\n")),
		BAD(400, FIELDS("a: b\rc: d\r\n")),
		BAD(400, FIELDS("a: b\r\r\n")),
		BAD(400, FIELDS("a: b\r \n")),
		BAD(400, FIELDS("a: b\r\0\n")),
		BAD(400, FIELDS("a:\n")),
		BAD(400, FIELDS("a:\r")),
		BAD(400, FIELDS("a: \n")),
		BAD(400, FIELDS("a: b\0c\r\n")),
		BAD(400, FIELDS("a:\0\r\n")),
		BAD(400, FIELDS("a: \x01\r\n")),
		BAD(400, FIELDS("a: b\x0b\r\n")),
		BAD(400, FIELDS("a: b\x0c\r\n")),
		BAD(400, FIELDS("a: b\x1f\r\n")),
		BAD(400, FIELDS("a: b\x7f\r\n")),
		BAD(400, FIELDS("a: b\x1b[31m\r\n")),
		BAD(400, FIELDS("\0")),
		BAD(400, FIELDS("\n")),
		BAD(400, "GET / HTTP/1.1\r\nHost: h\r\n\n"),
		BAD(400, "GET / HTTP/1.1\r\nHost: h\r\n\rX"),
		BAD(400, "GET / HTTP/1.1\r\nHost: h\r\n\r\r\n"),
		BAD(400, "GET / HTTP/1.1\r\nHost: h\n\n"),
		BAD(400, "GET / HTTP/1.1\r\nHost: h\n\r\n"),
		BAD(400, "GET / HTTP/1.1\r\nHost: h\r\n\0\r\n"),
		MORE("GET / HTTP/1.1\r\nHost: h\r\n"),
		MORE("GET / HTTP/1.1\r\nHost: h\r"),
		MORE("GET / HTTP/1.1\r\nHost: "),
		MORE("GET / HTTP/1.1\r\nHost"),
	};

	(void)state;
	h1_check_all(cases, PER_ARRAY_LEN(cases));
}

/* What follows the head is the body or the next request: no byte of it may matter. */
static void test_h1_parse_bytes_behind_the_head_are_ignored(void **state)
{
	static const char *const heads[] = {
		TARGET("/"),
		FIELDS("Content-Length: 5\r\n"),
		FIELDS10(""),
		"\r\n" LINE("GET / HTTP/1.1"),
	};
	static const char tails[][48] = {
		"\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"\x01\x7f\xff#\n\r",
		"hello",
		" folded",
		"Host: i\r\n\r\n",
	};
	char bytes[256];

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(heads); i++) {
		for (size_t j = 0; j < PER_ARRAY_LEN(tails); j++) {
			const size_t len = strlen(heads[i]);

			memcpy(bytes, heads[i], len);
			memcpy(bytes + len, tails[j], sizeof(tails[j]));
			h1_check(
				&(struct h1_case){ bytes, len + sizeof(tails[j]), (int)len, NULL, __LINE__ });
		}
	}
}

/* The error is said when its byte arrives: one byte less, and nothing is wrong yet. */
static void test_h1_parse_error_is_said_at_its_first_byte(void **state)
{
	static const struct h1_case cases[] = {
		BAD(400, "("),
		BAD(400, "\r\n\r"),
		BAD(400, "GET x"),
		BAD(400, "GET *"),
		BAD(400, "GET  "),
		BAD(400, "GET /#"),
		BAD(400, "GET /a?b\x7f"),
		BAD(400, "GET http:/a/ "),
		BAD(400, "CONNECT a "),
		BAD(400, "GET / h"),
		BAD(400, "GET / HTTP/1.1\n"),
		BAD(400, "GET / HTTP/x"),
		BAD(505, "GET / HTTP/2.0\r\n"),
		BAD(400, "GET / HTTP/1.1\r\n "),
		BAD(400, "GET / HTTP/1.1\r\n:"),
		BAD(400, "GET / HTTP/1.1\r\na "),
		BAD(400, "GET / HTTP/1.1\r\na: \x01"),
		BAD(400, "GET / HTTP/1.1\r\na: b\n"),
		BAD(400, "GET / HTTP/1.1\r\na: b\rc"),
		BAD(400, "GET / HTTP/1.1\r\nHost: a b\r\n"),
		BAD(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n"),
		BAD(400, "GET / HTTP/1.1\r\nContent-Length: x\r\n"),
		BAD(400, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked, x\r\n"),
		BAD(417, "GET / HTTP/1.1\r\nExpect: x\r\n"),
		BAD(400, "GET / HTTP/1.1\r\n\r\n"),
		BAD(501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: a, chunked\r\n\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		struct h1_case before = cases[i];

		h1_check(&cases[i]);
		before.len--;
		before.expect = PER__H1_MORE;
		h1_check(&before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_h1_parse_request_line_gives_verdict),
		cmocka_unit_test(test_h1_parse_target_gives_form_and_parts),
		cmocka_unit_test(test_h1_parse_field_lines_give_verdict),
		cmocka_unit_test(test_h1_parse_bytes_behind_the_head_are_ignored),
		cmocka_unit_test(test_h1_parse_error_is_said_at_its_first_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
