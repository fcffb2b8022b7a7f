/* SPDX-License-Identifier: MIT */
/*
 * suggest.c - what somebody may have meant: the fewest letters to insert, delete, replace or swap.
 */
#include "suggest.h"

#include <string.h>

#define NAME_BYTES_MAX 40u

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	const unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Steps between two names (optimal string alignment), row by row; NAME_BYTES_MAX when one is too long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][NAME_BYTES_MAX + 1];
	const size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > NAME_BYTES_MAX || b_len > NAME_BYTES_MAX)
		return NAME_BYTES_MAX;
	memset(rows, 0, sizeof(rows));
	for (unsigned k = 0; k <= b_len; k++)
		rows[0][k] = k;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned *now = rows[i % 3], *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];

		now[0] = i;
		for (unsigned k = 1; k <= b_len; k++) {
			now[k] = min3(now[k - 1] + 1, last[k] + 1,
				      last[k - 1] + (a[i - 1] == b[k - 1] ? 0 : 1));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
			    before[k - 2] + 1 < now[k])
				now[k] = before[k - 2] + 1;
		}
	}
	return rows[a_len % 3][b_len];
}

struct suggestion suggest_begin(const char *wrong)
{
	const size_t len = strlen(wrong);

	/* a short name may differ in one letter, a long one in three */
	return (struct suggestion){ .wrong = wrong, .distance = len < 4 ? 2 : len < 8 ? 3 : 4 };
}

void suggest_try(struct suggestion *suggestion, const char *name)
{
	const unsigned steps = distance(suggestion->wrong, name);

	if (steps < suggestion->distance) {
		suggestion->distance = steps;
		suggestion->best = name;
	}
}
