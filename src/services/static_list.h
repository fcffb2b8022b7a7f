/* SPDX-License-Identifier: MIT */
/*
 * static_list.h - an entry that is a list of what is in a directory, as a page and as JSON. Reads the
 * directory: not for a worker. Called by static_load.c.
 */
#ifndef PER_SERVICES_STATIC_LIST_H
#define PER_SERVICES_STATIC_LIST_H

#include "services/static_load.h"

/* Variants of a list, in the place of codings. */
enum { PER__LIST_HTML = 0, PER__LIST_JSON = 1 };

/**
 * Makes the list of a directory: its files and directories, without what is hidden, what is neither, and
 * links that would not be followed.
 *
 * key      ends in '/', or is ""
 * fd       the directory; closed
 * returns  PER__LOADED, 500 or 503
 */
int per__list_load(const struct per__load *load, per_str key, int fd, struct per__entry **out);

/** Is a list new enough? The names are known by the directory's times, sizes only by reading it all again. */
bool per__list_is_fresh(const struct per__load *load, const struct per__entry *entry);

#endif
