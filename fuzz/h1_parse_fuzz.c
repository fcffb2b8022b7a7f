/* SPDX-License-Identifier: MIT */
/*
 * h1_parse_fuzz.c - any bytes through every head parser, whole and cut: all must say what the scalar one says
 * of the whole, also when the limits shrink half-way. The first two bytes choose limits (below 128: the
 * ordinary ones), the rest is the head; then the same as a trailer section.
 */
#include "http/h1_parse.h"
#include <stdlib.h>
#include <string.h>

#define FIELDS_CAP 16u
#define EVERY_CUT_BYTES_MAX 96u
#define CUTS_MAX 24u

struct outcome {
	struct per__h1_head head;
	struct per__field fields[FIELDS_CAP];
	int result;
};

/* What is run, and on what. */
struct run {
	per__h1_parse_fn parse;
	bool is_trailer;
	struct per__h1_limits limits;
	const uint8_t *data;
	size_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

/* From memory of the exact size, at another address each time. */
static int parse_copy(const struct run *run, struct per__h1_head *head, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int result;

	require(copy != NULL);
	if (len > 0)
		memcpy(copy, run->data, len);
	result = run->parse(head, &run->limits, copy, len);
	free(copy);
	return result;
}

/* First a piece of that size, then steps; a step of 0 takes sizes from the seed. */
static void run_cut(const struct run *run, struct outcome *out, size_t first, size_t step, uint32_t seed)
{
	size_t len = first;

	memset(out, 0, sizeof(*out));
	if (run->is_trailer)
		per__h1_trailers_init(&out->head, out->fields, FIELDS_CAP);
	else
		per__h1_head_init(&out->head, out->fields, FIELDS_CAP);
	for (;;) {
		size_t more = step;

		out->result = parse_copy(run, &out->head, len);
		if (out->result != PER__H1_MORE || len == run->size)
			return;
		if (step == 0) {
			seed = seed * 1664525u + 1013904223u;
			more = 1 + (seed >> 24) % 37;
		}
		len = run->size - len < more ? run->size : len + more;
	}
}

static void require_same(const struct outcome *a, const struct outcome *b)
{
	const struct per__h1_head *x = &a->head, *y = &b->head;

	require(a->result == b->result);
	if (a->result <= 0)
		return;
	require(x->field_cnt == y->field_cnt);
	require(memcmp(a->fields, b->fields, x->field_cnt * sizeof(a->fields[0])) == 0);
	require(x->method == y->method && x->method_off == y->method_off && x->method_len == y->method_len);
	require(x->version == y->version && x->target_form == y->target_form && x->flags == y->flags);
	require(x->target_off == y->target_off && x->target_len == y->target_len);
	require(x->path_off == y->path_off && x->path_len == y->path_len);
	require(x->query_off == y->query_off && x->query_len == y->query_len);
	require(x->host_off == y->host_off && x->host_len == y->host_len);
	require(x->content_length == y->content_length);
}

/* What must be true of every head that was accepted. */
static void require_sound(const struct run *run, const struct outcome *out)
{
	const char *text = (const char *)run->data;
	const struct per__h1_head *head = &out->head;
	const size_t len = (size_t)out->result;

	require(len <= run->size && len <= run->limits.head_bytes_max &&
		memcmp(text + len - 2, "\r\n", 2) == 0);
	require(head->field_cnt <= run->limits.fields_max);
	for (unsigned i = 0; i < head->field_cnt; i++) {
		const struct per__field *field = &head->fields[i];

		require(field->name_off + field->name_len < field->value_off + 0u);
		require(field->value_off + field->value_len + 4u <= len);
		require(per__is_token(text + field->name_off, field->name_len));
		require(per__is_field_value(text + field->value_off, field->value_len));
	}
	if (run->is_trailer)
		return;
	require(memcmp(text + len - 4, "\r\n\r\n", 4) == 0);
	require(per__is_token(text + head->method_off, head->method_len));
	require(head->target_len > 0 && head->target_len <= run->limits.target_bytes_max);
	require(head->path_off >= head->target_off && head->path_len <= head->target_len);
	require(head->query_off == 0 ||
		head->query_off + head->query_len == head->target_off + head->target_len);
	require(per__is_host(text + head->host_off, head->host_len));
	require(head->version == 10 || (head->version == 11 && head->flags & PER__H1_HAS_HOST));
	require(!(head->flags & PER__H1_CHUNKED) || !(head->flags & PER__H1_HAS_LENGTH));
	require(!(head->flags & PER__H1_CHUNKED) || head->version == 11);
	require(!(head->flags & PER__H1_HAS_LENGTH) || head->content_length <= INT64_MAX);
}

static void check_cuts(const struct run *run, const struct outcome *whole)
{
	const size_t cuts = run->size <= EVERY_CUT_BYTES_MAX ? run->size : CUTS_MAX;
	struct outcome cut;
	uint32_t seed = (uint32_t)run->size;

	for (size_t i = 0; i < run->size; i++)
		seed = (seed ^ run->data[i]) * 16777619u;
	for (size_t i = 0; i < cuts; i++) {
		seed = seed * 1664525u + 1013904223u;
		run_cut(run, &cut, cuts == run->size ? i : seed % run->size, run->size, 0);
		require_same(whole, &cut);
	}
	run_cut(run, &cut, 0, 0, seed);
	require_same(whole, &cut);
	if (run->size <= 1024) {
		run_cut(run, &cut, 0, 1, 0);
		require_same(whole, &cut);
	}
}

/* A reload in the middle: the head is longer than it may be from there on. All parsers say the same. */
static int run_shrunk(const struct run *run, size_t cut, size_t max)
{
	const struct run first = {
		.parse = run->parse, .limits = run->limits, .data = run->data, .size = cut
	};
	const struct run rest = { run->parse,
				  false,
				  { (uint32_t)PER_MIN(max, (size_t)UINT16_MAX),
				    run->limits.target_bytes_max / 2 + 1, FIELDS_CAP - 1 },
				  run->data,
				  run->size };
	struct outcome out;

	run_cut(&first, &out, cut, 0, 0);
	return out.result == PER__H1_MORE ? parse_copy(&rest, &out.head, run->size) : out.result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int shrunk[2]; /* to less than was read, and to more */
	struct run run = { .limits = { 65535, 8192, FIELDS_CAP - 1 } };
	struct outcome whole, other;

	if (size < 2)
		return 0;
	if (data[0] >= 128)
		run.limits.target_bytes_max = data[0] - 127u;
	if (data[1] >= 128)
		run.limits.head_bytes_max = (data[1] - 127u) * 4;
	run.data = data + 2;
	run.size = size - 2;
	run.parse = per__h1_parse_scalar;
	run_cut(&run, &whole, run.size, 0, 0);
	if (whole.result > 0)
		require_sound(&run, &whole);
	for (unsigned k = 0; k < 2; k++)
		shrunk[k] = run_shrunk(&run, run.size / 2, run.size / 4 * (2 * k + 1) + 1);
	for (unsigned i = 0; (run.parse = per__h1_parse_at(i, NULL)) != NULL; i++) {
		run_cut(&run, &other, run.size, 0, 0);
		require_same(&whole, &other);
		check_cuts(&run, &whole);
		for (unsigned k = 0; k < 2; k++)
			require(run_shrunk(&run, run.size / 2, run.size / 4 * (2 * k + 1) + 1) == shrunk[k]);
	}

	run.parse = per__h1_parse_trailers;
	run.is_trailer = true;
	run_cut(&run, &whole, run.size, 0, 0);
	if (whole.result > 0)
		require_sound(&run, &whole);
	check_cuts(&run, &whole);
	return 0;
}
