/* SPDX-License-Identifier: MIT */
/*
 * mailbox.h - what other threads ask of a worker: run a function for an exchange, take over a connection.
 * Bounded, first in first out. The only part of a worker that other threads write to, besides its stop
 * request.
 */
#ifndef PER_CORE_MAILBOX_H
#define PER_CORE_MAILBOX_H

#include "base/base.h"
#include <peregrine/response.h>
#include <pthread.h>

#define PER__MAILBOX_MAX 8192u

struct per__worker;

struct per__mail {
	/* what to do with it, on the worker; exactly once, also when the worker ends */
	void (*run)(struct per__worker *worker, const struct per__mail *mail);
	per_post_fn fn;
	void *arg;
	per_ref ref;
	int fd;
	uint8_t listener;
};

struct per__mailbox {
	pthread_mutex_t mutex;
	struct per__mail *ring; /* PER__MAILBOX_MAX entries */
	uint32_t head, cnt;     /* oldest entry, entries in use */
	bool is_open;
};

int per__mailbox_init(struct per__mailbox *box);
void per__mailbox_fini(struct per__mailbox *box);

/** Lets mail in (the worker's loop can be woken), or no more. */
void per__mailbox_open(struct per__mailbox *box, bool is_open);

/**
 * Puts a letter in and calls wake(arg) while the box is known to be open. Any thread.
 *
 * returns  0; PER_EAGAIN when it is full; PER_EGONE when it is not open
 */
int per__mailbox_put(struct per__mailbox *box, const struct per__mail *mail, void (*wake)(void *arg),
		     void *arg);

/** Calls wake(arg) if the box is open: while it is, the loop behind it exists. Any thread. */
void per__mailbox_poke(struct per__mailbox *box, void (*wake)(void *arg), void *arg);

/** How many letters are in the box. Any thread. */
uint32_t per__mailbox_count(struct per__mailbox *box);

/** Takes up to max letters into out. Returns how many. The worker only. */
uint32_t per__mailbox_take(struct per__mailbox *box, struct per__mail *out, uint32_t max);

#endif
