/* SPDX-License-Identifier: MIT */
/*
 * handshake.h - the values of the opening handshake (RFC 6455 section 4, RFC 7692 section 7): keys, lists,
 * extension offers. Pure.
 */
#ifndef PER_WS_HANDSHAKE_H
#define PER_WS_HANDSHAKE_H

#include "base/base.h"
#include <peregrine/types.h>

#define PER__WS_ACCEPT_LEN 28u

/** Is it 16 bytes in base64 (section 4.1): 24 characters, "==" at the end, canonical? */
bool per__ws_key_is_valid(per_str key);

/**
 * Writes the Sec-WebSocket-Accept value for a valid key: exactly PER__WS_ACCEPT_LEN bytes, no NUL (section
 * 4.2.2).
 */
void per__ws_accept_value(char *dst, per_str key);

/**
 * Is the token an element of a comma-separated list (RFC 9110 section 5.6.1)? nocase: letters compared
 * without case.
 */
bool per__list_has(per_str list, per_str token, bool nocase);

/* What permessage-deflate was agreed on. */
struct per__deflate_params {
	bool is_on;
	uint8_t server_bits, client_bits; /* 8 to 15 */
	bool server_no_takeover, client_no_takeover;
};

/* What this side would like, from per_ws_config. */
struct per__deflate_wish {
	uint8_t server_bits, client_bits; /* 9 to 15 */
	bool server_no_takeover, client_no_takeover;
};

/**
 * Chooses the first acceptable permessage-deflate offer of a Sec-WebSocket-Extensions value (several
 * fields: call again with each until is_on). Offers that are malformed, repeat a parameter, have unknown
 * ones, or ask for server_max_window_bits=8 (zlib cannot) are declined, as is everything that is not
 * permessage-deflate.
 *
 * out      is_on tells whether an offer was accepted
 * answer   receives the value for the response's field, cap of 160 always suffices
 * returns  length of the answer in bytes, 0 when none was accepted
 * source   RFC 7692 sections 5, 7.1
 */
size_t per__deflate_negotiate(struct per__deflate_params *out, const struct per__deflate_wish *wish,
			      per_str offers, char *answer, size_t cap);

#endif
