/* SPDX-License-Identifier: MIT */
/*
 * contract_recv_test.c - receiving, on every backend: rules B4, B7, B8 and B9 of backend.h; pausing in all
 * orders. The recording core checks order, the pause and the end at every up-call; the tests make the
 * situations.
 */
#include "common/ct.h"

#define SEED 31u
#define LONG_BYTES (1024u * 1024u)
#define HOLDERS 120u

/* The peer sends the next len bytes of its pattern. */
static void feed(struct ct_peer *peer, uint64_t offset, size_t len)
{
	uint8_t *bytes = malloc(len);

	assert_non_null(bytes);
	ct_pattern_fill(bytes, len, SEED, offset);
	ct_peer_send_all(peer, bytes, len);
	free(bytes);
}

static void end(struct ct_conn *conn, struct ct_peer *peer)
{
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	assert_int_equal(conn->closes, 1);
	assert_int_equal(conn->error, 0);
	ct_peer_close(peer);
}

static void test_contract_b4_long_stream_changed_in_place_arrives_whole(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	size_t len = ct->variant->with_faults ? 20000 : LONG_BYTES;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	feed(&peer, 0, len);
	CT_RUN_UNTIL(ct, conn->got == len);
	end(conn, &peer);
}

static void test_contract_b4_bytes_sent_before_the_accept_arrive(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	uint8_t bytes[100];

	ct_listen(ct, false);
	ct_peer_connect(ct, &peer);
	ct_pattern_fill(bytes, sizeof(bytes), SEED, 0);
	assert_int_equal(ct_peer_send(&peer, bytes, sizeof(bytes)), sizeof(bytes));
	ct_peer_shutdown(&peer);
	CT_RUN_UNTIL(ct, ct->accepts == 1 && ct->conn[0].has_eof);
	assert_int_equal(ct->conn[0].got, sizeof(bytes));
	assert_memory_equal(ct->conn[0].keep, bytes, sizeof(bytes));
	end(&ct->conn[0], &peer);
}

static void test_contract_b8_end_is_told_once_and_sending_goes_on(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t bytes[3000];

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	feed(&peer, 0, 10);
	ct_peer_shutdown(&peer);
	CT_RUN_UNTIL(ct, conn->has_eof);
	assert_int_equal(conn->got, 10);
	ct_settle(ct);
	assert_false(conn->is_closed);
	ct_pattern_fill(bytes, sizeof(bytes), SEED, 0);
	for (uint32_t i = 1; i <= 3; i++) {
		ct_send_bytes(conn, bytes, sizeof(bytes));
		ct_peer_expect(&peer, SEED, 0, sizeof(bytes), 0);
		CT_RUN_UNTIL(ct, conn->sents == i);
	}
	end(conn, &peer);
}

/* Pausing, sending and resuming behind the end make new edges of readiness; none of them is another end. */
static void test_contract_b8_end_is_told_once_whatever_comes_after(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = ct_adopt(ct, &peer, true);
	uint8_t bytes[50000];
	uint32_t recvs;

	ct_peer_shutdown(&peer);
	CT_RUN_UNTIL(ct, conn->has_eof);
	recvs = conn->recvs;
	ct_pattern_fill(bytes, sizeof(bytes), SEED, 0);
	for (uint32_t i = 1; i <= 4; i++) {
		ct_pause(conn);
		ct_send_bytes(conn, bytes, sizeof(bytes));
		ct_peer_expect(&peer, SEED, 0, sizeof(bytes), i % 2 ? 0 : 1000);
		CT_RUN_UNTIL(ct, conn->sents == i);
		ct_resume(conn);
		ct_settle(ct);
	}
	assert_int_equal(conn->recvs, recvs);
	end(conn, &peer);
}

static void test_contract_b7_paused_socket_receives_nothing_until_resumed(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	ct_pause(conn);
	feed(&peer, 0, 3000);
	ct_settle(ct);
	assert_int_equal(conn->recvs, 0);
	ct_resume(conn);
	assert_int_equal(conn->recvs, 0); /* B1 */
	CT_RUN_UNTIL(ct, conn->got == 3000);
	end(conn, &peer);
}

static void test_contract_b7_paused_before_the_first_poll_receives_nothing(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = ct_adopt(ct, &peer, false);

	ct_pause(conn);
	conn->is_pattern = true;
	conn->in_seed = SEED;
	feed(&peer, 0, 100);
	ct_settle(ct);
	assert_int_equal(conn->recvs, 0);
	ct_resume(conn);
	CT_RUN_UNTIL(ct, conn->got == 100);
	end(conn, &peer);
}

static void test_contract_b7_bytes_that_came_before_the_pause_are_held(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	ct_settle(ct);
	feed(&peer, 0, 2000); /* completed in the kernel, not told yet */
	ct_pause(conn);
	ct_settle(ct);
	assert_true(conn->got <= 2000);
	feed(&peer, 2000, 2000);
	ct_settle(ct);
	ct_resume(conn);
	CT_RUN_UNTIL(ct, conn->got == 4000);
	end(conn, &peer);
}

static void test_contract_b7_end_of_stream_is_held_while_paused(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	ct_settle(ct);
	ct_pause(conn);
	feed(&peer, 0, 50);
	ct_peer_shutdown(&peer);
	ct_settle(ct);
	assert_int_equal(conn->recvs, 0);
	assert_false(conn->is_closed);
	ct_resume(conn);
	CT_RUN_UNTIL(ct, conn->has_eof);
	assert_int_equal(conn->got, 50);
	end(conn, &peer);
}

static void test_contract_b7_only_the_end_held_while_paused(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, true);
	conn = ct_open_pattern(ct, &peer, SEED);
	ct_settle(ct);
	ct_peer_shutdown(&peer);
	ct_pause(conn);
	ct_settle(ct);
	assert_false(conn->has_eof);
	ct_resume(conn);
	CT_RUN_UNTIL(ct, conn->has_eof);
	ct_settle(ct);
	end(conn, &peer);
}

static void test_contract_b7_pause_and_resume_repeated_are_harmless(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	for (uint32_t i = 0; i < 50; i++) {
		ct_pause(conn);
		ct_pause(conn);
		if (i % 3 == 0)
			ct_poll(ct, 0);
		feed(&peer, i * 100u, 100);
		ct_resume(conn);
		ct_resume(conn);
		if (i % 2 == 0)
			ct_pause(conn);
		if (i % 5 == 0)
			ct_poll(ct, 0);
		ct_resume(conn);
		if (i % 7 == 0)
			ct_settle(ct);
	}
	CT_RUN_UNTIL(ct, conn->got == 5000);
	end(conn, &peer);
}

static void test_contract_b7_pause_from_on_recv_holds_the_rest_at_once(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	conn->on_recv = ct_pause_after_each;
	feed(&peer, 0, 60000);
	ct_peer_shutdown(&peer);
	for (uint32_t recvs = 1; !conn->has_eof; recvs++) {
		CT_RUN_UNTIL(ct, conn->recvs == recvs);
		ct_poll(ct, 0);
		assert_int_equal(conn->recvs, recvs);
		ct_resume(conn);
	}
	assert_int_equal(conn->got, 60000);
	end(conn, &peer);
}

static void pause_resume_inside(struct ct_conn *conn, uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	ct_pause(conn);
	ct_resume(conn);
	if (++conn->n % 3 == 0)
		ct_pause(conn);
}

static void test_contract_b7_pause_and_resume_inside_on_recv_keep_order(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	size_t len = ct->variant->with_faults ? 3000 : 100000;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	conn->on_recv = pause_resume_inside;
	feed(&peer, 0, len);
	while (conn->got < len) {
		if (conn->is_paused)
			ct_resume(conn);
		ct_step(ct);
	}
	end(conn, &peer);
}

static void resume_the_other(struct ct_conn *conn)
{
	ct_resume(conn->arg);
}

static void test_contract_b7_resume_from_another_sockets_on_sent(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[2];
	struct ct_conn *conn[2];

	ct_listen(ct, false);
	conn[0] = ct_open_pattern(ct, &peer[0], SEED);
	conn[1] = ct_open_pattern(ct, &peer[1], SEED);
	ct_pause(conn[0]);
	feed(&peer[0], 0, 500);
	ct_settle(ct);
	conn[1]->arg = conn[0];
	conn[1]->on_sent = resume_the_other;
	ct_send_bytes(conn[1], "x", 1);
	CT_RUN_UNTIL(ct, conn[0]->got == 500);
	end(conn[0], &peer[0]);
	end(conn[1], &peer[1]);
}

static void test_contract_b8_bytes_before_a_half_close_and_one_byte_segments(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	for (uint32_t i = 0; i < 500; i++) {
		feed(&peer, i, 1);
		if (i % 3 == 0)
			ct_poll(ct, 0);
	}
	ct_peer_shutdown(&peer);
	CT_RUN_UNTIL(ct, conn->has_eof);
	assert_int_equal(conn->got, 500);
	end(conn, &peer);
}

/* Few buffers, many talkers, half of them paused with bytes held: nobody is closed and everything arrives. */
static void test_contract_b9_starved_of_buffers_everything_arrives(void **state)
{
	struct ct *ct = *state;
	struct per__be_conf conf = { .sockets_max = 64, .recv_buf_bytes = 1024, .recv_buf_count = 8 };
	struct ct_peer peer[40];
	struct ct_conn *conn[40];
	const size_t len = ct->variant->with_faults ? 2000 : 30000;

	ct_restart(ct, &conf);
	ct_listen(ct, false);
	for (size_t i = 0; i < 40; i++) {
		conn[i] = ct_open_pattern(ct, &peer[i], SEED);
		if (i % 4 == 0)
			conn[i]->on_recv = ct_pause_after_each;
	}
	for (size_t i = 0; i < 40; i++) {
		uint8_t bytes[30000];

		ct_pattern_fill(bytes, len, SEED, 0);
		assert_int_equal(ct_peer_send(&peer[i], bytes, len), len);
	}
	for (size_t i = 0; i < 40; i++) {
		if (i % 4 != 0)
			CT_RUN_UNTIL(ct, conn[i]->got == len);
	}
	for (size_t i = 0; i < 40; i += 4) {
		conn[i]->on_recv = NULL;
		if (conn[i]->is_paused)
			ct_resume(conn[i]);
		CT_RUN_UNTIL(ct, conn[i]->got == len);
	}
	assert_int_equal(ct->closes, 0);
	for (size_t i = 0; i < 40; i++)
		end(conn[i], &peer[i]);
}

/* Buffers are held by paused sockets, which are closed, again and again: no buffer may be lost by it. */
static void test_contract_b9_buffers_held_by_paused_sockets_come_back_with_their_close(void **state)
{
	struct ct *ct = *state;
	struct per__be_conf conf = { .sockets_max = 64, .recv_buf_bytes = 1024, .recv_buf_count = 8 };
	struct ct_peer talker, peer[6];
	struct ct_conn *listening, *conn[6];

	ct_restart(ct, &conf);
	ct_listen(ct, false);
	listening = ct_open_pattern(ct, &talker, SEED);
	for (uint32_t round = 0; round < 40; round++) {
		for (uint32_t i = 0; i < 6; i++)
			conn[i] = ct_open_pattern(ct, &peer[i], SEED);
		ct_settle(ct);
		for (uint32_t i = 0; i < 6; i++) {
			conn[i]->on_recv =
				ct_pause_after_each; /* the first of several pieces that come together */
			feed(&peer[i], 0, 4000);
		}
		for (uint32_t i = 0; i < 6; i++)
			CT_RUN_UNTIL(ct, conn[i]->recvs == 1);
		for (uint32_t i = 0; i < 6; i++)
			end(conn[i], &peer[i]);
		feed(&talker, round * 900u, 900);
		CT_RUN_UNTIL(ct, listening->got == (round + 1) * 900u);
	}
	end(listening, &talker);
}

/* More sockets hold bytes while paused than there are buffers: nobody is closed, nothing is lost. */
static void test_contract_b9_more_paused_holders_than_buffers_keep_everything(void **state)
{
	struct ct *ct = *state;
	struct per__be_conf conf = { .sockets_max = CT_CONNS, .recv_buf_bytes = 1024, .recv_buf_count = 8 };
	struct ct_peer peer[HOLDERS];
	struct ct_conn *conn[HOLDERS];

	ct_restart(ct, &conf);
	ct_listen(ct, false);
	for (uint32_t i = 0; i < HOLDERS; i++)
		conn[i] = ct_open_pattern(ct, &peer[i], SEED);
	ct_settle(ct);
	for (uint32_t i = 0; i < HOLDERS; i++) {
		feed(&peer[i], 0, 900); /* completed before the pause, if there was a buffer */
		ct_pause(conn[i]);
		ct_poll(ct, 0);
	}
	ct_settle(ct);
	assert_int_equal(ct->closes, 0);
	for (uint32_t i = 0; i < HOLDERS; i++)
		ct_resume(conn[i]);
	for (uint32_t i = 0; i < HOLDERS; i++)
		CT_RUN_UNTIL(ct, conn[i]->got == 900);
	for (uint32_t i = 0; i < HOLDERS; i++)
		end(conn[i], &peer[i]);
}

static void test_contract_b8_reset_of_an_idle_peer_is_reported(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;

	ct_listen(ct, false);
	conn = ct_open_pattern(ct, &peer, SEED);
	ct_settle(ct);
	ct_peer_reset(&peer);
	CT_RUN_UNTIL(ct, conn->is_closed);
	assert_int_equal(conn->error, -ECONNRESET);
	assert_int_equal(conn->closes, 1);
}

int main(void)
{
	const struct ct_test tests[] = {
		CT_TEST(test_contract_b4_long_stream_changed_in_place_arrives_whole),
		CT_TEST(test_contract_b4_bytes_sent_before_the_accept_arrive),
		CT_TEST(test_contract_b7_paused_socket_receives_nothing_until_resumed),
		CT_TEST(test_contract_b7_paused_before_the_first_poll_receives_nothing),
		CT_TEST(test_contract_b7_bytes_that_came_before_the_pause_are_held),
		CT_TEST(test_contract_b7_end_of_stream_is_held_while_paused),
		CT_TEST(test_contract_b7_only_the_end_held_while_paused),
		CT_TEST(test_contract_b7_pause_and_resume_repeated_are_harmless),
		CT_TEST(test_contract_b7_pause_from_on_recv_holds_the_rest_at_once),
		CT_TEST(test_contract_b7_pause_and_resume_inside_on_recv_keep_order),
		CT_TEST(test_contract_b7_resume_from_another_sockets_on_sent),
		CT_TEST(test_contract_b8_end_is_told_once_and_sending_goes_on),
		CT_TEST(test_contract_b8_end_is_told_once_whatever_comes_after),
		CT_TEST(test_contract_b8_bytes_before_a_half_close_and_one_byte_segments),
		CT_TEST(test_contract_b8_reset_of_an_idle_peer_is_reported),
		CT_TEST(test_contract_b9_starved_of_buffers_everything_arrives),
		CT_TEST(test_contract_b9_more_paused_holders_than_buffers_keep_everything),
		CT_TEST(test_contract_b9_buffers_held_by_paused_sockets_come_back_with_their_close),
	};

	return ct_run(tests, PER_ARRAY_LEN(tests));
}
