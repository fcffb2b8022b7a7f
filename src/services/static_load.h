/* SPDX-License-Identifier: MIT */
/*
 * static_load.h - from a path to an entry: index files, siblings, their heads, small contents. Touches
 * nothing shared: runs on a worker as long as nothing has to be waited for, else on a disk thread.
 */
#ifndef PER_SERVICES_STATIC_LOAD_H
#define PER_SERVICES_STATIC_LOAD_H

#include "services/static_below.h"
#include "services/static_conf.h"
#include "services/static_entry.h"

#define PER__KEY_CAP 4097u /* a path of PATH_MAX and a '/' */

/* Results that are no HTTP status. */
enum {
	PER__LOADED = 0,
	PER__LOAD_WOULD_WAIT = 1,
	PER__LOAD_NO_DESCRIPTOR = 2, /* EMFILE, ENFILE */
};

struct per__load {
	const struct per__static_conf *conf;
	struct per__below below;
	bool may_wait;
	int64_t wall_s; /* the present */
};

/**
 * Loads what a key names.
 *
 * key      a path below the root, with a '/' at its end for a directory; "" is the root
 * out      receives the entry with PER__LOADED
 * returns  PER__LOADED, PER__LOAD_*, or the status that the request is to be answered with: 301 (a
 *          directory without the slash), 403, 404, 500, 503
 */
int per__load(const struct per__load *load, per_str key, struct per__entry **out);

/** Is what the entry says still true? Asks the file system, a few system calls. */
bool per__load_is_fresh(const struct per__load *load, const struct per__entry *entry);

#endif
