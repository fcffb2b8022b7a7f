/* SPDX-License-Identifier: MIT */
/*
 * seats.c - what each worker works with, and how it is changed: a function posted to each worker writes its
 * own seat. The hooks of the library come in here.
 */
#include "seats.h"

#include <stdlib.h>
#include <time.h>

_Static_assert(sizeof(struct seat) == SEAT_BYTES, "a seat is a cache line");

/* --- hooks, on worker threads ----------------------------------------------------------------- */

static int on_request(per_req *req, void *user)
{
	const struct seats *seats = user;

	return site_answer(seats->list[per_req_worker(req)].work.site, req);
}

static void on_log(per_req *req, int error, void *user)
{
	const struct seats *seats = user;
	per_access_log *log = seats->list[per_req_worker(req)].work.log;

	if (log != NULL)
		per_access_log_write(log, req, error);
}

static int on_start(unsigned worker, void **state, void *user)
{
	struct seats *seats = user;
	bool is_last;

	(void)worker;
	(void)state;
	pthread_mutex_lock(&seats->mutex);
	is_last = ++seats->started == seats->count;
	pthread_cond_broadcast(&seats->changed);
	pthread_mutex_unlock(&seats->mutex);
	if (is_last && seats->on_started != NULL)
		seats->on_started(seats->user);
	return 0;
}

per_handler seats_handler(struct seats *seats)
{
	return (per_handler){
		.on_request = on_request, .on_log = on_log, .worker_init = on_start, .user = seats
	};
}

/* --- their life ------------------------------------------------------------------------------- */

bool seats_make(struct seats *seats, const per_server *server, struct work work)
{
	seats->count = per_server_workers(server);
	seats->list = aligned_alloc(SEAT_BYTES, seats->count * sizeof(*seats->list));
	if (seats->list == NULL)
		return false;
	for (unsigned i = 0; i < seats->count; i++)
		seats->list[i] = (struct seat){ .work = work };
	pthread_mutex_init(&seats->mutex, NULL);
	pthread_cond_init(&seats->changed, NULL);
	return true;
}

void seats_free(struct seats *seats)
{
	if (seats->list == NULL)
		return;
	pthread_cond_destroy(&seats->changed);
	pthread_mutex_destroy(&seats->mutex);
	free(seats->list);
	seats->list = NULL;
}

bool seats_wait(struct seats *seats)
{
	bool is_running;

	pthread_mutex_lock(&seats->mutex);
	while (seats->started < seats->count && !seats->is_over)
		pthread_cond_wait(&seats->changed, &seats->mutex);
	is_running = !seats->is_over;
	pthread_mutex_unlock(&seats->mutex);
	return is_running;
}

void seats_end(struct seats *seats)
{
	pthread_mutex_lock(&seats->mutex);
	seats->is_over = true;
	pthread_cond_broadcast(&seats->changed);
	pthread_mutex_unlock(&seats->mutex);
}

/* --- changes ---------------------------------------------------------------------------------- */

/* One function for all workers, and how many of them have yet to run it. */
struct round {
	struct seats *seats;
	void (*fn)(unsigned worker, void *arg);
	void *arg;
	unsigned left;
};

static void round_run(unsigned worker, void *arg)
{
	struct round *round = arg;
	struct seats *seats = round->seats;

	round->fn(worker, round->arg);
	pthread_mutex_lock(&seats->mutex);
	round->left--;
	pthread_cond_broadcast(&seats->changed);
	pthread_mutex_unlock(&seats->mutex);
}

static void round_leave(struct round *round)
{
	pthread_mutex_lock(&round->seats->mutex);
	round->left--;
	pthread_mutex_unlock(&round->seats->mutex);
}

/* A queue that is full has room again when its worker has had a turn. */
static int post_patiently(per_server *server, unsigned worker, struct round *round)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int err;

	while ((err = per_worker_post(server, worker, round_run, round)) == PER_EAGAIN)
		nanosleep(&pause, NULL);
	return err;
}

void seats_each(struct seats *seats, per_server *server, void (*fn)(unsigned worker, void *arg), void *arg)
{
	struct round round = { seats, fn, arg, seats->count };

	for (unsigned i = 0; i < seats->count; i++) {
		if (post_patiently(server, i, &round) != 0)
			round_leave(&round); /* it has ended, and will answer no request */
	}
	pthread_mutex_lock(&seats->mutex);
	while (round.left > 0)
		pthread_cond_wait(&seats->changed, &seats->mutex);
	pthread_mutex_unlock(&seats->mutex);
}

struct change {
	struct seats *seats;
	struct work work;
};

static void change_one(unsigned worker, void *arg)
{
	const struct change *change = arg;

	change->seats->list[worker].work = change->work;
}

void seats_change(struct seats *seats, per_server *server, struct work work)
{
	struct change change = { seats, work };

	seats_each(seats, server, change_one, &change);
}
