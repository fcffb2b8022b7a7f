/* SPDX-License-Identifier: MIT */
/*
 * names.c - host names to numbers: open addressing, linear probing. Pure but for its memory, which only
 * putting takes.
 */
#include "tls/names.h"

#include "base/mem.h"
#include <peregrine/types.h>
#include <string.h>

#define SLOTS_FIRST 16u
#define NAME_TYPE_HOST 0 /* RFC 6066 section 3 */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The underscore is in no host name of RFC 1123, but in names that people serve. */
static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/* What is wrong with the labels of a name in lower case, NULL: nothing. */
static const char *labels_check(const char *name, size_t len)
{
	size_t begin = 0;
	bool is_number = true; /* the label so far */

	for (size_t i = 0; i <= len; i++) {
		if (i == len || name[i] == '.') {
			if (i == begin)
				return "it has an empty label";
			if (i - begin > 63)
				return "a label has more than 63 bytes";
			if (i == len)
				break;
			begin = i + 1;
			is_number = true;
		} else if (!is_label_char(name[i])) {
			return name[i] == '*'   ? "a star can only be the whole left-most label"
			       : name[i] == ':' ? "addresses and ports are no names"
			       : name[i] < 0    ? "internationalised names are written in ASCII (xn--...)"
						: "it has a character that no host name has";
		} else {
			is_number = is_number && is_digit(name[i]);
		}
	}
	return is_number ? "addresses are no names: no client asks for them" : NULL;
}

int per__tls_name_read(char dst[PER__TLS_NAME_MAX + 1], const char *src, size_t len, const char **why)
{
	size_t star = len >= 2 && src[0] == '*' && src[1] == '.' ? 2 : 0;

	if (len > 0 && src[len - 1] == '.')
		len--;
	*why = len == 0                    ? "it is empty"
	       : len > PER__TLS_NAME_MAX   ? "it has more than 253 bytes"
	       : len == 1 && src[0] == '*' ? "the first certificate is for all other names already"
					   : NULL;
	if (*why != NULL)
		return PER_EINVAL;
	for (size_t i = 0; i < len; i++)
		dst[i] = lower(src[i]);
	dst[len] = '\0';
	*why = star > len ? "it is empty" : labels_check(dst + star, len - star);
	return *why == NULL ? (int)len : PER_EINVAL;
}

bool per__tls_name_extract(const uint8_t *ext, size_t len, const char **name, size_t *name_len)
{
	size_t list, host;

	if (len < 5)
		return false;
	list = (size_t)ext[0] << 8 | ext[1];
	host = (size_t)ext[3] << 8 | ext[4];
	if (list != len - 2 || ext[2] != NAME_TYPE_HOST || host == 0 || host > len - 5)
		return false;
	*name = (const char *)ext + 5;
	*name_len = host;
	return true;
}

/* FNV-1a */
uint64_t per__tls_name_number(const char *name, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325u;

	if (len > 0 && name[len - 1] == '.')
		len--;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)lower(name[i])) * 0x100000001b3u;
	return hash;
}

/* The names in the table are ours, so nobody can choose ones that collide. */
static uint32_t hash_of(const char *name, size_t len)
{
	uint64_t hash = per__tls_name_number(name, len);

	return (uint32_t)(hash ^ (hash >> 32));
}

/* The slot of a name, or the free one where it belongs. */
static struct per__tls_name *slot_of(const struct per__tls_names *names, const char *name, size_t len,
				     uint32_t hash)
{
	for (uint32_t i = hash;; i++) {
		struct per__tls_name *slot = &names->slots[i & (names->cap - 1)];

		if (slot->text == NULL ||
		    (slot->hash == hash && slot->len == len && memcmp(slot->text, name, len) == 0))
			return slot;
	}
}

static bool grow(struct per__tls_names *names)
{
	struct per__tls_names bigger = { .cap = names->cap > 0 ? 2 * names->cap : SLOTS_FIRST,
					 .cnt = names->cnt };

	bigger.slots = per__mem_alloc(bigger.cap * sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return false;
	for (uint32_t i = 0; i < names->cap; i++) {
		const struct per__tls_name *old = &names->slots[i];

		if (old->text != NULL)
			*slot_of(&bigger, old->text, old->len, old->hash) = *old;
	}
	per__mem_free(names->slots);
	*names = bigger;
	return true;
}

uint32_t *per__tls_names_put(struct per__tls_names *names, const char *name, size_t len)
{
	uint32_t hash = hash_of(name, len);
	struct per__tls_name *slot;

	PER_ASSERT(len > 0);
	PER_ASSERT(len <= PER__TLS_NAME_MAX);
	if (2 * (names->cnt + 1) > names->cap && !grow(names))
		return NULL;
	slot = slot_of(names, name, len, hash);
	if (slot->text != NULL)
		return &slot->value;
	if (names->cnt == PER__TLS_NAMES_MAX)
		return NULL;
	slot->text = per__mem_alloc(len);
	if (slot->text == NULL)
		return NULL;
	memcpy(slot->text, name, len);
	slot->hash = hash;
	slot->len = (uint8_t)len;
	slot->value = PER__TLS_NAME_NONE;
	names->cnt++;
	return &slot->value;
}

static uint32_t value_of(const struct per__tls_names *names, const char *name, size_t len)
{
	const struct per__tls_name *slot = slot_of(names, name, len, hash_of(name, len));

	return slot->text != NULL ? slot->value : PER__TLS_NAME_NONE;
}

uint32_t per__tls_names_find(const struct per__tls_names *names, const char *name, size_t len)
{
	char text[PER__TLS_NAME_MAX + 1];
	const char *dot;
	size_t label;
	uint32_t value;

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (names->cnt == 0 || len == 0 || len > PER__TLS_NAME_MAX || name[0] == '*')
		return PER__TLS_NAME_NONE;
	for (size_t i = 0; i < len; i++)
		text[i] = lower(name[i]);
	value = value_of(names, text, len);
	dot = memchr(text, '.', len);
	if (value != PER__TLS_NAME_NONE || dot == NULL || dot == text)
		return value;
	label = (size_t)(dot - text); /* becomes the star */
	text[label - 1] = '*';
	return value_of(names, text + label - 1, len - label + 1);
}

void per__tls_names_free(struct per__tls_names *names)
{
	for (uint32_t i = 0; i < names->cap; i++)
		per__mem_free(names->slots[i].text);
	per__mem_free(names->slots);
	*names = (struct per__tls_names){ 0 };
}
