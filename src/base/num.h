/* SPDX-License-Identifier: MIT */
/*
 * num.h - numbers from and to text without locale, allocation or undefined overflow.
 */
#ifndef PER_BASE_NUM_H
#define PER_BASE_NUM_H

#include "base/base.h"

#define PER__NUM_DEC_MAX 20u /* digits of the largest uint64_t */

/** Writes value in decimal, no NUL. dst has room for PER__NUM_DEC_MAX bytes. Returns the number of digits. */
size_t per__num_to_dec(char *dst, uint64_t value);

/** Writes value in lower-case hexadecimal, no NUL; room for 16 bytes. Returns the number of digits. */
size_t per__num_to_hex(char *dst, uint64_t value);

/**
 * Reads 1*DIGIT and nothing else: no sign, no space, at least one digit.
 *
 * returns  true and *out, or false when there is another byte, no digit, or the value is above INT64_MAX
 */
bool per__num_from_dec(const char *src, size_t len, uint64_t *out);

/** The value of a hexadecimal digit, -1 for any other byte. */
int per__num_hex_digit(uint8_t byte);

#endif
