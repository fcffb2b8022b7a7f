/* SPDX-License-Identifier: MIT */
/*
 * http_h1_fields_test.c - what known fields say, hosts, tokens, methods, names and trailers:
 * src/http/h1_fields.c, seen through the parsers where a whole head is needed. Tables as in
 * http_h1_parse_test.c.
 */
#include "support/h1_harness.h"

/* RFC 9112 section 3.2, RFC 9110 section 7.2 */
static void test_h1_fields_host_in_head_gives_verdict(void **state)
{
	static const struct h1_case cases[] = {
		OK(HOST(" www.example.com"), "1o11 p=/ q=- h=www.example.com l=- : [Host=www.example.com]"),
		OK(HOST("localhost:8080 \t"), "1o11 p=/ q=- h=localhost:8080 l=- : [Host=localhost:8080]"),
		OK(HOST(" [2001:db8::1]:443"),
		   "1o11 p=/ q=- h=[2001:db8::1]:443 l=- : [Host=[2001:db8::1]:443]"),
		OK(HOST(""), "1o11 p=/ q=- h= l=- : [Host=]"),
		OK(HOST("  "), "1o11 p=/ q=- h= l=- : [Host=]"),
		OK("GET / HTTP/1.1\r\nhOST: h\r\n\r\n", "1o11 p=/ q=- h=h l=- : [hOST=h]"),
		OK("GET / HTTP/1.1\r\nHosts: a\r\nHost: h\r\n\r\n",
		   "1o11 p=/ q=- h=h l=- : [Hosts=a] [Host=h]"),
		BAD(400, "GET / HTTP/1.1\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\r\na: b\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\r\nHosts: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\r\nX-Host: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\r\nHost: h\r\na: b\r\nHOST: i\r\n\r\n"),
		BAD(400, "GET / HTTP/1.1\r\nHost:\r\nHost: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"),
		BAD(400, "GET / HTTP/1.0\r\nHost: a b\r\n\r\n"),
		BAD(400, HOST(" a b")),
		BAD(400, HOST(" a, b")),
		BAD(400, HOST(" a, b")),
		BAD(400, HOST(" a@b")),
		BAD(400, HOST(" u:p@b")),
		BAD(400, HOST(" a/")),
		BAD(400, HOST(" /a")),
		BAD(400, HOST(" http://a")),
		BAD(400, HOST(" a?b")),
		BAD(400, HOST(" a#b")),
		BAD(400, HOST(" a\\b")),
		BAD(400, HOST(" a:b")),
		BAD(400, HOST(" a:80:80")),
		BAD(400, HOST(" a@80")),
		BAD(400, HOST(" a, 80")),
		BAD(400, HOST(" a/80")),
		BAD(400, HOST(" a;80:8x")),
		BAD(400, HOST(" a:8 ,")),
		OK(HOST(" a:65535"), "1o11 p=/ q=- h=a:65535 l=- : [Host=a:65535]"),
		OK(HOST(" a:"), "1o11 p=/ q=- h=a: l=- : [Host=a:]"),
		OK(HOST(" %41"), "1o11 p=/ q=- h=%41 l=- : [Host=%41]"),
		BAD(400, HOST(" a:65536")),
		BAD(400, HOST(" a:-1")),
		BAD(400, HOST(" a: 80")),
		BAD(400, HOST(" :80")),
		BAD(400, HOST(" [::1")),
		BAD(400, HOST(" ::1")),
		BAD(400, HOST(" \"a\"")),
		BAD(400, HOST(" a\x80")),
		BAD(400, HOST(" a<b>")),
	};

	(void)state;
	h1_check_all(cases, PER_ARRAY_LEN(cases));
}

/* RFC 9112 section 6 */
static void test_h1_fields_length_and_coding_give_verdict(void **state)
{
	static const struct h1_case cases[] = {
		OK(CL(" 0"), "3o11 p=/ q=- h=h l=0 : [Host=h] [Content-Length=0]"),
		OK(CL("5"), "3o11 p=/ q=- h=h l=5 : [Host=h] [Content-Length=5]"),
		OK(CL(" 5 \t"), "3o11 p=/ q=- h=h l=5 : [Host=h] [Content-Length=5]"),
		OK(CL(" 0000000000000000000000000000042"),
		   "3o11 p=/ q=- h=h l=42 : [Host=h] [Content-Length=0000000000000000000000000000042]"),
		OK(CL(" 9223372036854775807"),
		   "3o11 p=/ q=- h=h l=9223372036854775807 : [Host=h] [Content-Length=9223372036854775807]"),
		OK(FIELDS("cONTENT-lENGTH: 7\r\n"), "3o11 p=/ q=- h=h l=7 : [Host=h] [cONTENT-lENGTH=7]"),
		OK(FIELDS10("Content-Length: 7\r\n"), "3o10 p=/ q=- h=- l=7 : [Content-Length=7]"),
		OK("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n",
		   "1o11 p=/ q=- h=h l=3 : [Host=h] [Content-Length=3]"),
		OK(FIELDS("X-Content-Length: a\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [X-Content-Length=a]"),
		OK(FIELDS("Content_Length: a\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [Content_Length=a]"),
		BAD(400, CL(" 9223372036854775808")),
		BAD(400, CL(" 18446744073709551616")),
		BAD(400, CL(" 18446744073709551621")),
		BAD(400, CL(" 99999999999999999999999999")),
		BAD(400, CL("")),
		BAD(400, CL(" ")),
		BAD(400, CL(" +5")),
		BAD(400, CL(" -5")),
		BAD(400, CL(" -0")),
		BAD(400, CL(" 0x5")),
		BAD(400, CL(" 5a")),
		BAD(400, CL(" a5")),
		BAD(400, CL(" 5.0")),
		BAD(400, CL(" 5e3")),
		BAD(400, CL(" 5 5")),
		BAD(400, CL(" 5,5")),
		BAD(400, CL(" 5, 6")),
		BAD(400, CL(" ,5")),
		BAD(400, CL(" 5,")),
		BAD(400, CL(" 5;")),
		BAD(400, CL(" \"5\"")),
		BAD(400, CL(" five")),
		BAD(400, CL(" 1_000")),
		BAD(400, CL(" \xb2")),
		BAD(400, CL(" 5\0")),
		BAD(400, CL(" 5\v")),
		BAD(400, FIELDS("Content-Length: 5\r\nContent-Length: 5\r\n")),
		BAD(400, FIELDS("Content-Length: 5\r\nContent-Length: 6\r\n")),
		BAD(400, FIELDS("Content-Length: 5\r\na: b\r\ncontent-length: 5\r\n")),
		BAD(400, FIELDS10("Content-Length: 5\r\nContent-Length: 5\r\n")),
		/* Transfer-Encoding */
		OK(TE(" chunked"), "3o11 p=/ q=- h=h l=- c: [Host=h] [Transfer-Encoding=chunked]"),
		OK(TE("chunked"), "3o11 p=/ q=- h=h l=- c: [Host=h] [Transfer-Encoding=chunked]"),
		OK(TE("\t CHUNKed \t"), "3o11 p=/ q=- h=h l=- c: [Host=h] [Transfer-Encoding=CHUNKed]"),
		OK(FIELDS("tRANSFER-eNCODING: chunked\r\n"),
		   "3o11 p=/ q=- h=h l=- c: [Host=h] [tRANSFER-eNCODING=chunked]"),
		OK(FIELDS("X-Transfer-Encoding: gzip\r\n"),
		   "3o11 p=/ q=- h=h l=- : [Host=h] [X-Transfer-Encoding=gzip]"),
		BAD(501, TE(" gzip, chunked")),
		BAD(501, TE(" gzip,chunked")),
		BAD(501, TE(" gzip\t ,\tchunked")),
		BAD(501, TE(" gzip, deflate, chunked")),
		BAD(501, TE(" identity, chunked")),
		BAD(501, TE(" x, chunked")),
		BAD(501, FIELDS("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")),
		BAD(501,
		    FIELDS("Transfer-Encoding: gzip\r\na: b\r\nTransfer-Encoding: deflate, chunked\r\n")),
		BAD(400, TE("")),
		BAD(400, TE(" ")),
		BAD(400, TE(" gzip")),
		BAD(400, TE(" identity")),
		BAD(400, TE(" chunked, chunked")),
		BAD(400, TE(" chunked,chunked")),
		BAD(400, TE(" chunked, gzip")),
		BAD(400, TE(" chunked, identity")),
		BAD(400, TE(" gzip, chunked, gzip")),
		BAD(400, TE(" gzip, chunked, chunked")),
		BAD(400, TE(" chunked;q=1")),
		BAD(400, TE(" chunked; q=1")),
		BAD(400, TE(" chunked;")),
		BAD(400, TE(" gzip;q=1, chunked")),
		BAD(400, TE(" ,chunked")),
		BAD(400, TE(" chunked,")),
		BAD(400, TE(" chunked, ")),
		BAD(400, TE(" ,")),
		BAD(400, TE(" gzip,,chunked")),
		BAD(400, TE(" gzip, ,chunked")),
		BAD(400, TE(" xchunked")),
		BAD(400, TE(" chunkedx")),
		BAD(400, TE(" x-chunked")),
		BAD(400, TE(" chunke")),
		BAD(400, TE(" chunked chunked")),
		BAD(400, TE(" chunked gzip")),
		BAD(400, TE(" gzip chunked")),
		BAD(400, TE(" \"chunked\"")),
		BAD(400, TE(" 'chunked'")),
		BAD(400, TE(" \x0b"
			    "chunked")),
		BAD(400, TE(" chunked\x0b")),
		BAD(400, TE(" chunked\0")),
		BAD(400, TE(" \0chunked")),
		BAD(400, TE(" chunked\x80")),
		BAD(400, TE(" \xa0"
			    "chunked")),
		BAD(400, TE(" \xc4\x87hunked")),
		BAD(400, TE("\n chunked")),
		BAD(400, FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
		BAD(400, FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n")),
		BAD(400, FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")),
		BAD(400, FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n")),
		BAD(400, FIELDS("Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n")),
		BAD(400, FIELDS("Transfer-Encoding: gzip\r\nTransfer-Encoding: deflate\r\n")),
		/* both */
		BAD(400, FIELDS("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
		BAD(400, FIELDS("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
		BAD(400, FIELDS("Transfer-Encoding: chunked\r\na: b\r\nContent-Length: 0\r\n")),
		BAD(400, FIELDS("Transfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n")),
		BAD(400, FIELDS("Content-Length: 5\r\nTransfer-Encoding: identity\r\n")),
		/* RFC 9112 section 6.1: an HTTP/1.0 message with Transfer-Encoding is faulty */
		BAD(400, FIELDS10("Transfer-Encoding: chunked\r\n")),
		BAD(400, FIELDS10("Transfer-Encoding: gzip, chunked\r\n")),
		BAD(400, FIELDS10("Transfer-Encoding: identity\r\n")),
		/* other fields of the same length */
		OK(FIELDS("Accept-Charset: a\r\nIf-Modified-Since: b\r\nUser-Agent: c\r\nReferer: "
			  "d\r\nCookie: e\r\n"
			  "Date: f\r\n"),
		   "3o11 p=/ q=- h=h l=- : [Host=h] [Accept-Charset=a] [If-Modified-Since=b] [User-Agent=c] "
		   "[Referer=d] "
		   "[Cookie=e] [Date=f]"),
	};

	(void)state;
	h1_check_all(cases, PER_ARRAY_LEN(cases));
}

/* RFC 9110 sections 7.6.1, 7.8, 10.1.1; RFC 9112 section 9.3 */
static void test_h1_fields_connection_and_expect_set_flags(void **state)
{
	static const struct h1_case cases[] = {
		OK(FIELDS("Connection: close\r\n"), "3o11 p=/ q=- h=h l=- x: [Host=h] [Connection=close]"),
		OK(FIELDS("Connection: CLOSE\r\n"), "3o11 p=/ q=- h=h l=- x: [Host=h] [Connection=CLOSE]"),
		OK(FIELDS("connection:keep-alive\r\n"),
		   "3o11 p=/ q=- h=h l=- k: [Host=h] [connection=keep-alive]"),
		OK(FIELDS10("Connection: Keep-Alive\r\n"), "3o10 p=/ q=- h=- l=- k: [Connection=Keep-Alive]"),
		OK(FIELDS("Connection: keep-alive, close\r\n"),
		   "3o11 p=/ q=- h=h l=- xk: [Host=h] [Connection=keep-alive, close]"),
		OK(FIELDS("Connection: a ,\tclose\t,b\r\n"),
		   "3o11 p=/ q=- h=h l=- x: [Host=h] [Connection=a ,\tclose\t,b]"),
		OK(FIELDS("Connection: keep-alive\r\nConnection: close\r\n"),
		   "3o11 p=/ q=- h=h l=- xk: [Host=h] [Connection=keep-alive] [Connection=close]"),
		OK(FIELDS("Connection: closed\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [Connection=closed]"),
		OK(FIELDS("Connection: clos\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [Connection=clos]"),
		OK(FIELDS("Connection: xclose\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [Connection=xclose]"),
		OK(FIELDS("Connection: \"close\"\r\n"),
		   "3o11 p=/ q=- h=h l=- : [Host=h] [Connection=\"close\"]"),
		OK(FIELDS("Connection: close keep-alive\r\n"),
		   "3o11 p=/ q=- h=h l=- : [Host=h] [Connection=close keep-alive]"),
		OK(FIELDS("Connection: ,,close,,\r\n"),
		   "3o11 p=/ q=- h=h l=- x: [Host=h] [Connection=,,close,,]"),
		OK(FIELDS("Connection: @@, close\r\n"),
		   "3o11 p=/ q=- h=h l=- x: [Host=h] [Connection=@@, close]"),
		OK(FIELDS("Connection:\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [Connection=]"),
		OK(FIELDS("Connection: ,\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [Connection=,]"),
		OK(FIELDS("Proxy-Connection: close\r\n"),
		   "3o11 p=/ q=- h=h l=- : [Host=h] [Proxy-Connection=close]"),
		OK(FIELDS("Keep-Alive: close\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [Keep-Alive=close]"),
		/* upgrade needs both fields */
		OK(FIELDS("Connection: Upgrade\r\nUpgrade: websocket\r\n"),
		   "3o11 p=/ q=- h=h l=- u: [Host=h] [Connection=Upgrade] [Upgrade=websocket]"),
		OK(FIELDS("Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n"),
		   "3o11 p=/ q=- h=h l=- ku: [Host=h] [Upgrade=websocket] [Connection=keep-alive, upgrade]"),
		OK(FIELDS("UPGRADE: h2c, foo/2\r\nConnection: x\r\nConnection: UPGRADE\r\n"),
		   "3o11 p=/ q=- h=h l=- u: [Host=h] [UPGRADE=h2c, foo/2] [Connection=x] "
		   "[Connection=UPGRADE]"),
		OK(FIELDS("Connection: upgrade\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [Connection=upgrade]"),
		OK(FIELDS("Upgrade: websocket\r\n"), "3o11 p=/ q=- h=h l=- : [Host=h] [Upgrade=websocket]"),
		OK(FIELDS("Connection: upgrades\r\nUpgrade: a\r\n"),
		   "3o11 p=/ q=- h=h l=- : [Host=h] [Connection=upgrades] [Upgrade=a]"),
		OK(FIELDS10("Connection: upgrade\r\nUpgrade: a\r\n"),
		   "3o10 p=/ q=- h=- l=- : [Connection=upgrade] [Upgrade=a]"),
		/* Expect */
		OK(FIELDS("Expect: 100-continue\r\n"),
		   "3o11 p=/ q=- h=h l=- e: [Host=h] [Expect=100-continue]"),
		OK(FIELDS("expect:100-CONTINUE \r\n"),
		   "3o11 p=/ q=- h=h l=- e: [Host=h] [expect=100-CONTINUE]"),
		OK(FIELDS("Expect: 100-continue\r\nExpect: 100-continue\r\n"), NULL),
		OK(FIELDS10("Expect: 100-continue\r\n"), "3o10 p=/ q=- h=- l=- : [Expect=100-continue]"),
		OK(FIELDS10("Expect: foo\r\n"), "3o10 p=/ q=- h=- l=- : [Expect=foo]"),
		BAD(417, FIELDS("Expect: foo\r\n")),
		BAD(417, FIELDS("Expect:\r\n")),
		BAD(417, FIELDS("Expect: 100-continu\r\n")),
		BAD(417, FIELDS("Expect: 100-continue2\r\n")),
		BAD(417, FIELDS("Expect: 100\r\n")),
		BAD(417, FIELDS("Expect: 100-continue, foo\r\n")),
		BAD(417, FIELDS("Expect: 100-continue;q=1\r\n")),
		BAD(417, FIELDS("Expect: 100-continue\r\nExpect: foo\r\n")),
		BAD(417, "GET / HTTP/1.1\r\nExpect: foo\r\n"),
		BAD(400, FIELDS("Expect: foo\rX")),
	};

	(void)state;
	h1_check_all(cases, PER_ARRAY_LEN(cases));
}

/* The grammar once more, in words instead of a table (RFC 9110 sections 5.5 and 5.6.2). */
static bool is_tchar(unsigned byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
	       (byte != 0 && byte < 0x80 && strchr("!#$%&'*+-.^_`|~", (int)byte) != NULL);
}

static void test_h1_fields_single_bytes_are_of_their_class(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		const char text[3] = { 'a', (char)byte, 'a' };
		const bool is_blank = byte == ' ' || byte == '\t';
		const bool is_value = is_blank || (byte > ' ' && byte != 0x7f);

		assert_int_equal(per__is_token(text + 1, 1), is_tchar(byte));
		assert_int_equal(per__is_token(text, 3), is_tchar(byte));
		assert_int_equal(per__is_field_value(text, 3), is_value);
		assert_int_equal(per__is_field_value(text, 2), is_value && !is_blank);
		assert_int_equal(per__is_field_value(text + 1, 2), is_value && !is_blank);
	}
	assert_false(per__is_token("", 0));
	assert_true(per__is_field_value("", 0));
	assert_false(per__is_field_value(" ", 1));
}

static void test_h1_fields_hosts_follow_the_grammar(void **state)
{
	static const char *const good[] = {
		"",
		"a",
		"a.b",
		"localhost",
		"www.example.com.",
		"127.0.0.1",
		"999.1.1.1",
		"a-b_c~d!$&'()*+,;=",
		"a,b",
		"%41%fF",
		"a:",
		"a:0",
		"a:80",
		"a:65535",
		"a:00080",
		"[::]",
		"[::1]",
		"[1::]",
		"[1:2:3:4:5:6:7:8]",
		"[::1]:",
		"[1:2:3:4:5:6:7::]",
		"[::2:3:4:5:6:7:8]",
		"[1::8]",
		"[ABCD:ef01::]",
		"[::127.0.0.1]",
		"[::ffff:1.2.3.255]",
		"[1:2:3:4:5:6:1.2.3.4]",
		"[::1]:8080",
		"[v1.a]",
		"[VF.a:b!]:1",
		"xn--bcher-kva.example:443",
	};
	static const char *const bad[] = {
		":",
		":80",
		"a:b",
		"a:65536",
		"a:99999999999999999999",
		"a:80:80",
		"a:-1",
		"a:+1",
		"a: 1",
		"a:1 ",
		"a b",
		" a",
		"a ",
		"a@b",
		"@",
		"a@",
		"a/",
		"/",
		"a?b",
		"a#b",
		"a\\b",
		"\"a\"",
		"<a>",
		"a|b",
		"a^b",
		"a`b",
		"{a}",
		"%",
		"%4",
		"%4g",
		"a%",
		"\x7f",
		"a\x80",
		"\xc3\xa9",
		"[",
		"]",
		"[]",
		"[]:80",
		"[::1",
		"::1",
		"::1]",
		"a[::1]",
		"[::1]a",
		"[::1]80",
		"[::1]:a",
		"[[::1]]",
		"[:]",
		"[:::]",
		"[1:2:3:4:5:6:7]",
		"[1:2:3:4:5:6:7:8:9]",
		"[1:2:3:4:5:6:7:8::]",
		"[::1:2:3:4:5:6:7:8]",
		"[1::2::3]",
		"[1:::2]",
		"[:1]",
		"[1:]",
		"[12345::]",
		"[g::]",
		"[::1%25eth0]",
		"[::1%eth0]",
		"[127.0.0.1]",
		"[::1.2.3]",
		"[::1.2.3.4.5]",
		"[::256.1.1.1]",
		"[::01.1.1.1]",
		"[::1.1.1.1:1]",
		"[1:2:3:4:5:6:7:1.2.3.4]",
		"[::1.2.3.]",
		"[v.a]",
		"[v1]",
		"[v1.]",
		"[vg.a]",
		"[v1.a/]",
		"[::1]]",
		"[ ::1]",
		"[::1 ]",
		"[a]",
		"[::-1]",
		"[:1::]",
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(good); i++) {
		if (!per__is_host(good[i], strlen(good[i])))
			fail_msg("refused: %s", good[i]);
	}
	for (size_t i = 0; i < PER_ARRAY_LEN(bad); i++) {
		if (per__is_host(bad[i], strlen(bad[i])))
			fail_msg("accepted: %s", bad[i]);
	}
	assert_false(per__is_host("a\0b", 3));
	assert_false(per__is_host("a:80\0", 5));
}

static void test_h1_fields_method_is_recognised_exactly(void **state)
{
	static const char *const names[] = { "GET",     "HEAD",    "POST",  "PUT",  "DELETE",
					     "CONNECT", "OPTIONS", "TRACE", "PATCH" };

	(void)state;
	for (unsigned i = 0; i < PER_ARRAY_LEN(names); i++) {
		char other[16];
		const size_t len = strlen(names[i]);

		assert_int_equal(per__method_from(names[i], len), (int)i + PER_METHOD_GET);
		assert_int_equal(per__method_from(names[i], len - 1), PER_METHOD_OTHER);
		for (size_t at = 0; at <= len; at++) { /* lower-case at one place; longer by one byte */
			memset(other, 'X', sizeof(other));
			memcpy(other, names[i], len);
			other[at] |= 0x20;
			assert_int_equal(per__method_from(other, at < len ? len : len + 1), PER_METHOD_OTHER);
		}
	}
	assert_int_equal(per__method_from("", 0), PER_METHOD_OTHER);
}

/* Every name that the parser knows, changed in one byte, is a name that it does not know. */
static void test_h1_fields_name_changed_in_one_byte_is_unknown(void **state)
{
	static const struct {
		const char *name, *value;
		int status; /* what the value provokes as long as the name is known */
	} known[] = {
		{ "Host", "a b", -400 },
		{ "Content-Length", "x", -400 },
		{ "Transfer-Encoding", "@", -400 },
		{ "Expect", "x", -417 },
	};
	char head[160];

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(known); i++) {
		for (size_t at = 0; at < strlen(known[i].name); at++) {
			for (unsigned byte = 0; byte < 256; byte++) {
				const int len = snprintf(head, sizeof(head),
							 "GET / HTTP/1.1\r\n%s: %s\r\nHost: h\r\n\r\n",
							 known[i].name, known[i].value);
				const unsigned char old = (unsigned char)known[i].name[at];
				const bool is_letter = (old | 0x20u) >= 'a' && (old | 0x20u) <= 'z';
				const bool is_same = byte == old || (is_letter && (byte ^ old) == 0x20);
				int expect = H1_TEST_WHOLE;

				if (!is_tchar(byte)) /* a colon in the name's place makes a shorter name */
					expect = byte == ':' && at > 0 ? H1_TEST_WHOLE : -400;
				else if (is_same)
					expect = known[i].status;
				head[16 + at] = (char)byte;
				h1_check_whole(&(struct h1_case){ head, (size_t)len, expect, NULL, __LINE__ },
					       &h1_test_limits);
			}
		}
	}
}

/* RFC 9112 section 7.1.2, RFC 9110 section 6.5 */
static void test_h1_fields_trailers_give_verdict(void **state)
{
	static const struct h1_case cases[] = {
		OK("\r\n", ""),
		OK("a:b\r\n\r\n", " [a=b]"),
		OK("a: b \r\nX-Checksum:\tc\r\n\r\n", " [a=b] [X-Checksum=c]"),
		OK("a:\r\n\r\n", " [a=]"),
		OK("Host: a\r\nhost: b c\r\n\r\n", ""),
		OK("Content-Length: x\r\na: b\r\nTransfer-Encoding: @\r\n\r\n", " [a=b]"),
		OK("Connection: close\r\nTrailer: a\r\nTE: b\r\nUpgrade: c\r\nExpect: d\r\na: b\r\n\r\n",
		   " [a=b]"),
		OK("Authorization: a\r\nCookie: b\r\nSet-Cookie: c\r\nProxy-Authorization: d\r\na: b\r\n\r\n",
		   " [a=b]"),
		OK("Content-Encoding: a\r\nCONTENT-TYPE: b\r\ncontent-range: c\r\na: b\r\n\r\n", " [a=b]"),
		OK("Cache-Control: a\r\nMax-Forwards: b\r\nRange: c\r\nIf-Match: d\r\na: b\r\n\r\n",
		   " [a=b]"),
		OK("Hosts: a\r\nHos: b\r\nX-Host: c\r\n\r\n", " [Hosts=a] [Hos=b] [X-Host=c]"),
		MORE(""),
		MORE("\r"),
		MORE("a: b\r\n"),
		MORE("a"),
		BAD(400, "\n"),
		BAD(400, "\rx"),
		BAD(400, "\0"),
		BAD(400, " \r\n"),
		BAD(400, " a: b\r\n"),
		BAD(400, "a: b\r\n c\r\n"),
		BAD(400, "a : b\r\n"),
		BAD(400, "a\r\n"),
		BAD(400, ": a\r\n"),
		BAD(400, "a: b\n"),
		BAD(400, "a: b\rc"),
		BAD(400, "a: \x01"),
		BAD(400, "Host: a\x7f"),
		BAD(400, "GET / HTTP/1.1\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++)
		h1_check_trailers(&cases[i], &h1_test_limits, H1_TEST_FIELDS_MAX);
	h1_check_trailers(&(struct h1_case){ "a: b\r\n\r\nGET /", 13, 8, " [a=b]", __LINE__ },
			  &h1_test_limits, 1);
}

/* Lines that are dropped count like others; a line too much is refused at its first byte. */
static void test_h1_fields_trailers_at_and_above_limits(void **state)
{
	const struct per__h1_limits two = { 65535, 8192, 2 };
	struct per__h1_limits bytes = { 0, 8192, 100 };

	(void)state;
	h1_check_trailers(&(struct h1_case)OK("Host: a\r\nb: c\r\n\r\n", " [b=c]"), &two, 2);
	h1_check_trailers(&(struct h1_case)BAD(431, "Host: a\r\nb: c\r\nd"), &two, 2);
	h1_check_trailers(&(struct h1_case)BAD(400, "Host: a\r\nb: c\r\n "), &two, 2);
	h1_check_trailers(&(struct h1_case)OK("a: b\r\n\r\n", " [a=b]"), &h1_test_limits, 1);
	h1_check_trailers(&(struct h1_case)BAD(431, "a: b\r\nc: d\r\n\r\n"), &h1_test_limits, 1);
	h1_check_trailers(&(struct h1_case)OK("\r\n", ""), &h1_test_limits, 0);
	h1_check_trailers(&(struct h1_case)BAD(431, "a: b\r\n\r\n"), &h1_test_limits, 0);
	for (bytes.head_bytes_max = 1; bytes.head_bytes_max < 8; bytes.head_bytes_max++)
		h1_check_trailers(&(struct h1_case)BAD(431, "a: b\r\n\r\n"), &bytes, 1);
	h1_check_trailers(&(struct h1_case)OK("a: b\r\n\r\n", " [a=b]"), &bytes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_h1_fields_host_in_head_gives_verdict),
		cmocka_unit_test(test_h1_fields_length_and_coding_give_verdict),
		cmocka_unit_test(test_h1_fields_connection_and_expect_set_flags),
		cmocka_unit_test(test_h1_fields_single_bytes_are_of_their_class),
		cmocka_unit_test(test_h1_fields_hosts_follow_the_grammar),
		cmocka_unit_test(test_h1_fields_method_is_recognised_exactly),
		cmocka_unit_test(test_h1_fields_name_changed_in_one_byte_is_unknown),
		cmocka_unit_test(test_h1_fields_trailers_give_verdict),
		cmocka_unit_test(test_h1_fields_trailers_at_and_above_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
