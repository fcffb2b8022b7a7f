/* SPDX-License-Identifier: MIT */
/*
 * chunked.c - the chunked transfer coding of a request body, decoded in place. Does not read the trailer
 * section. Called by the HTTP/1 protocol with whatever has arrived. States, in order: SIZE [EXT_*] SIZE_LF,
 * then DATA DATA_CR DATA_LF and SIZE again, or LAST behind a size of 0. Invariant: the verdict depends on the
 * bytes, never on where they were cut.
 */
#include "http/chunked.h"
#include "base/num.h"
#include "http/h1_fields.h"

#define SIZE_DIGITS_MAX 16u /* of 64 bits; more can only be leading zeros, which no client sends */

enum chunked_state {
	SIZE, /* digits of a chunk's size */
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	LAST, /* the trailer section begins */
	BAD,
	/* chunk extensions (RFC 9112 section 7.1.1); every byte in one of these counts */
	EXT_SEMICOLON, /* whitespace that only a semicolon may end */
	EXT_NAME_FIRST,
	EXT_NAME,
	EXT_NAME_BLANK, /* whitespace behind a name: a semicolon or an equals sign ends it */
	EXT_VALUE_FIRST,
	EXT_TOKEN,
	EXT_QUOTED,
	EXT_ESCAPED,    /* behind a backslash */
	EXT_QUOTED_END, /* behind the closing quote */
};

void per__chunked_init(struct per__chunked *chunked)
{
	*chunked = (struct per__chunked){ .state = SIZE };
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

/* Is the byte VCHAR, obs-text, SP or HTAB? */
static bool is_text(uint8_t byte)
{
	return per__h1_class[byte] & PER__H1_VALUE;
}

static bool is_tchar(uint8_t byte)
{
	return per__h1_class[byte] & PER__H1_TCHAR;
}

/* Behind a complete size, name or value: another extension, or the end of the line. */
static uint8_t after_part(uint8_t byte)
{
	if (byte == '\r')
		return SIZE_LF;
	if (byte == ';')
		return EXT_NAME_FIRST;
	return is_blank(byte) ? EXT_SEMICOLON : BAD;
}

static uint8_t next_in_size(struct per__chunked *chunked, uint8_t byte)
{
	const int digit = per__num_hex_digit(byte);

	if (digit < 0)
		return chunked->digits == 0 ? BAD : after_part(byte);
	if (chunked->digits == SIZE_DIGITS_MAX || chunked->left > INT64_MAX >> 4)
		return BAD;
	chunked->digits++;
	chunked->left = chunked->left << 4 | (unsigned)digit;
	return SIZE;
}

static uint8_t next_in_name(uint8_t state, uint8_t byte)
{
	if (state == EXT_NAME && is_tchar(byte))
		return EXT_NAME;
	if (byte == '=')
		return EXT_VALUE_FIRST;
	if (is_blank(byte))
		return EXT_NAME_BLANK;
	if (byte == ';')
		return EXT_NAME_FIRST;
	return byte == '\r' && state == EXT_NAME ? SIZE_LF : BAD;
}

/* The state behind one more byte of an extension. */
static uint8_t next_in_extension(uint8_t state, uint8_t byte)
{
	switch (state) {
	case EXT_SEMICOLON:
		return byte == '\r' ? BAD : after_part(byte);
	case EXT_NAME_FIRST:
		if (is_blank(byte))
			return EXT_NAME_FIRST;
		return is_tchar(byte) ? EXT_NAME : BAD;
	case EXT_NAME:
	case EXT_NAME_BLANK:
		return next_in_name(state, byte);
	case EXT_VALUE_FIRST:
		if (is_blank(byte))
			return EXT_VALUE_FIRST;
		if (byte == '"')
			return EXT_QUOTED;
		return is_tchar(byte) ? EXT_TOKEN : BAD;
	case EXT_TOKEN:
		return is_tchar(byte) ? EXT_TOKEN : after_part(byte);
	case EXT_QUOTED:
		if (byte == '"')
			return EXT_QUOTED_END;
		if (byte == '\\')
			return EXT_ESCAPED;
		return is_text(byte) ? EXT_QUOTED : BAD;
	case EXT_ESCAPED:
		return is_text(byte) ? EXT_QUOTED : BAD;
	default: /* EXT_QUOTED_END */
		return after_part(byte);
	}
}

/* The state behind a chunk's line. */
static uint8_t line_end(struct per__chunked *chunked, uint8_t byte)
{
	if (byte != '\n')
		return BAD;
	return chunked->left == 0 ? LAST : DATA;
}

static uint8_t data_end(struct per__chunked *chunked, uint8_t byte)
{
	if (byte != '\n')
		return BAD;
	chunked->digits = 0;
	return SIZE;
}

/* The state behind one byte of framing; left holds the size so far. */
static uint8_t next_state(struct per__chunked *chunked, uint8_t byte)
{
	uint8_t next;

	switch (chunked->state) {
	case SIZE:
		next = next_in_size(chunked, byte);
		break;
	case SIZE_LF:
		return line_end(chunked, byte);
	case DATA_CR:
		return byte == '\r' ? DATA_LF : BAD;
	case DATA_LF:
		return data_end(chunked, byte);
	default:
		next = next_in_extension(chunked->state, byte);
		break;
	}
	/* The CR that ends an extension is none of it; the byte that begins one is. */
	if (next >= EXT_SEMICOLON && ++chunked->ext_bytes > PER__CHUNK_EXT_MAX)
		return BAD;
	return next;
}

enum per__chunked_result per__chunked_decode(struct per__chunked *chunked, const uint8_t *buf, size_t len,
					     size_t *used, const uint8_t **data, size_t *data_len)
{
	size_t pos = 0;

	while (pos < len && chunked->state != DATA && chunked->state != LAST && chunked->state != BAD)
		chunked->state = next_state(chunked, buf[pos++]);
	*used = pos;
	if (chunked->state == BAD)
		return PER__CHUNKED_BAD;
	if (chunked->state == LAST)
		return PER__CHUNKED_LAST;
	if (chunked->state != DATA || pos == len)
		return PER__CHUNKED_MORE;
	*data = buf + pos;
	*data_len = chunked->left < len - pos ? (size_t)chunked->left : len - pos;
	*used = pos + *data_len;
	chunked->left -= *data_len;
	if (chunked->left == 0)
		chunked->state = DATA_CR;
	return PER__CHUNKED_DATA;
}
