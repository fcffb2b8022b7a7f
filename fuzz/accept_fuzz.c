/* SPDX-License-Identifier: MIT */
/*
 * accept_fuzz.c - any bytes as Accept-Encoding and Accept: what is chosen is available and was named, and
 * less to choose from never changes a choice that is still there.
 */
#include "http/accept.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_letters(per_str text, const char *word)
{
	const per_str wanted = per_str_from(word);

	for (size_t i = 0; i + wanted.len <= text.len; i++) {
		if (per_str_equal_nocase(per_str_make(text.ptr + i, wanted.len), wanted))
			return true;
	}
	return false;
}

static void coding_check(const struct per__lines *lines, per_str text)
{
	static const char *const names[PER__CODINGS] = { "", "gzip", "zstd", "br" };
	const unsigned best = per__accept_coding(lines, (1u << PER__CODINGS) - 1);

	for (unsigned available = 0; available < 1u << PER__CODINGS; available++) {
		const unsigned chosen = per__accept_coding(lines, available);

		PER_ASSERT(chosen != 0 && (chosen & (chosen - 1)) == 0);
		PER_ASSERT((chosen & (available | PER__CODING_IDENTITY)) != 0);
		PER_ASSERT((available & best) == 0 || chosen == best);
		PER_ASSERT(has_letters(text, names[__builtin_ctz(chosen)]) || has_letters(text, "*"));
	}
}

static void media_check(const struct per__lines *lines, per_str text)
{
	const enum per__media media = per__accept_media(lines);

	PER_ASSERT(media != PER__MEDIA_HTML || has_letters(text, "text/"));
	PER_ASSERT(media != PER__MEDIA_JSON || has_letters(text, "application/"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct per__lines lines = { .count = 0 };
	char *copy = malloc(size + (size == 0));
	per_str text;

	PER_ASSERT(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	text = per_str_make(copy, size);
	/* a line feed, which is no part of a value, begins another line */
	for (size_t begin = 0, i = 0; i <= size; i++) {
		if (i == size || copy[i] == '\n') {
			per__lines_add(&lines, per_str_make(copy + begin, i - begin));
			begin = i + 1;
		}
	}
	coding_check(&lines, text);
	media_check(&lines, text);
	free(copy);
	return 0;
}
