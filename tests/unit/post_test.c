/* SPDX-License-Identifier: MIT */
/*
 * post_test.c - per_worker_post(): runs on the thread of the worker that was named, exactly once whenever it
 * was accepted, and says why when it was not. Real servers, on whatever backend works here.
 */
#include "core/mailbox.h"

#include <peregrine/peregrine.h>
#include "support/unit.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define WORKERS 3u
#define POSTERS 4u
#define POSTS 3000u

static struct {
	per_server *server;
	pthread_t runner;
	pthread_t threads[WORKERS]; /* of the workers */
	sem_t started, entered, leave;
	atomic_uint ran[WORKERS], wrong, accepted;
	atomic_bool is_stopping;
} test;

static int on_request(per_req *req, void *user)
{
	(void)user;
	return per_reply(req, 200, PER_S(""), PER_S("ok"));
}

static int worker_init(unsigned worker, void **state, void *user)
{
	(void)state;
	(void)user;
	test.threads[worker] = pthread_self();
	sem_post(&test.started);
	return 0;
}

static void *runner_main(void *arg)
{
	(void)arg;
	assert_int_equal(per_server_run(test.server), 0);
	return NULL;
}

static void server_make(unsigned workers)
{
	per_listen listen = { .address = "127.0.0.1:0" };
	per_config config = {
		.listen = &listen,
		.listen_count = 1,
		.workers = workers,
		.connections_max = 16,
		.handler = { .on_request = on_request, .worker_init = worker_init },
	};

	memset(&test, 0, sizeof(test));
	sem_init(&test.started, 0, 0);
	sem_init(&test.entered, 0, 0);
	sem_init(&test.leave, 0, 0);
	assert_int_equal(per_server_new(&test.server, &config), 0);
}

static void server_start(void)
{
	assert_int_equal(pthread_create(&test.runner, NULL, runner_main, NULL), 0);
	for (unsigned i = 0; i < per_server_workers(test.server); i++)
		assert_int_equal(sem_wait(&test.started), 0);
}

static void server_stop(void)
{
	per_server_stop(test.server);
	pthread_join(test.runner, NULL);
}

/* --- what is posted --------------------------------------------------------------------------- */

static void note(unsigned worker, void *arg)
{
	unsigned wanted = *(unsigned *)arg;

	atomic_fetch_add(&test.ran[worker], 1);
	if (worker != wanted || !pthread_equal(pthread_self(), test.threads[worker]))
		atomic_fetch_add(&test.wrong, 1);
}

static void never(unsigned worker, void *arg)
{
	(void)worker;
	(void)arg;
	atomic_fetch_add(&test.wrong, 1);
}

/* Keeps the worker until it may leave. */
static void hold(unsigned worker, void *arg)
{
	(void)worker;
	(void)arg;
	sem_post(&test.entered);
	while (sem_wait(&test.leave) != 0)
		;
}

static void leave_it(unsigned worker, void *arg)
{
	(void)worker;
	(void)arg;
	sem_post(&test.entered);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_post_runs_on_the_worker_that_was_named(void **state)
{
	static unsigned numbers[WORKERS] = { 0, 1, 2 };

	(void)state;
	server_make(WORKERS);
	server_start();
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(per_worker_post(test.server, i % WORKERS, note, &numbers[i % WORKERS]), 0);
	for (unsigned i = 0; i < WORKERS; i++) /* first in, first out: behind this one all have run */
		assert_int_equal(per_worker_post(test.server, i, leave_it, NULL), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(sem_wait(&test.entered), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(atomic_load(&test.ran[i]), 100);
	server_stop();
	assert_int_equal(atomic_load(&test.wrong), 0);
	per_server_free(test.server);
}

static void test_post_before_the_start_and_after_the_end_is_refused(void **state)
{
	(void)state;
	server_make(2);
	assert_int_equal(per_worker_post(test.server, 0, never, NULL), PER_EGONE);
	server_start();
	server_stop();
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(per_worker_post(test.server, i, never, NULL), PER_EGONE);
	assert_int_equal(atomic_load(&test.wrong), 0);
	per_server_free(test.server);
}

static void test_post_to_nobody_is_invalid(void **state)
{
	(void)state;
	server_make(2);
	server_start();
	assert_int_equal(per_worker_post(test.server, 2, never, NULL), PER_EINVAL);
	assert_int_equal(per_worker_post(test.server, UINT32_MAX, never, NULL), PER_EINVAL);
	assert_int_equal(per_worker_post(test.server, 0, NULL, NULL), PER_EINVAL);
	server_stop();
	assert_int_equal(atomic_load(&test.wrong), 0);
	per_server_free(test.server);
}

static void test_post_to_a_full_queue_is_refused_and_never_run(void **state)
{
	static unsigned zero = 0;

	(void)state;
	server_make(1);
	server_start();
	assert_int_equal(per_worker_post(test.server, 0, hold, NULL), 0);
	assert_int_equal(sem_wait(&test.entered), 0);
	for (unsigned i = 0; i < PER__MAILBOX_MAX; i++)
		assert_int_equal(per_worker_post(test.server, 0, note, &zero), 0);
	assert_int_equal(per_worker_post(test.server, 0, never, NULL), PER_EAGAIN);
	sem_post(&test.leave);
	server_stop();
	assert_int_equal(atomic_load(&test.ran[0]), PER__MAILBOX_MAX);
	assert_int_equal(atomic_load(&test.wrong), 0);
	per_server_free(test.server);
}

/* A function may post again; what a worker has accepted before it ended is run. */
static void again(unsigned worker, void *arg)
{
	unsigned *left = arg;

	atomic_fetch_add(&test.ran[worker], 1);
	if ((*left)-- > 0)
		assert_int_equal(per_worker_post(test.server, worker, again, arg), 0);
	else
		sem_post(&test.entered);
}

static void test_post_from_a_posted_function(void **state)
{
	static unsigned left = 1000;

	(void)state;
	server_make(1);
	server_start();
	assert_int_equal(per_worker_post(test.server, 0, again, &left), 0);
	assert_int_equal(sem_wait(&test.entered), 0);
	assert_int_equal(atomic_load(&test.ran[0]), 1001);
	server_stop();
	per_server_free(test.server);
}

static void *poster_main(void *arg)
{
	static unsigned numbers[WORKERS] = { 0, 1, 2 };
	unsigned refused = 0;

	(void)arg;
	for (unsigned i = 0; refused < POSTS; i++) {
		int err = per_worker_post(test.server, i % WORKERS, note, &numbers[i % WORKERS]);

		if (err == 0)
			atomic_fetch_add(&test.accepted, 1);
		else if (err == PER_EGONE)
			refused++;
		else if (err != PER_EAGAIN)
			atomic_fetch_add(&test.wrong, 1);
	}
	return NULL;
}

/* Posts from several threads while the server stops: each that was accepted has run once, no other has. */
static void test_post_while_the_server_stops_accepted_means_run(void **state)
{
	pthread_t posters[POSTERS];
	unsigned ran = 0;

	(void)state;
	server_make(WORKERS);
	server_start();
	for (unsigned i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&posters[i], NULL, poster_main, NULL), 0);
	while (atomic_load(&test.accepted) < POSTS)
		sched_yield();
	server_stop();
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(posters[i], NULL);
	for (unsigned i = 0; i < WORKERS; i++)
		ran += atomic_load(&test.ran[i]);
	assert_int_equal(ran, atomic_load(&test.accepted));
	assert_int_equal(atomic_load(&test.wrong), 0);
	per_server_free(test.server);
}

/* A server that is polled is its caller's: functions run inside per_server_poll(). */
static void test_post_to_a_polled_server(void **state)
{
	static unsigned zero = 0;

	(void)state;
	server_make(1);
	assert_int_equal(per_server_poll(test.server, 0), 1);
	assert_int_equal(per_worker_post(test.server, 0, note, &zero), 0);
	assert_int_equal(atomic_load(&test.ran[0]), 0);
	while (atomic_load(&test.ran[0]) == 0)
		assert_int_equal(per_server_poll(test.server, -1), 1);
	assert_int_equal(per_worker_post(test.server, 0, note, &zero), 0);
	per_server_free(test.server); /* ends it: what was accepted is run */
	assert_int_equal(atomic_load(&test.ran[0]), 2);
	assert_int_equal(atomic_load(&test.wrong), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_post_runs_on_the_worker_that_was_named),
		cmocka_unit_test(test_post_before_the_start_and_after_the_end_is_refused),
		cmocka_unit_test(test_post_to_nobody_is_invalid),
		cmocka_unit_test(test_post_to_a_full_queue_is_refused_and_never_run),
		cmocka_unit_test(test_post_from_a_posted_function),
		cmocka_unit_test(test_post_while_the_server_stops_accepted_means_run),
		cmocka_unit_test(test_post_to_a_polled_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
