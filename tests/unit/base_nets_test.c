/* SPDX-License-Identifier: MIT */
/*
 * base_nets_test.c - lists of trusted networks: which peers are in, which lists are refused.
 */
#include "base/addr.h"

#include <peregrine/types.h>
#include "support/unit.h"

static struct per__peer peer_of(const char *text)
{
	struct per__peer peer = { 0 };

	if (strcmp(text, "unix") == 0)
		peer.family = 1;
	else
		assert_true(per__ip_parse(text, strlen(text), &peer.family, peer.ip));
	return peer;
}

static bool contains(const char *list, const char *ip)
{
	struct per__nets nets;
	struct per__peer peer = peer_of(ip);

	assert_int_equal(per__nets_parse(&nets, list), 0);
	return per__nets_contain(&nets, &peer);
}

static void test_nets_contain_by_prefix(void **state)
{
	(void)state;
	assert_true(contains("10.0.0.0/8", "10.255.255.255"));
	assert_false(contains("10.0.0.0/8", "11.0.0.0"));
	assert_true(contains("10.1.2.3/8", "10.200.0.1")); /* the bits behind the prefix do not count */
	assert_true(contains("192.0.2.128/25", "192.0.2.200"));
	assert_false(contains("192.0.2.128/25", "192.0.2.127"));
	assert_true(contains("192.0.2.7", "192.0.2.7"));
	assert_false(contains("192.0.2.7", "192.0.2.6"));
	assert_true(contains("0.0.0.0/0", "203.0.113.9"));
	assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(contains("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(contains("::1", "::1"));
	assert_true(contains("::/0", "2001:db8::1"));
}

static void test_nets_contain_keeps_families_apart(void **state)
{
	(void)state;
	assert_false(contains("0.0.0.0/0", "2001:db8::1"));
	assert_false(contains("::/0", "10.0.0.1"));
	assert_false(contains("0.0.0.0/0, ::/0", "unix"));
	assert_true(contains("unix", "unix"));
	assert_false(contains("unix", "127.0.0.1"));
}

static void test_nets_mapped_network_is_an_ipv4_network(void **state)
{
	(void)state;
	assert_true(contains("::ffff:10.0.0.0/104", "10.9.9.9"));
	assert_true(contains("::ffff:10.0.0.1", "10.0.0.1"));
	assert_false(contains("::ffff:10.0.0.1", "10.0.0.2"));
	assert_true(contains("::ffff:10.0.0.0/95", "::fffe:10.0.0.1"));
	assert_false(contains("::ffff:10.0.0.0/95",
			      "10.0.0.1")); /* an IPv6 network: no peer has such an address */
}

static void test_nets_contain_any_of_the_list(void **state)
{
	const char *list = "10.0.0.0/8, 2001:db8::/32,::1 \tunix";

	(void)state;
	assert_true(contains(list, "10.0.0.1"));
	assert_true(contains(list, "2001:db8::5"));
	assert_true(contains(list, "::1"));
	assert_true(contains(list, "unix"));
	assert_false(contains(list, "127.0.0.1"));
}

static void test_nets_empty_list_contains_nobody(void **state)
{
	struct per__nets nets;
	struct per__peer nobody = { 0 };

	(void)state;
	assert_false(contains(NULL, "127.0.0.1"));
	assert_false(contains("", "127.0.0.1"));
	assert_false(contains(" ,, ", "unix"));
	assert_int_equal(per__nets_parse(&nets, "0.0.0.0/0, ::/0, unix"), 0);
	assert_false(per__nets_contain(&nets, &nobody)); /* an unknown peer is never trusted */
}

static void test_nets_parse_refuses_what_is_no_network(void **state)
{
	static const char *const bad[] = {
		"localhost",    "10.0.0.0/33", "::/129",
		"10.0.0/8",     "10.0.0.0/",   "10.0.0.0/-1",
		"10.0.0.0/8/8", "/8",          "10.0.0.0.0",
		"::g",          "unix2",       "Unix",
		"10.0.0.1:80",  "[::1]",       "10.0.0.1, x",
		"10.0.0.0 /8",  "*",           "2001:db8:0000:0000:0000:0000:0000:0001:0002:0003:0004:0005",
	};
	struct per__nets nets;

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(bad); i++) {
		if (per__nets_parse(&nets, bad[i]) != PER_EINVAL)
			fail_msg("accepted '%s'", bad[i]);
	}
}

static void test_nets_parse_takes_the_most_and_not_one_more(void **state)
{
	struct per__nets nets;
	char list[(PER__NETS_MAX + 1) * 16] = "";

	(void)state;
	for (unsigned i = 0; i < PER__NETS_MAX; i++)
		(void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "10.0.0.%u ", i);
	assert_int_equal(per__nets_parse(&nets, list), 0);
	assert_int_equal(nets.count, PER__NETS_MAX);
	(void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "10.1.1.1");
	assert_int_equal(per__nets_parse(&nets, list), PER_EINVAL);
}

/* Bit by bit, the slow way. */
static bool model_contains(const uint8_t *net, unsigned bits, const uint8_t *ip)
{
	for (unsigned bit = 0; bit < bits; bit++) {
		if (((net[bit / 8] ^ ip[bit / 8]) >> (7 - bit % 8) & 1) != 0)
			return false;
	}
	return true;
}

static void test_nets_random_prefixes_match_the_model(void **state)
{
	uint64_t random = 11;
	int inside = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		unsigned bits = (unsigned)(test_random(&random) % 129);
		struct per__peer peer = { .family = 6 };
		struct per__nets nets;
		uint8_t net[16];
		char text[64];
		unsigned flip = (unsigned)(test_random(&random) % 128);
		bool expected;

		for (unsigned i = 0; i < 16; i++)
			net[i] = (uint8_t)test_random(&random);
		memcpy(peer.ip, net, 16);
		peer.ip[flip / 8] ^= (uint8_t)(0x80u >> flip % 8);
		(void)snprintf(text, sizeof(text),
			       "%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x/%u",
			       net[0], net[1], net[2], net[3], net[4], net[5], net[6], net[7], net[8], net[9],
			       net[10], net[11], net[12], net[13], net[14], net[15], bits);
		assert_int_equal(per__nets_parse(&nets, text), 0);
		expected = model_contains(net, bits, peer.ip);
		inside += expected;
		assert_true(per__nets_contain(&nets, &peer) == expected);
	}
	assert_in_range(inside, 5000, 15000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nets_contain_by_prefix),
		cmocka_unit_test(test_nets_contain_keeps_families_apart),
		cmocka_unit_test(test_nets_mapped_network_is_an_ipv4_network),
		cmocka_unit_test(test_nets_contain_any_of_the_list),
		cmocka_unit_test(test_nets_empty_list_contains_nobody),
		cmocka_unit_test(test_nets_parse_refuses_what_is_no_network),
		cmocka_unit_test(test_nets_parse_takes_the_most_and_not_one_more),
		cmocka_unit_test(test_nets_random_prefixes_match_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
