/* SPDX-License-Identifier: MIT */
/*
 * tls_names_fuzz.c - host names of certificates and of clients. The input is names, one a line, then a NUL
 * and a server_name extension: what the table finds is what a list finds.
 */
#include "tls/names.h"

#include <peregrine/types.h>
#include <string.h>

#define NAMES_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct list {
	char names[NAMES_MAX][PER__TLS_NAME_MAX + 1];
	uint32_t cnt;
};

static uint32_t list_find(const struct list *list, per_str name)
{
	for (uint32_t i = 0; i < list->cnt; i++) {
		if (per_str_equal_nocase(per_str_from(list->names[i]), name))
			return i;
	}
	return PER__TLS_NAME_NONE;
}

/* Puts a line into both. */
static void name_put(struct per__tls_names *names, struct list *list, const char *line, size_t len)
{
	char *name = list->names[list->cnt];
	const char *why = "unset";
	int name_len = per__tls_name_read(name, line, len, &why);
	uint32_t *value;

	PER_ASSERT((name_len > 0) == (why == NULL));
	if (name_len < 0)
		return;
	PER_ASSERT(strlen(name) == (size_t)name_len);
	value = per__tls_names_put(names, name, (size_t)name_len);
	PER_ASSERT(value != NULL);
	PER_ASSERT(*value == list_find(list, per_str_from(name)));
	if (*value == PER__TLS_NAME_NONE)
		*value = list->cnt++;
}

/* RFC 9525 section 6.3, in the plainest way. */
static uint32_t expected(const struct list *list, per_str name)
{
	char text[PER__TLS_NAME_MAX + 1];
	const char *dot;
	uint32_t found;

	if (name.len > 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || name.len > PER__TLS_NAME_MAX || name.ptr[0] == '*')
		return PER__TLS_NAME_NONE;
	found = list_find(list, name);
	dot = memchr(name.ptr, '.', name.len);
	if (found != PER__TLS_NAME_NONE || dot == NULL || dot == name.ptr)
		return found;
	text[0] = '*';
	name.len -= (size_t)(dot - name.ptr);
	memcpy(text + 1, dot, name.len);
	return list_find(list, per_str_make(text, name.len + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct per__tls_names names = { 0 };
	struct list list = { .cnt = 0 };
	const uint8_t *end = memchr(data, 0, size);
	const uint8_t *pos = data;
	const char *name;
	size_t len;

	if (end == NULL)
		return 0;
	while (pos < end && list.cnt < NAMES_MAX) {
		const uint8_t *line_end = memchr(pos, '\n', (size_t)(end - pos));

		line_end = line_end != NULL ? line_end : end;
		name_put(&names, &list, (const char *)pos, (size_t)(line_end - pos));
		pos = line_end < end ? line_end + 1 : end;
	}
	end++;
	if (per__tls_name_extract(end, size - (size_t)(end - data), &name, &len)) {
		PER_ASSERT(name == (const char *)end + 5);
		PER_ASSERT(len > 0 && len <= size - (size_t)(end - data) - 5);
		PER_ASSERT(per__tls_names_find(&names, name, len) ==
			   expected(&list, per_str_make(name, len)));
		(void)per__tls_name_number(name, len);
	}
	per__tls_names_free(&names);
	return 0;
}
