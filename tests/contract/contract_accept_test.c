/* SPDX-License-Identifier: MIT */
/*
 * contract_accept_test.c - listeners and accepting, on every backend: rules B10 and B11 of backend.h, adopt
 * and TAKEN. Lowers RLIMIT_NOFILE of the whole process for a moment, so nothing else runs in it.
 */
#include "common/ct.h"

#include <sys/resource.h>
#include <unistd.h>

#define BURST 150u
#define QUIET_NS 400000000 /* four times PER__ACCEPT_RETRY_MS */
#define POLLS_MAX 300u     /* a busy loop makes tens of thousands in that time */

static void close_all(struct ct *ct)
{
	for (uint32_t i = 0; i < CT_CONNS; i++) {
		if (ct->conn[i].is_used && !ct->conn[i].is_closed)
			ct_close(&ct->conn[i], PER__CLOSE_NORMAL);
	}
	CT_RUN_UNTIL(ct, ct->used == 0);
}

static void burst_run(struct ct *ct, bool is_unix)
{
	struct ct_peer peer[BURST];

	ct_listen(ct, is_unix);
	for (uint32_t i = 0; i < BURST; i++)
		ct_peer_connect(ct, &peer[i]);
	CT_RUN_UNTIL(ct, ct->accepts == BURST);
	assert_int_equal(ct->refused, 0);
	close_all(ct);
	for (uint32_t i = 0; i < BURST; i++)
		ct_peer_close(&peer[i]);
}

static void test_contract_accept_burst_over_tcp_accepts_all(void **state)
{
	burst_run(*state, false);
}

static void test_contract_accept_burst_over_unix_accepts_all(void **state)
{
	burst_run(*state, true);
}

static void test_contract_b10_refused_accept_closes_and_rests_until_a_close(void **state)
{
	struct ct *ct = *state;
	struct ct_peer first, refused, late;
	struct ct_conn *conn;
	char byte;

	ct_listen(ct, false);
	ct->conn_limit = 1;
	conn = ct_open(ct, &first);
	ct_peer_connect(ct, &refused);
	CT_RUN_UNTIL(ct, ct->refused == 1);
	(void)ct_peer_expect_end(&refused, NULL);
	ct_settle(ct);
	ct_peer_connect(ct, &late);
	ct_settle(ct);
	assert_int_equal(ct->refused, 1);
	assert_int_equal(ct_peer_recv(&late, &byte, 1), -EAGAIN);
	assert_int_equal(ct->loop.counters.accept_refused, 1);
	assert_true(ct->loop.counters.accept_pauses >= 1);
	ct_close(conn, PER__CLOSE_NORMAL);
	CT_RUN_UNTIL(ct, ct->accepts == 2);
	close_all(ct);
	ct_peer_close(&first);
	ct_peer_close(&refused);
	ct_peer_close(&late);
}

static void test_contract_b10_resting_listener_does_not_keep_poll_awake(void **state)
{
	struct ct *ct = *state;
	struct ct_peer first, refused, late[10];
	int64_t begin_ns;
	uint32_t polls = 0;

	ct_listen(ct, false);
	ct->conn_limit = 1;
	(void)ct_open(ct, &first);
	ct_peer_connect(ct, &refused);
	CT_RUN_UNTIL(ct, ct->refused == 1);
	for (int i = 0; i < 10; i++)
		ct_peer_connect(ct, &late[i]);
	for (begin_ns = ct->loop.now_ns; ct->loop.now_ns - begin_ns < QUIET_NS; polls++)
		ct_poll(ct, QUIET_NS / 8);
	assert_true(polls < POLLS_MAX);
	assert_int_equal(ct->refused, 1);
	ct_close(&ct->conn[0], PER__CLOSE_NORMAL);
	CT_RUN_UNTIL(ct, ct->accepts == 2);
	close_all(ct);
	ct_peer_close(&first);
	ct_peer_close(&refused);
	for (int i = 0; i < 10; i++)
		ct_peer_close(&late[i]);
}

/* The full table is another loop's: no close will come, so accepting has to try again by itself. */
static void test_contract_b10_refused_without_a_socket_is_tried_again(void **state)
{
	struct ct *ct = *state;
	struct ct_peer refused, late;

	ct_listen(ct, false);
	ct->conn_limit = 0;
	ct_peer_connect(ct, &refused);
	CT_RUN_UNTIL(ct, ct->refused == 1);
	ct->conn_limit = CT_CONNS;
	ct_peer_connect(ct, &late);
	CT_RUN_UNTIL(ct, ct->accepts == 1);
	close_all(ct);
	ct_peer_close(&refused);
	ct_peer_close(&late);
}

static rlim_t fd_limit_set(rlim_t limit)
{
	struct rlimit all;
	rlim_t before;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	before = all.rlim_cur;
	all.rlim_cur = limit;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	return before;
}

static void test_contract_b10_no_descriptor_left_rests_and_recovers(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[5];
	int64_t begin_ns;
	uint32_t polls = 0;
	rlim_t before = 0;
	int lowest;

	ct_listen(ct, false);
	for (int i = 0; i < 5; i++)
		ct_peer_connect(ct, &peer[i]);
	if (ct->sim != NULL) {
		sim_faults(ct->sim)->accept_emfile = SIM_MILLION;
	} else {
		lowest = dup(0);
		close(lowest);
		before = fd_limit_set((rlim_t)lowest);
	}
	for (begin_ns = ct->loop.now_ns; ct->loop.now_ns - begin_ns < QUIET_NS && polls < POLLS_MAX; polls++)
		(void)ct->be->poll(&ct->loop, QUIET_NS / 8); /* checked below, with the limit lifted */
	if (ct->sim != NULL)
		sim_faults(ct->sim)->accept_emfile = 0;
	else
		(void)fd_limit_set(before);
	assert_true(polls < POLLS_MAX);
	assert_int_equal(ct->accepts, 0);
	assert_int_equal(ct->refused, 0);
	assert_true(ct->loop.counters.accept_errors >= 1);
	assert_true(ct->loop.counters.accept_errors < POLLS_MAX);
	assert_true(ct->loop.counters.accept_pauses >= 1);
	CT_RUN_UNTIL(ct, ct->accepts == 5);
	close_all(ct);
	for (int i = 0; i < 5; i++)
		ct_peer_close(&peer[i]);
}

/* --- listen and unlisten ---------------------------------------------------------------------- */

static void test_contract_b11_unlisten_is_over_when_it_returns(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[10];

	for (int round = 0; round < 5; round++) {
		uint32_t accepts = ct->accepts;

		ct_listen(ct, round % 2 == 0);
		if (round >= 2)
			ct_settle(ct);
		for (int i = 0; i < 10; i++)
			ct_peer_connect(ct, &peer[i]);
		ct_unlisten(ct); /* spoils the listener and closes its descriptor */
		ct_settle(ct);
		if (ct->accepts != accepts)
			fail_msg("accepted after unlisten");
		for (int i = 0; i < 10; i++)
			ct_peer_close(&peer[i]);
		ct->index++; /* those wait in the simulated backlog still */
	}
}

static void test_contract_b11_unlisten_with_sockets_open_leaves_them_alone(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_unlisten(ct);
	ct_peer_send_all(&peer, "abc", 3);
	CT_RUN_UNTIL(ct, conn->got == 3);
	close_all(ct);
	ct_peer_close(&peer);
}

static void test_contract_b11_listener_can_listen_again(void **state)
{
	struct ct *ct = *state;
	struct per__listener *listener = &ct->listener;
	struct ct_peer peer[4];

	ct_listen(ct, false);
	for (int i = 0; i < 4; i++) {
		(void)ct_open(ct, &peer[i]);
		ct->be->unlisten(&ct->loop, listener);
		*listener = (struct per__listener){ .fd = listener->fd, .index = listener->index };
		if (i % 2)
			ct_settle(ct);
		assert_int_equal(ct->be->listen(&ct->loop, listener), 0);
	}
	close_all(ct);
	for (int i = 0; i < 4; i++)
		ct_peer_close(&peer[i]);
}

static void unlisten_now(struct ct *ct)
{
	ct->be->unlisten(&ct->loop, &ct->listener);
	ct->is_listening = false;
}

static void unlisten_on_recv(struct ct_conn *conn, uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	if (conn->ct->is_listening)
		unlisten_now(conn->ct);
}

/* ct_unlisten() would also close; here the descriptor is closed later. */
static void unlisten_finish(struct ct *ct)
{
	if (ct->listener.fd >= 0)
		close(ct->listener.fd);
}

static void test_contract_b11_unlisten_from_on_recv_stops_accepting_at_once(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[20], talker;

	ct_listen(ct, false);
	ct_open(ct, &talker)->on_recv = unlisten_on_recv;
	ct_settle(ct);
	for (int i = 0; i < 20; i++) {
		if (i == 10)
			assert_int_equal(ct_peer_send(&talker, "x", 1), 1);
		ct_peer_connect(ct, &peer[i]);
	}
	CT_RUN_UNTIL(ct, !ct->is_listening); /* on_accept after that is reported by ct.c */
	ct_settle(ct);
	unlisten_finish(ct);
	close_all(ct);
	ct_peer_close(&talker);
	for (int i = 0; i < 20; i++)
		ct_peer_close(&peer[i]);
}

static struct per__sock *accept_then_unlisten(struct ct *ct, int fd)
{
	struct ct_conn *conn = ct_conn_take(ct);

	(void)fd;
	ct->accepts++;
	unlisten_now(ct);
	return &conn->sock;
}

static void test_contract_b11_unlisten_from_on_accept_takes_one_only(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[10];

	ct_listen(ct, false);
	ct->on_accept = accept_then_unlisten;
	for (int i = 0; i < 10; i++)
		ct_peer_connect(ct, &peer[i]);
	CT_RUN_UNTIL(ct, ct->accepts == 1);
	ct_settle(ct);
	unlisten_finish(ct);
	assert_int_equal(ct->accepts, 1);
	close_all(ct);
	for (int i = 0; i < 10; i++)
		ct_peer_close(&peer[i]);
}

static void listen_on_wake(struct ct *ct)
{
	if (ct->is_listening)
		return;
	ct->is_listening = true;
	CT_CHECK(ct, ct->be->listen(&ct->loop, &ct->listener) == 0);
}

static void test_contract_b11_listen_from_on_wake(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;

	ct_listen(ct, false);
	unlisten_now(ct);
	ct->listener = (struct per__listener){ .fd = ct->listener.fd };
	ct_peer_connect(ct, &peer);
	ct->on_wake = listen_on_wake;
	ct->be->wake(&ct->loop);
	CT_RUN_UNTIL(ct, ct->accepts == 1);
	close_all(ct);
	ct_peer_close(&peer);
}

static void close_first_on_new(struct ct_conn *conn)
{
	struct ct *ct = conn->ct;

	if (conn != &ct->conn[0] && ct->conn[0].is_used && !ct->conn[0].is_closed)
		ct_close(&ct->conn[0], PER__CLOSE_NORMAL);
}

static void test_contract_b11_close_of_another_from_on_accept(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[2];

	ct_listen(ct, false);
	(void)ct_open(ct, &peer[0]);
	ct_settle(ct);
	assert_int_equal(ct_peer_send(&peer[0], "x", 1), 1);
	ct->on_new = close_first_on_new;
	ct_peer_connect(ct, &peer[1]);
	CT_RUN_UNTIL(ct, ct->closes == 1 && ct->accepts == 2);
	close_all(ct);
	ct_peer_close(&peer[0]);
	ct_peer_close(&peer[1]);
}

/* --- connections that go elsewhere ------------------------------------------------------------ */

static struct per__sock *adopt_and_take(struct ct *ct, int fd)
{
	struct ct_conn *conn = ct_conn_take(ct);

	CT_CHECK(ct, ct->be->adopt(&ct->loop, &conn->sock, fd) == 0);
	ct->accepts++;
	return PER__SOCK_TAKEN;
}

static void test_contract_b11_adopt_from_on_accept(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[8];

	ct_listen(ct, false);
	ct->on_accept = adopt_and_take;
	for (int i = 0; i < 8; i++) {
		struct ct_conn *conn = ct_open(ct, &peer[i]);

		assert_int_equal(ct_peer_send(&peer[i], "abc", 3), 3);
		CT_RUN_UNTIL(ct, conn->got == 3);
		ct_send_bytes(conn, "abc", 3);
		CT_RUN_UNTIL(ct, conn->sents == 1);
	}
	close_all(ct);
	for (int i = 0; i < 8; i++)
		ct_peer_close(&peer[i]);
}

static int taken_fd;

static struct per__sock *take(struct ct *ct, int fd)
{
	taken_fd = fd;
	ct->accepts++;
	return PER__SOCK_TAKEN;
}

/* An acceptor's loop hands a connection to another loop, whose turn it is later. */
static void test_contract_adopt_on_another_loop(void **state)
{
	struct ct *ct = *state;
	struct per__be_conf conf = {
		.sockets_max = 8, .recv_buf_bytes = 1024, .recv_buf_count = 8, .is_acceptor = true
	};
	struct ct acceptor = { .be = ct->be, .on_accept = take, .in_poll = true };
	struct ct_conn *conn = ct_conn_take(ct);
	struct ct_peer peer;
	int64_t limit_ns = ct_real_ns() + (int64_t)CT_PATIENCE_S * 1000000000;

	acceptor.loop.be = ct->be;
	ct_listen(ct, false);
	ct->be->unlisten(&ct->loop, &ct->listener); /* it listens on the acceptor's loop */
	assert_int_equal(ct->be->init(&acceptor.loop, &conf), 0);
	acceptor.is_listening = true;
	acceptor.listener = (struct per__listener){ .fd = ct->listener.fd, .index = ct->listener.index };
	assert_int_equal(ct->be->listen(&acceptor.loop, &acceptor.listener), 0);
	ct_peer_connect(ct, &peer);
	while (acceptor.accepts == 0 && ct_real_ns() < limit_ns)
		assert_int_equal(ct->be->poll(&acceptor.loop, CT_STEP_NS), 0);
	assert_int_equal(acceptor.accepts, 1);
	assert_string_equal(acceptor.failure, "");
	ct->be->unlisten(&acceptor.loop, &acceptor.listener);
	ct->be->fini(&acceptor.loop);
	ct->is_listening = false;
	unlisten_finish(ct);
	assert_int_equal(ct->be->adopt(&ct->loop, &conn->sock, taken_fd), 0);
	ct_peer_send_all(&peer, "abc", 3);
	CT_RUN_UNTIL(ct, conn->got == 3);
	close_all(ct);
	ct_peer_close(&peer);
}

static void test_contract_adopt_of_a_bad_descriptor_is_an_error(void **state)
{
	struct ct *ct = *state;
	struct ct_conn *conn = ct_conn_take(ct);

	if (ct->sim != NULL)
		return; /* there the core is to blame */
	if (ct->be->adopt(&ct->loop, &conn->sock, 99999) < 0)
		return;
	CT_RUN_UNTIL(ct, conn->is_closed);
	assert_true(conn->error < 0);
}

static void test_contract_b6_many_short_connections_leak_nothing(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	int fds = -1;

	ct_listen(ct, false);
	for (int i = 0; i < 300; i++) {
		struct ct_conn *conn = ct_open(ct, &peer);

		ct_peer_close(&peer);
		if (i % 2 == 0)
			CT_RUN_UNTIL(ct, conn->has_eof || conn->is_closed);
		if (!conn->is_closed)
			ct_close_wait(conn, PER__CLOSE_NORMAL);
		if (i == 100)
			fds = ct_open_fds();
	}
	assert_int_equal(ct_open_fds(), fds);
}

int main(void)
{
	const struct ct_test tests[] = {
		CT_TEST(test_contract_accept_burst_over_tcp_accepts_all),
		CT_TEST(test_contract_accept_burst_over_unix_accepts_all),
		CT_TEST(test_contract_b10_refused_accept_closes_and_rests_until_a_close),
		CT_TEST(test_contract_b10_resting_listener_does_not_keep_poll_awake),
		CT_TEST(test_contract_b10_refused_without_a_socket_is_tried_again),
		CT_TEST(test_contract_b10_no_descriptor_left_rests_and_recovers),
		CT_TEST(test_contract_b11_unlisten_is_over_when_it_returns),
		CT_TEST(test_contract_b11_unlisten_with_sockets_open_leaves_them_alone),
		CT_TEST(test_contract_b11_listener_can_listen_again),
		CT_TEST(test_contract_b11_unlisten_from_on_recv_stops_accepting_at_once),
		CT_TEST(test_contract_b11_unlisten_from_on_accept_takes_one_only),
		CT_TEST(test_contract_b11_listen_from_on_wake),
		CT_TEST(test_contract_b11_close_of_another_from_on_accept),
		CT_TEST(test_contract_b11_adopt_from_on_accept),
		CT_TEST(test_contract_adopt_on_another_loop),
		CT_TEST(test_contract_adopt_of_a_bad_descriptor_is_an_error),
		CT_TEST(test_contract_b6_many_short_connections_leak_nothing),
	};

	return ct_run(tests, PER_ARRAY_LEN(tests));
}
