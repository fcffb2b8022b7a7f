/* SPDX-License-Identifier: MIT */
/*
 * static_below.h - opening files below a root: nothing outside of it is reached, whatever is there and
 * whatever changes meanwhile. Holds no state but the root's descriptor. Called by workers and by disk
 * threads.
 */
#ifndef PER_SERVICES_STATIC_BELOW_H
#define PER_SERVICES_STATIC_BELOW_H

#include "base/base.h"
#include <peregrine/static.h>
#include <sys/stat.h>

struct per__below {
	int root; /* a directory */
	per_static_links links;
	bool has_openat2; /* else each segment is opened by itself, and links are read and followed here */
};

enum {
	PER__BELOW_DIRECTORY = 1 << 0, /* only a directory will do */
	PER__BELOW_NOWAIT = 1 << 1,    /* -EAGAIN rather than waiting for a disk */
};

/** Does openat2() work here? It is missing on old kernels, and refused in some containers. */
bool per__below_probe(int root);

/**
 * Opens a file or directory for reading. Never waits for the other end of a FIFO, and opens no terminal
 * as the controlling one; what it is has to be asked with fstat().
 *
 * path     relative, without empty segments, "." and ".."; "" is the root
 * flags    PER__BELOW_*
 * returns  a descriptor, or a negative errno: -EXDEV, -ELOOP for links that are not followed
 */
int per__below_open(const struct per__below *below, const char *path, unsigned flags);

/**
 * Asks what a path leads to now, links followed wherever they lead: only to be compared with what was
 * opened. Returns 0 or a negative errno.
 */
int per__below_stat(const struct per__below *below, const char *path, struct stat *out);

#endif
