/* SPDX-License-Identifier: MIT */
/*
 * assert.c - the end of a process whose invariant broke. Uses no heap: that may be what is broken.
 */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void per__assert_fail(const char *file, int line, const char *claim)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "peregrine: %s:%d: assertion failed: %s\n", file, line, claim);

	if (len > (int)sizeof(text) - 1)
		len = (int)sizeof(text) - 1;
	if (len > 0) {
		/* Nobody is left to hear that this failed. */
		ssize_t ignored = write(STDERR_FILENO, text, (size_t)len);
		(void)ignored;
	}
	abort();
}
