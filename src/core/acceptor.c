/* SPDX-License-Identifier: MIT */
/*
 * acceptor.c - a loop that only accepts: each new connection goes to the worker with the fewest open ones.
 * Evener than taking turns, since connections live for different times. Called by conn.c. Never reads from
 * a connection.
 */
#include "core/acceptor.h"

#include "core/conn.h"
#include "core/worker.h"
#include <unistd.h>

/* On the worker that was chosen. */
static void handed_over(struct per__worker *worker, const struct per__mail *mail)
{
	__atomic_sub_fetch(&worker->handed_over, 1, __ATOMIC_RELAXED);
	per__conn_adopt(worker, mail->fd, mail->listener);
}

/* Gives a new connection to the worker with the fewest open ones. */
void per__acceptor_hand_over(struct per__worker *worker, struct per__listener *listener, int fd)
{
	struct per__worker *best = NULL;
	uint64_t best_load = UINT64_MAX;
	struct per__mail mail = { .run = handed_over, .fd = fd, .listener = (uint8_t)listener->index };

	for (unsigned i = 0; i < worker->target_cnt; i++) {
		struct per__worker *target = worker->targets[i];
		uint64_t load = per__counter_read(&target->counters.connections_now) +
				__atomic_load_n(&target->handed_over, __ATOMIC_RELAXED);

		if (load < best_load) {
			best_load = load;
			best = target;
		}
	}
	if (best != NULL) {
		__atomic_add_fetch(&best->handed_over, 1, __ATOMIC_RELAXED);
		if (per__mailbox_put(&best->mailbox, &mail, per__worker_wake, best) == 0)
			return;
		__atomic_sub_fetch(&best->handed_over, 1, __ATOMIC_RELAXED);
	}
	per__count(&worker->loop.counters.accept_refused, 1);
	close(fd);
}

/* On each of the workers. */
static void short_told(struct per__worker *worker, const struct per__mail *mail)
{
	(void)mail;
	per__worker_short(worker);
}

/* Whose mailbox is full has enough to do: the next failure tells it. */
void per__acceptor_short(struct per__worker *worker)
{
	const struct per__mail mail = { .run = short_told, .fd = -1 };

	for (unsigned i = 0; i < worker->target_cnt; i++)
		(void)per__mailbox_put(&worker->targets[i]->mailbox, &mail, per__worker_wake,
				       worker->targets[i]);
}
