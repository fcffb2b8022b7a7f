/* SPDX-License-Identifier: MIT */
/*
 * access_line_fuzz.c - lines of an access log from any bytes: ASCII, one newline, the shape of the format,
 * and what was put in comes out again. Input: format and flags, then a length byte (times 16) and a text,
 * six times.
 */
#include "base/num.h"
#include "services/access_line.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXTS 6u

static per_str text_take(const uint8_t **data, size_t *size)
{
	size_t len = *size > 0 ? (size_t)(*data)[0] * 16 : 0;
	per_str text;

	if (*size > 0) {
		(*data)++;
		(*size)--;
	}
	len = PER_MIN(len, *size);
	text = per_str_make((const char *)*data, len);
	*data += len;
	*size -= len;
	return text;
}

/* One character of a value, its escape resolved; *pos moves behind it. */
static uint8_t unescape(const char **pos, bool is_json)
{
	const char *at = *pos;

	PER_ASSERT(*at >= 0x20 && *at < 0x7f);
	*pos += 1;
	if (*at != '\\')
		return (uint8_t)*at;
	if (is_json && (at[1] == '"' || at[1] == '\\')) {
		*pos += 1;
		return (uint8_t)at[1];
	}
	PER_ASSERT(is_json ? memcmp(at, "\\u00", 4) == 0 : memcmp(at, "\\x", 2) == 0);
	at += is_json ? 4 : 2;
	PER_ASSERT(per__num_hex_digit((uint8_t)at[0]) >= 0 && per__num_hex_digit((uint8_t)at[1]) >= 0);
	*pos = at + 2;
	return (uint8_t)(per__num_hex_digit((uint8_t)at[0]) << 4 | per__num_hex_digit((uint8_t)at[1]));
}

/* A value is the text, or begins like it and ends in dots. Returns what is behind its quote. */
static const char *check_value(const char *pos, per_str text, bool is_json)
{
	size_t i = 0;

	while (*pos != '"') {
		const char *begin = pos;
		uint8_t byte = unescape(&pos, is_json);

		/* Dots at the end mean that more was cut off, but for a text that ends in them itself. */
		if (memcmp(begin, "...\"", 4) == 0 &&
		    !(text.len - i == 3 && memcmp(text.ptr + i, "...", 3) == 0)) {
			PER_ASSERT(i < text.len);
			return begin + 4;
		}
		PER_ASSERT(i < text.len && (uint8_t)text.ptr[i] == byte);
		i++;
	}
	PER_ASSERT(i == text.len);
	return pos + 1;
}

/* name, then null or a value. */
static const char *check_member(const char *pos, const char *name, per_str text)
{
	PER_ASSERT(memcmp(pos, name, strlen(name)) == 0);
	pos += strlen(name);
	if (text.len == 0) {
		PER_ASSERT(memcmp(pos, "null", 4) == 0);
		return pos + 4;
	}
	PER_ASSERT(*pos == '"');
	return check_value(pos + 1, text, true);
}

static void check_json(const char *line, const struct per__access_entry *entry)
{
	const char *pos = strstr(line, ",\"host\":");
	per_str none = { NULL, 0 };

	PER_ASSERT(pos != NULL);
	pos = check_member(pos, ",\"host\":", entry->host);
	pos = check_member(pos, ",\"method\":", entry->is_whole ? entry->method : none);
	pos = check_member(pos, ",\"target\":", entry->is_whole ? entry->target : none);
	pos = check_member(pos, ",\"version\":", entry->is_whole ? PER_S("1.1") : none);
	if (!entry->is_whole)
		pos = check_member(pos, ",\"line\":", entry->line);
	pos = check_member(pos, ",\"tls\":", PER_S("TLSv1.3"));
	PER_ASSERT(memcmp(pos, ",\"status\":200,\"bytes\":7,\"duration_ms\":0", 39) == 0);
	pos = check_member(pos + 39, ",\"referer\":", entry->referer);
	pos = check_member(pos, ",\"user_agent\":", entry->agent);
	PER_ASSERT(strcmp(pos, ",\"error\":null}\n") == 0);
}

static const char *check_quoted(const char *pos, per_str text)
{
	PER_ASSERT(*pos == '"');
	return check_value(pos + 1, text.len > 0 ? text : PER_S("-"), false);
}

static void check_common(const char *line, const struct per__access_entry *entry, bool is_combined)
{
	const char *pos = strchr(line, '"');

	PER_ASSERT(pos != NULL);
	pos = check_quoted(pos, entry->line);
	PER_ASSERT(memcmp(pos, " 200 7", 6) == 0);
	pos += 6;
	if (is_combined) {
		pos = check_quoted(pos + 1, entry->referer);
		pos = check_quoted(pos + 1, entry->agent);
	}
	PER_ASSERT(strcmp(pos, "\n") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct per__peer peer = { .family = 4 };
	struct per__access_date date = { 0 };
	per_access_format format = size > 0 ? (per_access_format)(data[0] % 3) : PER_ACCESS_COMBINED;
	struct per__access_entry entry = {
		.peer = &peer, .tls = "TLSv1.3", .version = 11, .status = 200, .bytes = 7
	};
	per_str *texts[TEXTS] = { &entry.line,   &entry.host,    &entry.method,
				  &entry.target, &entry.referer, &entry.agent };
	char *line = malloc(PER__ACCESS_LINE_MAX + 1);
	size_t len;

	PER_ASSERT(line != NULL);
	if (size > 0) {
		entry.is_whole = (data[0] & 128) != 0;
		data++;
		size--;
	}
	for (unsigned i = 0; i < TEXTS; i++)
		*texts[i] = text_take(&data, &size);
	len = per__access_line(line, format, &entry, &date);
	PER_ASSERT(len <= PER__ACCESS_LINE_MAX);
	line[len] = '\0';
	PER_ASSERT(strlen(line) == len && strchr(line, '\n') == line + len - 1);
	if (format == PER_ACCESS_JSON)
		check_json(line, &entry);
	else
		check_common(line, &entry, format == PER_ACCESS_COMBINED);
	free(line);
	return 0;
}
