/* SPDX-License-Identifier: MIT */
/*
 * access_out.h - the file of an access log: opened for appending, opened anew, written without ever waiting
 * for a reader of a pipe. A disk that hangs does hang the caller, which is the log's thread.
 */
#ifndef PER_SERVICES_ACCESS_OUT_H
#define PER_SERVICES_ACCESS_OUT_H

#include "base/log.h"
#include <sys/stat.h>
#include <sys/uio.h>

struct per__access_out {
	char *path; /* "-": the standard output */
	unsigned file_mode;
	int fd;          /* -1: a FIFO without a reader */
	bool is_stdout;  /* the descriptor itself is not ours to close */
	bool is_regular; /* takes any number of bytes in one call */
	dev_t dev;
	ino_t ino;
	bool needs_newline; /* it ends inside a line that was given up */
};

/** Says what happened to the last write. */
enum per__access_result {
	PER__ACCESS_WRITTEN,
	PER__ACCESS_FULL,  /* a pipe or terminal takes nothing now: poll fd for POLLOUT, or try again later */
	PER__ACCESS_FAILED /* errno says why; try again later */
};

/** Opens the file; path and file_mode are set. Returns 0 (also for a FIFO without a reader), or an errno. */
int per__access_out_open(struct per__access_out *out);

/** Opens it anew. Returns 0, or an errno: then the old one stays. Nothing for the standard output. */
int per__access_out_reopen(struct per__access_out *out);
void per__access_out_close(struct per__access_out *out);

/** Most bytes of one write: those that a pipe takes as one, or any number. */
size_t per__access_out_max(const struct per__access_out *out);

/** Writes; *written receives the bytes that were taken, at least 1 with PER__ACCESS_WRITTEN, else 0. */
enum per__access_result per__access_out_write(struct per__access_out *out, struct iovec iov[2],
					      size_t *written);

#endif
