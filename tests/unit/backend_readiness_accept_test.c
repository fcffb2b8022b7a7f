/* SPDX-License-Identifier: MIT */
/*
 * backend_readiness_accept_test.c - accepting on epoll and kqueue: caps, resting without room, unlisten.
 * Not the contract that all backends share: that is tests/contract/.
 */
#include "support/readiness_fixture.h"
#include <sys/resource.h>

static void test_readiness_burst_of_connects_is_capped_and_continued(void **state)
{
	enum { CLIENTS = PER__READY_ACCEPTS_PER_TURN + 20 };
	struct fixture fx;
	int fd[CLIENTS];

	fixture_open(&fx, *state, false);
	for (unsigned i = 0; i < CLIENTS; i++)
		fd[i] = client_open(&fx);
	poll_once(&fx, -1);
	assert_true(fx.accepts <= PER__READY_ACCEPTS_PER_TURN);
	POLL_UNTIL(&fx, fx.accepts == CLIENTS);
	for (unsigned i = 0; i < CLIENTS; i++)
		close(fd[i]);
	fixture_close(&fx);
}

/* Takes every descriptor that is left; they are given back by lowering nothing but the limit. */
static struct rlimit no_more_fds(void)
{
	struct rlimit before, tight;
	int next = dup(0);

	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	return before;
}

static void test_readiness_emfile_rests_and_recovers_by_time(void **state)
{
	struct fixture fx;
	struct rlimit before;
	uint64_t calls;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_open(&fx);
	before = no_more_fds();
	POLL_UNTIL(&fx, per__counter_read(&fx.loop.counters.accept_pauses) == 1);
	assert_int_equal(per__counter_read(&fx.loop.counters.accept_errors), 1);
	calls = syscalls(&fx);
	poll_once(&fx, 0); /* the connection waits, but nobody looks */
	assert_int_equal(syscalls(&fx) - calls, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	calls = per__counter_read(&fx.loop.counters.turns);
	while (fx.accepts == 0)
		poll_once(&fx, -1); /* the retry has to end the wait */
	assert_in_range(per__counter_read(&fx.loop.counters.turns) - calls, 1, 3); /* rest, accept */
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_emfile_recovers_by_a_close(void **state)
{
	struct fixture fx;
	struct rlimit before;
	struct conn *conn;
	int fd[2];

	fixture_open(&fx, *state, false);
	fd[0] = client_accept(&fx, &conn);
	fd[1] = client_open(&fx);
	before = no_more_fds();
	POLL_UNTIL(&fx, per__counter_read(&fx.loop.counters.accept_pauses) == 1);
	fx.be->close(&fx.loop, &conn->sock, PER__CLOSE_NORMAL);
	poll_once(&fx, -1); /* on_closed, then watching again */
	assert_int_equal(fx.closes, 1);
	assert_int_equal(fx.loop.be_state != NULL && per__ready_of(&fx.loop)->accept_retry_ns == 0, 1);
	POLL_UNTIL(&fx, fx.accepts == 2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(fd[0]);
	close(fd[1]);
	fixture_close(&fx);
}

static void test_readiness_refusal_rests_until_a_close(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd, refused_fd, waiting_fd;
	char byte;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	fx.is_refusing = true;
	refused_fd = client_open(&fx);
	waiting_fd = client_open(&fx);
	POLL_UNTIL(&fx, fx.accepts == 2);
	assert_int_equal(read(refused_fd, &byte, 1), 0);
	for (unsigned i = 0; i < 5; i++)
		poll_once(&fx, 40 * MS); /* longer than the retry after EMFILE */
	assert_int_equal(fx.accepts, 2);
	assert_int_equal(per__counter_read(&fx.loop.counters.accept_refused), 1);
	fx.is_refusing = false;
	fx.be->close(&fx.loop, &conn->sock, PER__CLOSE_NORMAL);
	POLL_UNTIL(&fx, fx.accepts == 3);
	close(fd);
	close(refused_fd);
	close(waiting_fd);
	fixture_close(&fx);
}

static void test_readiness_refusal_without_sockets_is_retried(void **state)
{
	struct fixture fx;
	int fd[2];

	fixture_open(&fx, *state, false);
	fx.is_refusing = true;
	fd[0] = client_open(&fx);
	POLL_UNTIL(&fx, fx.accepts == 1);
	fx.is_refusing = false;
	fd[1] = client_open(&fx);
	while (fx.accepts == 1)
		poll_once(&fx, -1);
	close(fd[0]);
	close(fd[1]);
	fixture_close(&fx);
}

static void unlisten_now(struct fixture *fx, struct conn *conn)
{
	(void)conn;
	fx->be->unlisten(&fx->loop, &fx->listener);
	memset(&fx->listener.next, 0xa5, sizeof(fx->listener.next)); /* it is the owner's again */
}

static void test_readiness_unlisten_from_on_accept_ends_accepting(void **state)
{
	struct fixture fx;
	int fd[3];

	fixture_open(&fx, *state, false);
	fx.on_accept = unlisten_now;
	for (unsigned i = 0; i < 3; i++)
		fd[i] = client_open(&fx);
	POLL_UNTIL(&fx, fx.accepts == 1);
	poll_once(&fx, 0);
	assert_int_equal(fx.accepts, 1);
	fx.on_accept = NULL;
	assert_int_equal(fx.be->listen(&fx.loop, &fx.listener), 0);
	POLL_UNTIL(&fx, fx.accepts == 3);
	for (unsigned i = 0; i < 3; i++)
		close(fd[i]);
	fixture_close(&fx);
}

static void test_readiness_shared_listener_serves_both_loops(void **state)
{
	struct fixture fx;
	struct per__loop other = { .be = *state };
	struct per__listener shared = { 0 };
	const struct per__be_conf conf = { .sockets_max = 1, .recv_buf_bytes = BUF_BYTES, .log = &no_log };
	int fd[20];

	fixture_open(&fx, *state, true);
	shared.fd = fx.listener.fd;
	assert_int_equal(fx.be->init(&other, &conf), 0);
	assert_int_equal(fx.be->listen(&other, &shared), 0);
	for (unsigned i = 0; i < 20; i++)
		fd[i] = client_open(&fx);
	POLL_UNTIL(&fx, fx.accepts == 20);
	/* Its event, if it has one, meets an empty queue. */
	assert_int_equal(fx.be->poll(&other, 0), 0);
	assert_int_equal(fx.accepts, 20);
	assert_int_equal(per__counter_read(&other.counters.accept_errors), 0);
	fx.be->unlisten(&other, &shared);
	fx.be->fini(&other);
	for (unsigned i = 0; i < 20; i++)
		close(fd[i]);
	fixture_close(&fx);
}

#define TESTS(X)                                     \
	X(burst_of_connects_is_capped_and_continued) \
	X(emfile_rests_and_recovers_by_time)         \
	X(emfile_recovers_by_a_close)                \
	X(refusal_rests_until_a_close)               \
	X(refusal_without_sockets_is_retried)        \
	X(unlisten_from_on_accept_ends_accepting)    \
	X(shared_listener_serves_both_loops)

int main(void)
{
	RUN_ON_EACH(TESTS);
}
