/* SPDX-License-Identifier: MIT */
/*
 * ws_handshake_test.c - keys, lists and permessage-deflate offers as tables. Every input stands in memory of
 * its own size, so that a sanitizer sees a read beyond it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tls/digest.h"
#include "ws/handshake.h"

#define ANSWER_CAP 160u

static per_str copy_of(const char *text)
{
	const size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	return per_str_make(copy, len);
}

static void copy_free(per_str copy)
{
	free((void *)(uintptr_t)copy.ptr);
}

/* --- keys ------------------------------------------------------------------------------------- */

static void test_accept_value_known_keys(void **state)
{
	static const char *const pairs[][2] = {
		{ "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" }, /* RFC 6455 section 1.3 */
		{ "x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk=" },
		{ "AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI=" },
		{ "/////////////////////w==", "XXpj4jYzLM2yUE0C7TIgMwTQh2g=" },
		{ "+/+/+/+/+/+/+/+/+/+/+w==", "M0DUs3om0SqzerhOhYSMM7WQuBQ=" },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(pairs); i++) {
		per_str key = copy_of(pairs[i][0]);
		char *value = malloc(PER__WS_ACCEPT_LEN);

		assert_non_null(value);
		assert_true(per__ws_key_is_valid(key));
		per__ws_accept_value(value, key);
		assert_memory_equal(value, pairs[i][1], PER__WS_ACCEPT_LEN);
		free(value);
		copy_free(key);
	}
}

static void test_key_of_another_length_or_alphabet_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"dGhlIHNhbXBsZSBub25jZQ=",
		"dGhlIHNhbXBsZSBub25jZQ",
		"dGhlIHNhbXBsZSBub25jZQ===",
		"dGhlIHNhbXBsZSBub25jZWE=",     /* 17 bytes */
		"dGhlIHNhbXBsZSBub25jZWFi",     /* 18 bytes */
		"dGhlIHNhbXBsZSBub24=",         /* 14 bytes */
		"dGhlIHNhbXBsZSBub25jZQ==dGhl", /* more behind it */
		"dGhlIHNhbXBsZSBub25jZ===",
		"dGhlIHNhbXBsZSBub25jZQ=A",
		"dGhlIHNhbXBsZSBub25jZQA=",
		"dGhlIHNhbXBsZS Bub25jZQ==",
		"dGhlIHNhbXBsZS-ub25jZQ==",
		"dGhlIHNhbXBsZS_ub25jZQ==",
		"dGhlIHNhbXBsZS=ub25jZQ==",
		"dGhlIHNhbXBsZS\x80ub25jZQ==",
		"========================",
	};
	per_str nul = { "dGhlIHNhbXBsZS\0ub25jZQ==", 24 };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(wrong); i++) {
		per_str key = copy_of(wrong[i]);

		if (per__ws_key_is_valid(key))
			fail_msg("%s", wrong[i]);
		copy_free(key);
	}
	assert_false(per__ws_key_is_valid(nul));
	assert_false(per__ws_key_is_valid((per_str){ NULL, 0 }));
}

/* Of the last character four bits are nothing's; they are zero in A, Q, g and w. */
static void test_key_every_byte_at_every_place(void **state)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		for (size_t at = 0; at < 24; at++) {
			char text[] = "dGhlIHNhbXBsZSBub25jZQ==";
			bool expected = byte != 0 && strchr(alphabet, (char)byte) != NULL;

			text[at] = (char)byte;
			if (at == 21)
				expected = byte == 'A' || byte == 'Q' || byte == 'g' || byte == 'w';
			if (at > 21)
				expected = byte == '=';
			assert_int_equal(per__ws_key_is_valid(per_str_make(text, 24)), expected);
		}
	}
}

static void test_sha1_known_digests(void **state)
{
	uint8_t digest[PER__SHA1_BYTES];

	(void)state; /* FIPS 180 */
	per__sha1(digest, "abc", 3);
	assert_memory_equal(
		digest, "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d",
		PER__SHA1_BYTES);
	per__sha1(digest, "", 0);
	assert_memory_equal(
		digest, "\xda\x39\xa3\xee\x5e\x6b\x4b\x0d\x32\x55\xbf\xef\x95\x60\x18\x90\xaf\xd8\x07\x09",
		PER__SHA1_BYTES);
}

/* --- lists ------------------------------------------------------------------------------------ */

struct list_case {
	const char *list, *token;
	bool with_case, without_case; /* what is expected */
};

static void test_list_has_table(void **state)
{
	static const struct list_case cases[] = {
		{ "upgrade", "upgrade", true, true },
		{ "Upgrade", "upgrade", false, true },
		{ "keep-alive, Upgrade", "upgrade", false, true },
		{ "keep-alive,upgrade", "upgrade", true, true },
		{ "upgrade,", "upgrade", true, true },
		{ ",,  ,upgrade ,\t,", "upgrade", true, true },
		{ "\t upgrade \t", "upgrade", true, true },
		{ "upgrade, ", "", false, false },
		{ "", "upgrade", false, false },
		{ " ", "upgrade", false, false },
		{ ",", "upgrade", false, false },
		{ ",,", "", false, false },
		{ "upgrades", "upgrade", false, false },
		{ "upgrad", "upgrade", false, false },
		{ "up grade", "upgrade", false, false },
		{ "upgrade;x", "upgrade", false, false },
		{ "upgrade keep-alive", "upgrade", false, false },
		{ "\"a,upgrade,b\"", "upgrade", false, false },
		{ "\"a\\\",upgrade,\\\"b\"", "upgrade", false, false },
		{ "\"a\\\\\",upgrade", "upgrade", true, true },
		{ "\"a,b\", upgrade", "upgrade", true, true },
		{ "\"a, upgrade", "upgrade", false, false },
		{ "\"\\", "upgrade", false, false },
		{ "chat, superchat", "superchat", true, true },
		{ "chat, superchat", "chat", true, true },
		{ "Chat, superchat", "chat", false, true },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		per_str list = copy_of(cases[i].list), token = copy_of(cases[i].token);

		if (per__list_has(list, token, false) != cases[i].with_case ||
		    per__list_has(list, token, true) != cases[i].without_case)
			fail_msg("'%s' in '%s'", cases[i].token, cases[i].list);
		copy_free(list);
		copy_free(token);
	}
	assert_false(per__list_has((per_str){ NULL, 0 }, PER_S("a"), true));
}

/* --- permessage-deflate ----------------------------------------------------------------------- */

static const struct per__deflate_wish anything = { .server_bits = 15, .client_bits = 15 };
static const struct per__deflate_wish little = { .server_bits = 11, .client_bits = 10 };
static const struct per__deflate_wish forgetful = {
	.server_bits = 15, .client_bits = 15, .server_no_takeover = true, .client_no_takeover = true
};

#define PMD "permessage-deflate"
#define S_BITS "; server_max_window_bits"
#define C_BITS "; client_max_window_bits"
#define S_NO "; server_no_context_takeover"
#define C_NO "; client_no_context_takeover"

struct offer_case {
	const struct per__deflate_wish *wish;
	const char *offers;
	const char *answer; /* NULL: declined */
	uint8_t server_bits, client_bits;
};

static void check_offer(const struct offer_case *offer)
{
	struct per__deflate_params params;
	per_str offers = copy_of(offer->offers);
	char *answer = malloc(ANSWER_CAP);
	size_t len;

	assert_non_null(answer);
	memset(&params, 0xa5, sizeof(params));
	len = per__deflate_negotiate(&params, offer->wish, offers, answer, ANSWER_CAP);
	if (offer->answer == NULL) {
		if (len != 0 || params.is_on)
			fail_msg("'%s' should be declined, answered '%.*s'", offer->offers, (int)len, answer);
	} else {
		if (len != strlen(offer->answer) || memcmp(answer, offer->answer, len) != 0)
			fail_msg("'%s': answered '%.*s', expected '%s'", offer->offers, (int)len, answer,
				 offer->answer);
		assert_true(params.is_on);
		assert_int_equal(params.server_bits, offer->server_bits);
		assert_int_equal(params.client_bits, offer->client_bits);
		assert_int_equal(params.server_no_takeover, strstr(offer->answer, S_NO) != NULL);
		assert_int_equal(params.client_no_takeover, strstr(offer->answer, C_NO) != NULL);
	}
	free(answer);
	copy_free(offers);
}

static void check_offers(const struct offer_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_offer(&cases[i]);
}

static void test_negotiate_each_parameter_alone(void **state)
{
	static const struct offer_case cases[] = {
		{ &anything, PMD, PMD, 15, 15 },
		{ &anything, "Permessage-Deflate", PMD, 15, 15 },
		{ &anything, "  " PMD "\t", PMD, 15, 15 },
		{ &anything, PMD S_NO, PMD S_NO, 15, 15 },
		{ &anything, PMD C_NO, PMD C_NO, 15, 15 },
		{ &anything, PMD C_BITS, PMD, 15, 15 },
		{ &anything, PMD C_BITS "=15", PMD, 15, 15 },
		{ &anything, PMD C_BITS "=8", PMD C_BITS "=8", 15, 8 },
		{ &anything, PMD C_BITS "=12", PMD C_BITS "=12", 15, 12 },
		{ &anything, PMD S_BITS "=9", PMD S_BITS "=9", 9, 15 },
		{ &anything, PMD S_BITS "=15", PMD S_BITS "=15", 15, 15 },
		{ &anything, PMD S_BITS "=8", NULL, 0, 0 }, /* zlib cannot */
		{ &anything, PMD "; SERVER_NO_CONTEXT_TAKEOVER", PMD S_NO, 15, 15 },
		{ &anything, PMD ";client_max_window_bits = 10 ;server_max_window_bits= 10",
		  PMD S_BITS "=10" C_BITS "=10", 10, 10 },
		{ &anything, PMD S_NO C_NO S_BITS "=15" C_BITS "=8", PMD S_NO C_NO S_BITS "=15" C_BITS "=8",
		  15, 8 },
	};

	(void)state;
	check_offers(cases, PER_ARRAY_LEN(cases));
}

static void test_negotiate_wishes_within_what_is_offered(void **state)
{
	static const struct offer_case cases[] = {
		{ &little, PMD, PMD S_BITS "=11", 11, 15 }, /* the client's bits only if it lets us */
		{ &little, PMD C_BITS, PMD S_BITS "=11" C_BITS "=10", 11, 10 },
		{ &little, PMD C_BITS "=9", PMD S_BITS "=11" C_BITS "=9", 11, 9 },
		{ &little, PMD C_BITS "=14", PMD S_BITS "=11" C_BITS "=10", 11, 10 },
		{ &little, PMD S_BITS "=10", PMD S_BITS "=10", 10, 15 },
		{ &little, PMD S_BITS "=12", PMD S_BITS "=11", 11, 15 },
		{ &forgetful, PMD, PMD S_NO C_NO, 15, 15 },
		{ &forgetful, PMD C_NO C_BITS, PMD S_NO C_NO, 15, 15 },
		{ &forgetful, PMD S_BITS "=10" C_BITS "=8", PMD S_NO C_NO S_BITS "=10" C_BITS "=8", 10, 8 },
	};

	(void)state;
	check_offers(cases, PER_ARRAY_LEN(cases));
}

static void test_negotiate_every_number_of_bits(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits <= 40; bits++) {
		char offer[128], answer[128];
		struct offer_case server = { &anything, offer, NULL, (uint8_t)bits, 15 };
		struct offer_case client = { &anything, offer, NULL, 15, (uint8_t)bits };

		snprintf(offer, sizeof(offer), PMD S_BITS "=%u", bits);
		snprintf(answer, sizeof(answer), PMD S_BITS "=%u", bits);
		server.answer = bits >= 9 && bits <= 15 ? answer : NULL;
		check_offer(&server);
		snprintf(offer, sizeof(offer), PMD S_BITS "=\"%u\"", bits);
		check_offer(&server);
		snprintf(offer, sizeof(offer), PMD C_BITS "=%u", bits);
		snprintf(answer, sizeof(answer), bits < 15 ? PMD C_BITS "=%u" : PMD, bits);
		client.answer = bits >= 8 && bits <= 15 ? answer : NULL;
		check_offer(&client);
		snprintf(offer, sizeof(offer), PMD C_BITS "=\"%u\"", bits);
		check_offer(&client);
	}
}

static void test_negotiate_malformed_offers_are_declined(void **state)
{
	static const char *const offers[] = {
		"",
		" ",
		",",
		";",
		"=",
		"\"",
		"\"\\",
		"permessage-deflat",
		"permessage-deflate2",
		"permessage deflate",
		"\"permessage-deflate\"",
		"x-webkit-deflate-frame",
		"permessage-bzip2",
		PMD "=1",
		PMD ";",
		PMD "; ;" S_NO,
		PMD S_NO ";",
		PMD "; unknown",
		PMD S_NO "; unknown=1",
		PMD "; server_no_context_takeove",
		PMD "; server_no_context_takeover2",
		PMD S_NO "=",
		PMD S_NO "=true",
		PMD S_NO "=\"\"",
		PMD C_NO "=1",
		PMD C_NO "=",
		PMD S_BITS,
		PMD S_BITS "=",
		PMD S_BITS "=\"\"",
		PMD S_BITS "=\"",
		PMD S_BITS "=\"10",
		PMD S_BITS "=10\"",
		PMD S_BITS "=\"10\"\"",
		PMD S_BITS "=\" 10\"",
		PMD S_BITS "=010",
		PMD S_BITS "=+10",
		PMD S_BITS "=-9",
		PMD S_BITS "=9.",
		PMD S_BITS "=1:",
		PMD S_BITS "=1/",
		PMD S_BITS "=0x9",
		PMD S_BITS "=10 10",
		PMD S_BITS "=10=10",
		PMD S_BITS "=110",
		PMD S_BITS "=ten",
		PMD C_BITS "=",
		PMD C_BITS "=\"\"",
		PMD C_BITS "=7",
		PMD C_BITS "=16",
		PMD C_BITS "=08",
		PMD C_BITS "=15x",
		PMD S_NO S_NO,
		PMD C_NO C_NO,
		PMD S_BITS "=10" S_BITS "=10",
		PMD S_BITS "=10" S_BITS "=11",
		PMD C_BITS C_BITS,
		PMD C_BITS "=10" C_BITS,
		PMD C_BITS C_BITS "=10",
		PMD C_BITS "=10" C_BITS "=10",
		PMD S_NO "; SERVER_no_context_takeover",
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(offers); i++)
		check_offer(&(struct offer_case){ &anything, offers[i], NULL, 0, 0 });
	check_offer(&(struct offer_case){ &anything, PMD "\"", NULL, 0, 0 });
}

static void test_negotiate_first_acceptable_offer_is_taken(void **state)
{
	static const struct offer_case cases[] = {
		{ &anything, PMD ", " PMD S_NO, PMD, 15, 15 },
		{ &anything, PMD S_NO "," PMD, PMD S_NO, 15, 15 },
		{ &anything, "x-foo, " PMD, PMD, 15, 15 },
		{ &anything, ", ," PMD ",", PMD, 15, 15 },
		{ &anything, PMD S_BITS "=8, " PMD C_BITS, PMD, 15, 15 },
		{ &anything, PMD S_BITS "=16, " PMD S_NO S_NO ", " PMD C_BITS "=9", PMD C_BITS "=9", 15, 9 },
		{ &anything, PMD S_BITS "=10; x, " PMD, PMD, 15, 15 }, /* nothing is left of the first */
		{ &anything, PMD S_NO C_NO S_BITS "=9" C_BITS "=9; x, " PMD, PMD, 15, 15 },
		{ &anything, "foo; a=\"" PMD ", " PMD "\", " PMD C_NO, PMD C_NO, 15, 15 },
		{ &anything, "foo; a=\"\\\", " PMD ", \", " PMD C_NO, PMD C_NO, 15, 15 },
		{ &anything, PMD S_BITS "=\"10, " PMD, NULL, 0, 0 }, /* the quotes never end */
		{ &anything, "a, b, c;d", NULL, 0, 0 },
	};

	(void)state;
	check_offers(cases, PER_ARRAY_LEN(cases));
}

/* As accept.c does it: each field's value by itself until one is accepted. */
static void test_negotiate_several_fields_until_one_is_on(void **state)
{
	static const char *const fields[] = { "x-foo", PMD S_BITS "=8", PMD C_BITS "=11", PMD S_NO };
	struct per__deflate_params params = { 0 };
	char answer[ANSWER_CAP];
	size_t len = 0, used = 0;

	(void)state;
	while (!params.is_on && used < PER_ARRAY_LEN(fields))
		len = per__deflate_negotiate(&params, &anything, per_str_from(fields[used++]), answer,
					     sizeof(answer));
	assert_int_equal(used, 3);
	assert_true(per_str_equal(per_str_make(answer, len), PER_S(PMD C_BITS "=11")));
	assert_int_equal(
		per__deflate_negotiate(&params, &anything, (per_str){ NULL, 0 }, answer, sizeof(answer)), 0);
	assert_false(params.is_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept_value_known_keys),
		cmocka_unit_test(test_key_of_another_length_or_alphabet_is_refused),
		cmocka_unit_test(test_key_every_byte_at_every_place),
		cmocka_unit_test(test_sha1_known_digests),
		cmocka_unit_test(test_list_has_table),
		cmocka_unit_test(test_negotiate_each_parameter_alone),
		cmocka_unit_test(test_negotiate_wishes_within_what_is_offered),
		cmocka_unit_test(test_negotiate_every_number_of_bits),
		cmocka_unit_test(test_negotiate_malformed_offers_are_declined),
		cmocka_unit_test(test_negotiate_first_acceptable_offer_is_taken),
		cmocka_unit_test(test_negotiate_several_fields_until_one_is_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
