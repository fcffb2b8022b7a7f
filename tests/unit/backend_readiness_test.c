/* SPDX-License-Identifier: MIT */
/*
 * backend_readiness_test.c - what is particular to epoll and kqueue: edges, turns, pauses, syscall counts.
 * Not the contract that all backends share: that is tests/contract/.
 */
#include "support/readiness_fixture.h"
#include <arpa/inet.h>

/* --- receiving -------------------------------------------------------------------------------- */

static void test_readiness_flood_takes_turns(void **state)
{
	struct fixture fx;
	struct conn *loud, *quiet;
	int loud_fd, quiet_fd;

	fixture_open(&fx, *state, false);
	loud_fd = client_accept(&fx, &loud);
	quiet_fd = client_accept(&fx, &quiet);
	assert_ptr_not_equal(loud, quiet);
	client_write(loud_fd, 10 * BUF_BYTES);
	await_queued(loud, 10 * BUF_BYTES);
	client_write(quiet_fd, 1);
	await_queued(quiet, 1);
	poll_once(&fx, -1);
	assert_int_equal(loud->recvs, PER__READY_READS_PER_TURN);
	assert_int_equal(quiet->recvs, 1);
	/* No new edge will come for what is left: these must not block and must not forget it. */
	poll_once(&fx, -1);
	assert_int_equal(loud->recvs, 2 * PER__READY_READS_PER_TURN);
	poll_once(&fx, -1);
	assert_int_equal(loud->received, 10 * BUF_BYTES);
	close(loud_fd);
	close(quiet_fd);
	fixture_close(&fx);
}

static void test_readiness_capped_socket_with_new_edge_takes_one_turn(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	client_write(fd, 6 * BUF_BYTES);
	await_queued(conn, 6 * BUF_BYTES);
	poll_once(&fx, -1);
	assert_int_equal(conn->recvs, PER__READY_READS_PER_TURN);
	client_write(fd, 6 * BUF_BYTES); /* listed and an edge at once */
	await_queued(conn, 8 * BUF_BYTES);
	poll_once(&fx, -1);
	assert_int_equal(conn->recvs, 2 * PER__READY_READS_PER_TURN);
	POLL_UNTIL(&fx, conn->received == 12 * BUF_BYTES);
	close(fd);
	fixture_close(&fx);
}

static void answer(struct fixture *fx, struct conn *conn, const uint8_t *data, size_t len)
{
	(void)data;
	if (len == 0)
		return;
	conn->iov[0] = (struct iovec){ (void *)(uintptr_t) "ok", 2 };
	fx->be->send(&fx->loop, &conn->sock, conn->iov, 1);
}

static void test_readiness_exchange_costs_three_syscalls(void **state)
{
	struct fixture fx;
	struct conn *conn;
	uint64_t before;
	char buf[8];
	int fd;

	fixture_open(&fx, *state, false);
	fx.on_recv = answer;
	fd = client_accept(&fx, &conn);
	poll_once(&fx, 0);
	before = syscalls(&fx);
	for (unsigned i = 1; i <= 10; i++) {
		client_write(fd, 10);
		await_queued(conn, 10);
		poll_once(&fx, -1);
		assert_int_equal(conn->sents, i); /* in the same poll, so that the next one can block */
		assert_int_equal(read(fd, buf, sizeof(buf)), 2);
	}
	assert_int_equal(syscalls(&fx) - before, 10 * 3); /* wait, recv, send */
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_data_and_end_in_one_edge_are_both_delivered(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	client_write(fd, 10);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	await_events(conn, POLLIN | POLLRDHUP);
	poll_once(&fx, -1);
	assert_int_equal(conn->received, 10);
	assert_int_equal(conn->ends, 1);
	assert_int_equal(conn->sock.state, PER__SOCK_OPEN);
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_end_behind_a_full_turn_is_delivered(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	client_write(fd, PER__READY_READS_PER_TURN * BUF_BYTES);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	await_events(conn, POLLIN | POLLRDHUP);
	await_queued(conn, PER__READY_READS_PER_TURN * BUF_BYTES);
	poll_once(&fx, -1);
	assert_int_equal(conn->ends, 0);
	poll_once(&fx, -1);
	assert_int_equal(conn->ends, 1);
	close(fd);
	fixture_close(&fx);
}

/* --- pausing ---------------------------------------------------------------------------------- */

static void test_readiness_paused_edge_is_delivered_by_resume(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	fx.be->recv_pause(&fx.loop, &conn->sock);
	client_write(fd, 100);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	await_events(conn, POLLIN | POLLRDHUP);
	poll_once(&fx, 0);
	poll_once(&fx, 0);
	assert_int_equal(conn->recvs + conn->ends, 0);
	fx.be->recv_resume(&fx.loop, &conn->sock);
	assert_int_equal(conn->recvs + conn->ends, 0);
	poll_once(&fx, -1);
	assert_int_equal(conn->received, 100);
	assert_int_equal(conn->ends, 1);
	close(fd);
	fixture_close(&fx);
}

static void pause_after_one(struct fixture *fx, struct conn *conn, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	fx->be->recv_pause(&fx->loop, &conn->sock);
}

static void test_readiness_pause_inside_a_read_stops_it(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fx.on_recv = pause_after_one;
	fd = client_accept(&fx, &conn);
	client_write(fd, 3 * BUF_BYTES);
	await_queued(conn, 3 * BUF_BYTES);
	for (unsigned i = 1; i <= 3; i++) {
		poll_once(&fx, -1);
		assert_int_equal(conn->recvs, i);
		poll_once(&fx, 0);
		assert_int_equal(conn->recvs, i);
		fx.be->recv_resume(&fx.loop, &conn->sock);
	}
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_reset_while_paused_closes(void **state)
{
	struct fixture fx;
	struct conn *conn;

	fixture_open(&fx, *state, false);
	int fd = client_accept(&fx, &conn);
	fx.be->recv_pause(&fx.loop, &conn->sock);
	client_reset(fd);
	POLL_UNTIL(&fx, conn->closes == 1);
	assert_int_equal(conn->error, -ECONNRESET);
	assert_int_equal(conn->recvs + conn->ends, 0);
	fixture_close(&fx);
}

static void test_readiness_reset_after_the_end_closes_once(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	POLL_UNTIL(&fx, conn->ends == 1);
	client_reset(fd);
	POLL_UNTIL(&fx, conn->closes == 1);
	assert_true(conn->error < 0);
	poll_once(&fx, 0);
	assert_int_equal(conn->closes, 1);
	fixture_close(&fx);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Fills out with numbers that depend on their place, cut into the connection's whole iovec array. */
static void send_numbered(struct fixture *fx, struct conn *conn, uint8_t *out, size_t len)
{
	size_t count = PER_ARRAY_LEN(conn->iov), piece = len / count;

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(i * 31 + (i >> 8));
	for (size_t i = 0; i < count; i++)
		conn->iov[i] = (struct iovec){ out + i * piece, piece };
	conn->iov[count - 1].iov_len = len - (count - 1) * piece;
	fx->be->send(&fx->loop, &conn->sock, conn->iov, (uint32_t)count);
}

static void read_numbered(struct fixture *fx, int fd, size_t len, size_t step)
{
	uint8_t buf[BUF_BYTES];
	size_t got = 0;

	while (got < len) {
		ssize_t n = recv(fd, buf, PER_MIN(step, sizeof(buf)), MSG_DONTWAIT);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			poll_once(fx, 10 * MS);
			continue;
		}
		assert_true(n > 0);
		for (size_t i = 0; i < (size_t)n; i++, got++)
			assert_int_equal(buf[i], (uint8_t)(got * 31 + (got >> 8)));
	}
}

static void send_through_small_buffer(const struct per__backend *be, bool is_unix)
{
	const size_t len = 1000003;
	uint8_t *out = malloc(len);
	struct fixture fx;
	struct conn *conn;
	int fd;

	assert_non_null(out);
	fixture_open(&fx, be, is_unix);
	fd = client_accept(&fx, &conn);
	assert_int_equal(setsockopt(conn->sock.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)), 0);
	for (unsigned round = 1; round <= 2; round++) {
		send_numbered(&fx, conn, out, len);
		poll_once(&fx, 0);
		assert_int_equal(conn->sents, round - 1);
		read_numbered(&fx, fd, len, 3000);
		POLL_UNTIL(&fx, conn->sents == round);
		assert_int_equal(conn->sock.bytes_out, round * len);
	}
	close(fd);
	fixture_close(&fx);
	free(out);
}

static void test_readiness_large_send_into_a_small_tcp_buffer_completes_once(void **state)
{
	send_through_small_buffer(*state, false);
}

static void test_readiness_large_send_into_a_small_unix_buffer_completes_once(void **state)
{
	send_through_small_buffer(*state, true);
}

static void test_readiness_blocked_send_does_not_spin(void **state)
{
	static uint8_t out[8u << 20];
	struct fixture fx;
	struct conn *conn;
	uint64_t before;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	send_numbered(&fx, conn, out, sizeof(out));
	for (unsigned i = 0; i < 100; i++)
		poll_once(&fx, MS);
	assert_int_equal(conn->sents, 0);
	before = syscalls(&fx);
	for (unsigned i = 0; i < 10; i++)
		poll_once(&fx, MS);
	assert_int_equal(syscalls(&fx) - before, 10);
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_blocked_again_costs_no_registration(void **state)
{
	static uint8_t out[100000];
	struct fixture fx;
	struct conn *conn;
	uint64_t before;
	int fd;

	fixture_open(&fx, *state, true);
	fd = client_accept(&fx, &conn);
	assert_int_equal(setsockopt(conn->sock.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)), 0);
	for (unsigned round = 1; round <= 3; round++) {
		poll_once(&fx, 0);
		before = syscalls(&fx);
		send_numbered(&fx, conn, out, sizeof(out));
		poll_once(&fx, 0);
		if (round > 1)
			assert_int_equal(syscalls(&fx) - before,
					 2); /* send and wait; writability is watched since */
		read_numbered(&fx, fd, sizeof(out), BUF_BYTES);
		POLL_UNTIL(&fx, conn->sents == round);
	}
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_send_between_polls_is_reported_by_the_next(void **state)
{
	struct fixture fx;
	struct conn *conn;
	char buf[8];
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	answer(&fx, conn, NULL, 1);
	assert_int_equal(conn->sents, 0);
	poll_once(&fx, -1); /* nothing else would end this wait */
	assert_int_equal(conn->sents, 1);
	assert_int_equal(read(fd, buf, sizeof(buf)), 2);
	close(fd);
	fixture_close(&fx);
}

static void answer_again(struct fixture *fx, struct conn *conn)
{
	if (conn->sents < 100)
		answer(fx, conn, NULL, 1);
}

static void test_readiness_send_from_on_sent_goes_on(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fx.on_sent = answer_again;
	fd = client_accept(&fx, &conn);
	answer(&fx, conn, NULL, 1);
	while (conn->sents < 100)
		poll_once(&fx, -1);
	assert_int_equal(conn->sock.bytes_out, 200);
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_send_to_a_reset_peer_closes_once(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	client_reset(fd);
	await_events(conn, POLLERR);
	answer(&fx, conn, NULL, 1);
	POLL_UNTIL(&fx, conn->closes == 1);
	assert_true(conn->error == -ECONNRESET || conn->error == -EPIPE);
	assert_int_equal(conn->sents, 0);
	poll_once(&fx, 0);
	assert_int_equal(conn->closes, 1);
	fixture_close(&fx);
}

/* --- closing ---------------------------------------------------------------------------------- */

static void close_the_victim(struct fixture *fx, struct conn *conn, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	fx->victim = conn == &fx->conns[0] ? &fx->conns[1] : &fx->conns[0];
	fx->be->close(&fx->loop, &fx->victim->sock, PER__CLOSE_NORMAL);
	fx->be->close(&fx->loop, &fx->victim->sock, PER__CLOSE_RESET);
}

static void test_readiness_socket_closed_in_the_same_batch_is_silent(void **state)
{
	struct fixture fx;
	struct conn *a, *b;
	int a_fd, b_fd;

	fixture_open(&fx, *state, false);
	fx.on_recv = close_the_victim;
	a_fd = client_accept(&fx, &a);
	b_fd = client_accept(&fx, &b);
	client_write(a_fd, 1);
	client_write(b_fd, 1);
	await_queued(a, 1);
	await_queued(b, 1);
	poll_once(&fx, -1);
	assert_int_equal(a->recvs + b->recvs, 1);
	assert_int_equal(fx.closes, 0); /* an event of this batch could still name the slot */
	poll_once(&fx, -1);
	assert_int_equal(fx.closes, 1);
	assert_int_equal(fx.victim->closes, 1);
	assert_int_equal(fx.victim->error, 0);
	assert_int_equal(fx.victim->recvs, 0);
	close(a_fd);
	close(b_fd);
	fixture_close(&fx);
}

static void test_readiness_socket_closed_while_its_turn_is_due_is_silent(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd[2];

	fixture_open(&fx, *state, false);
	fx.on_recv = close_the_victim;
	for (unsigned i = 0; i < 2; i++) {
		fd[i] = client_accept(&fx, &conn);
		fx.be->recv_pause(&fx.loop, &conn->sock);
		client_write(fd[i], 1);
		await_queued(conn, 1);
		poll_once(&fx, -1);
	}
	for (unsigned i = 0; i < 2; i++)
		fx.be->recv_resume(&fx.loop, &fx.conns[i].sock);
	poll_once(&fx, -1);
	assert_int_equal(fx.conns[0].recvs, 1);
	assert_int_equal(fx.conns[1].recvs, 0);
	assert_int_equal(fx.closes, 0);
	poll_once(&fx, -1);
	assert_int_equal(fx.conns[1].closes, 1);
	close(fd[0]);
	close(fd[1]);
	fixture_close(&fx);
}

static int replacement[2];

static void adopt_replacement(struct fixture *fx, struct conn *conn)
{
	fx->on_closed = NULL;
	memset(&conn->sock, 0, sizeof(conn->sock));
	conn->is_closed = false;
	assert_int_equal(fx->be->adopt(&fx->loop, &conn->sock, replacement[0]), 0);
}

static void test_readiness_slot_reused_in_on_closed_meets_nothing_of_the_old(void **state)
{
	struct fixture fx;
	int first[2];

	fixture_open(&fx, *state, false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, replacement), 0);
	fx.conns[0].is_used = true;
	fx.on_closed = adopt_replacement;
	assert_int_equal(fx.be->adopt(&fx.loop, &fx.conns[0].sock, first[0]), 0);
	fx.be->close(&fx.loop, &fx.conns[0].sock, PER__CLOSE_NORMAL); /* perhaps before it was registered */
	poll_once(&fx, -1);
	assert_int_equal(fx.closes, 1);
	client_write(replacement[1], 10);
	POLL_UNTIL(&fx, fx.conns[0].received == 10);
	assert_int_equal(fx.closes, 1);
	close(first[1]);
	close(replacement[1]);
	fixture_close(&fx);
}

static void test_readiness_end_is_not_told_again_by_resume(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	POLL_UNTIL(&fx, conn->ends == 1);
	fx.be->recv_pause(&fx.loop, &conn->sock);
	fx.be->shutdown(&fx.loop, &conn->sock); /* now both sides have ended, which is an event */
	poll_once(&fx, 20 * MS);
	fx.be->recv_resume(&fx.loop, &conn->sock);
	poll_once(&fx, 0);
	assert_int_equal(conn->ends, 1);
	assert_int_equal(conn->closes, 0);
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_close_drops_the_send_and_what_was_listed(void **state)
{
	static uint8_t out[8u << 20];
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	send_numbered(&fx, conn, out, sizeof(out));
	poll_once(&fx, 0);
	client_write(fd, 8 * BUF_BYTES);
	await_queued(conn, 8 * BUF_BYTES);
	poll_once(&fx, -1);
	assert_int_equal(conn->recvs, PER__READY_READS_PER_TURN);
	fx.be->close(&fx.loop, &conn->sock, PER__CLOSE_RESET);
	poll_once(&fx, -1);
	assert_int_equal(conn->recvs, PER__READY_READS_PER_TURN);
	assert_int_equal(conn->sents, 0);
	assert_int_equal(conn->closes, 1);
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_fini_cuts_what_is_open_without_up_calls(void **state)
{
	unsigned before = fds_open();
	struct fixture fx;
	struct conn *conn;
	char byte;
	int fd[3];

	fixture_open(&fx, *state, false);
	for (unsigned i = 0; i < 3; i++)
		fd[i] = client_accept(&fx, &conn);
	fx.be->close(&fx.loop, &fx.conns[1].sock, PER__CLOSE_NORMAL);
	fx.be->fini(&fx.loop);
	assert_int_equal(fx.closes, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(read(fd[i], &byte, 1), 0);
		close(fd[i]);
	}
	close(fx.listener.fd);
	free(fx.conns);
	assert_int_equal(fds_open(), before);
}

static void close_at_end(struct fixture *fx, struct conn *conn, const uint8_t *data, size_t len)
{
	(void)data;
	if (len == 0)
		fx->be->close(&fx->loop, &conn->sock, PER__CLOSE_NORMAL);
}

static void test_readiness_ten_thousand_connections_leak_nothing(void **state)
{
	enum { ROUNDS = 100, CLIENTS = 100 };
	struct fixture fx;
	int fd[CLIENTS];
	unsigned before;

	fixture_open(&fx, *state, true);
	fx.is_reusing = true;
	fx.on_recv = close_at_end;
	before = fds_open();
	for (unsigned round = 1; round <= ROUNDS; round++) {
		for (unsigned i = 0; i < CLIENTS; i++)
			fd[i] = client_open(&fx);
		POLL_UNTIL(&fx, fx.accepts == round * CLIENTS);
		for (unsigned i = 0; i < CLIENTS; i++)
			close(fd[i]);
		POLL_UNTIL(&fx, fx.closes == round * CLIENTS);
	}
	assert_int_equal(fds_open(), before);
	fixture_close(&fx);
}

/* --- waking and waiting ----------------------------------------------------------------------- */

struct waker {
	struct fixture *fx;
	uint32_t posted;
};

enum { WAKES = 5000 };

static void *wake_often(void *arg)
{
	struct waker *waker = arg;

	for (unsigned i = 0; i < WAKES; i++) {
		__atomic_fetch_add(&waker->posted, 1, __ATOMIC_RELEASE);
		waker->fx->be->wake(&waker->fx->loop);
	}
	return NULL;
}

static void test_readiness_wake_from_a_thread_is_never_lost(void **state)
{
	struct waker waker = { 0 };
	struct fixture fx;
	pthread_t thread;
	uint32_t seen = 0;

	fixture_open(&fx, *state, false);
	waker.fx = &fx;
	assert_int_equal(pthread_create(&thread, NULL, wake_often, &waker), 0);
	while (seen < WAKES) {
		unsigned before = fx.wakes;

		while (fx.wakes == before)
			poll_once(&fx, -1);
		seen = __atomic_load_n(&waker.posted, __ATOMIC_ACQUIRE);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	poll_once(&fx, 0);
	assert_true(fx.wakes <= WAKES);
	seen = fx.wakes;
	poll_once(&fx, 0);
	assert_int_equal(fx.wakes, seen); /* nothing is left over */
	fixture_close(&fx);
}

static void test_readiness_each_wake_ends_one_wait(void **state)
{
	struct fixture fx;

	fixture_open(&fx, *state, false);
	for (unsigned i = 1; i <= 3; i++) {
		fx.be->wake(&fx.loop);
		if (i == 3)
			fx.be->wake(&fx.loop); /* changes nothing */
		poll_once(&fx, -1);
		assert_int_equal(fx.wakes, i);
		poll_once(&fx, 0);
		assert_int_equal(fx.wakes, i);
	}
	fixture_close(&fx);
}

static bool is_readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static void test_readiness_poll_fd_shows_queued_work(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd, poll_fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	poll_once(&fx, 0);
	poll_fd = fx.be->poll_fd(&fx.loop);
	assert_true(poll_fd >= 0);
	assert_false(is_readable(poll_fd));
	answer(&fx, conn, NULL, 1);
	assert_true(is_readable(poll_fd));
	poll_once(&fx, 0);
	assert_int_equal(conn->sents, 1);
	poll_once(&fx, 0);
	assert_false(is_readable(poll_fd));
	assert_int_equal(fx.wakes, 0);
	client_write(fd, 1);
	await_queued(conn, 1);
	assert_true(is_readable(poll_fd));
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_adopted_socket_with_waiting_data_receives_it(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int pair[2];

	fixture_open(&fx, *state, false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0); /* blocking: adopt has to cope */
	client_write(pair[1], 3 * BUF_BYTES);
	conn = &fx.conns[0];
	conn->is_used = true;
	assert_int_equal(fx.be->adopt(&fx.loop, &conn->sock, pair[0]), 0);
	assert_int_equal(conn->recvs, 0);
	poll_once(&fx, -1);
	assert_int_equal(conn->received, 3 * BUF_BYTES);
	close(pair[1]);
	POLL_UNTIL(&fx, conn->ends == 1);
	fixture_close(&fx);
}

static void test_readiness_adopted_and_closed_at_once_leaves_others_alone(void **state)
{
	struct fixture fx;
	int first[2], second[2];

	fixture_open(&fx, *state, false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
	fx.conns[0].is_used = fx.conns[1].is_used = true;
	assert_int_equal(fx.be->adopt(&fx.loop, &fx.conns[0].sock, first[0]), 0);
	assert_int_equal(fx.be->adopt(&fx.loop, &fx.conns[1].sock, second[0]), 0);
	fx.be->close(&fx.loop, &fx.conns[0].sock, PER__CLOSE_NORMAL); /* perhaps before it was registered */
	client_write(second[1], 10);
	poll_once(&fx, -1);
	POLL_UNTIL(&fx, fx.conns[1].received == 10);
	assert_int_equal(fx.conns[0].closes, 1);
	assert_int_equal(fx.conns[0].error, 0);
	close(first[1]);
	close(second[1]);
	fixture_close(&fx);
}

static void test_readiness_short_waits_end(void **state)
{
	struct fixture fx;
	int64_t before;

	fixture_open(&fx, *state, false);
	before = fx.loop.now_ns;
	assert_true(before > 0);
	for (unsigned i = 0; i < 3; i++)
		poll_once(&fx, 1); /* one nanosecond */
	poll_once(&fx, 20 * MS);
	assert_true(fx.loop.now_ns > before);
	/* The clock ticks seldom: a wait that has passed has to show, or its owner would ask on and on. */
	for (unsigned i = 0; i < 20; i++) {
		before = fx.loop.now_ns;
		poll_once(&fx, MS / 4);
		assert_true(fx.loop.now_ns >= before + MS / 4);
	}
	fixture_close(&fx);
}

static void test_readiness_probe_works(void **state)
{
	const struct per__backend *be = *state;
	struct per__probe probe;

	assert_int_equal(be->probe(&probe), 0);
	assert_string_equal(probe.reason, "works here");
}

#define TESTS(X)                                              \
	X(probe_works)                                        \
	X(flood_takes_turns)                                  \
	X(capped_socket_with_new_edge_takes_one_turn)         \
	X(exchange_costs_three_syscalls)                      \
	X(data_and_end_in_one_edge_are_both_delivered)        \
	X(end_behind_a_full_turn_is_delivered)                \
	X(paused_edge_is_delivered_by_resume)                 \
	X(pause_inside_a_read_stops_it)                       \
	X(reset_while_paused_closes)                          \
	X(reset_after_the_end_closes_once)                    \
	X(large_send_into_a_small_tcp_buffer_completes_once)  \
	X(large_send_into_a_small_unix_buffer_completes_once) \
	X(blocked_send_does_not_spin)                         \
	X(send_between_polls_is_reported_by_the_next)         \
	X(send_from_on_sent_goes_on)                          \
	X(send_to_a_reset_peer_closes_once)                   \
	X(socket_closed_in_the_same_batch_is_silent)          \
	X(socket_closed_while_its_turn_is_due_is_silent)      \
	X(slot_reused_in_on_closed_meets_nothing_of_the_old)  \
	X(end_is_not_told_again_by_resume)                    \
	X(close_drops_the_send_and_what_was_listed)           \
	X(fini_cuts_what_is_open_without_up_calls)            \
	X(ten_thousand_connections_leak_nothing)              \
	X(wake_from_a_thread_is_never_lost)                   \
	X(each_wake_ends_one_wait)                            \
	X(adopted_and_closed_at_once_leaves_others_alone)     \
	X(blocked_again_costs_no_registration)                \
	X(poll_fd_shows_queued_work)                          \
	X(adopted_socket_with_waiting_data_receives_it)       \
	X(short_waits_end)

int main(void)
{
	RUN_ON_EACH(TESTS);
}
