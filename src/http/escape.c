/* SPDX-License-Identifier: MIT */
/*
 * escape.c - any bytes as text in HTML, JSON and addresses.
 */
#include "http/escape.h"

#include <string.h>

#define REPLACEMENT PER_S("\xef\xbf\xbd") /* U+FFFD */

/*
 * The length of the character that str begins with, which has a byte; 0: no UTF-8 (RFC 3629 section 4: no
 * overlong forms, no surrogates, nothing above U+10FFFF). *out: its number.
 */
static size_t utf8_take(per_str str, uint32_t *out)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *src = (const uint8_t *)str.ptr;
	const size_t len = src[0] < 0x80 ? 1 : src[0] < 0xc0 ? 0 : src[0] < 0xe0 ? 2 : src[0] < 0xf0 ? 3 : 4;
	uint32_t character = len <= 1 ? src[0] : src[0] & (0x7fu >> len);

	if (len == 0 || len > str.len || src[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((src[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (src[i] & 0x3fu);
	}
	if (character < least[len] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
		return 0;
	*out = character;
	return len;
}

/* --- HTML ------------------------------------------------------------------------------------- */

/* Controls (C0, DEL, C1), line and paragraph separators, marks of direction (Unicode Standard Annex 9). */
static bool is_invisible(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0) ||
	       (character >= 0x2028 && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069);
}

static per_str html_name(char byte)
{
	switch (byte) {
	case '&':
		return PER_S("&amp;");
	case '<':
		return PER_S("&lt;");
	case '>':
		return PER_S("&gt;");
	case '"':
		return PER_S("&quot;");
	case '\'':
		return PER_S("&#39;");
	default:
		return per_str_make(NULL, 0);
	}
}

void per__escape_html(struct per__text *text, per_str str)
{
	while (str.len > 0) {
		uint32_t character;
		size_t len = utf8_take(str, &character);
		const per_str name = html_name(str.ptr[0]);

		if (len == 0 || is_invisible(character))
			per__text_add(text, REPLACEMENT);
		else
			per__text_add(text, name.ptr != NULL ? name : per_str_make(str.ptr, len));
		len = PER_MAX(len, (size_t)1);
		str = per_str_make(str.ptr + len, str.len - len);
	}
}

/* --- JSON ------------------------------------------------------------------------------------- */

void per__escape_json(struct per__text *text, per_str str)
{
	static const char digits[] = "0123456789abcdef";

	while (str.len > 0) {
		uint32_t character;
		size_t len = utf8_take(str, &character);

		if (len == 0) {
			per__text_add(text, REPLACEMENT);
			len = 1;
		} else if (character < 0x20 || character == 0x7f) {
			per__text_add(text, PER_S("\\u00"));
			per__text_byte(text, digits[character >> 4]);
			per__text_byte(text, digits[character & 15]);
		} else {
			if (character == '"' || character == '\\')
				per__text_byte(text, '\\');
			per__text_add(text, per_str_make(str.ptr, len));
		}
		str = per_str_make(str.ptr + len, str.len - len);
	}
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool stays_in_segment(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
	       (byte != '\0' && strchr("-._~!$()*+,;=@", byte) != NULL);
}

void per__escape_segment(struct per__text *text, per_str str)
{
	static const char digits[] = "0123456789ABCDEF"; /* capitals: RFC 3986 section 2.1 */

	for (size_t i = 0; i < str.len; i++) {
		const uint8_t byte = (uint8_t)str.ptr[i];

		if (stays_in_segment(byte)) {
			per__text_byte(text, (char)byte);
			continue;
		}
		per__text_byte(text, '%');
		per__text_byte(text, digits[byte >> 4]);
		per__text_byte(text, digits[byte & 15]);
	}
}
