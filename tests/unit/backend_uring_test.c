/* SPDX-License-Identifier: MIT */
/*
 * backend_uring_test.c - what is peculiar to io_uring besides receiving: full queues, short sends,
 * accepting when there is no room, closing with operations in flight, waking, waiting on the descriptor,
 * and the end of a ring with life in it.
 */
#include "backend_uring_bench.h"

#include <sys/epoll.h>

#define CHURN 10000u

static void send_start(struct bench *b, struct conn *c, struct iovec *iov, uint32_t cnt)
{
	c->is_sending = true;
	b->be->send(&b->loop, &c->sock, iov, cnt);
}

/* Reads until nothing more is there; all of it must continue the pattern. Returns the bytes read. */
static size_t peer_drain(struct conn *c, uint64_t *offset, size_t most)
{
	uint8_t bytes[8192];
	size_t done = 0;
	ssize_t n;

	while (done < most && (n = read(c->peer, bytes, PER_MIN(sizeof(bytes), most - done))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], pattern(*offset + (uint64_t)i));
		*offset += (uint64_t)n;
		done += (size_t)n;
	}
	return done;
}

/* --- sending ---------------------------------------------------------------------------------- */

static void test_uring_send_many_iovecs_to_a_slow_reader_arrive_in_order(void **state)
{
	enum { COUNT = 3001, PIECE = 337 }; /* more than IOV_MAX entries */
	struct bench *b = bench_open(1024, 8);
	struct conn *c = adopt_pair(b);
	static uint8_t bytes[COUNT * PIECE];
	static struct iovec iov[COUNT];
	uint64_t offset = 0;
	size_t at = 0;
	int small = 4096;

	(void)state;
	assert_int_equal(setsockopt(c->sock.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = pattern(i);
	for (size_t i = 0; i < COUNT; i++) {
		size_t len = i % 7 == 3 ? 0 : i + 1 == COUNT ? sizeof(bytes) - at : PIECE;

		iov[i] = (struct iovec){ bytes + at, len };
		at += len;
	}
	send_start(b, c, iov, COUNT);
	for (unsigned i = 0; offset < sizeof(bytes); i++) {
		assert_true(i < 1000000);
		turn(b, 0);
		assert_true(c->sents == 0 || offset + 65536 > sizeof(bytes));
		peer_drain(c, &offset, 1000 + i % 700);
	}
	RUN_UNTIL(b, c->sents == 1);
	assert_int_equal(c->sock.bytes_out, sizeof(bytes));
	assert_int_equal(c->sents, 1);
	close_all_conns(b);
	bench_close(b);
}

static struct iovec *iovs_for_all(struct bench *b, uint8_t *byte)
{
	struct iovec *iov = calloc(b->used, 2 * sizeof(*iov));

	assert_non_null(iov);
	for (uint32_t i = 0; i < b->used; i++) {
		iov[2 * i] = (struct iovec){ byte, 1 };
		iov[2 * i + 1] = (struct iovec){ byte + 1, 1 };
	}
	return iov;
}

static void expect_two_bytes_each(struct bench *b)
{
	for (uint32_t i = 0; i < b->used; i++) {
		uint64_t offset = 0;

		RUN_UNTIL(b, b->conn[i].sents == 1);
		assert_int_equal(peer_drain(&b->conn[i], &offset, 10), 2);
	}
}

static void test_uring_send_more_than_both_queues_hold_overflows_and_loses_nothing(void **state)
{
	struct bench *b = bench_open_at(64, 8, BENCH_CONNS, 0);
	uint8_t bytes[2] = { pattern(0), pattern(1) };
	struct iovec *iov;

	(void)state;
	while (b->used < BENCH_CONNS)
		adopt_pair(b);
	turn(b, 0);
	iov = iovs_for_all(b, bytes);
	for (uint32_t i = 0; i < b->used; i++) /* one or two iovecs: both kinds of SQE */
		send_start(b, &b->conn[i], &iov[2 * i], 2);
	expect_two_bytes_each(b);
	if (ring_of(b)->ring.cq.ring_entries < BENCH_CONNS)
		assert_true(b->loop.counters.cq_overflows > 0);
	close_all_conns(b);
	bench_close(b);
	free(iov);
}

static void test_uring_sqe_waits_in_the_backlog_while_the_kernel_refuses(void **state)
{
	struct bench *b = bench_open_at(64, 8, BENCH_CONNS, 0);
	uint8_t bytes[8] = { pattern(0), pattern(1), pattern(2), pattern(3),
			     pattern(4), pattern(5), pattern(6), pattern(7) };
	struct uring *u = ring_of(b);
	struct iovec *iov;
	int fd = u->enter_fd;

	(void)state;
	for (unsigned i = 0; i < 700; i++)
		adopt_pair(b);
	turn(b, 0);
	iov = iovs_for_all(b, bytes);
	u->enter_fd = 15; /* nothing is registered there: each enter fails */
	for (uint32_t i = 0; i < b->used;
	     i++) { /* each its own length, so that none can be taken for another */
		iov[2 * i + 1].iov_len = 1 + i % 7;
		send_start(b, &b->conn[i], &iov[2 * i], 1 + i % 2);
	}
	for (uint32_t i = 0; i < b->used; i += 3)
		b->be->recv_pause(&b->loop, &b->conn[i].sock);
	assert_true(u->backlog_count > 400);
	u->enter_fd = fd;
	RUN_UNTIL(b, u->backlog_count == 0);
	for (uint32_t i = 0; i < b->used; i++) {
		uint64_t offset = 0;

		RUN_UNTIL(b, b->conn[i].sents == 1);
		assert_int_equal(peer_drain(&b->conn[i], &offset, 10), 1 + (i % 2) * (1 + i % 7));
	}
	close_all_conns(b);
	bench_close(b);
	free(iov);
}

/* --- closing ---------------------------------------------------------------------------------- */

static void close_with_send_in_flight(enum per__close_how how)
{
	struct bench *b = bench_open(64, 8);
	struct conn *c = adopt_pair(b);
	static uint8_t bytes[4 << 20];
	struct iovec iov = { bytes, sizeof(bytes) };
	int fd = c->sock.fd;

	turn(b, 0);
	send_start(b, c, &iov, 1);
	for (unsigned i = 0; i < 5; i++)
		turn(b, 0);
	assert_int_equal(c->sents, 0);
	assert_true(c->sock.bytes_out > 0 && c->sock.bytes_out < sizeof(bytes));
	b->be->close(&b->loop, &c->sock, how);
	RUN_UNTIL(b, c->is_closed);
	assert_int_equal(c->error, 0);
	assert_int_equal(c->sents, 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	bench_close(b);
}

static void test_uring_close_with_send_in_flight_ends_it(void **state)
{
	(void)state;
	close_with_send_in_flight(PER__CLOSE_NORMAL);
	close_with_send_in_flight(PER__CLOSE_RESET);
}

static void test_uring_close_of_a_send_not_yet_submitted_ends_it(void **state)
{
	struct bench *b = bench_open(64, 8);
	struct conn *c = adopt_pair(b);
	static uint8_t bytes[4 << 20];
	struct iovec iov = { bytes, sizeof(bytes) };

	(void)state;
	send_start(b, c, &iov, 1);
	b->be->close(&b->loop, &c->sock, PER__CLOSE_NORMAL);
	RUN_UNTIL(b, c->is_closed);
	assert_int_equal(c->error, 0);
	bench_close(b);
}

static void test_uring_close_reset_is_seen_by_the_peer(void **state)
{
	struct bench *b = bench_open(64, 8);
	char byte;
	int fd;

	(void)state;
	bench_listen(b);
	fd = connect_new(b);
	RUN_UNTIL(b, b->accepts == 1);
	b->be->close(&b->loop, &b->conn[0].sock, PER__CLOSE_RESET);
	RUN_UNTIL(b, b->closes == 1);
	assert_int_equal(read(fd, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
	bench_close(b);
}

static void test_uring_send_to_a_gone_peer_closes_with_its_errno(void **state)
{
	struct bench *b = bench_open(64, 8);
	struct conn *c = adopt_pair(b);
	uint8_t byte = 1;
	struct iovec iov = { &byte, 1 };

	(void)state;
	turn(b, 0);
	peer_close(c);
	RUN_UNTIL(b, c->has_eof);
	send_start(b, c, &iov, 1);
	RUN_UNTIL(b, c->is_closed);
	assert_int_equal(c->error, -EPIPE);
	assert_int_equal(c->sents, 0);
	bench_close(b);
}

static void close_at_eof(struct bench *b, struct conn *c, const uint8_t *data, size_t len)
{
	(void)data;
	if (len == 0 || c->index % 2 == 0)
		b->be->close(&b->loop, &c->sock, c->index % 3 == 0 ? PER__CLOSE_RESET : PER__CLOSE_NORMAL);
}

/* Half of them are closed by the peer, half by us while the peer may still write. */
static void test_uring_churn_leaks_no_descriptor(void **state)
{
	struct bench *b = bench_open(64, 8);
	unsigned before;

	(void)state;
	bench_listen(b);
	turn(b, 0);
	before = open_fds();
	b->on_recv = close_at_eof;
	for (unsigned i = 0; i < CHURN; i += 50) {
		int fd[50];
		uint32_t done = b->closes;

		b->used = b->closes = done = 0;
		for (unsigned k = 0; k < 50; k++) {
			uint8_t byte = pattern(0);

			fd[k] = connect_new(b);
			assert_int_equal(send(fd[k], &byte, 1, MSG_NOSIGNAL), 1);
			if (k % 5 == 0)
				turn(b, 0);
		}
		for (unsigned k = 0; k < 50; k++)
			assert_int_equal(close(fd[k]), 0);
		RUN_UNTIL(b, b->closes == 50);
	}
	assert_int_equal(b->accepts, CHURN);
	assert_int_equal(open_fds(), before);
	bench_close(b);
}

static void test_uring_fini_with_live_connections_leaks_nothing(void **state)
{
	unsigned before = open_fds();
	static uint8_t bytes[4 << 20];
	struct iovec iov[100];
	int fd[20];

	(void)state;
	for (int rung = 0; per__uring_ladder[rung].name != NULL; rung++) {
		struct bench *b = bench_open_at(64, 8, BENCH_CONNS, rung);

		bench_listen(b);
		for (unsigned i = 0; i < 20; i++)
			fd[i] = connect_new(b);
		turn(b, 0);
		for (unsigned i = 0; i < 100; i++) {
			struct conn *c = adopt_pair(b);

			iov[i] = (struct iovec){ bytes, sizeof(bytes) };
			feed(c, i * 10);
			send_start(b, c, &iov[i], 1);
			if (i % 10 == 0)
				turn(b, 0);
		}
		assert_int_equal(close(b->listener.fd), 0);
		b->listener.fd = -1; /* not unlistened: cut as well */
		bench_close(b);
		for (unsigned i = 0; i < 20; i++)
			close(fd[i]);
		assert_int_equal(open_fds(), before);
	}
}

static void test_uring_fini_leaves_descriptors_of_closed_sockets_alone(void **state)
{
	struct bench *b = bench_open(64, 8);
	struct conn *c = adopt_pair(b);
	int fd = c->sock.fd;

	(void)state;
	close_all_conns(b);
	assert_int_equal(dup2(STDERR_FILENO, fd), fd); /* the number is somebody else's now */
	bench_close(b);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(close(fd), 0);
}

/* --- accepting -------------------------------------------------------------------------------- */

static void test_uring_accept_refused_pauses_until_a_socket_closes(void **state)
{
	struct bench *b = bench_open(64, 8);
	unsigned refused;
	int fd[10];
	char byte;

	(void)state;
	bench_listen(b);
	b->limit = 4;
	for (unsigned i = 0; i < 10; i++)
		fd[i] = connect_new(b);
	RUN_UNTIL(b, b->accepts == 4 && b->loop.counters.accept_refused > 0);
	turn(b, 10000000);
	assert_int_equal(b->loop.counters.accept_pauses, 1);
	refused = (unsigned)b->loop.counters.accept_refused;
	assert_in_range(refused, 1, 6);
	assert_int_equal(read(fd[4], &byte, 1), 0); /* the first that was refused */
	b->be->close(&b->loop, &b->conn[0].sock, PER__CLOSE_NORMAL);
	for (unsigned i = refused + 4; i < 12; i++) { /* those that wait in the backlog, then new ones */
		if (i >= 10) {
			close(fd[i - 10]);
			fd[i - 10] = connect_new(b);
		}
		if (b->accepts > 4)
			break;
		turn(b, 10000000);
	}
	RUN_UNTIL(b, b->accepts == 5);
	for (unsigned i = 0; i < 10; i++)
		close(fd[i]);
	bench_close(b);
}

static void test_uring_accept_without_descriptors_rests_and_recovers(void **state)
{
	struct bench *b = bench_open(64, 8);
	struct rlimit saved, low;
	uint64_t turns;
	int fd, spare;

	(void)state;
	adopt_pair(b); /* it could end the rest by being closed, but is not */
	bench_listen(b);
	fd = connect_new(b);
	spare = dup(fd);
	assert_true(spare >= 0);
	close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
	low = (struct rlimit){ (rlim_t)spare, saved.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low),
			 0); /* the kernel looks at it when an accept is submitted */
	for (unsigned i = 0; i < 50 && b->loop.counters.accept_errors == 0; i++)
		turn(b, BENCH_STEP_NS);
	assert_true(b->loop.counters.accept_errors > 0);
	assert_true(b->loop.counters.accept_pauses > 0);
	turns = b->loop.counters.turns;
	for (unsigned i = 0; i < 3; i++)
		turn(b, -1); /* each ends by itself: the retry's timeout, and what it brings */
	assert_int_equal(b->loop.counters.turns, turns + 3);
	assert_int_equal(b->accepts, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
	RUN_UNTIL(b, b->accepts == 1);
	close(fd);
	bench_close(b);
}

static void test_uring_unlisten_lets_go_of_the_listener_at_once(void **state)
{
	(void)state;
	for (int rung = 0; per__uring_ladder[rung].name != NULL; rung++) {
		struct bench *b = bench_open_at(64, 8, 100, rung);
		int fd;

		bench_listen(b);
		fd = connect_new(b);
		RUN_UNTIL(b, b->accepts == 1);
		bench_unlisten(b);
		close(fd);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&b->addr, sizeof(b->addr)), -1);
		assert_int_equal(errno, ECONNREFUSED);
		close(fd);
		RUN_UNTIL(b, b->closes == 1 || b->conn[0].has_eof);
		memset(&b->listener, 0x5a, sizeof(b->listener));
		turn(b, 0);
		b->listener.fd = -1;
		bench_close(b);
	}
}

static void unlisten_in_up_call(struct bench *b, struct conn *c, const uint8_t *data, size_t len)
{
	(void)c;
	(void)data;
	(void)len;
	bench_unlisten(b);
}

static void test_uring_unlisten_inside_an_up_call_closes_what_came_meanwhile(void **state)
{
	struct bench *b = bench_open(64, 8);
	unsigned before;
	uint8_t byte = pattern(0);
	int fd[20];

	(void)state;
	before = open_fds();
	bench_listen(b);
	fd[0] = connect_new(b);
	RUN_UNTIL(b, b->accepts == 1);
	b->on_recv = unlisten_in_up_call;
	assert_int_equal(send(fd[0], &byte, 1, 0), 1);
	for (unsigned i = 1; i < 20; i++)
		fd[i] = connect_new(b);
	RUN_UNTIL(b, b->conn[0].recvs == 1);
	b->on_recv = NULL;
	close_all_conns(b);
	for (unsigned i = 0; i < 20; i++)
		close(fd[i]);
	turn(b, 0);
	assert_int_equal(open_fds(), before);
	bench_close(b);
}

/* --- waking, waiting -------------------------------------------------------------------------- */

static void *wake_many(void *arg)
{
	struct bench *b = arg;

	for (unsigned i = 0; i < 1000; i++)
		b->be->wake(&b->loop);
	return NULL;
}

static void test_uring_wake_ends_a_wait_without_limit(void **state)
{
	struct bench *b = bench_open(64, 8);
	pthread_t thread;

	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		uint32_t wakes = b->wakes;

		assert_int_equal(pthread_create(&thread, NULL, wake_many, b), 0);
		while (b->wakes == wakes)
			turn(b, -1);
		pthread_join(thread, NULL);
		turn(b, 0);
		assert_int_equal(ring_of(b)->is_wake_pending, 0);
	}
	bench_close(b);
}

static void test_uring_wake_many_times_before_a_poll_is_one_write(void **state)
{
	struct bench *b = bench_open(64, 8);
	uint64_t count = 0;

	(void)state;
	turn(b, 0);
	wake_many(b);
	turn(b, 0);
	assert_int_equal(b->wakes, 1);
	assert_int_equal(read(ring_of(b)->wake_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	bench_close(b);
}

static void test_uring_idle_wait_is_one_turn_and_one_syscall(void **state)
{
	struct bench *b = bench_open(64, 8);
	uint64_t syscalls, turns;

	(void)state;
	bench_listen(b);
	for (unsigned i = 0; i < 50; i++)
		adopt_pair(b);
	turn(b, 0);
	turn(b, 0);
	syscalls = b->loop.counters.syscalls;
	turns = b->loop.counters.events;
	turn(b, 50000000);
	assert_int_equal(b->loop.counters.syscalls, syscalls + 1);
	assert_int_equal(b->loop.counters.events, turns);
	close_all_conns(b);
	bench_close(b);
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, timeout_ms) == 1;
}

static void test_uring_poll_fd_tells_an_outer_loop_and_down_calls_leave_at_once(void **state)
{
	struct bench *b = bench_open(64, 8);
	struct conn *c = adopt_pair(b);
	int fd = b->be->poll_fd(&b->loop);
	uint8_t byte = pattern(0);
	struct iovec iov = { &byte, 1 };
	uint64_t offset = 0;

	(void)state;
	assert_true(fd >= 0);
	turn(b, 0);
	assert_false(is_readable(fd, 0));
	feed(c, 10);
	assert_true(is_readable(fd, 5000));
	RUN_UNTIL(b, c->got == 10);
	send_start(b, c, &iov, 1); /* outside a poll */
	assert_int_equal(peer_drain(c, &offset, 1), 1);
	assert_true(is_readable(fd, 5000));
	turn(b, 0);
	assert_int_equal(c->sents, 1);
	b->be->wake(&b->loop);
	assert_true(is_readable(fd, 5000));
	close_all_conns(b);
	bench_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uring_send_many_iovecs_to_a_slow_reader_arrive_in_order),
		cmocka_unit_test(test_uring_send_more_than_both_queues_hold_overflows_and_loses_nothing),
		cmocka_unit_test(test_uring_sqe_waits_in_the_backlog_while_the_kernel_refuses),
		cmocka_unit_test(test_uring_close_with_send_in_flight_ends_it),
		cmocka_unit_test(test_uring_close_of_a_send_not_yet_submitted_ends_it),
		cmocka_unit_test(test_uring_close_reset_is_seen_by_the_peer),
		cmocka_unit_test(test_uring_send_to_a_gone_peer_closes_with_its_errno),
		cmocka_unit_test(test_uring_churn_leaks_no_descriptor),
		cmocka_unit_test(test_uring_fini_with_live_connections_leaks_nothing),
		cmocka_unit_test(test_uring_fini_leaves_descriptors_of_closed_sockets_alone),
		cmocka_unit_test(test_uring_accept_refused_pauses_until_a_socket_closes),
		cmocka_unit_test(test_uring_accept_without_descriptors_rests_and_recovers),
		cmocka_unit_test(test_uring_unlisten_lets_go_of_the_listener_at_once),
		cmocka_unit_test(test_uring_unlisten_inside_an_up_call_closes_what_came_meanwhile),
		cmocka_unit_test(test_uring_wake_ends_a_wait_without_limit),
		cmocka_unit_test(test_uring_wake_many_times_before_a_poll_is_one_write),
		cmocka_unit_test(test_uring_idle_wait_is_one_turn_and_one_syscall),
		cmocka_unit_test(test_uring_poll_fd_tells_an_outer_loop_and_down_calls_leave_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
