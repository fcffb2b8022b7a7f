/* SPDX-License-Identifier: MIT */
/*
 * num.c - decimal and hexadecimal numbers. Pure; called wherever text is made or read.
 */
#include "base/num.h"

size_t per__num_to_dec(char *dst, uint64_t value)
{
	size_t len = 1;
	size_t pos;

	for (uint64_t rest = value; rest >= 10; rest /= 10)
		len++;
	pos = len;
	do {
		dst[--pos] = (char)('0' + value % 10);
		value /= 10;
	} while (pos > 0);
	return len;
}

size_t per__num_to_hex(char *dst, uint64_t value)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = (size_t)(63 - __builtin_clzll(value | 1)) / 4 + 1;

	for (size_t pos = len; pos > 0; pos--) {
		dst[pos - 1] = digits[value & 15];
		value >>= 4;
	}
	return len;
}

bool per__num_from_dec(const char *src, size_t len, uint64_t *out)
{
	uint64_t value = 0;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)(uint8_t)src[i] - '0';

		if (digit > 9 || value > (INT64_MAX - (uint64_t)digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

int per__num_hex_digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20; /* letters to lower case; no other byte becomes one of a to f */
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	return -1;
}
