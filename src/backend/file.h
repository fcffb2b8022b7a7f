/* SPDX-License-Identifier: MIT */
/*
 * file.h - sending parts of files by sendfile(2): from the system's memory to the socket without a copy
 * through ours. Shared by the backends. Knows no loop: one try on one socket.
 */
#ifndef PER_BACKEND_FILE_H
#define PER_BACKEND_FILE_H

#include "backend/backend.h"

#ifdef __linux__
#define PER__HAS_SEND_FILE 1
#endif

/** The file part of a send in progress. */
static inline struct per__file_part *per__file_part_of(const struct per__sock *sock)
{
	return sock->out_iov[sock->out_cnt & ~PER__SOCK_FILE].iov_base;
}

/**
 * Sends as much as the socket takes of what out_iov, out_cnt and the file part say, and moves them on.
 * The socket must be in non-blocking mode.
 *
 * bytes    receives how many bytes the kernel has taken
 * returns  0: all of it; -EAGAIN: the socket is full; or the negative errno that breaks it, -ENODATA when
 *          the file has become too short: closing the socket will then reset it
 */
int per__file_send(struct per__sock *sock, uint64_t *bytes);

#endif
