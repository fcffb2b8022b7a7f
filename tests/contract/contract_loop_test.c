/* SPDX-License-Identifier: MIT */
/*
 * contract_loop_test.c - poll, wake and the clock, on every backend: rule B1 of backend.h and the promises of
 * poll. Upper bounds of time are never asserted; that nothing spins is seen in the counters.
 */
#include "common/ct.h"

#include <poll.h>
#include <pthread.h>
#include <time.h>

#define WAKES 2000u
#define IDLE_POLLS 10u
#define IDLE_NS 20000000
#define SPIN_MAX 20u /* turns or system calls of one idle poll that are still no busy loop */

static void test_contract_b1_down_calls_between_polls_never_up_call(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[3], waiting;
	struct ct_conn *conn[3];

	ct_listen(ct, false);
	for (int i = 0; i < 3; i++)
		conn[i] = ct_open(ct, &peer[i]);
	ct_settle(ct);
	ct_peer_connect(ct, &waiting);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ct_peer_send(&peer[i], "abc", 3), 3);
	for (int i = 0; i < 3; i++) { /* an up-call from here would be outside of poll: ct.c reports it */
		ct_send_bytes(conn[i], "x", 1);
		ct_pause(conn[i]);
		ct_resume(conn[i]);
	}
	ct->be->wake(&ct->loop);
	ct_close(conn[2], PER__CLOSE_NORMAL);
	ct->be->unlisten(&ct->loop, &ct->listener);
	ct->listener = (struct per__listener){ .fd = ct->listener.fd, .index = ct->listener.index };
	assert_int_equal(ct->be->listen(&ct->loop, &ct->listener), 0);
	assert_int_equal(ct->wakes + conn[0]->recvs + conn[0]->sents + ct->closes, 0);
	CT_RUN_UNTIL(ct,
		     conn[0]->got == 3 && conn[0]->sents == 1 && conn[1]->got == 3 && conn[1]->sents == 1);
	CT_RUN_UNTIL(ct, ct->wakes == 1 && ct->closes == 1 && ct->accepts == 4);
	ct_close_wait(conn[0], PER__CLOSE_NORMAL);
	ct_close_wait(conn[1], PER__CLOSE_NORMAL);
	ct_close_wait(conn[2]->is_closed ? &ct->conn[3] : &ct->conn[2], PER__CLOSE_NORMAL);
	for (int i = 0; i < 3; i++)
		ct_peer_close(&peer[i]);
	ct_peer_close(&waiting);
}

static void everything_on_recv(struct ct_conn *conn, uint8_t *data, size_t len)
{
	struct ct *ct = conn->ct;

	(void)data;
	(void)len;
	if (conn->n++ != 0)
		return;
	ct_send_bytes(conn, "abc", 3);
	ct_pause(conn);
	ct_resume(conn);
	ct->be->wake(&ct->loop);
	ct_close(conn->arg, PER__CLOSE_NORMAL);
}

static void test_contract_b1_down_calls_inside_up_calls_never_nest(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[2];
	struct ct_conn *conn[2];

	ct_listen(ct, false);
	for (int i = 0; i < 2; i++)
		conn[i] = ct_open(ct, &peer[i]);
	conn[0]->on_recv = everything_on_recv;
	conn[0]->arg = conn[1];
	ct_peer_send_all(&peer[0], "xyz", 3);
	CT_RUN_UNTIL(ct, conn[0]->sents == 1 && conn[1]->is_closed && ct->wakes == 1);
	ct_close_wait(conn[0], PER__CLOSE_NORMAL);
	ct_peer_close(&peer[0]);
	ct_peer_close(&peer[1]);
}

static void test_contract_poll_waits_as_long_as_it_is_told(void **state)
{
	struct ct *ct = *state;

	for (int64_t timeout_ns = 1000000; timeout_ns < 40000000; timeout_ns = timeout_ns * 3 + 7) {
		int64_t real_ns = ct_real_ns();
		int64_t before_ns = ct->loop.now_ns;

		ct_poll(ct, 0);
		before_ns = ct->loop.now_ns;
		real_ns = ct_real_ns();
		ct_poll(ct, timeout_ns);
		/* nothing happens, so that it cannot have been less; else a caller with a deadline spins */
		assert_true(ct->loop.now_ns - before_ns >= timeout_ns);
		if (ct->sim == NULL)
			assert_true(ct_real_ns() - real_ns >= timeout_ns);
	}
}

static void test_contract_poll_without_timeout_returns_at_once(void **state)
{
	struct ct *ct = *state;

	for (int i = 0; i < 100; i++)
		ct_poll(ct, 0); /* the test's own limit of time would notice */
	assert_int_equal(ct->wakes, 0);
}

static void test_contract_idle_poll_does_not_spin(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[20];
	uint64_t syscalls, turns;

	ct_listen(ct, false);
	for (int i = 0; i < 20; i++)
		(void)ct_open(ct, &peer[i]);
	ct_pause(&ct->conn[3]);
	assert_int_equal(ct_peer_send(&peer[3], "abc", 3), 3); /* held, which is no reason to run */
	ct_peer_shutdown(&peer[4]);
	ct_settle(ct);
	CT_RUN_UNTIL(ct, ct->conn[4].has_eof); /* an end that was told is no reason to run either */
	ct_settle(ct);
	syscalls = ct->loop.counters.syscalls;
	turns = ct->loop.counters.turns;
	for (uint32_t i = 0; i < IDLE_POLLS; i++)
		ct_poll(ct, IDLE_NS);
	assert_true(ct->loop.counters.turns - turns <= IDLE_POLLS * SPIN_MAX);
	assert_true(ct->loop.counters.syscalls - syscalls <= IDLE_POLLS * SPIN_MAX);
	for (int i = 0; i < 20; i++) {
		ct_close_wait(&ct->conn[i], PER__CLOSE_NORMAL);
		ct_peer_close(&peer[i]);
	}
}

static void test_contract_clock_never_goes_back_and_knows_the_date(void **state)
{
	struct ct *ct = *state;
	int64_t now_ns = ct->loop.now_ns, wall_s = ct->loop.wall_s;

	assert_true(wall_s > 1600000000);
	for (int i = 0; i < 20; i++) {
		ct_poll(ct, 2000000);
		assert_true(ct->loop.now_ns >= now_ns);
		assert_true(ct->loop.wall_s >= wall_s - 1);
		now_ns = ct->loop.now_ns;
	}
	if (ct->sim == NULL)
		assert_in_range(ct->loop.wall_s, (uint64_t)time(NULL) - 5, (uint64_t)time(NULL) + 5);
}

/* --- wake ------------------------------------------------------------------------------------- */

static void test_contract_wake_before_poll_is_not_lost_and_coalesces(void **state)
{
	struct ct *ct = *state;

	ct_settle(ct);
	for (int i = 0; i < 1000; i++)
		ct->be->wake(&ct->loop);
	CT_RUN_UNTIL(ct, ct->wakes >= 1);
	ct_settle(ct);
	assert_in_range(ct->wakes, 1, 2);
}

static void wake_again(struct ct *ct)
{
	if (ct->wakes < 50)
		ct->be->wake(&ct->loop);
}

static void test_contract_wake_from_on_wake_calls_again(void **state)
{
	struct ct *ct = *state;

	ct->on_wake = wake_again;
	ct->be->wake(&ct->loop);
	CT_RUN_UNTIL(ct, ct->wakes == 50);
	ct_settle(ct);
	assert_int_equal(ct->wakes, 50);
}

struct waker {
	struct ct *ct;
	uint32_t posted; /* atomic: what a wake announces */
	uint32_t seen;   /* what on_wake has found, owned by the loop's thread */
};

static void see_posted(struct ct *ct)
{
	struct waker *waker = ct->arg;

	waker->seen = __atomic_load_n(&waker->posted, __ATOMIC_ACQUIRE);
}

static void *wake_many(void *arg)
{
	struct waker *waker = arg;

	for (uint32_t i = 0; i < WAKES; i++) {
		__atomic_add_fetch(&waker->posted, 1, __ATOMIC_RELEASE);
		waker->ct->be->wake(&waker->ct->loop);
	}
	return NULL;
}

/* Post, then wake: an on_wake must see the last post, or a message sleeps for ever. */
static void test_contract_wake_from_threads_is_never_lost(void **state)
{
	struct ct *ct = *state;
	struct waker waker = { .ct = ct };
	pthread_t thread[2];

	ct->arg = &waker;
	ct->on_wake = see_posted;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, wake_many, &waker), 0);
	CT_RUN_UNTIL(ct, waker.seen == 2 * WAKES);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_in_range(ct->wakes, 1, 2 * WAKES + 1);
}

struct sleeper {
	struct ct *ct;
	uint32_t is_polling; /* atomic: how often the loop went to sleep */
};

static void *wake_when_polling(void *arg)
{
	struct sleeper *sleeper = arg;

	for (uint32_t i = 1; i <= 200; i++) {
		while (__atomic_load_n(&sleeper->is_polling, __ATOMIC_ACQUIRE) < i)
			;
		sleeper->ct->be->wake(&sleeper->ct->loop);
	}
	return NULL;
}

/* With no other reason to return, a poll without limit returns because of the wake alone. */
static void test_contract_wake_ends_a_poll_without_limit(void **state)
{
	struct ct *ct = *state;
	struct sleeper sleeper = { .ct = ct };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, wake_when_polling, &sleeper), 0);
	for (uint32_t i = 1; i <= 200; i++) {
		__atomic_store_n(&sleeper.is_polling, i, __ATOMIC_RELEASE);
		while (ct->wakes < i)
			ct_poll(ct, -1);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(ct->wakes, 200);
}

static void expect_readable(struct ct *ct)
{
	struct pollfd pfd = { .fd = ct->be->poll_fd(&ct->loop), .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, CT_PATIENCE_S * 1000), 1);
}

static void test_contract_poll_fd_is_readable_when_there_is_something_to_do(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = &ct->conn[0];

	if (ct->be->poll_fd(&ct->loop) < 0)
		return; /* PER_ENOTSUP is allowed */
	ct_listen(ct, false);
	ct_poll(ct, 0);
	ct_peer_connect(ct, &peer);
	expect_readable(ct);
	CT_RUN_UNTIL(ct, ct->accepts == 1);
	ct_settle(ct);
	assert_int_equal(ct_peer_send(&peer, "abc", 3), 3);
	expect_readable(ct);
	CT_RUN_UNTIL(ct, conn->got == 3);
	ct_settle(ct);
	ct->be->wake(&ct->loop);
	expect_readable(ct);
	CT_RUN_UNTIL(ct, ct->wakes == 1);
	ct_settle(ct);
	ct_send_bytes(conn, "abc", 3);
	for (int i = 0; i < 10 && conn->sents == 0; i++) {
		ct_poll(ct, 0);
		if (conn->sents == 0)
			expect_readable(ct);
	}
	assert_int_equal(conn->sents, 1);
	ct_close(conn, PER__CLOSE_NORMAL);
	for (int i = 0; i < 10 && !conn->is_closed; i++) {
		ct_poll(ct, 0);
		if (!conn->is_closed)
			expect_readable(ct);
	}
	assert_true(conn->is_closed);
	ct_peer_close(&peer);
}

static void test_contract_init_and_fini_repeated_leak_nothing(void **state)
{
	struct ct *ct = *state;
	struct per__be_conf conf = ct->conf;

	for (int i = 0; i < 20; i++) {
		ct_restart(ct, &conf);
		if (i % 2)
			ct_poll(ct, 0);
		if (i % 3 == 0)
			ct->be->wake(&ct->loop);
	}
}

int main(void)
{
	const struct ct_test tests[] = {
		CT_TEST(test_contract_b1_down_calls_between_polls_never_up_call),
		CT_TEST(test_contract_b1_down_calls_inside_up_calls_never_nest),
		CT_TEST(test_contract_poll_waits_as_long_as_it_is_told),
		CT_TEST(test_contract_poll_without_timeout_returns_at_once),
		CT_TEST(test_contract_idle_poll_does_not_spin),
		CT_TEST(test_contract_clock_never_goes_back_and_knows_the_date),
		CT_TEST(test_contract_wake_before_poll_is_not_lost_and_coalesces),
		CT_TEST(test_contract_wake_from_on_wake_calls_again),
		CT_TEST(test_contract_wake_from_threads_is_never_lost),
		CT_TEST(test_contract_wake_ends_a_poll_without_limit),
		CT_TEST(test_contract_poll_fd_is_readable_when_there_is_something_to_do),
		CT_TEST(test_contract_init_and_fini_repeated_leak_nothing),
	};

	return ct_run(tests, PER_ARRAY_LEN(tests));
}
