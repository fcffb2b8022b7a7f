/* SPDX-License-Identifier: MIT */
/*
 * http_chunked_test.c - the chunked coding of RFC 9112 section 7.1 as tables. Every entry is decoded whole,
 * cut in two at every byte, and byte by byte, from memory that ends at its last byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/chunked.h"

struct body {
	const char *bytes;
	size_t len;
	enum per__chunked_result expect;
	const char *data; /* what the pieces must add up to */
	size_t rest;      /* bytes behind the last chunk */
	int line;
};

/* Good and complete, with the trailer section behind it; good so far; malformed behind some data. */
#define LAST(bytes, data)                                                             \
	{                                                                             \
		bytes "\r\n", sizeof(bytes) + 1, PER__CHUNKED_LAST, data, 2, __LINE__ \
	}
#define MORE(bytes, data)                                                      \
	{                                                                      \
		bytes, sizeof(bytes) - 1, PER__CHUNKED_MORE, data, 0, __LINE__ \
	}
#define BAD(bytes, data)                                                      \
	{                                                                     \
		bytes, sizeof(bytes) - 1, PER__CHUNKED_BAD, data, 0, __LINE__ \
	}

struct collected {
	char data[8192];
	size_t len;
};

/*
 * Decodes one piece as its caller would: again and again until all of it is used up. Returns the last result.
 */
static enum per__chunked_result piece_decode(struct per__chunked *chunked, struct collected *out,
					     const char *bytes, size_t len, size_t *used_total)
{
	uint8_t *copy = malloc(len > 0 ? len : 1); /* of the exact size, for the sanitizer */
	enum per__chunked_result result;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	*used_total = 0;
	do {
		const uint8_t *data = NULL;
		size_t used = SIZE_MAX, data_len = 0;

		result = per__chunked_decode(chunked, copy + *used_total, len - *used_total, &used, &data,
					     &data_len);
		assert_true(used <= len - *used_total);
		if (result == PER__CHUNKED_DATA) {
			assert_true(data_len > 0 && data_len <= used);
			assert_ptr_equal(data + data_len, copy + *used_total + used);
			assert_true(out->len + data_len <= sizeof(out->data));
			memcpy(out->data + out->len, data, data_len);
			out->len += data_len;
		}
		*used_total += used;
	} while (result == PER__CHUNKED_DATA);
	if (result == PER__CHUNKED_MORE)
		assert_int_equal(*used_total, len);
	free(copy);
	return result;
}

static void body_check(const struct body *body, size_t first, size_t step)
{
	static struct collected out;
	struct per__chunked chunked;
	enum per__chunked_result result = PER__CHUNKED_MORE;
	size_t pos = 0, used = 0, piece = first;

	per__chunked_init(&chunked);
	out.len = 0;
	for (;;) {
		result = piece_decode(&chunked, &out, body->bytes + pos, piece, &used);
		pos += used;
		if (result != PER__CHUNKED_MORE || pos == body->len)
			break;
		piece = body->len - pos < step ? body->len - pos : step;
	}
	if (result != body->expect)
		fail_msg("line %d: cut at %zu step %zu: %d", body->line, first, step, (int)result);
	if (out.len != strlen(body->data) || memcmp(out.data, body->data, out.len) != 0)
		fail_msg("line %d: cut at %zu step %zu: data '%.*s'", body->line, first, step, (int)out.len,
			 out.data);
	if (result == PER__CHUNKED_LAST && pos != body->len - body->rest)
		fail_msg("line %d: cut at %zu step %zu: ended at %zu", body->line, first, step, pos);
}

static void body_check_all_cuts(const struct body *body)
{
	for (size_t cut = 0; cut <= body->len; cut++)
		body_check(body, cut, body->len + 1);
	body_check(body, 0, 1);
	body_check(body, 0, 7);
}

static void bodies_check(const struct body *bodies, size_t count)
{
	for (size_t i = 0; i < count; i++)
		body_check_all_cuts(&bodies[i]);
}

static void test_chunked_sizes_and_data_give_verdict(void **state)
{
	static const struct body bodies[] = {
		LAST("0\r\n", ""),
		LAST("5\r\nhello\r\n0\r\n", "hello"),
		LAST("1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n", "abcdef"),
		LAST("a\r\n0123456789\r\n0\r\n", "0123456789"),
		LAST("A\r\n0123456789\r\n0\r\n", "0123456789"),
		LAST("1A\r\n0123456789abcdefghijklmnop\r\n0\r\n", "0123456789abcdefghijklmnop"),
		LAST("0000000000000005\r\nhello\r\n0\r\n", "hello"),
		LAST("5\r\nhello\r\n0000000000000000\r\n", "hello"),
		LAST("6\r\n0\r\n\r\nX\r\n0\r\n", "0\r\n\r\nX"), /* data that looks like framing */
		LAST("2\r\n\r\n\r\n0\r\n", "\r\n"),
		{ "0\r\nGET / HTTP/1.1", 17, PER__CHUNKED_LAST, "", 14, __LINE__ },
		{ "0\r\n", 3, PER__CHUNKED_LAST, "", 0, __LINE__ },
		MORE("", ""),
		MORE("5", ""),
		MORE("5\r", ""),
		MORE("5\r\n", ""),
		MORE("5\r\nhel", "hel"),
		MORE("5\r\nhello", "hello"),
		MORE("5\r\nhello\r", "hello"),
		MORE("5\r\nhello\r\n", "hello"),
		MORE("5\r\nhello\r\n0", "hello"),
		MORE("0\r", ""),
		MORE("7fffffffffffffff\r\nhello", "hello"),
		MORE("7FFFFFFFFFFFFFFF\r\n", ""),
		/* sizes */
		BAD("8000000000000000", ""),
		BAD("ffffffffffffffff", ""),
		BAD("FFFFFFFFFFFFFFFFF", ""),
		BAD("00000000000000005", ""),
		BAD("10000000000000000", ""),
		BAD("\r\n", ""),
		BAD("\n", ""),
		BAD("-1\r\n", ""),
		BAD("-0\r\n", ""),
		BAD("+5\r\nhello", ""),
		BAD("0x5\r\nhello", ""),
		BAD("x5\r\nhello", ""),
		BAD("g\r\n", ""),
		BAD("5g\r\n", ""),
		BAD("5h\r\n", ""),
		BAD("5.0\r\n", ""),
		BAD("5,\r\n", ""),
		BAD("5_0\r\n", ""),
		BAD(" 5\r\nhello", ""),
		BAD("\t5\r\nhello", ""),
		BAD("5 \r\nhello", ""),
		BAD("5\t\r\nhello", ""),
		BAD("5 5\r\n", ""),
		BAD("\"5\"\r\n", ""),
		BAD("5\0\r\n", ""),
		BAD("\0005\r\n", ""),
		BAD("5\v\r\n", ""),
		BAD("\xb5\r\n", ""),
		BAD("\xc2\xb2\r\n", ""),
		BAD(";a\r\n", ""),
		BAD(";a=5\r\n", ""),
		/* line ends */
		BAD("5\nhello", ""),
		BAD("5\rhello", ""),
		BAD("5\r\r\nhello", ""),
		BAD("5\n\rhello", ""),
		BAD("0\n", ""),
		BAD("0\r\r\n", ""),
		BAD("5\r\nhello\n0\r\n", "hello"),
		BAD("5\r\nhello\r0\r\n", "hello"),
		BAD("5\r\nhello\r\r\n0\r\n", "hello"),
		BAD("5\r\nhello0\r\n", "hello"),
		BAD("5\r\nhello\r\n\r\n", "hello"),
		BAD("5\r\nhello\r\n 0\r\n", "hello"),
		BAD("5\r\nhello \r\n", "hello"),
		BAD("4\r\nhello\r\n0\r\n", "hell"),
		BAD("6\r\nhello\r\n0\r\n", "hello\r"),
	};

	(void)state;
	bodies_check(bodies, PER_ARRAY_LEN(bodies));
}

/* RFC 9112 section 7.1.1 */
static void test_chunked_extensions_give_verdict(void **state)
{
	static const struct body bodies[] = {
		LAST("5;a\r\nhello\r\n0\r\n", "hello"),
		LAST("5;a=b\r\nhello\r\n0;c=d\r\n", "hello"),
		LAST("5;a;b;c=d\r\nhello\r\n0;e\r\n", "hello"),
		LAST("5 \t; \ta \t= \tb\r\nhello\r\n0\r\n", "hello"),
		LAST("5 ;a ;b= c ;d\r\nhello\r\n0\r\n", "hello"),
		LAST("5;a=\"b\"\r\nhello\r\n0\r\n", "hello"),
		LAST("5;a=\"\"\r\nhello\r\n0\r\n", "hello"),
		LAST("5;a=\"b;c=d, \t\x80\xff!#[]~\";e\r\nhello\r\n0\r\n", "hello"),
		LAST("5;a=\"\\\"\\\\\\ \\\t\\a\\\x80\"\r\nhello\r\n0\r\n", "hello"),
		LAST("5;a=\"b\" ;c\r\nhello\r\n0\r\n", "hello"),
		LAST("5;!#$%&'*+-.^_`|~09azAZ=!#$%&'*+-.^_`|~09azAZ\r\nhello\r\n0\r\n", "hello"),
		LAST("0;a=\"\\\"\";b\r\n", ""),
		MORE("5;a=\"b", ""),
		MORE("5;a=\"b\\", ""),
		MORE("5;a=\"b\"", ""),
		MORE("5;", ""),
		MORE("5 ", ""),
		BAD("5;\r\n", ""),
		BAD("5; \r\n", ""),
		BAD("5;;a\r\n", ""),
		BAD("5;a;\r\n", ""),
		BAD("5;a;;b\r\n", ""),
		BAD("5;=b\r\n", ""),
		BAD("5;a=\r\n", ""),
		BAD("5;a= \r\n", ""),
		BAD("5;a=;b\r\n", ""),
		BAD("5;a==b\r\n", ""),
		BAD("5;a=b=c\r\n", ""),
		BAD("5;a b\r\n", ""),
		BAD("5;a \r\n", ""),
		BAD("5;a=b \r\n", ""),
		BAD("5;a=b c\r\n", ""),
		BAD("5;a=\"b\" \r\n", ""),
		BAD("5;a=\"b\"c\r\n", ""),
		BAD("5;a=\"b\"\"c\"\r\n", ""),
		BAD("5;a=b\"c\"\r\n", ""),
		BAD("5;\"a\"=b\r\n", ""),
		BAD("5;a=\"b\r\n", ""),
		BAD("5;a=\"b\r\n\"\r\n", ""),
		BAD("5;a=\"b\n\"\r\n", ""),
		BAD("5;a=\"b\0\"\r\n", ""),
		BAD("5;a=\"b\x7f\"\r\n", ""),
		BAD("5;a=\"\\\r\n", ""),
		BAD("5;a=\"\\\0\"\r\n", ""),
		BAD("5;a=\"\\\x7f\"\r\n", ""),
		BAD("5;a='b c'\r\n", ""),
		BAD("5;a,b\r\n", ""),
		BAD("5;a@b\r\n", ""),
		BAD("5;a\0\r\n", ""),
		BAD("5;a\x80\r\n", ""),
		BAD("5;a=\x80\r\n", ""),
		BAD("5;a\nhello", ""),
		BAD("5;a=b\nhello", ""),
		BAD("5;a=\"b\"\nhello", ""),
		BAD("5;a\rhello", ""),
		BAD("5;a\r\r\n", ""),
		BAD("5\r;a\n", ""),
		BAD("5 a\r\n", ""),
		BAD("5 =a\r\n", ""),
		BAD("5=a\r\n", ""),
		BAD("5;a\v=b\r\n", ""),
	};

	(void)state;
	bodies_check(bodies, PER_ARRAY_LEN(bodies));
}

/* Extensions are counted over the whole body, from the semicolon (or the whitespace before it) to the CR. */
static void test_chunked_extension_bytes_at_and_above_limit(void **state)
{
	static char bytes[2 * PER__CHUNK_EXT_MAX];
	char names[PER__CHUNK_EXT_MAX + 2];
	struct body body = { bytes, 0, PER__CHUNKED_LAST, "a", 2, __LINE__ };

	(void)state;
	memset(names, 'x', sizeof(names));
	for (int extra = 0; extra <= 1; extra++) {
		const int first = 100, second = (int)PER__CHUNK_EXT_MAX - 100 + extra;

		body.len = (size_t)snprintf(bytes, sizeof(bytes), "1;%.*s\r\na\r\n0 ;%.*s\r\n\r\n", first - 1,
					    names, second - 2, names);
		body.expect = extra == 0 ? PER__CHUNKED_LAST : PER__CHUNKED_BAD;
		body_check(&body, body.len, 1);
		body_check(&body, 0, 1);
		body_check(&body, 0, 100);
		body_check(&body, 150, 1000);
	}
}

/* Behind an error, and behind the last chunk, nothing more is used up and the answer stays. */
static void test_chunked_verdict_is_kept(void **state)
{
	static const uint8_t more[] = "5\r\nhello\r\n";
	struct per__chunked chunked;
	const uint8_t *data;
	size_t used, data_len;

	(void)state;
	per__chunked_init(&chunked);
	assert_int_equal(per__chunked_decode(&chunked, (const uint8_t *)"x", 1, &used, &data, &data_len),
			 PER__CHUNKED_BAD);
	assert_int_equal(per__chunked_decode(&chunked, more, 10, &used, &data, &data_len), PER__CHUNKED_BAD);
	assert_int_equal(used, 0);

	per__chunked_init(&chunked);
	assert_int_equal(per__chunked_decode(&chunked, (const uint8_t *)"0\r\n", 3, &used, &data, &data_len),
			 PER__CHUNKED_LAST);
	assert_int_equal(used, 3);
	assert_int_equal(per__chunked_decode(&chunked, more, 10, &used, &data, &data_len), PER__CHUNKED_LAST);
	assert_int_equal(used, 0);
}

/* Every byte behind every state: accepted exactly where the grammar says so. */
static void test_chunked_every_byte_in_every_state(void **state)
{
	static const struct {
		const char *before;
		const char *good; /* bytes that may follow, besides tchars and text */
		bool tchar, text;
	} states[] = {
		{ "", "0123456789abcdefABCDEF", false, false },
		{ "5", "0123456789abcdefABCDEF;\r \t", false, false },
		{ "5 ", "; \t", false, false },
		{ "5\r", "\n", false, false },
		{ "5;", " \t", true, false },
		{ "5;a", "=; \t\r", true, false },
		{ "5;a ", "=; \t", false, false },
		{ "5;a=", "\" \t", true, false },
		{ "5;a=b", "; \t\r", true, false },
		{ "5;a=\"", "", false, true },
		{ "5;a=\"\\", "", false, true },
		{ "5;a=\"\"", "; \t\r", false, false },
		{ "1\r\na", "\r", false, false },
		{ "1\r\na\r", "\n", false, false },
		{ "1\r\na\r\n", "0123456789abcdefABCDEF", false, false },
		{ "0", "0123456789abcdefABCDEF;\r \t", false, false },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(states); i++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			const char *tchars = "!#$%&'*+-.^_`|~"
					     "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
			const bool is_good =
				(byte != 0 && strchr(states[i].good, (int)byte) != NULL) ||
				(states[i].tchar && byte != 0 && strchr(tchars, (int)byte) != NULL) ||
				(states[i].text && (byte == '\t' || (byte >= 0x20 && byte != 0x7f)));
			static struct collected out;
			struct per__chunked chunked;
			char bytes[16];
			size_t used;
			const int len = snprintf(bytes, sizeof(bytes), "%s", states[i].before);

			bytes[len] = (char)byte;
			out.len = 0;
			per__chunked_init(&chunked);
			if ((piece_decode(&chunked, &out, bytes, (size_t)len + 1, &used) ==
			     PER__CHUNKED_BAD) == is_good)
				fail_msg("'%s' and byte %u", states[i].before, byte);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunked_sizes_and_data_give_verdict),
		cmocka_unit_test(test_chunked_extensions_give_verdict),
		cmocka_unit_test(test_chunked_extension_bytes_at_and_above_limit),
		cmocka_unit_test(test_chunked_verdict_is_kept),
		cmocka_unit_test(test_chunked_every_byte_in_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
