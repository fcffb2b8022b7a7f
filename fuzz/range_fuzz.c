/* SPDX-License-Identifier: MIT */
/*
 * range_fuzz.c - a size and any bytes as a Range value: ranges are inside of the size, apart from one
 * another, and mean the same when they are written down and read again.
 */
#include "http/range.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ranges_check(const struct per__ranges *ranges, uint64_t size)
{
	uint64_t bytes = 0;

	PER_ASSERT(ranges->count > 0 && ranges->count <= PER__RANGES_MAX);
	for (uint32_t i = 0; i < ranges->count; i++) {
		const struct per__range *range = &ranges->at[i];

		PER_ASSERT(range->first <= range->last && range->last < size);
		bytes += per__range_bytes(range);
		for (uint32_t k = 0; k < i; k++)
			PER_ASSERT(range->first > ranges->at[k].last + 1 ||
				   ranges->at[k].first > range->last + 1);
	}
	PER_ASSERT(bytes <= size);
}

/* Writes the ranges as a field and reads it again. */
static void again_check(const struct per__ranges *ranges, uint64_t size)
{
	struct per__ranges again;
	char value[PER__RANGES_MAX * 42 + 8];
	int len = snprintf(value, sizeof(value), "bytes=");

	for (uint32_t i = 0; i < ranges->count; i++)
		len += snprintf(value + len, sizeof(value) - (size_t)len, "%llu-%llu,",
				(unsigned long long)ranges->at[i].first,
				(unsigned long long)ranges->at[i].last);
	PER_ASSERT(per__range_parse(&again, per_str_make(value, (size_t)len), size) == PER__RANGE_PART);
	PER_ASSERT(again.count == ranges->count);
	PER_ASSERT(memcmp(again.at, ranges->at, ranges->count * sizeof(again.at[0])) == 0);
}

/* The announced length is that of the parts. */
static void length_check(const struct per__ranges *ranges, uint64_t size)
{
	const struct per__multipart multipart = { PER_S("boundary"), PER_S("text/plain"), size };
	const uint64_t total = per__multipart_bytes(&multipart, ranges);
	char buf[256];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ranges->count; i++) {
		struct per__text text = per__text_make(buf, sizeof(buf));

		per__multipart_head(&text, &multipart, ranges, i);
		PER_ASSERT(per__text_fits(&text));
		sum += text.len + per__range_bytes(&ranges->at[i]);
	}
	PER_ASSERT(total == sum + strlen("\r\n--boundary--\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct per__ranges ranges;
	uint64_t whole;

	if (size < sizeof(whole))
		return 0;
	memcpy(&whole, data, sizeof(whole));
	/* the upper bits choose the magnitude, so that small sizes come often */
	whole = (whole & INT64_MAX) >> (whole >> 58);
	if (per__range_parse(&ranges, per_str_make((const char *)data + 8, size - 8), whole) !=
	    PER__RANGE_PART)
		return 0;
	ranges_check(&ranges, whole);
	again_check(&ranges, whole);
	length_check(&ranges, whole);
	return 0;
}
