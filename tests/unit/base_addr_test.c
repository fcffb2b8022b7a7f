/* SPDX-License-Identifier: MIT */
/*
 * base_addr_test.c - addresses to listen on and of peers, from and to text. Asks no name server.
 */
#include "base/addr.h"

#include <netinet/in.h>
#include <sys/un.h>
#include <peregrine/types.h>
#include "support/unit.h"

#define TEXT_BYTES 160

static void check_round_trip(const char *text, const char *expected, int family, uint16_t port)
{
	struct per__addr addr;
	char out[TEXT_BYTES];
	const char *why = "nothing";

	if (per__addr_parse(&addr, text, &why) != 0)
		fail_msg("'%s': %s", text, why);
	assert_int_equal(per__addr_format(&addr, out, sizeof(out)), strlen(expected));
	assert_string_equal(out, expected);
	assert_int_equal(addr.storage.ss_family, family);
	assert_int_equal(per__addr_port(&addr), port);
	assert_true(addr.len > 0);
	assert_int_equal(addr.inherited_fd, -1);
}

static void test_addr_parse_knows_every_form(void **state)
{
	(void)state;
	check_round_trip("127.0.0.1:8080", "127.0.0.1:8080", AF_INET, 8080);
	check_round_trip("0.0.0.0:0", "0.0.0.0:0", AF_INET, 0);
	check_round_trip("255.255.255.255:65535", "255.255.255.255:65535", AF_INET, 65535);
	check_round_trip("[::1]:8080", "[::1]:8080", AF_INET6, 8080);
	check_round_trip("[2001:DB8::0:1]:80", "[2001:db8::1]:80", AF_INET6, 80);
	check_round_trip("[::]:80", "[::]:80", AF_INET6, 80);
	check_round_trip("*:3000", "*:3000", AF_INET6, 3000);
	check_round_trip(":3000", "*:3000", AF_INET6, 3000);
	check_round_trip("unix:/run/peregrine.sock", "unix:/run/peregrine.sock", AF_UNIX, 0);
	check_round_trip("unix:relative", "unix:relative", AF_UNIX, 0);
}

static void test_addr_parse_wildcard_is_said(void **state)
{
	struct per__addr addr;

	(void)state;
	assert_int_equal(per__addr_parse(&addr, "*:1", NULL), 0);
	assert_true(addr.is_wildcard);
	assert_int_equal(per__addr_parse(&addr, "[::]:1", NULL), 0);
	assert_false(addr.is_wildcard);
}

static void test_addr_parse_inherited_descriptor(void **state)
{
	struct per__addr addr;
	char out[TEXT_BYTES];

	(void)state;
	assert_int_equal(per__addr_parse(&addr, "fd:3", NULL), 0);
	assert_int_equal(addr.inherited_fd, 3);
	assert_int_equal(addr.len, 0);
	assert_int_equal(per__addr_format(&addr, out, sizeof(out)), 4);
	assert_string_equal(out, "fd:3");
	assert_int_equal(per__addr_parse(&addr, "fd:2147483647", NULL), 0);
}

#ifdef __linux__
static void test_addr_parse_abstract_name_has_no_nul_at_its_end(void **state)
{
	struct per__addr addr;
	const struct sockaddr_un *un = (const struct sockaddr_un *)&addr.storage;
	char out[TEXT_BYTES];

	(void)state;
	assert_int_equal(per__addr_parse(&addr, "unix:@name", NULL), 0);
	assert_int_equal(addr.len, offsetof(struct sockaddr_un, sun_path) + 5);
	assert_memory_equal(un->sun_path, "\0name", 5);
	(void)per__addr_format(&addr, out, sizeof(out));
	assert_string_equal(out, "unix:@name");
}
#endif

static void test_addr_parse_unix_path_fits_or_is_refused(void **state)
{
	size_t path_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	struct per__addr addr;
	char text[TEXT_BYTES], out[TEXT_BYTES];

	(void)state;
	memset(text, 0, sizeof(text));
	memcpy(text, "unix:", 5);
	memset(text + 5, 'p', path_max);
	assert_int_equal(per__addr_parse(&addr, text, NULL), 0);
	assert_int_equal(per__addr_format(&addr, out, sizeof(out)), path_max + 5);
	assert_string_equal(out, text);
	text[5 + path_max] = 'p';
	assert_int_equal(per__addr_parse(&addr, text, NULL), PER_EADDR);
}

static void test_addr_parse_localhost_is_loopback(void **state)
{
	struct per__addr addr;
	char out[TEXT_BYTES];

	(void)state;
	assert_int_equal(per__addr_parse(&addr, "localhost:81", NULL), 0);
	(void)per__addr_format(&addr, out, sizeof(out));
	assert_true(strcmp(out, "127.0.0.1:81") == 0 || strcmp(out, "[::1]:81") == 0);
}

static void test_addr_parse_refuses_and_says_why(void **state)
{
	static const char *const bad[] = {
		"",
		"80",
		"localhost",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:-1",
		"127.0.0.1: 80",
		"127.0.0.1:80 ",
		"127.0.0.1:8o",
		"127.0.0.1:99999999999999999999",
		"::1:80",
		"::1",
		"[::1]",
		"[::1]80",
		"[]:80",
		"[127.0.0.1]:80",
		"[localhost]:80",
		"[::g]:80",
		"[::1:80",
		"fd:",
		"fd:x",
		"fd:-1",
		"fd:2147483648",
		"unix:",
		"unix:@",
	};
	struct per__addr addr;

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(bad); i++) {
		const char *why = NULL;

		if (per__addr_parse(&addr, bad[i], &why) != PER_EADDR)
			fail_msg("accepted '%s'", bad[i]);
		assert_non_null(why);
		assert_int_equal(addr.len, 0);
		assert_int_equal(per__addr_parse(&addr, bad[i], NULL), PER_EADDR);
	}
	assert_int_equal(per__addr_parse(&addr, NULL, NULL), PER_EADDR);
}

static void test_addr_parse_long_host_is_refused(void **state)
{
	struct per__addr addr;
	char text[400];

	(void)state;
	memset(text, 'h', sizeof(text));
	memcpy(text + 300, ":80", 4);
	assert_int_equal(per__addr_parse(&addr, text, NULL), PER_EADDR);
}

static void test_addr_set_port_changes_ip_addresses_only(void **state)
{
	struct per__addr addr;

	(void)state;
	assert_int_equal(per__addr_parse(&addr, "[::1]:1", NULL), 0);
	per__addr_set_port(&addr, 65535);
	assert_int_equal(per__addr_port(&addr), 65535);
	assert_int_equal(per__addr_parse(&addr, "unix:x", NULL), 0);
	per__addr_set_port(&addr, 7);
	assert_int_equal(per__addr_port(&addr), 0);
}

static void test_addr_format_cuts_at_its_buffer(void **state)
{
	struct per__addr addr;
	char out[8] = "#######";

	(void)state;
	assert_int_equal(per__addr_parse(&addr, "127.0.0.1:80", NULL), 0);
	assert_int_equal(per__addr_format(&addr, out, 5), 4);
	assert_string_equal(out, "127.");
	assert_int_equal(out[5], '#');
}

static void peer_text(const char *text, char *out, size_t cap)
{
	struct per__addr addr;
	struct per__peer peer;
	char ip[64];
	size_t ip_len;
	int len;

	assert_int_equal(per__addr_parse(&addr, text, NULL), 0);
	per__peer_from_sockaddr(&peer, (const struct sockaddr *)&addr.storage, addr.len);
	len = per__peer_format(&peer, out, cap);
	assert_int_equal(len, strlen(out));
	ip_len = per__peer_format_ip(&peer, ip); /* the same without brackets and port */
	assert_true(ip_len < sizeof(ip));
	assert_memory_equal(out + (out[0] == '['), ip, ip_len);
	assert_true(out[ip_len] == '\0' || out[ip_len] == ':' || out[ip_len + 1] == ']');
}

static void test_peer_is_the_address_without_its_mapping(void **state)
{
	char out[64];

	(void)state;
	peer_text("192.0.2.1:50000", out, sizeof(out));
	assert_string_equal(out, "192.0.2.1:50000");
	peer_text("[2001:db8::1]:50000", out, sizeof(out));
	assert_string_equal(out, "[2001:db8::1]:50000");
	peer_text("[::ffff:192.0.2.1]:5", out, sizeof(out));
	assert_string_equal(out, "192.0.2.1:5");
	peer_text("[::fffe:192.0.2.1]:5", out, sizeof(out));
	assert_string_equal(out, "[::fffe:c000:201]:5");
	peer_text("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", out, sizeof(out));
	assert_string_equal(out, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	peer_text("unix:/a", out, sizeof(out));
	assert_string_equal(out, "unix:");
}

static void test_peer_of_too_few_bytes_is_unknown(void **state)
{
	struct per__addr addr;
	struct per__peer peer = { .family = 9 };
	char out[64];

	(void)state;
	assert_int_equal(per__addr_parse(&addr, "[::1]:1", NULL), 0);
	for (socklen_t len = 0; len < addr.len; len++) {
		per__peer_from_sockaddr(&peer, (const struct sockaddr *)&addr.storage, len);
		assert_int_equal(peer.family, 0);
	}
	per__peer_from_sockaddr(&peer, NULL, 0);
	assert_int_equal(peer.family, 0);
	(void)per__peer_format(&peer, out, sizeof(out));
	assert_string_equal(out, "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr_parse_knows_every_form),
		cmocka_unit_test(test_addr_parse_wildcard_is_said),
		cmocka_unit_test(test_addr_parse_inherited_descriptor),
#ifdef __linux__
		cmocka_unit_test(test_addr_parse_abstract_name_has_no_nul_at_its_end),
#endif
		cmocka_unit_test(test_addr_parse_unix_path_fits_or_is_refused),
		cmocka_unit_test(test_addr_parse_localhost_is_loopback),
		cmocka_unit_test(test_addr_parse_refuses_and_says_why),
		cmocka_unit_test(test_addr_parse_long_host_is_refused),
		cmocka_unit_test(test_addr_set_port_changes_ip_addresses_only),
		cmocka_unit_test(test_addr_format_cuts_at_its_buffer),
		cmocka_unit_test(test_peer_is_the_address_without_its_mapping),
		cmocka_unit_test(test_peer_of_too_few_bytes_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
