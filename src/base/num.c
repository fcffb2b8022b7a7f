/* SPDX-License-Identifier: MIT */
/*
 * num.c - decimal and hexadecimal numbers. Pure; called wherever text is made or read.
 */
#include "base/num.h"

#include <string.h>

/* Decimal digits: a bit is worth log10(2) = 1233 / 4096 of one, and a comparison tells the rest. */
static size_t dec_len(uint64_t value)
{
	static const uint64_t powers[PER__NUM_DEC_MAX] = {
#define P4(p) (p), (p)*10, (p)*100, (p)*1000
		P4(UINT64_C(1)),
		P4(UINT64_C(10000)),
		P4(UINT64_C(100000000)),
		P4(UINT64_C(1000000000000)),
		P4(UINT64_C(10000000000000000)),
#undef P4
	};
	size_t least = (size_t)(64 - __builtin_clzll(value | 1)) * 1233 >> 12;

	return least + ((value | 1) >= powers[least]);
}

size_t per__num_to_dec(char *dst, uint64_t value)
{
	/* two digits a step: lengths, statuses and addresses are written for every response */
	static const char pairs[] = "0001020304050607080910111213141516171819"
				    "2021222324252627282930313233343536373839"
				    "4041424344454647484950515253545556575859"
				    "6061626364656667686970717273747576777879"
				    "8081828384858687888990919293949596979899";
	size_t len = dec_len(value);
	size_t pos = len;

	for (; value >= 100; value /= 100) {
		pos -= 2;
		memcpy(dst + pos, pairs + 2 * (value % 100), 2);
	}
	if (value >= 10)
		memcpy(dst, pairs + 2 * value, 2);
	else
		dst[0] = (char)('0' + value);
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
