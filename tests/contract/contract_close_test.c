/* SPDX-License-Identifier: MIT */
/*
 * contract_close_test.c - the end of a socket, on every backend: rules B5, B6 and B11 of backend.h.
 * ct.c reports any up-call after close but on_closed; the tear-down counts descriptors.
 */
#include "common/ct.h"

#define SEED 41u
#define BIG_BYTES (4u * 1024u * 1024u)

static void expect_closed(struct ct_conn *conn)
{
	CT_RUN_UNTIL(conn->ct, conn->is_closed);
	ct_settle(conn->ct);
	assert_int_equal(conn->closes, 1);
	assert_int_equal(conn->error, 0);
}

static void test_contract_b5_close_while_idle_is_told_once_and_from_poll(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_settle(ct);
	ct_close(conn, PER__CLOSE_NORMAL);
	assert_false(conn->is_closed);
	expect_closed(conn);
	assert_int_equal(ct_peer_expect_end(&peer, NULL), 0);
	ct_peer_close(&peer);
}

static void test_contract_b5_second_close_is_ignored(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_close(conn, PER__CLOSE_NORMAL);
	ct_close(conn, PER__CLOSE_RESET);
	ct_close(conn, PER__CLOSE_NORMAL);
	expect_closed(conn);
	ct_peer_close(&peer);
}

static void test_contract_b5_close_right_after_adopt(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = ct_adopt(ct, &peer, false);

	ct_close(conn, PER__CLOSE_NORMAL);
	expect_closed(conn);
	assert_int_equal(ct_peer_expect_end(&peer, NULL), 0);
	ct_peer_close(&peer);
}

static void test_contract_b5_close_with_unread_bytes_gives_none_of_them(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t bytes[5000] = { 0 };
	uint64_t got;

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_settle(ct);
	assert_int_equal(ct_peer_send(&peer, bytes, sizeof(bytes)), sizeof(bytes));
	got = conn->got;
	ct_close(conn, PER__CLOSE_NORMAL);
	expect_closed(conn);
	assert_int_equal(conn->got, got);
	ct_peer_close(&peer);
}

static void test_contract_b5_close_while_paused_with_bytes_held(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t bytes[3000] = { 0 };

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_settle(ct);
	assert_int_equal(ct_peer_send(&peer, bytes, sizeof(bytes)), sizeof(bytes));
	ct_pause(conn);
	ct_settle(ct);
	ct_peer_shutdown(&peer);
	ct_settle(ct);
	ct_close(conn, PER__CLOSE_NORMAL);
	expect_closed(conn);
	ct_peer_close(&peer);
}

static void test_contract_b5_close_in_the_turn_of_a_pause_or_resume(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	for (int i = 0; i < 4; i++) {
		conn = ct_open(ct, &peer);
		if (i & 1)
			ct_settle(ct);
		ct_pause(conn);
		if (i & 2)
			ct_resume(conn);
		ct_close(conn, PER__CLOSE_NORMAL);
		expect_closed(conn);
		ct_peer_close(&peer);
	}
}

static void test_contract_b5_close_with_a_send_waiting(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t *bytes = calloc(1, BIG_BYTES);

	ct_listen(ct, false);
	for (int i = 0; i < 3; i++) {
		conn = ct_open(ct, &peer);
		ct_send_bytes(conn, bytes, BIG_BYTES);
		for (int polls = 0; polls < i; polls++)
			ct_poll(ct, 0);
		ct_close(conn, i == 1 ? PER__CLOSE_RESET : PER__CLOSE_NORMAL);
		expect_closed(conn);
		assert_int_equal(conn->sents, 0);
		ct_peer_close(&peer);
	}
	free(bytes);
}

/* A send that the kernel has taken, but whose on_sent has not been told yet. */
static void test_contract_b5_close_right_after_a_send(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_send_bytes(conn, "abc", 3);
	ct_close(conn, PER__CLOSE_NORMAL);
	expect_closed(conn);
	assert_int_equal(conn->sents, 0);
	ct_peer_close(&peer);
}

static void test_contract_b5_close_with_reset_is_seen_as_reset(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_settle(ct);
	ct_close(conn, PER__CLOSE_RESET);
	expect_closed(conn);
	assert_int_equal(ct_peer_expect_end(&peer, NULL), -ECONNRESET);
	ct_peer_close(&peer);
}

static void test_contract_b5_peer_gone_and_close_at_once_is_told_once(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	for (int i = 0; i < 4; i++) {
		conn = ct_open(ct, &peer);
		ct_settle(ct);
		if (i & 1)
			ct_peer_reset(&peer);
		else
			ct_peer_close(&peer);
		if (i & 2)
			ct_send_bytes(conn, "x", 1);
		ct_close(conn, PER__CLOSE_NORMAL);
		CT_RUN_UNTIL(ct, conn->is_closed);
		ct_settle(ct);
		assert_int_equal(conn->closes, 1);
		ct_peer_close(&peer);
	}
}

/* --- from inside up-calls --------------------------------------------------------------------- */

static void close_on_recv(struct ct_conn *conn, uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	ct_close(conn, PER__CLOSE_NORMAL);
}

static void test_contract_b11_close_from_own_on_recv(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t bytes[20000] = { 0 };

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	conn->on_recv = close_on_recv;
	assert_int_equal(ct_peer_send(&peer, bytes, sizeof(bytes)), sizeof(bytes));
	expect_closed(conn);
	assert_int_equal(conn->recvs, 1);
	ct_peer_close(&peer);
}

static void test_contract_b11_close_from_own_on_recv_of_the_end(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	conn->on_recv = close_on_recv;
	ct_peer_shutdown(&peer);
	expect_closed(conn);
	assert_true(conn->has_eof);
	assert_int_equal(ct_peer_expect_end(&peer, NULL), 0);
	ct_peer_close(&peer);
}

static void send_and_close_on_recv(struct ct_conn *conn, uint8_t *data, size_t len)
{
	ct_send_bytes(conn, "bye", 3);
	ct_close(conn, PER__CLOSE_NORMAL);
	(void)data;
	(void)len;
}

static void test_contract_b11_send_then_close_from_on_recv(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	conn->on_recv = send_and_close_on_recv;
	ct_peer_send_all(&peer, "x", 1);
	expect_closed(conn);
	assert_int_equal(conn->sents, 0);
	ct_peer_close(&peer);
}

static void close_on_sent(struct ct_conn *conn)
{
	ct_close(conn, PER__CLOSE_NORMAL);
}

static void test_contract_b11_close_from_own_on_sent_delivers(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint64_t bytes;

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	conn->on_sent = close_on_sent;
	ct_send_bytes(conn, "hello", 5);
	expect_closed(conn);
	assert_int_equal(ct_peer_expect_end(&peer, &bytes), 0);
	assert_int_equal(bytes, 5);
	ct_peer_close(&peer);
}

#define CIRCLE 20u

/* Whoever is called first closes all the others, whose events may be waiting in the same turn. */
static void close_all_others(struct ct_conn *conn, uint8_t *data, size_t len)
{
	struct ct *ct = conn->ct;

	(void)data;
	(void)len;
	for (uint32_t i = 0; i < CIRCLE; i++) {
		if (&ct->conn[i] != conn && ct->conn[i].is_used && !ct->conn[i].is_closed)
			ct_close(&ct->conn[i], i % 2 ? PER__CLOSE_NORMAL : PER__CLOSE_RESET);
	}
}

static void test_contract_b11_close_of_sockets_with_events_in_the_same_turn(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[CIRCLE];
	struct ct_conn *conn[CIRCLE];

	ct_listen(ct, false);
	for (uint32_t i = 0; i < CIRCLE; i++) {
		conn[i] = ct_open(ct, &peer[i]);
		conn[i]->on_recv = close_all_others;
	}
	ct_settle(ct);
	for (uint32_t i = 0; i < CIRCLE; i++) {
		assert_int_equal(ct_peer_send(&peer[i], "hey", 3), 3);
		ct_send_bytes(conn[i], "hey", 3);
	}
	CT_RUN_UNTIL(ct, ct->closes == CIRCLE - 1);
	ct_settle(ct);
	assert_int_equal(ct->closes, CIRCLE - 1);
	for (uint32_t i = 0; i < CIRCLE; i++) {
		if (!conn[i]->is_closed)
			ct_close_wait(conn[i], PER__CLOSE_NORMAL);
		assert_int_equal(conn[i]->closes, 1);
		ct_peer_close(&peer[i]);
	}
}

static void close_all_others_on_sent(struct ct_conn *conn)
{
	close_all_others(conn, NULL, 0);
}

static void test_contract_b11_close_of_sockets_whose_sends_end_in_the_same_turn(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[CIRCLE];

	ct_listen(ct, false);
	for (uint32_t i = 0; i < CIRCLE; i++)
		ct_open(ct, &peer[i])->on_sent = close_all_others_on_sent;
	ct_settle(ct);
	for (uint32_t i = 0; i < CIRCLE; i++)
		ct_send_bytes(&ct->conn[i], "hey", 3);
	CT_RUN_UNTIL(ct, ct->closes == CIRCLE - 1);
	ct_settle(ct);
	for (uint32_t i = 0; i < CIRCLE; i++) {
		if (!ct->conn[i].is_closed)
			ct_close_wait(&ct->conn[i], PER__CLOSE_NORMAL);
		assert_int_equal(ct->conn[i].closes, 1);
		ct_peer_close(&peer[i]);
	}
}

static void close_the_next(struct ct_conn *conn)
{
	struct ct_conn *next = conn + 1;

	if (next->is_used && !next->is_closed)
		ct_close(next, PER__CLOSE_NORMAL);
}

static void test_contract_b11_close_from_another_sockets_on_closed(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[CIRCLE];

	ct_listen(ct, false);
	for (uint32_t i = 0; i < CIRCLE; i++)
		ct_open(ct, &peer[i])->on_closed = close_the_next;
	ct_settle(ct);
	ct_close(&ct->conn[0], PER__CLOSE_NORMAL);
	CT_RUN_UNTIL(ct, ct->closes == CIRCLE);
	for (uint32_t i = 0; i < CIRCLE; i++)
		ct_peer_close(&peer[i]);
}

/* --- the slot is free ------------------------------------------------------------------------- */

static void test_contract_b6_slot_is_usable_again_at_once(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t bytes[700];

	ct_listen(ct, false);
	ct->conn_limit = 1;
	ct_pattern_fill(bytes, sizeof(bytes), SEED, 0);
	for (int i = 0; i < 100; i++) {
		conn = ct_open(ct, &peer);
		assert_ptr_equal(conn, &ct->conn[0]);
		conn->is_pattern = true;
		conn->in_seed = SEED;
		assert_int_equal(ct_peer_send(&peer, bytes, sizeof(bytes)), sizeof(bytes));
		if (i % 3 == 0)
			ct_send_bytes(conn, bytes, sizeof(bytes));
		if (i % 4 == 0)
			ct_pause(conn);
		else if (i % 2 == 0)
			CT_RUN_UNTIL(ct, conn->got == sizeof(bytes));
		ct_close_wait(conn, i % 5 ? PER__CLOSE_NORMAL : PER__CLOSE_RESET);
		ct_peer_close(&peer);
	}
	assert_int_equal(ct->refused, 0);
}

static struct ct_peer reborn;

static void adopt_when_closed(struct ct_conn *conn)
{
	conn->on_closed = NULL;
	(void)ct_adopt(conn->ct, &reborn, false); /* into the very slot */
}

static void test_contract_b11_adopt_from_on_closed_into_the_same_slot(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	conn->on_closed = adopt_when_closed;
	ct_close(conn, PER__CLOSE_NORMAL);
	CT_RUN_UNTIL(ct, ct->closes == 1);
	ct_peer_close(&peer);
	assert_false(conn->is_closed);
	ct_peer_send_all(&reborn, "abc", 3);
	CT_RUN_UNTIL(ct, conn->got == 3);
	ct_send_bytes(conn, "def", 3);
	CT_RUN_UNTIL(ct, conn->sents == 1);
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	ct_peer_close(&reborn);
}

/* fini with everything still open: cut without up-calls; the tear-down finds what was left. */
static void test_contract_fini_cuts_what_is_open_without_up_calls(void **state)
{
	struct ct *ct = *state;
	struct per__be_conf conf = ct->conf;
	struct ct_peer peer[6];
	struct ct_conn *conn[6];
	uint8_t *bytes = calloc(1, BIG_BYTES);

	ct_listen(ct, false);
	for (int i = 0; i < 6; i++)
		conn[i] = ct_open(ct, &peer[i]);
	ct_settle(ct);
	ct_pause(conn[1]);
	for (int i = 1; i < 3; i++)
		assert_int_equal(ct_peer_send(&peer[i], "abc", 3), 3);
	ct_send_bytes(conn[3], bytes, BIG_BYTES);
	ct_send_bytes(conn[4], bytes, BIG_BYTES);
	ct_poll(ct, 0);
	ct_close(conn[4], PER__CLOSE_NORMAL);
	ct_close(conn[5], PER__CLOSE_RESET);
	ct_restart(ct, &conf);
	for (int i = 0; i < 6; i++) {
		(void)ct_peer_expect_end(&peer[i], NULL);
		ct_peer_close(&peer[i]);
	}
	free(bytes);
}

int main(void)
{
	const struct ct_test tests[] = {
		CT_TEST(test_contract_b5_close_while_idle_is_told_once_and_from_poll),
		CT_TEST(test_contract_b5_second_close_is_ignored),
		CT_TEST(test_contract_b5_close_right_after_adopt),
		CT_TEST(test_contract_b5_close_with_unread_bytes_gives_none_of_them),
		CT_TEST(test_contract_b5_close_while_paused_with_bytes_held),
		CT_TEST(test_contract_b5_close_in_the_turn_of_a_pause_or_resume),
		CT_TEST(test_contract_b5_close_with_a_send_waiting),
		CT_TEST(test_contract_b5_close_right_after_a_send),
		CT_TEST(test_contract_b5_close_with_reset_is_seen_as_reset),
		CT_TEST(test_contract_b5_peer_gone_and_close_at_once_is_told_once),
		CT_TEST(test_contract_b6_slot_is_usable_again_at_once),
		CT_TEST(test_contract_b11_close_from_own_on_recv),
		CT_TEST(test_contract_b11_close_from_own_on_recv_of_the_end),
		CT_TEST(test_contract_b11_send_then_close_from_on_recv),
		CT_TEST(test_contract_b11_close_from_own_on_sent_delivers),
		CT_TEST(test_contract_b11_close_of_sockets_with_events_in_the_same_turn),
		CT_TEST(test_contract_b11_close_of_sockets_whose_sends_end_in_the_same_turn),
		CT_TEST(test_contract_b11_close_from_another_sockets_on_closed),
		CT_TEST(test_contract_b11_adopt_from_on_closed_into_the_same_slot),
		CT_TEST(test_contract_fini_cuts_what_is_open_without_up_calls),
	};

	return ct_run(tests, PER_ARRAY_LEN(tests));
}
