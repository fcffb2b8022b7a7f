/* SPDX-License-Identifier: MIT */
/*
 * contract_gone_test.c - peers that leave while nothing is received from them, on every backend: the parts of
 * B7 and B8 of backend.h about resets and hang-ups. Nothing is resumed or sent here to make a backend notice.
 */
#include "common/ct.h"

#define SEED 51u
#define ROUNDS 200u
#define CROWD 60u

static void feed(struct ct_peer *peer, uint64_t offset, size_t len)
{
	uint8_t bytes[4096];

	assert_true(len <= sizeof(bytes));
	ct_pattern_fill(bytes, len, SEED, offset);
	assert_int_equal(ct_peer_send(peer, bytes, len), len);
}

static void expect_broken(struct ct_conn *conn)
{
	CT_RUN_UNTIL(conn->ct, conn->is_closed);
	ct_settle(conn->ct);
	assert_int_equal(conn->closes, 1);
	assert_true(conn->error < 0);
}

static void test_contract_b7_reset_while_paused_closes(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	ct_pause(conn);
	ct_settle(ct);
	assert_false(conn->is_closed);
	ct_peer_reset(&peer);
	expect_broken(conn);
	assert_int_equal(conn->error, -ECONNRESET);
	assert_int_equal(conn->recvs, 0);
}

static void test_contract_b7_reset_behind_bytes_that_are_held_closes(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	for (uint32_t i = 0; i < 4; i++) {
		conn = ct_open_pattern(ct, &peer, SEED);
		if (i & 1)
			ct_settle(ct); /* a receive is in flight: the bytes are held by the backend */
		feed(&peer, 0, 3000);
		ct_pause(conn);
		if (i & 2)
			ct_settle(ct); /* else pause, bytes and reset come together */
		ct_peer_reset(&peer);
		expect_broken(conn);
		assert_int_equal(conn->recvs, 0);
	}
}

/* The reset is there already when the owner pauses: what has told of it must not have been all. */
static void test_contract_b7_reset_known_before_the_pause_closes(void **state)
{
	struct ct *ct = *state;
	struct per__be_conf conf = { .sockets_max = 64, .recv_buf_bytes = 1024, .recv_buf_count = 8 };
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_restart(ct, &conf);
	ct_listen(ct, false);
	for (uint32_t len = 100; len <= 4096; len += 999) {
		conn = ct_open_pattern(ct, &peer, SEED);
		conn->on_recv = ct_pause_after_each;
		ct_settle(ct);
		feed(&peer, 0, len);
		ct_peer_reset(&peer);
		expect_broken(conn);
		assert_true(conn->recvs <= 1);
	}
}

static void test_contract_b7_reset_after_pauses_and_resumes_is_told_once(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	for (uint32_t i = 0; i < 8; i++) {
		conn = ct_open_pattern(ct, &peer, SEED);
		for (uint32_t n = 0; n < 20; n++) {
			ct_pause(conn);
			if (i & 1)
				ct_poll(ct, 0);
			feed(&peer, n * 10u, 10);
			ct_resume(conn);
			if (i & 2)
				ct_poll(ct, 0);
		}
		CT_RUN_UNTIL(ct, conn->got == 200);
		if (i & 4)
			ct_pause(conn);
		ct_peer_reset(&peer);
		expect_broken(conn);
	}
}

static void test_contract_b8_paused_behind_the_end_a_reset_closes(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	for (uint32_t i = 0; i < 2; i++) {
		conn = ct_open_pattern(ct, &peer, SEED);
		if (i == 1)
			conn->on_recv = ct_pause_after_each;
		feed(&peer, 0, 10);
		ct_peer_shutdown(&peer);
		while (!conn->has_eof) {
			ct_step(ct);
			if (conn->is_paused && !conn->has_eof)
				ct_resume(conn);
		}
		if (!conn->is_paused)
			ct_pause(conn);
		ct_settle(ct);
		assert_false(conn->is_closed); /* half of the connection is left */
		ct_peer_reset(&peer);
		expect_broken(conn);
		assert_int_equal(conn->got, 10);
	}
}

/* The simulator knows no such end, and the kernel none of TCP. */
static void test_contract_b8_paused_behind_the_end_a_closed_unix_peer_closes(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	if (ct->sim != NULL)
		return;
	for (uint32_t i = 0; i < 8; i++) {
		conn = ct_adopt(ct, &peer, false);
		conn->is_pattern = true;
		conn->in_seed = SEED;
		if (i & 1)
			ct_pause(conn); /* bytes and end are held until the owner wants them */
		ct_settle(ct);
		feed(&peer, 0, 700);
		if (i & 2)
			ct_peer_shutdown(&peer);
		if (i & 4)
			ct_settle(ct);
		ct_peer_close(&peer);
		if (i & 1) {
			ct_settle(ct);
			assert_int_equal(conn->recvs, 0);
			assert_false(conn->is_closed);
			ct_resume(conn);
		}
		CT_RUN_UNTIL(ct, conn->has_eof);
		assert_int_equal(conn->got, 700);
		ct_pause(conn);
		expect_broken(conn);
	}
}

static void test_contract_b8_paused_behind_the_end_half_a_unix_peer_stays(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = ct_adopt(ct, &peer, true);
	uint8_t bytes[30000];

	ct_peer_shutdown(&peer);
	CT_RUN_UNTIL(ct, conn->has_eof);
	ct_pause(conn);
	ct_settle(ct);
	ct_pattern_fill(bytes, sizeof(bytes), SEED, 0);
	ct_send_bytes(conn, bytes, sizeof(bytes));
	ct_peer_expect(&peer, SEED, 0, sizeof(bytes), 1000);
	CT_RUN_UNTIL(ct, conn->sents == 1);
	assert_false(conn->is_closed);
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	ct_peer_close(&peer);
}

/* Both sides have ended in order, and the owner pauses: nothing has broken. */
static void test_contract_b8_both_ends_shut_down_is_no_hang_up(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	ct_pause(conn);
	ct_settle(ct);
	ct_resume(conn);
	ct_shutdown(conn);
	ct_peer_shutdown(&peer);
	CT_RUN_UNTIL(ct, conn->has_eof);
	ct_pause(conn);
	ct_settle(ct);
	assert_false(conn->is_closed);
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	assert_int_equal(conn->error, 0);
	ct_peer_close(&peer);
}

/* The owner's close meets the reset; and slots that were watched are used again by others. */
static void test_contract_b6_resets_while_paused_leave_their_slots_usable(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	ct->conn_limit = 1;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		conn = ct_open_pattern(ct, &peer, SEED);
		assert_ptr_equal(conn, &ct->conn[0]);
		if (i % 3 != 0)
			feed(&peer, 0, 500);
		if (i % 2 == 0)
			ct_poll(ct, 0);
		ct_pause(conn);
		if (i % 5 == 0)
			ct_poll(ct, 0);
		ct_peer_reset(&peer);
		if (i % 7 == 0)
			ct_poll(ct, 0);
		if (i % 4 == 0 && !conn->is_closed)
			ct_close(conn, i % 8 == 0 ? PER__CLOSE_RESET : PER__CLOSE_NORMAL);
		CT_RUN_UNTIL(ct, conn->is_closed);
		assert_int_equal(conn->closes, 1);
	}
	assert_int_equal(ct->refused, 0);
}

static void test_contract_b7_many_resets_in_one_turn_are_all_told(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[CROWD];

	ct_listen(ct, false);
	for (uint32_t i = 0; i < CROWD; i++)
		ct_pause(ct_open_pattern(ct, &peer[i], SEED));
	ct_settle(ct);
	for (uint32_t i = 0; i < CROWD; i++)
		ct_peer_reset(&peer[i]);
	CT_RUN_UNTIL(ct, ct->closes == CROWD);
	ct_settle(ct);
	assert_int_equal(ct->closes, CROWD);
}

int main(void)
{
	const struct ct_test tests[] = {
		CT_TEST(test_contract_b7_reset_while_paused_closes),
		CT_TEST(test_contract_b7_reset_behind_bytes_that_are_held_closes),
		CT_TEST(test_contract_b7_reset_known_before_the_pause_closes),
		CT_TEST(test_contract_b7_reset_after_pauses_and_resumes_is_told_once),
		CT_TEST(test_contract_b7_many_resets_in_one_turn_are_all_told),
		CT_TEST(test_contract_b8_paused_behind_the_end_a_reset_closes),
		CT_TEST(test_contract_b8_paused_behind_the_end_a_closed_unix_peer_closes),
		CT_TEST(test_contract_b8_paused_behind_the_end_half_a_unix_peer_stays),
		CT_TEST(test_contract_b8_both_ends_shut_down_is_no_hang_up),
		CT_TEST(test_contract_b6_resets_while_paused_leave_their_slots_usable),
	};

	return ct_run(tests, PER_ARRAY_LEN(tests));
}
