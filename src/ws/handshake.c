/* SPDX-License-Identifier: MIT */
/*
 * handshake.c - the values of the opening handshake: keys, lists, extension offers. Pure.
 */
#include "ws/handshake.h"

#include "tls/digest.h"
#include <stdio.h>
#include <string.h>

/* --- keys ------------------------------------------------------------------------------------- */

#define KEY_LEN 24u
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool per__ws_key_is_valid(per_str key)
{
	if (key.len != KEY_LEN || key.ptr[22] != '=' || key.ptr[23] != '=')
		return false;
	for (size_t i = 0; i < 22; i++) {
		if (key.ptr[i] == '\0' || strchr(base64, key.ptr[i]) == NULL)
			return false;
	}
	/* 22 characters are 132 bits; the last four carry nothing and are zero */
	return strchr("AQgw", key.ptr[21]) != NULL;
}

/* 20 bytes are 27 characters and one of padding. */
static void base64_of_sha1(char *dst, const uint8_t src[PER__SHA1_BYTES])
{
	uint8_t padded[21] = { 0 };

	memcpy(padded, src, PER__SHA1_BYTES);
	for (size_t i = 0; i < 21; i += 3) {
		uint32_t group = (uint32_t)padded[i] << 16 | (uint32_t)padded[i + 1] << 8 | padded[i + 2];

		for (unsigned k = 0; k < 4; k++)
			*dst++ = base64[group >> (18 - 6 * k) & 63];
	}
	dst[-1] = '=';
}

void per__ws_accept_value(char *dst, per_str key)
{
	char text[KEY_LEN + sizeof(GUID) - 1];
	uint8_t digest[PER__SHA1_BYTES];

	PER_ASSERT(key.len == KEY_LEN);
	memcpy(text, key.ptr, KEY_LEN);
	memcpy(text + KEY_LEN, GUID, sizeof(GUID) - 1);
	per__sha1(digest, text, sizeof(text));
	base64_of_sha1(dst, digest);
}

/* --- lists ------------------------------------------------------------------------------------ */

static per_str trim(per_str str)
{
	while (str.len > 0 && (str.ptr[0] == ' ' || str.ptr[0] == '\t')) {
		str.ptr++;
		str.len--;
	}
	while (str.len > 0 && (str.ptr[str.len - 1] == ' ' || str.ptr[str.len - 1] == '\t'))
		str.len--;
	return str;
}

/*
 * Takes what stands before the separator off rest, which must not be used up. Quoted strings hide separators.
 */
static per_str take_until(per_str *rest, char separator, bool *has_more)
{
	bool in_quotes = false;
	size_t i = 0;
	per_str part;

	for (; i < rest->len && (in_quotes || rest->ptr[i] != separator); i++) {
		if (in_quotes && rest->ptr[i] == '\\' && i + 1 < rest->len)
			i++;
		else if (rest->ptr[i] == '"')
			in_quotes = !in_quotes;
	}
	part = per_str_make(rest->ptr, i);
	*has_more = i < rest->len;
	rest->ptr += *has_more ? i + 1 : i;
	rest->len -= *has_more ? i + 1 : i;
	return trim(part);
}

bool per__list_has(per_str list, per_str token, bool nocase)
{
	bool has_more = list.ptr != NULL;

	while (has_more) {
		per_str element = take_until(&list, ',', &has_more);

		if (element.len > 0 &&
		    (nocase ? per_str_equal_nocase(element, token) : per_str_equal(element, token)))
			return true;
	}
	return false;
}

/* --- permessage-deflate (RFC 7692 section 7.1) ------------------------------------------------ */

/* Which parameters an offer has; each at most once. */
struct offer {
	bool server_no_takeover, client_no_takeover;
	bool has_server_bits, has_client_bits;
	uint8_t server_bits, client_bits; /* client_bits 0: without a value */
};

static per_str unquote(per_str value)
{
	if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
		return per_str_make(value.ptr + 1, value.len - 2);
	return value;
}

/* 8 to 15 without a leading zero; 0 for anything else. */
static uint8_t bits_from(per_str value)
{
	value = unquote(value);
	if (value.len == 1 && (value.ptr[0] == '8' || value.ptr[0] == '9'))
		return (uint8_t)(value.ptr[0] - '0');
	if (value.len == 2 && value.ptr[0] == '1' && value.ptr[1] >= '0' && value.ptr[1] <= '5')
		return (uint8_t)(10 + value.ptr[1] - '0');
	return 0;
}

static bool flag_set(bool *flag, per_str value)
{
	bool is_new = !*flag && value.ptr == NULL;

	*flag = true;
	return is_new;
}

static bool bits_set(bool *flag, uint8_t *bits, per_str value, bool may_be_empty)
{
	bool is_new = !*flag;

	*flag = true;
	*bits = value.ptr != NULL ? bits_from(value) : 0;
	return is_new && (*bits != 0 || (may_be_empty && value.ptr == NULL));
}

/* One parameter; false when it makes the offer unacceptable. */
static bool parameter_take(struct offer *offer, per_str parameter)
{
	bool has_value;
	per_str name = take_until(&parameter, '=', &has_value);
	per_str value = has_value ? trim(parameter) : (per_str){ NULL, 0 };

	if (per_str_equal_nocase(name, PER_S("server_no_context_takeover")))
		return flag_set(&offer->server_no_takeover, value);
	if (per_str_equal_nocase(name, PER_S("client_no_context_takeover")))
		return flag_set(&offer->client_no_takeover, value);
	if (per_str_equal_nocase(name, PER_S("server_max_window_bits")))
		return bits_set(&offer->has_server_bits, &offer->server_bits, value, false);
	if (per_str_equal_nocase(name, PER_S("client_max_window_bits")))
		return bits_set(&offer->has_client_bits, &offer->client_bits, value, true);
	return false;
}

static bool offer_parse(struct offer *offer, per_str text)
{
	bool has_more;
	per_str name = take_until(&text, ';', &has_more);

	memset(offer, 0, sizeof(*offer));
	if (!per_str_equal_nocase(name, PER_S("permessage-deflate")))
		return false;
	while (has_more) {
		if (!parameter_take(offer, take_until(&text, ';', &has_more)))
			return false;
	}
	return !offer->has_server_bits || offer->server_bits >= 9; /* zlib cannot compress with 8 */
}

/* What is agreed on: each side's wish, within what the offer allows. */
static void agree(struct per__deflate_params *out, const struct per__deflate_wish *wish,
		  const struct offer *offer)
{
	out->is_on = true;
	out->server_no_takeover = wish->server_no_takeover || offer->server_no_takeover;
	out->client_no_takeover = wish->client_no_takeover || offer->client_no_takeover;
	out->server_bits = wish->server_bits;
	if (offer->has_server_bits)
		out->server_bits = PER_MIN(out->server_bits, offer->server_bits);
	out->client_bits = 15;
	if (offer->has_client_bits)
		out->client_bits = (uint8_t)PER_MIN(wish->client_bits,
						    offer->client_bits != 0 ? offer->client_bits : 15);
}

static size_t answer_write(const struct per__deflate_params *params, const struct offer *offer, char *answer,
			   size_t cap)
{
	char server_bits[32] = "", client_bits[32] = "";
	int n;

	if (offer->has_server_bits || params->server_bits < 15)
		snprintf(server_bits, sizeof(server_bits), "; server_max_window_bits=%u",
			 params->server_bits);
	if (offer->has_client_bits && params->client_bits < 15)
		snprintf(client_bits, sizeof(client_bits), "; client_max_window_bits=%u",
			 params->client_bits);
	n = snprintf(answer, cap, "permessage-deflate%s%s%s%s",
		     params->server_no_takeover ? "; server_no_context_takeover" : "",
		     params->client_no_takeover ? "; client_no_context_takeover" : "", server_bits,
		     client_bits);
	PER_ASSERT(n > 0 && (size_t)n < cap);
	return (size_t)n;
}

size_t per__deflate_negotiate(struct per__deflate_params *out, const struct per__deflate_wish *wish,
			      per_str offers, char *answer, size_t cap)
{
	bool has_more = offers.ptr != NULL;
	struct offer offer;

	memset(out, 0, sizeof(*out));
	while (has_more) {
		if (!offer_parse(&offer, take_until(&offers, ',', &has_more)))
			continue;
		agree(out, wish, &offer);
		return answer_write(out, &offer, answer, cap);
	}
	return 0;
}
