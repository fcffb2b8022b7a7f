/* SPDX-License-Identifier: MIT */
/*
 * ws_handshake_fuzz.c - any bytes as a key, as a list and as extension offers. What is answered to an offer
 * is an offer that gets the same answer, within what was wished for.
 */
#include "ws/handshake.h"
#include <stdlib.h>
#include <string.h>

#define ANSWER_CAP 160u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

static bool contains(const char *answer, size_t len, const char *word)
{
	return memmem(answer, len, word, strlen(word)) != NULL;
}

static void key_check(per_str text)
{
	char value[PER__WS_ACCEPT_LEN];

	if (!per__ws_key_is_valid(text))
		return;
	per__ws_accept_value(value, text);
	for (size_t i = 0; i < PER__WS_ACCEPT_LEN - 1; i++)
		require(value[i] > ' ' && value[i] != '=' && (unsigned char)value[i] < 0x7f);
	require(value[PER__WS_ACCEPT_LEN - 1] == '=');
}

static void list_check(per_str text)
{
	const bool exact = per__list_has(text, PER_S("upgrade"), false);

	require(!exact || per__list_has(text, PER_S("upgrade"), true));
	require(!exact || contains(text.ptr, text.len, "upgrade"));
	require(!per__list_has(text, PER_S(""), true));
}

static void offers_check(const struct per__deflate_wish *wish, per_str text)
{
	struct per__deflate_params params, again;
	char answer[ANSWER_CAP], second[ANSWER_CAP];
	const size_t len = per__deflate_negotiate(&params, wish, text, answer, sizeof(answer));

	require(params.is_on == (len > 0));
	if (!params.is_on)
		return;
	require(len < ANSWER_CAP);
	require(params.server_bits >= 9 && params.server_bits <= wish->server_bits);
	require(params.client_bits >= 8 && params.client_bits <= 15);
	require(params.server_no_takeover == contains(answer, len, "server_no_context_takeover"));
	require(params.client_no_takeover == contains(answer, len, "client_no_context_takeover"));
	require(!wish->server_no_takeover || params.server_no_takeover);
	require(params.server_bits == 15 || contains(answer, len, "server_max_window_bits="));
	require((params.client_bits < 15) == contains(answer, len, "client_max_window_bits="));
	require(per__deflate_negotiate(&again, wish, per_str_make(answer, len), second, sizeof(second)) ==
		len);
	require(memcmp(answer, second, len) == 0 && memcmp(&params, &again, sizeof(params)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct per__deflate_wish wish;
	per_str text;
	char *copy;

	if (size < 1)
		return 0;
	wish = (struct per__deflate_wish){ .server_bits = (uint8_t)(9 + data[0] % 7),
					   .client_bits = (uint8_t)(9 + data[0] / 7 % 7),
					   .server_no_takeover = data[0] / 49 % 2 != 0,
					   .client_no_takeover = data[0] / 98 % 2 != 0 };
	copy = malloc(size > 1 ? size - 1 : 1);
	require(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	text = per_str_make(copy, size - 1);
	key_check(text);
	list_check(text);
	offers_check(&wish, text);
	free(copy);
	return 0;
}
