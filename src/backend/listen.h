/* SPDX-License-Identifier: MIT */
/*
 * listen.h - the plain socket calls that are the same under every backend: opening listeners, addresses,
 * options.
 */
#ifndef PER_BACKEND_LISTEN_H
#define PER_BACKEND_LISTEN_H

#include "base/addr.h"
#include "base/log.h"

struct per__listen_conf {
	int backlog;
	unsigned unix_mode; /* permission bits of a unix socket's file; 0: as the umask leaves them */
	bool reuseport;     /* one socket per worker on the same address */
	bool v6only;
};

/**
 * Opens a socket that is bound, listening, close-on-exec, with TCP_NODELAY on (connections inherit it).
 * SO_SNDBUF and SO_RCVBUF are left alone, so that TCP autotuning works. A unix socket's stale file (nobody
 * listens on it) is replaced. EADDRINUSE is retried for PER__BIND_RETRY_MS: a ring that is torn down holds
 * its port for some milliseconds. An inherited descriptor is checked to be a listening stream socket and
 * duplicated.
 *
 * addr     in: where; out: with the port that was chosen
 * returns  the descriptor, or a negative PER_E* with the reason in the log
 */
#define PER__BIND_RETRY_MS 500
int per__listen_open(struct per__addr *addr, const struct per__listen_conf *conf, const struct per__log *log);

/**
 * Closes it, and removes the file of a unix socket that per__listen_open() made (is_last: no other worker
 * uses it).
 */
void per__listen_close(int fd, const struct per__addr *addr, bool is_last);

/** The peer of a connected socket. Returns 0 or a negative PER_E*. */
int per__sock_peer(int fd, struct per__peer *out);

/** Bytes that the kernel has taken and the peer has not acknowledged; 0 where it cannot be asked. */
uint64_t per__sock_unsent(int fd);

/**
 * Raises the soft limit of open descriptors to the hard one. Returns the limit now in force. For the
 * program, not the library.
 */
uint64_t per__fd_limit_raise(void);

#endif
