/* SPDX-License-Identifier: MIT */
/*
 * services_access_line_test.c - lines of an access log, byte for byte: the three formats, what is missing,
 * what is hostile, what is too long.
 */
#include "services/access_line.h"

#include "support/unit.h"

#define WALL_MS INT64_C(971211336042) /* 2000-10-10T20:55:36.042Z */

static const struct per__peer peer4 = { .family = 4, .port = 50000, .ip = { 192, 0, 2, 255 } };
static const struct per__peer peer6 = { .family = 6, .ip = { 0x20, 1, 0xd, 0xb8, [15] = 1 } };

static struct per__access_entry entry_good(void)
{
	return (struct per__access_entry){
		.wall_ms = WALL_MS,
		.peer = &peer4,
		.line = PER_S("GET /a?b HTTP/1.1"),
		.host = PER_S("example.com"),
		.method = PER_S("GET"),
		.target = PER_S("/a?b"),
		.referer = PER_S("http://r/"),
		.agent = PER_S("curl/8"),
		.version = 11,
		.status = 200,
		.is_whole = true,
		.bytes = 2326,
		.duration_ns = 12999999,
	};
}

/* Exactly as much memory as is promised, so that a sanitizer sees what is written behind it. */
static const char *line_of(per_access_format format, struct per__access_entry entry)
{
	static char text[PER__ACCESS_LINE_MAX + 1];
	struct per__access_date date = { 0 };
	char *exact = malloc(PER__ACCESS_LINE_MAX);
	size_t len = per__access_line(exact, format, &entry, &date);

	assert_true(len <= PER__ACCESS_LINE_MAX);
	memcpy(text, exact, len);
	text[len] = '\0';
	assert_int_equal(strlen(text), len);
	free(exact);
	return text;
}

static void test_access_line_formats(void **state)
{
	struct per__access_entry entry = entry_good();

	(void)state;
	assert_string_equal(line_of(PER_ACCESS_COMMON, entry),
			    "192.0.2.255 - - [10/Oct/2000:20:55:36 +0000] \"GET /a?b HTTP/1.1\" 200 2326\n");
	assert_string_equal(line_of(PER_ACCESS_COMBINED, entry),
			    "192.0.2.255 - - [10/Oct/2000:20:55:36 +0000] \"GET /a?b HTTP/1.1\" 200 2326 "
			    "\"http://r/\" \"curl/8\"\n");
	assert_string_equal(
		line_of(PER_ACCESS_JSON, entry),
		"{\"time\":\"2000-10-10T20:55:36.042Z\",\"remote\":\"192.0.2.255\",\"host\":\"example.com\","
		"\"method\":\"GET\",\"target\":\"/"
		"a?b\",\"version\":\"1.1\",\"tls\":null,\"status\":200,\"bytes\":2326,"
		"\"duration_ms\":12,\"referer\":\"http://r/\",\"user_agent\":\"curl/8\",\"error\":null}\n");
}

static void test_access_line_nothing_known(void **state)
{
	static const struct per__peer unknown = { 0 };
	struct per__access_entry entry = { .wall_ms = WALL_MS, .peer = &unknown, .error = PER_EGONE };

	(void)state;
	assert_string_equal(line_of(PER_ACCESS_COMBINED, entry),
			    "unknown - - [10/Oct/2000:20:55:36 +0000] \"-\" - 0 \"-\" \"-\"\n");
	assert_string_equal(
		line_of(PER_ACCESS_JSON, entry),
		"{\"time\":\"2000-10-10T20:55:36.042Z\",\"remote\":\"unknown\",\"host\":null,"
		"\"method\":null,\"target\":null,\"version\":null,\"line\":null,\"tls\":null,\"status\":0,"
		"\"bytes\":0,\"duration_ms\":0,\"referer\":null,\"user_agent\":null,"
		"\"error\":\"gone\"}\n");
}

static void test_access_line_peers(void **state)
{
	static const struct per__peer unix_peer = { .family = 1 };
	struct per__access_entry entry = entry_good();

	(void)state;
	entry.peer = &peer6;
	assert_true(strncmp(line_of(PER_ACCESS_COMMON, entry), "2001:db8::1 - - [", 17) == 0);
	entry.peer = &unix_peer;
	assert_true(strncmp(line_of(PER_ACCESS_COMMON, entry), "unix: - - [", 11) == 0);
}

/* The text between the last two quotes (common) or behind "user_agent":" (JSON). */
static const char *agent_of(per_access_format format, per_str agent)
{
	static char text[PER__ACCESS_LINE_MAX];
	struct per__access_entry entry = entry_good();
	const char *line, *begin, *end;

	entry.agent = agent;
	line = line_of(format, entry);
	if (format == PER_ACCESS_JSON) {
		begin = strstr(line, "\"user_agent\":\"") + strlen("\"user_agent\":\"");
		end = strstr(begin, "\",\"error\":");
	} else {
		begin = strstr(line, "\"http://r/\" \"") + strlen("\"http://r/\" \"");
		end = line + strlen(line) - 2;
	}
	memcpy(text, begin, (size_t)(end - begin));
	text[end - begin] = '\0';
	return text;
}

static void test_access_line_hostile_text_is_escaped(void **state)
{
	per_str hostile = PER_S("a\"b\\c\nd\re\tf\0g\x1b[31m\x7f\xe9\xff h");

	(void)state;
	assert_string_equal(agent_of(PER_ACCESS_COMBINED, hostile),
			    "a\\x22b\\x5cc\\x0ad\\x0de\\x09f\\x00g\\x1b[31m\\x7f\\xe9\\xff h");
	assert_string_equal(agent_of(PER_ACCESS_JSON, hostile),
			    "a\\\"b\\\\c\\u000ad\\u000de\\u0009f\\u0000g\\u001b[31m\\u007f\\u00e9\\u00ff h");
}

/* Each byte at each place of the eight that are looked at together. */
static void test_access_line_every_byte_at_every_place(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		for (unsigned place = 0; place < 24; place++) {
			bool is_plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
			char text[25], expected[64];

			memset(text, 'x', 24);
			text[place] = (char)byte;
			memcpy(expected, text, place);
			snprintf(expected + place, sizeof(expected) - place, is_plain ? "%c%s" : "\\x%02x%s",
				 byte, "xxxxxxxxxxxxxxxxxxxxxxxx" + place + 1);
			assert_string_equal(agent_of(PER_ACCESS_COMBINED, per_str_make(text, 24)), expected);
		}
	}
}

static void test_access_line_long_text_is_cut_between_escapes(void **state)
{
	static char plain[PER__ACCESS_FIELD_MAX + 1], quotes[PER__ACCESS_FIELD_MAX + 1];
	const char *got;

	(void)state;
	memset(plain, 'p', sizeof(plain));
	memset(quotes, 0x01, sizeof(quotes));
	got = agent_of(PER_ACCESS_COMBINED, per_str_make(plain, PER__ACCESS_FIELD_MAX));
	assert_int_equal(strlen(got), PER__ACCESS_FIELD_MAX);
	got = agent_of(PER_ACCESS_COMBINED, per_str_make(plain, PER__ACCESS_FIELD_MAX + 1));
	assert_int_equal(strlen(got), PER__ACCESS_FIELD_MAX + 3);
	assert_string_equal(got + PER__ACCESS_FIELD_MAX, "...");
	got = agent_of(PER_ACCESS_JSON, per_str_make(quotes, PER__ACCESS_FIELD_MAX));
	assert_int_equal(strlen(got), PER__ACCESS_FIELD_MAX / 6 * 6 + 3);
	assert_string_equal(got + strlen(got) - 9, "\\u0001...");
}

static void test_access_line_everything_at_its_bound_fits(void **state)
{
	static char junk[70000];
	per_str all = per_str_make(junk, sizeof(junk));
	struct per__access_entry entry = entry_good();

	(void)state;
	memset(junk, 0x80, sizeof(junk));
	entry.line = entry.host = entry.method = entry.target = entry.referer = entry.agent = all;
	entry.bytes = UINT64_MAX;
	entry.duration_ns = INT64_MAX;
	entry.status = 599;
	entry.error = PER_ENOMEM;
	entry.peer = &peer6;
	for (int format = PER_ACCESS_COMBINED; format <= PER_ACCESS_JSON; format++) {
		for (int whole = 0; whole < 2; whole++) {
			entry.is_whole = whole != 0;
			(void)line_of((per_access_format)format, entry);
		}
	}
}

static void test_access_line_the_second_changes_with_the_time(void **state)
{
	struct per__access_entry entry = entry_good();
	struct per__access_date date = { 0 };
	char line[PER__ACCESS_LINE_MAX];

	(void)state;
	for (int i = 0; i < 3; i++) {
		entry.wall_ms = WALL_MS + i * 958 - i / 2;
		(void)per__access_line(line, PER_ACCESS_JSON, &entry, &date);
		line[34] = '\0';
		assert_string_equal(line, i == 0   ? "{\"time\":\"2000-10-10T20:55:36.042Z\""
					  : i == 1 ? "{\"time\":\"2000-10-10T20:55:37.000Z\""
						   : "{\"time\":\"2000-10-10T20:55:37.957Z\"");
	}
	entry.wall_ms = 0;
	(void)per__access_line(line, PER_ACCESS_COMMON, &entry, &date);
	assert_non_null(strstr(line, "[01/Jan/1970:00:00:00 +0000]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access_line_formats),
		cmocka_unit_test(test_access_line_nothing_known),
		cmocka_unit_test(test_access_line_peers),
		cmocka_unit_test(test_access_line_hostile_text_is_escaped),
		cmocka_unit_test(test_access_line_every_byte_at_every_place),
		cmocka_unit_test(test_access_line_long_text_is_cut_between_escapes),
		cmocka_unit_test(test_access_line_everything_at_its_bound_fits),
		cmocka_unit_test(test_access_line_the_second_changes_with_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
