/* SPDX-License-Identifier: MIT */
/*
 * conditional_fuzz.c - lines of "name: value" as the fields of a request: the verdicts agree with one
 * another and with what a tag comparison in its simplest form says.
 */
#include "http/wants.h"

#include <stdlib.h>
#include <string.h>

#define NOW_S 1718000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct per__validators validators = { { "\"abc\"", 5 },
						   { "Sun, 06 Nov 1994 08:49:37 GMT", 29 },
						   784111777 };

static per_str line_take(per_str *rest)
{
	const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
	const per_str line = per_str_make(rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len);
	const size_t used = line.len + (end != NULL);

	*rest = per_str_make(rest->ptr + used, rest->len - used);
	return line;
}

static void wants_collect(struct per__wants *wants, per_str text)
{
	while (text.len > 0) {
		const per_str line = line_take(&text);
		const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;

		if (colon != NULL) {
			const size_t name_len = (size_t)(colon - line.ptr);

			per__wants_take(wants, per_str_make(line.ptr, name_len),
					per__trim(per_str_make(colon + 1, line.len - name_len - 1)));
		}
	}
}

static void list_check(per_str list)
{
	const bool is_strong = per__etag_list_matches(list, validators.etag, false);
	const bool is_weak = per__etag_list_matches(list, validators.etag, true);

	PER_ASSERT(!is_strong || is_weak);
	PER_ASSERT(!is_weak || (list.len == 1 && list.ptr[0] == '*') ||
		   memmem(list.ptr, list.len, "\"abc\"", 5));
	if (per__etag_is_valid(list) && list.ptr[0] == '"') {
		PER_ASSERT(per__etag_list_matches(list, list, false));
		PER_ASSERT(per__if_range_holds(list, &validators, NOW_S) == is_strong);
	}
}

static void verdict_check(const struct per__wants *wants)
{
	const struct per__conditions *conditions = &wants->conditions;
	const enum per__verdict safe = per__conditional_judge(conditions, &validators, true, NOW_S);
	const enum per__verdict unsafe = per__conditional_judge(conditions, &validators, false, NOW_S);

	PER_ASSERT(wants->has_conditions || (safe == PER__PROCEED && unsafe == PER__PROCEED));
	PER_ASSERT(unsafe != PER__NOT_MODIFIED);
	if (safe == PER__NOT_MODIFIED)
		PER_ASSERT(unsafe ==
			   (conditions->if_none_match.count > 0 ? PER__PRECONDITION_FAILED : PER__PROCEED));
	else
		PER_ASSERT(safe == unsafe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct per__wants wants;
	char *text = malloc(size + (size == 0));

	PER_ASSERT(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	per__wants_init(&wants);
	wants_collect(&wants, per_str_make(text, size));
	verdict_check(&wants);
	for (unsigned i = 0; i < wants.conditions.if_match.count; i++)
		list_check(wants.conditions.if_match.at[i]);
	for (unsigned i = 0; i < wants.conditions.if_none_match.count; i++)
		list_check(wants.conditions.if_none_match.at[i]);
	(void)per__if_range_holds(wants.if_range, &validators, NOW_S);
	free(text);
	return 0;
}
