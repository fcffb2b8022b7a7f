/* SPDX-License-Identifier: MIT */
/*
 * core_proxy_test.c - PROXY headers of both versions. Every case is also given cut at every byte, and with
 * data behind it: the verdict must be the same, and before the header's end it is "more" or the refusal.
 */
#include "core/proxy.h"

#include <peregrine/types.h>
#include "support/unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define LOCAL SIGNATURE "\x20"
#define PROXY SIGNATURE "\x21"
#define IP4_BLOCK "\xc0\0\2\1\xc6\x33\x64\2\xc3\x50\x01\xbb" /* 192.0.2.1:50000 to 198.51.100.2:443 */
#define IP6_BLOCK                                                              \
	"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" /* 2001:db8::1, port 50000 */ \
	"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\xc3\x50\x01\xbb"

/* Parses a copy that ends where the input ends, so that a sanitizer sees every byte read too far. */
static int parse(const void *src, size_t len, struct per__peer *peer)
{
	uint8_t *exact = malloc(len + (len == 0));
	int result;

	assert_non_null(exact);
	memcpy(exact, src, len);
	result = per__proxy_parse(exact, len, peer);
	free(exact);
	return result;
}

/* expected: the header's peer as text, "" for none to be known, NULL for a header that is refused. */
static void check(const char *header, size_t len, const char *expected)
{
	uint8_t longer[4096] = { 0 };
	struct per__peer peer;
	char text[64];
	int whole = parse(header, len, &peer);

	if (expected == NULL) {
		assert_int_equal(whole, PER_EPROTO);
	} else {
		assert_int_equal(whole, (int)len);
		(void)per__peer_format(&peer, text, sizeof(text));
		assert_string_equal(peer.family == 0 ? "" : text, expected);
	}
	for (size_t cut = 0; cut < len; cut++) {
		int part = parse(header, cut, &peer);

		if (part != 0 && !(part == PER_EPROTO && expected == NULL))
			fail_msg("%d when cut at %zu of '%.*s'", part, cut, (int)len, header);
	}
	memcpy(longer, header, len);
	memcpy(longer + len, "GET / HTTP/1.1\r\n\r\n", 18);
	assert_int_equal(parse(longer, len + 18, &peer), whole);
}

#define GOOD(header, expected) check(header, sizeof(header) - 1, expected)
#define BAD(header) check(header, sizeof(header) - 1, NULL)

static void test_proxy_v1_addresses_are_read(void **state)
{
	(void)state;
	GOOD("PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\r\n", "192.0.2.1:50000");
	GOOD("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535");
	GOOD("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0");
	GOOD("PROXY TCP6 2001:db8::1 2001:db8::2 50000 443\r\n", "[2001:db8::1]:50000");
	GOOD("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	     "65535 65535\r\n",
	     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	GOOD("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1:1");
}

static void test_proxy_v1_unknown_keeps_the_real_peer(void **state)
{
	(void)state;
	GOOD("PROXY UNKNOWN\r\n", "");
	GOOD("PROXY UNKNOWN \r\n", "");
	GOOD("PROXY UNKNOWN anything goes here\r\n", "");
	GOOD("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	     "65535 65535\r\n",
	     ""); /* 107 bytes: the longest line */
}

static void test_proxy_v1_longer_than_the_longest_line_is_refused(void **state)
{
	(void)state;
	BAD("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	    "65535 65535 \r\n");
	BAD("PROXY UNKNOWN "
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxx");
}

static void test_proxy_v1_anything_else_is_refused(void **state)
{
	(void)state;
	BAD("PROXY \r\n");
	BAD("PROXY TCP4\r\n");
	BAD("PROXY TCP4 \r\n");
	BAD("PROXY TCP5 192.0.2.1 198.51.100.2 50000 443\r\n");
	BAD("PROXY tcp4 192.0.2.1 198.51.100.2 50000 443\r\n");
	BAD("PROXY UNKNOWNS\r\n");
	BAD("PROXY  TCP4 192.0.2.1 198.51.100.2 50000 443\r\n");
	BAD("PROXY TCP4  192.0.2.1 198.51.100.2 50000 443\r\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 50000 443 \r\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 50000 443 1\r\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 50000\r\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 50000 \r\n");
	BAD("PROXY TCP4 192.0.2.1 50000 443\r\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 50000 65536\r\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 050 443\r\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 x 443\r\n");
	BAD("PROXY TCP4 192.0.2.256 198.51.100.2 50000 443\r\n");
	BAD("PROXY TCP4 192.0.2 198.51.100.2 50000 443\r\n");
	BAD("PROXY TCP4 192.0.2.1 host 50000 443\r\n");
	BAD("PROXY TCP4 ::1 ::2 50000 443\r\n");
	BAD("PROXY TCP4 192.0.2.1 ::2 50000 443\r\n");
	BAD("PROXY TCP6 192.0.2.1 198.51.100.2 50000 443\r\n");
	BAD("PROXY TCP6 ::1 198.51.100.2 50000 443\r\n");
	BAD("PROXY TCP4 192.0.2.1\t198.51.100.2 50000 443\r\n");
	BAD("PROXY TCP4 192.0.2.1\0 198.51.100.2 50000 443\r\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\n");
	BAD("PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\rX");
	BAD("PROXY UNKNOWN a\nb\r\n");
	BAD("PROXY UNKNOWN a\rb\r\n");
}

static void test_proxy_v2_addresses_are_read(void **state)
{
	static const char unix_header[16 + 216 + 1] = PROXY "\x31\0\xd8/run/client";

	(void)state;
	GOOD(PROXY "\x11\0\x0c" IP4_BLOCK, "192.0.2.1:50000");
	GOOD(PROXY "\x21\0\x24" IP6_BLOCK, "[2001:db8::1]:50000");
	GOOD(PROXY
	     "\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x50\0\x51",
	     "192.0.2.1:80");
	GOOD(unix_header, "unix:");
}

static void test_proxy_v2_local_and_unsupported_keep_the_real_peer(void **state)
{
	(void)state;
	GOOD(LOCAL "\0\0\0", "");
	GOOD(LOCAL "\x11\0\x0c" IP4_BLOCK, "");
	GOOD(LOCAL "\xff\0\x03xyz", ""); /* the family and the block of LOCAL are ignored */
	GOOD(PROXY "\0\0\0", "");
	GOOD(PROXY "\0\0\x03xyz", "");
	GOOD(PROXY "\x01\0\0", "");
	GOOD(PROXY "\x12\0\x0c" IP4_BLOCK, ""); /* datagrams */
	GOOD(PROXY "\x22\0\x24" IP6_BLOCK, "");
	GOOD(PROXY "\x10\0\x0c" IP4_BLOCK, "");
}

static void test_proxy_v2_tlvs_are_skipped_when_whole(void **state)
{
	(void)state;
	GOOD(PROXY "\x11\0\x0f" IP4_BLOCK "\x04\0\0", "192.0.2.1:50000");
	GOOD(PROXY "\x11\0\x16" IP4_BLOCK "\x01\0\x02h2\xe0\0\x02xy", "192.0.2.1:50000");
	GOOD(PROXY "\x21\0\x28" IP6_BLOCK "\x02\0\x01h", "[2001:db8::1]:50000");
	BAD(PROXY "\x11\0\x0d" IP4_BLOCK "\x04");
	BAD(PROXY "\x11\0\x0e" IP4_BLOCK "\x04\0");
	BAD(PROXY "\x11\0\x10" IP4_BLOCK "\x04\0\x02x");
	BAD(PROXY "\x11\0\x10" IP4_BLOCK "\x04\xff\xffx");
	BAD(PROXY "\x11\0\x10" IP4_BLOCK "\x04\0\0x");
}

static void test_proxy_v2_bad_headers_are_refused(void **state)
{
	(void)state;
	BAD(SIGNATURE "\x11\x11\0\x0c" IP4_BLOCK); /* version 1 */
	BAD(SIGNATURE "\x31\x11\0\x0c" IP4_BLOCK);
	BAD(SIGNATURE "\x22\x11\0\x0c" IP4_BLOCK); /* no such command */
	BAD(SIGNATURE "\x2f\x11\0\x0c" IP4_BLOCK);
	BAD(PROXY "\x41\0\x0c" IP4_BLOCK); /* no such family */
	BAD(PROXY "\xf1\0\x0c" IP4_BLOCK);
	BAD(PROXY "\x13\0\x0c" IP4_BLOCK); /* no such transport */
	BAD(PROXY "\x1f\0\x0c" IP4_BLOCK);
	BAD(PROXY "\x11\0\x0b"
		  "\xc0\0\2\1\xc6\x33\x64\2\xc3\x50\x01"); /* too short for its family */
	BAD(PROXY "\x11\0\0");
	BAD(PROXY "\x21\0\x0c" IP4_BLOCK);
	BAD(PROXY "\x31\0\x0c" IP4_BLOCK);
}

static void test_proxy_v2_takes_the_longest_header_and_not_one_byte_more(void **state)
{
	char header[PER__PROXY_BYTES_MAX + 1] = PROXY "\x11";
	size_t block = PER__PROXY_BYTES_MAX - 16;
	size_t value = block - 12 - 3;

	(void)state;
	header[14] = (char)(block >> 8);
	header[15] = (char)block;
	memcpy(header + 16, IP4_BLOCK, 12);
	header[28] = 4; /* a TLV of zeros that fills the rest */
	header[29] = (char)(value >> 8);
	header[30] = (char)value;
	check(header, PER__PROXY_BYTES_MAX, "192.0.2.1:50000");
	block++;
	value++;
	header[14] = (char)(block >> 8);
	header[15] = (char)block;
	header[29] = (char)(value >> 8);
	header[30] = (char)value;
	check(header, PER__PROXY_BYTES_MAX + 1, NULL);
	memcpy(header + 12, "\x20\0\xff\xff", 4); /* LOCAL is no way around the limit */
	check(header, 16, NULL);
}

static void test_proxy_other_protocols_are_refused_at_the_first_byte_that_differs(void **state)
{
	struct per__peer peer;

	(void)state;
	BAD("GET / HTTP/1.1\r\n");
	BAD("PROXZ");
	BAD("PROXY\r\n");
	BAD("PROXY\tTCP4");
	BAD("\x16\x03\x01");
	BAD("\r\n\r\nGET / HTTP/1.1");
	BAD("\r\n\r\n\0\r\nQUIX");
	assert_int_equal(per__proxy_parse((const uint8_t *)"", 0, &peer), 0);
	assert_int_equal(peer.family, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proxy_v1_addresses_are_read),
		cmocka_unit_test(test_proxy_v1_unknown_keeps_the_real_peer),
		cmocka_unit_test(test_proxy_v1_longer_than_the_longest_line_is_refused),
		cmocka_unit_test(test_proxy_v1_anything_else_is_refused),
		cmocka_unit_test(test_proxy_v2_addresses_are_read),
		cmocka_unit_test(test_proxy_v2_local_and_unsupported_keep_the_real_peer),
		cmocka_unit_test(test_proxy_v2_tlvs_are_skipped_when_whole),
		cmocka_unit_test(test_proxy_v2_bad_headers_are_refused),
		cmocka_unit_test(test_proxy_v2_takes_the_longest_header_and_not_one_byte_more),
		cmocka_unit_test(test_proxy_other_protocols_are_refused_at_the_first_byte_that_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
