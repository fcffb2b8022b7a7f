/* SPDX-License-Identifier: MIT */
/*
 * access_line.c - one line of an access log. Text that a client has chosen is escaped, so that it cannot end
 * a line, a value or an escape. Invariant: each text has a bound, and their sum is below the line's.
 */
#include "services/access_line.h"

#include "base/num.h"
#include <string.h>

#define DOTS 3u /* bytes set aside behind the bound of a text */

/* Everything beside the texts: punctuation, names, numbers, address, time. */
#define FIXED_BYTES 512u
_Static_assert(PER__ACCESS_TARGET_MAX * 2 + PER__ACCESS_FIELD_MAX * 2 + PER__ACCESS_NAME_MAX * 2 + 6 * DOTS +
			       FIXED_BYTES <=
		       PER__ACCESS_LINE_MAX,
	       "every text at its bound makes a line that fits");

/* --- text ------------------------------------------------------------------------------------- */

static inline char *put(char *pos, const char *text, size_t len)
{
	memcpy(pos, text, len);
	return pos + len;
}

#define PUT(pos, literal) put((pos), (literal), sizeof(literal) - 1)

/* Printable ASCII but for a quote and a backslash: a bit for each byte. */
static inline bool is_plain(uint8_t byte)
{
	static const uint64_t plain[4] = { UINT64_C(0xfffffffb00000000), UINT64_C(0x7fffffffefffffff), 0, 0 };

	return (plain[byte >> 6] >> (byte & 63) & 1) != 0;
}

/* Are eight bytes plain? Says no too often, because of carries, and never yes to one that is not. */
static inline bool are_plain(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	const uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';

	return (((word - ones * 0x20) | (word + ones) | word | (quote - ones) | (slash - ones)) & high) == 0;
}

static const char hex_digits[] = "0123456789abcdef";

/* \xHH, as nginx writes it; a quote and a backslash too, so that nobody has to count backslashes. */
static size_t escape_common(char dst[6], uint8_t byte)
{
	dst[0] = '\\';
	dst[1] = 'x';
	dst[2] = hex_digits[byte >> 4];
	dst[3] = hex_digits[byte & 15];
	return 4;
}

/* RFC 8259 section 7. */
static size_t escape_json(char dst[6], uint8_t byte)
{
	dst[0] = '\\';
	if (byte == '"' || byte == '\\') {
		dst[1] = (char)byte;
		return 2;
	}
	memcpy(dst + 1, "u00", 3);
	dst[4] = hex_digits[byte >> 4];
	dst[5] = hex_digits[byte & 15];
	return 6;
}

/* As many bytes of text as are plain and fit, eight at a time; moves *pos. Returns how many. */
static inline size_t put_plain(char **pos, const char *end, const char *text, size_t len)
{
	char *at = *pos;
	size_t i = 0;
	uint64_t word;

	for (; len - i >= sizeof(word) && (size_t)(end - at) >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, text + i, sizeof(word));
		if (!are_plain(word))
			break;
		memcpy(at, &word, sizeof(word));
		at += sizeof(word);
	}
	for (; i < len && at < end && is_plain((uint8_t)text[i]); i++)
		*at++ = text[i];
	*pos = at;
	return i;
}

/* At most max bytes, and "..." when that is not all. An escape is never cut. */
static char *put_escaped(char *pos, per_str text, size_t max, bool is_json)
{
	const char *end = pos + max;
	char escape[6];
	size_t i = 0;

	for (;;) {
		uint8_t byte;
		size_t len;

		i += put_plain(&pos, end, text.ptr + i, text.len - i);
		if (PER_LIKELY(i == text.len))
			return pos;
		byte = (uint8_t)text.ptr[i++];
		len = is_json ? escape_json(escape, byte) : escape_common(escape, byte);
		if (is_plain(byte) || (size_t)(end - pos) < len)
			return PUT(pos, "...");
		pos = put(pos, escape, len);
	}
}

static inline char *put_number(char *pos, uint64_t number)
{
	return pos + per__num_to_dec(pos, number);
}

static void date_set(struct per__access_date *date, int64_t wall_s)
{
	char http[PER__DATE_LEN]; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

	if (PER_LIKELY(date->is_set && date->wall_s == wall_s))
		return;
	date->is_set = true;
	date->wall_s = wall_s;
	per__date_format(http, wall_s);
	memcpy(date->common, "00/***/0000:00:00:00 +0000", sizeof(date->common));
	memcpy(date->common, http + 5, 2);
	memcpy(date->common + 3, http + 8, 3);
	memcpy(date->common + 7, http + 12, 4);
	memcpy(date->common + 12, http + 17, 8);
	per__date_format_iso(date->iso, wall_s);
}

/* --- common, combined ------------------------------------------------------------------------- */

static char *put_quoted(char *pos, per_str text, size_t max)
{
	pos = PUT(pos, " \"");
	if (text.len == 0)
		pos = PUT(pos, "-");
	else
		pos = put_escaped(pos, text, max, false);
	return PUT(pos, "\"");
}

static char *put_common(char *pos, const struct per__access_entry *entry, const struct per__access_date *date)
{
	pos += per__peer_format_ip(entry->peer, pos);
	pos = PUT(pos, " - - [");
	pos = put(pos, date->common, sizeof(date->common));
	pos = PUT(pos, "]");
	pos = put_quoted(pos, entry->line, PER__ACCESS_TARGET_MAX);
	pos = PUT(pos, " ");
	if (PER_UNLIKELY(entry->status == 0))
		pos = PUT(pos, "-");
	else
		pos = put_number(pos, (uint64_t)entry->status);
	pos = PUT(pos, " ");
	return put_number(pos, entry->bytes);
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* ,"name":"value" or ,"name":null; name is with its punctuation. */
static char *put_member(char *pos, per_str name, per_str text, size_t max)
{
	pos = put(pos, name.ptr, name.len);
	if (text.len == 0)
		return PUT(pos, "null");
	pos = PUT(pos, "\"");
	pos = put_escaped(pos, text, max, true);
	return PUT(pos, "\"");
}

static per_str error_word(int error)
{
	switch (error) {
	case 0:
		return PER_S("");
	case PER_EGONE:
		return PER_S("gone");
	case PER_ETIMEDOUT:
		return PER_S("timeout");
	case PER_EPROTO:
		return PER_S("protocol");
	case PER_ENOMEM:
		return PER_S("memory");
	case PER_ETOOBIG:
		return PER_S("too_big");
	default:
		return PER_S("other");
	}
}

static char *put_time(char *pos, const struct per__access_entry *entry, const struct per__access_date *date)
{
	unsigned ms = (unsigned)(entry->wall_ms - date->wall_s * 1000);

	pos = PUT(pos, "{\"time\":\"");
	pos = put(pos, date->iso, sizeof(date->iso));
	*pos++ = '.';
	*pos++ = (char)('0' + ms / 100 % 10);
	*pos++ = (char)('0' + ms / 10 % 10);
	*pos++ = (char)('0' + ms % 10);
	return PUT(pos, "Z\"");
}

static char *put_json(char *pos, const struct per__access_entry *entry, const struct per__access_date *date)
{
	per_str version = entry->version == 11   ? PER_S("1.1")
			  : entry->version == 10 ? PER_S("1.0")
						 : PER_S("");
	per_str none = PER_S("");

	pos = put_time(pos, entry, date);
	pos = PUT(pos, ",\"remote\":\"");
	pos += per__peer_format_ip(entry->peer, pos);
	pos = PUT(pos, "\"");
	pos = put_member(pos, PER_S(",\"host\":"), entry->host, PER__ACCESS_NAME_MAX);
	pos = put_member(pos, PER_S(",\"method\":"), entry->is_whole ? entry->method : none,
			 PER__ACCESS_NAME_MAX);
	pos = put_member(pos, PER_S(",\"target\":"), entry->is_whole ? entry->target : none,
			 PER__ACCESS_TARGET_MAX);
	pos = put_member(pos, PER_S(",\"version\":"), entry->is_whole ? version : none, PER__ACCESS_NAME_MAX);
	if (PER_UNLIKELY(!entry->is_whole))
		pos = put_member(pos, PER_S(",\"line\":"), entry->line, PER__ACCESS_TARGET_MAX);
	pos = put_member(pos, PER_S(",\"tls\":"), per_str_from(entry->tls), PER__ACCESS_NAME_MAX);
	pos = PUT(pos, ",\"status\":");
	pos = put_number(pos, (uint64_t)entry->status);
	pos = PUT(pos, ",\"bytes\":");
	pos = put_number(pos, entry->bytes);
	pos = PUT(pos, ",\"duration_ms\":");
	pos = put_number(pos, (uint64_t)PER_MAX(entry->duration_ns, 0) / 1000000);
	pos = put_member(pos, PER_S(",\"referer\":"), entry->referer, PER__ACCESS_FIELD_MAX);
	pos = put_member(pos, PER_S(",\"user_agent\":"), entry->agent, PER__ACCESS_FIELD_MAX);
	pos = put_member(pos, PER_S(",\"error\":"), error_word(entry->error), PER__ACCESS_NAME_MAX);
	return PUT(pos, "}");
}

size_t per__access_line(char *dst, per_access_format format, const struct per__access_entry *entry,
			struct per__access_date *date)
{
	char *pos = dst;

	date_set(date, entry->wall_ms / 1000);
	switch (format) {
	case PER_ACCESS_COMMON:
		pos = put_common(pos, entry, date);
		break;
	case PER_ACCESS_COMBINED:
		pos = put_common(pos, entry, date);
		pos = put_quoted(pos, entry->referer, PER__ACCESS_FIELD_MAX);
		pos = put_quoted(pos, entry->agent, PER__ACCESS_FIELD_MAX);
		break;
	case PER_ACCESS_JSON:
		pos = put_json(pos, entry, date);
		break;
	}
	pos = PUT(pos, "\n");
	return (size_t)(pos - dst);
}
