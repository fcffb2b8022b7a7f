/* SPDX-License-Identifier: MIT */
/*
 * utf8.h - UTF-8 checked as it arrives (RFC 3629): no overlong forms, no surrogates, nothing above
 * U+10FFFF. Pure.
 */
#ifndef PER_WS_UTF8_H
#define PER_WS_UTF8_H

#include "base/base.h"

#define PER__UTF8_OK 0u

/*
 * The state between two pieces: PER__UTF8_OK at the beginning and between characters, anything else inside
 * one.
 */
typedef uint32_t per__utf8_state;

/**
 * Checks the next piece. Fails at the first byte that cannot be part of a valid text, even if its character
 * is incomplete.
 *
 * state    in and out
 * returns  true while everything so far can still become valid
 */
bool per__utf8_feed(per__utf8_state *state, const uint8_t *data, size_t len);

/** The same without instructions that have to be asked for: what per__utf8_feed() is elsewhere. For tests. */
bool per__utf8_feed_scalar(per__utf8_state *state, const uint8_t *data, size_t len);

/** Is it a whole, valid text? */
static inline bool per__utf8_is_valid(const uint8_t *data, size_t len)
{
	per__utf8_state state = PER__UTF8_OK;

	return per__utf8_feed(&state, data, len) && state == PER__UTF8_OK;
}

#endif
