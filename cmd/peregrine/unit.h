/* SPDX-License-Identifier: MIT */
/*
 * unit.h - numbers as people write them: "16KiB", "15s", "auto". Pure.
 */
#ifndef CMD_PEREGRINE_UNIT_H
#define CMD_PEREGRINE_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unit {
	UNIT_COUNT,    /* 100 */
	UNIT_BYTES,    /* 4096, 16KiB, 512MiB, 1GiB */
	UNIT_DURATION, /* 500ms, 15s, 2m, 1h, 7d, 0; the number is in milliseconds */
	UNIT_OCTAL,    /* 0660 */
};

/** Reads a number. Returns false when the text is none of that unit, or too large. */
bool unit_parse(enum unit unit, const char *text, uint64_t *out);

/** Writes a number in its largest unit that divides it. */
void unit_format(enum unit unit, uint64_t number, char *buf, size_t cap);

/** What is expected, for a complaint: "a duration such as 500ms, 15s, 2m or 1h". */
const char *unit_describe(enum unit unit);

#endif
