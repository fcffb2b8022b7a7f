/* SPDX-License-Identifier: MIT */
/*
 * h1_harness.h - runs bytes through every head parser, whole, cut in two at every byte, and byte by byte, and
 * puts the result into one line of text to compare. For the unit tests of the HTTP/1 parsers, each of which
 * is one file, so all of it is here. Copies of the input end at a page that must not be touched: reading too
 * far is a crash even without a sanitizer.
 */
#ifndef PER_TESTS_H1_HARNESS_H
#define PER_TESTS_H1_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "http/h1_parse.h"

#define H1_TEST_BYTES_MAX (1u << 17)
#define H1_TEST_FIELDS_MAX 300u
#define H1_TEST_WHOLE (-1) /* expect: a head (or trailer section) that ends where the bytes end */

struct h1_case {
	const char *bytes;
	size_t len;
	int expect;       /* H1_TEST_WHOLE, or what the parser must return */
	const char *dump; /* how the result must look; NULL: not compared */
	int line;         /* of the source, for messages; 0: generated */
};

/* Entries of a table: good and complete, good so far, refused. */
#define OK(head, dump)                                                \
	{                                                             \
		head, sizeof(head) - 1, H1_TEST_WHOLE, dump, __LINE__ \
	}
#define MORE(head)                                                   \
	{                                                            \
		head, sizeof(head) - 1, PER__H1_MORE, NULL, __LINE__ \
	}
#define BAD(status, head)                                         \
	{                                                         \
		head, sizeof(head) - 1, -(status), NULL, __LINE__ \
	}

/* The whole head around what an entry is about. */
#define LINE(line) line "\r\nHost: h\r\n\r\n"
#define FIELDS(fields) "POST / HTTP/1.1\r\nHost: h\r\n" fields "\r\n"
#define FIELDS10(fields) "POST / HTTP/1.0\r\n" fields "\r\n"
#define HOST(value) "GET / HTTP/1.1\r\nHost:" value "\r\n\r\n"
#define TARGET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"
#define TE(value) FIELDS("Transfer-Encoding:" value "\r\n")
#define CL(value) FIELDS("Content-Length:" value "\r\n")

/* One way to run a case. */
struct h1_run {
	per__h1_parse_fn parse;
	const char *name;
	bool is_trailer;
	const struct per__h1_limits *limits;
	uint16_t fields_cap;
	size_t first, step; /* bytes of the first piece and of each piece behind it */
};

static const struct per__h1_limits h1_test_limits = { 65535, 8192, 100 };

/* A copy of the input that ends right before a page without access. */
static inline const uint8_t *h1_guarded(const char *bytes, size_t len)
{
	static uint8_t *end; /* of the usable part; mapped once per test program */

	if (end == NULL) {
		uint8_t *map = mmap(NULL, H1_TEST_BYTES_MAX + 65536u, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert_true(map != MAP_FAILED);
		end = map + H1_TEST_BYTES_MAX;
		assert_int_equal(mprotect(end, 65536u, PROT_NONE), 0);
	}
	assert_true(len <= H1_TEST_BYTES_MAX);
	if (len > 0)
		memcpy(end - len, bytes, len);
	return end - len;
}

static inline size_t h1_dump_fields(char *dst, size_t cap, const struct per__h1_head *head, const char *bytes)
{
	size_t len = 0;

	for (unsigned i = 0; i < head->field_cnt && len < cap; i++) {
		const struct per__field *field = &head->fields[i];

		len += (size_t)snprintf(dst + len, cap - len, " [%.*s=%.*s]", field->name_len,
					bytes + field->name_off, field->value_len, bytes + field->value_off);
	}
	return len;
}

/*
 * method number, form letter, version, p=path, q=query (- if none), h=host (- if none), l=length (- if none),
 * the letters of the flags c(hunked) x (close) k(eep-alive) u(pgrade) e(xpect), then the fields: "1o11 p=/
 * q=- h=h l=- : [Host=h]"
 */
static inline void h1_dump(char *dst, size_t cap, const struct per__h1_head *head, const char *bytes)
{
	const char forms[] = "ohc*";
	char length[24] = "-";
	size_t len;

	if (head->flags & PER__H1_HAS_LENGTH)
		snprintf(length, sizeof(length), "%llu", (unsigned long long)head->content_length);
	len = (size_t)snprintf(
		dst, cap, "%u%c%u p=%.*s q=%.*s h=%.*s l=%s %s%s%s%s%s:", head->method,
		forms[head->target_form], head->version, head->path_len, bytes + head->path_off,
		head->query_off != 0 ? head->query_len : 1,
		head->query_off != 0 ? bytes + head->query_off : "-",
		head->host_off != 0 ? head->host_len : 1, head->host_off != 0 ? bytes + head->host_off : "-",
		length, head->flags & PER__H1_CHUNKED ? "c" : "", head->flags & PER__H1_CLOSE ? "x" : "",
		head->flags & PER__H1_KEEP_ALIVE ? "k" : "", head->flags & PER__H1_UPGRADE ? "u" : "",
		head->flags & PER__H1_EXPECT_CONTINUE ? "e" : "");
	h1_dump_fields(dst + len, cap - len, head, bytes);
}

static inline int h1_run_case(const struct h1_case *vector, const struct h1_run *run,
			      struct per__h1_head *head, struct per__field *fields)
{
	const int expect = vector->expect == H1_TEST_WHOLE ? (int)vector->len : vector->expect;
	size_t piece = run->first;
	int result;

	if (run->is_trailer)
		per__h1_trailers_init(head, fields, run->fields_cap);
	else
		per__h1_head_init(head, fields, run->fields_cap);
	for (;;) {
		result = run->parse(head, run->limits, h1_guarded(vector->bytes, piece), piece);
		if (result != PER__H1_MORE && expect > 0 && piece < (size_t)expect)
			return result < 0 ? result : -1000; /* a verdict before the end of a good head */
		if (result != PER__H1_MORE || piece == vector->len)
			return result;
		piece = vector->len - piece < run->step ? vector->len : piece + run->step;
	}
}

static inline void h1_run_check(const struct h1_case *vector, const struct h1_run *run)
{
	static char dump[1u << 18];
	struct per__field fields[H1_TEST_FIELDS_MAX];
	struct per__h1_head head;
	const int expect = vector->expect == H1_TEST_WHOLE ? (int)vector->len : vector->expect;
	const int result = h1_run_case(vector, run, &head, fields);

	if (result != expect) {
		fail_msg("line %d: parser %s, cut at %zu step %zu: %d instead of %d: %.*s", vector->line,
			 run->name, run->first, run->step, result, expect, (int)vector->len, vector->bytes);
	}
	if (result <= 0 || vector->dump == NULL)
		return;
	if (run->is_trailer) {
		dump[0] = '\0';
		h1_dump_fields(dump, sizeof(dump), &head, vector->bytes);
	} else {
		h1_dump(dump, sizeof(dump), &head, vector->bytes);
	}
	if (strcmp(dump, vector->dump) != 0) {
		fail_msg("line %d: parser %s, cut at %zu step %zu:\n%s\ninstead of\n%s", vector->line,
			 run->name, run->first, run->step, dump, vector->dump);
	}
}

/* Whole, in two pieces, and byte by byte. */
static inline void h1_run_all_cuts(const struct h1_case *vector, struct h1_run *run)
{
	run->first = vector->len;
	run->step = vector->len + 1;
	h1_run_check(vector, run);
	for (run->first = 0; run->first < vector->len; run->first++)
		h1_run_check(vector, run);
	run->first = 0;
	run->step = 1;
	h1_run_check(vector, run);
}

/* Fails the running test unless every parser, however the input is cut, says what the case expects. */
static inline void h1_check_with(const struct h1_case *vector, const struct per__h1_limits *limits,
				 uint16_t fields_cap)
{
	struct h1_run run = { .limits = limits, .fields_cap = fields_cap };

	for (unsigned i = 0; (run.parse = per__h1_parse_at(i, &run.name)) != NULL; i++)
		h1_run_all_cuts(vector, &run);
}

static inline void h1_check(const struct h1_case *vector)
{
	h1_check_with(vector, &h1_test_limits, H1_TEST_FIELDS_MAX);
}

static inline void h1_check_all(const struct h1_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		h1_check(&cases[i]);
}

/* Every parser on the whole input only: for tests with very many or very long inputs. */
static inline void h1_check_whole(const struct h1_case *vector, const struct per__h1_limits *limits)
{
	struct h1_run run = { .limits = limits, .fields_cap = H1_TEST_FIELDS_MAX };

	run.first = vector->len;
	for (unsigned i = 0; (run.parse = per__h1_parse_at(i, &run.name)) != NULL; i++)
		h1_run_check(vector, &run);
}

static inline void h1_check_trailers(const struct h1_case *vector, const struct per__h1_limits *limits,
				     uint16_t fields_cap)
{
	struct h1_run run = { .parse = per__h1_parse_trailers,
			      .name = "trailers",
			      .is_trailer = true,
			      .limits = limits,
			      .fields_cap = fields_cap };

	h1_run_all_cuts(vector, &run);
}

#endif
