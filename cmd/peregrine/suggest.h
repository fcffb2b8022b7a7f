/* SPDX-License-Identifier: MIT */
/*
 * suggest.h - what somebody may have meant who wrote a name that does not exist.
 */
#ifndef CMD_PEREGRINE_SUGGEST_H
#define CMD_PEREGRINE_SUGGEST_H

/* The nearest of the names that were tried. */
struct suggestion {
	const char *wrong;
	const char *best; /* NULL: none is near */
	unsigned distance;
};

/** Begins with a name that does not exist. */
struct suggestion suggest_begin(const char *wrong);

/** Tries a name that does. It becomes the best if it is nearer than the others, and near enough. */
void suggest_try(struct suggestion *suggestion, const char *name);

#endif
