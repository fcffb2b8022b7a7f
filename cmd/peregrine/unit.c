/* SPDX-License-Identifier: MIT */
/*
 * unit.c - numbers as people write them. A duration has to name its unit: seconds here are milliseconds
 * elsewhere.
 */
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DIGITS_MAX 19u

struct suffix {
	const char *name;
	uint64_t factor;
};

/* Largest first, and the one to write before the others of its size. */
static const struct suffix byte_suffixes[] = {
	{ "TiB", UINT64_C(1) << 40 },
	{ "T", UINT64_C(1) << 40 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "G", UINT64_C(1) << 30 },
	{ "MiB", 1u << 20 },
	{ "M", 1u << 20 },
	{ "KiB", 1u << 10 },
	{ "K", 1u << 10 },
	{ "", 1 },
	{ "B", 1 },
};
static const struct suffix duration_suffixes[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};
static const struct suffix count_suffixes[] = { { "", 1 } };

static const struct suffix *suffixes_of(enum unit unit, size_t *count)
{
	switch (unit) {
	case UNIT_BYTES:
		*count = COUNT(byte_suffixes);
		return byte_suffixes;
	case UNIT_DURATION:
		*count = COUNT(duration_suffixes);
		return duration_suffixes;
	case UNIT_COUNT:
	case UNIT_OCTAL:
		break;
	}
	*count = COUNT(count_suffixes);
	return count_suffixes;
}

/* Digits of a base up to 10, all of them. Returns how many, 0 for none or too many. */
static size_t digits_read(const char *text, unsigned base, uint64_t *out)
{
	size_t len = 0;

	*out = 0;
	for (; text[len] >= '0' && text[len] < (char)('0' + base); len++)
		*out = *out * base + (unsigned)(text[len] - '0');
	return len <= DIGITS_MAX ? len : 0;
}

bool unit_parse(enum unit unit, const char *text, uint64_t *out)
{
	size_t count;
	const struct suffix *suffixes = suffixes_of(unit, &count);
	uint64_t number;
	const size_t len = digits_read(text, unit == UNIT_OCTAL ? 8 : 10, &number);
	const char *name = text + len;

	if (len == 0)
		return false;
	if (unit == UNIT_DURATION && number == 0 && name[0] == '\0')
		name = "ms";
	if (name[0] == ' ' && name[1] != '\0')
		name++;
	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(name, suffixes[i].name) != 0)
			continue;
		*out = number * suffixes[i].factor;
		return number <= UINT64_MAX / suffixes[i].factor;
	}
	return false;
}

void unit_format(enum unit unit, uint64_t number, char *buf, size_t cap)
{
	size_t count;
	const struct suffix *suffix = suffixes_of(unit, &count);

	if (unit == UNIT_OCTAL) {
		snprintf(buf, cap, "0%" PRIo64, number);
		return;
	}
	while (suffix->factor > 1 && (number == 0 || number % suffix->factor != 0))
		suffix++;
	snprintf(buf, cap, "%" PRIu64 "%s", number / suffix->factor, number == 0 ? "" : suffix->name);
}

const char *unit_describe(enum unit unit)
{
	switch (unit) {
	case UNIT_COUNT:
		return "a whole number";
	case UNIT_BYTES:
		return "a number of bytes such as 4096, 16KiB or 512MiB";
	case UNIT_DURATION:
		return "a duration such as 500ms, 15s, 2m or 1h";
	case UNIT_OCTAL:
		return "permissions such as 0660";
	}
	return "a number";
}
