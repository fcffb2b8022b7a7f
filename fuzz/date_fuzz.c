/* SPDX-License-Identifier: MIT */
/*
 * date_fuzz.c - HTTP dates: what is accepted is formatted and read back to the same second.
 * The first eight bytes are the present, for two-digit years; the rest is the text.
 */
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[PER__DATE_LEN];
	int64_t now_s, wall_s, again_s;

	if (size < sizeof(now_s))
		return 0;
	memcpy(&now_s, data, sizeof(now_s));
	per__date_format(text, now_s); /* any number is formatted as some date */
	PER_ASSERT(per__date_parse(text, sizeof(text), 0, &again_s));
	if (!per__date_parse((const char *)data + sizeof(now_s), size - sizeof(now_s), now_s, &wall_s))
		return 0;
	PER_ASSERT(size - sizeof(now_s) >= 24 && size - sizeof(now_s) <= 33);
	per__date_format(text, wall_s);
	PER_ASSERT(per__date_parse(text, sizeof(text), now_s, &again_s));
	PER_ASSERT(again_s == wall_s || wall_s == 253402300800); /* the leap second that ends the year 9999 */
	return 0;
}
