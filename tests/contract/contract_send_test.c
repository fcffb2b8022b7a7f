/* SPDX-License-Identifier: MIT */
/*
 * contract_send_test.c - sending, on every backend: rules B2, B3 and B9 of backend.h, and shutdown.
 * Uses the recording core of common/; the real core is not linked.
 */
#include "common/ct.h"

#define MANY_IOV 2500u /* more than any system takes in one call (IOV_MAX is 1,024) */
#define BIG_BYTES (8u * 1024u * 1024u)
#define SEED 77u

static uint8_t *pattern_new(size_t len)
{
	uint8_t *bytes = malloc(len);

	assert_non_null(bytes);
	ct_pattern_fill(bytes, len, SEED, 0);
	return bytes;
}

static bool pattern_is(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != ct_pattern(SEED, i))
			return false;
	}
	return true;
}

static void test_contract_b2_one_small_send_one_on_sent(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t bytes[100];

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_pattern_fill(bytes, sizeof(bytes), SEED, 0);
	ct_send_bytes(conn, bytes, sizeof(bytes));
	assert_int_equal(conn->sents, 0); /* B1: never from the down-call */
	CT_RUN_UNTIL(ct, conn->sents == 1);
	ct_peer_expect(&peer, SEED, 0, sizeof(bytes), 0);
	ct_settle(ct);
	assert_int_equal(conn->sents, 1);
	assert_false(conn->is_closed);
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	ct_peer_close(&peer);
}

/* on_sent: the bytes are the owner's again, who spoils them and sends the next. */
static void send_next(struct ct_conn *conn)
{
	uint8_t *bytes = conn->arg;

	memset(bytes, 0xee, 64);
	if (conn->n == 300)
		return;
	ct_pattern_fill(bytes, 64, SEED, conn->put);
	conn->n++;
	ct_send_bytes(conn, bytes, 64);
}

static void test_contract_b2_sends_chained_from_on_sent_keep_order(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t bytes[64];

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	conn->arg = bytes;
	conn->on_sent = send_next;
	send_next(conn);
	ct_peer_expect(&peer, SEED, 0, 300 * 64, 0);
	CT_RUN_UNTIL(ct, conn->sents == 300);
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	assert_int_equal(ct_peer_expect_end(&peer, NULL), 0);
	ct_peer_close(&peer);
}

/* Cuts the bytes into cnt uneven pieces, some of them empty. */
static struct iovec *iov_cut(uint8_t *bytes, size_t len, uint32_t cnt)
{
	struct iovec *iov = calloc(cnt, sizeof(*iov));
	size_t pos = 0;

	assert_non_null(iov);
	for (uint32_t i = 0; i < cnt; i++) {
		size_t part = i + 1 == cnt ? len - pos : PER_MIN((i * 7u) % 23u, len - pos);

		iov[i].iov_base = bytes + pos;
		iov[i].iov_len = part;
		pos += part;
	}
	return iov;
}

static void iov_run(struct ct *ct, size_t len, uint32_t cnt, size_t max_read, bool is_small)
{
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t *bytes = pattern_new(len);
	struct iovec *iov = iov_cut(bytes, len, cnt);

	ct_listen(ct, false);
	conn = is_small ? ct_adopt(ct, &peer, true) : ct_open(ct, &peer);
	ct_send(conn, iov, cnt);
	ct_peer_expect(&peer, SEED, 0, len, max_read);
	CT_RUN_UNTIL(ct, conn->sents == 1);
	assert_true(pattern_is(bytes, len)); /* lent, not given: only the array may be changed */
	assert_int_equal(conn->sock.bytes_out, len);
	free(iov);
	free(bytes);
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	assert_int_equal(ct_peer_expect_end(&peer, NULL), 0);
	ct_peer_close(&peer);
}

static void test_contract_b3_many_iovecs_arrive_in_order(void **state)
{
	iov_run(*state, 100000, MANY_IOV, 0, false);
}

static void test_contract_b3_iovecs_with_empty_entries_arrive(void **state)
{
	iov_run(*state, 40, 9, 0, false);
}

static void test_contract_b3_short_writes_into_a_small_buffer_are_resumed(void **state)
{
	iov_run(*state, 200000, 500, 1111, true);
}

static void test_contract_b3_big_body_to_slow_reader_is_sent_whole(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t *bytes = pattern_new(BIG_BYTES);
	struct iovec iov[3] = { { bytes, 200 },
				{ bytes + 200, 1000000 },
				{ bytes + 1000200, BIG_BYTES - 1000200 } };

	if (ct->variant->with_faults) {
		sim_faults(ct->sim)->send_bytes_max = 0; /* a byte a turn would take minutes */
		sim_faults(ct->sim)->sndbuf_bytes = 0;
	}
	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_send(conn, iov, 3);
	ct_settle(ct);
	assert_int_equal(conn->sents, 0); /* nobody reads, and no socket buffer is that large */
	assert_true(conn->sock.bytes_out > 0);
	assert_true(conn->sock.bytes_out < BIG_BYTES);
	ct_peer_expect(&peer, SEED, 0, BIG_BYTES, 0);
	CT_RUN_UNTIL(ct, conn->sents == 1);
	assert_true(pattern_is(bytes, BIG_BYTES));
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	ct_peer_close(&peer);
	free(bytes);
}

static void test_contract_b3_receiving_goes_on_while_a_send_waits(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t *bytes = pattern_new(1000000);
	uint8_t in[10000];

	ct_listen(ct, false);
	conn = ct_adopt(ct, &peer, true);
	conn->is_pattern = true;
	conn->in_seed = 5;
	ct_send_bytes(conn, bytes, 1000000);
	ct_settle(ct);
	ct_pattern_fill(in, sizeof(in), 5, 0);
	ct_peer_send_all(&peer, in, sizeof(in));
	CT_RUN_UNTIL(ct, conn->got == sizeof(in));
	assert_int_equal(conn->sents, 0);
	ct_close_wait(conn, PER__CLOSE_RESET);
	assert_int_equal(conn->sents, 0);
	ct_peer_close(&peer);
	free(bytes);
}

static void test_contract_b3_close_gives_a_waiting_send_back(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t *bytes = pattern_new(BIG_BYTES);

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_send_bytes(conn, bytes, BIG_BYTES);
	ct_settle(ct);
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	free(bytes); /* B6: nobody reads it any more */
	assert_int_equal(conn->sents, 0);
	assert_int_equal(conn->error, 0);
	ct_peer_close(&peer);
}

static void test_contract_b3_bytes_taken_before_a_normal_close_are_delivered(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t *bytes = pattern_new(50000);

	if (ct->variant->with_faults)
		sim_faults(ct->sim)->sndbuf_bytes = 0;
	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_send_bytes(conn, bytes, 50000);
	CT_RUN_UNTIL(ct, conn->sents == 1);
	memset(bytes, 0xee, 50000); /* the kernel has them */
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	ct_peer_expect(&peer, SEED, 0, 50000, 0);
	assert_int_equal(ct_peer_expect_end(&peer, NULL), 0);
	ct_peer_close(&peer);
	free(bytes);
}

static void test_contract_b3_reset_while_a_send_waits_closes(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t *bytes = pattern_new(BIG_BYTES);

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_send_bytes(conn, bytes, BIG_BYTES);
	ct_settle(ct);
	ct_peer_reset(&peer);
	CT_RUN_UNTIL(ct, conn->is_closed);
	assert_true(conn->error < 0);
	assert_int_equal(conn->sents, 0);
	free(bytes);
}

/* The peer is gone, the core does not know it and sends: no signal, no up-call but on_closed in the end. */
static void test_contract_b9_send_to_a_broken_socket_is_swallowed(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t bytes[1000] = { 0 };

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	ct_pause(conn); /* so that nothing is noticed by receiving alone */
	ct_peer_reset(&peer);
	for (int i = 0; i < 1000 && !conn->is_closed; i++) {
		if (!conn->is_sending)
			ct_send_bytes(conn, bytes, sizeof(bytes));
		ct_step(ct);
	}
	CT_RUN_UNTIL(ct, conn->is_closed);
	assert_true(conn->error < 0);
	assert_int_equal(conn->closes, 1);
}

static void test_contract_shutdown_ends_the_stream_and_receiving_goes_on(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t bytes[500];

	ct_listen(ct, false);
	conn = ct_open(ct, &peer);
	conn->is_pattern = true;
	conn->in_seed = SEED;
	ct_pattern_fill(bytes, sizeof(bytes), SEED, 0);
	ct_send_bytes(conn, bytes, sizeof(bytes));
	CT_RUN_UNTIL(ct, conn->sents == 1);
	ct_shutdown(conn);
	ct_peer_expect(&peer, SEED, 0, sizeof(bytes), 0);
	assert_int_equal(ct_peer_expect_end(&peer, NULL), 0);
	ct_peer_send_all(&peer, bytes, sizeof(bytes));
	CT_RUN_UNTIL(ct, conn->got == sizeof(bytes));
	assert_false(conn->is_closed);
	ct_peer_shutdown(&peer);
	CT_RUN_UNTIL(ct, conn->has_eof);
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	ct_peer_close(&peer);
}

static void shut_when_sent(struct ct_conn *conn)
{
	ct_shutdown(conn);
}

static void test_contract_b11_shutdown_from_on_sent_loses_nothing(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn;
	uint8_t *bytes = pattern_new(300000);

	ct_listen(ct, true);
	conn = ct_open(ct, &peer);
	conn->on_sent = shut_when_sent;
	ct_send_bytes(conn, bytes, 300000);
	ct_peer_expect(&peer, SEED, 0, 300000, 0);
	assert_int_equal(ct_peer_expect_end(&peer, NULL), 0);
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	ct_peer_close(&peer);
	free(bytes);
}

static void test_contract_b9_many_sockets_sending_at_once_all_complete(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer[200];
	struct ct_conn *conn[200];
	uint8_t *bytes = pattern_new(20000);

	ct_listen(ct, false);
	for (size_t i = 0; i < 200; i++)
		conn[i] = ct_open(ct, &peer[i]);
	for (size_t i = 0; i < 200; i++)
		ct_send_bytes(conn[i], bytes, 20000);
	for (size_t i = 0; i < 200; i++)
		ct_peer_expect(&peer[i], SEED, 0, 20000, 0);
	for (size_t i = 0; i < 200; i++)
		CT_RUN_UNTIL(ct, conn[i]->sents == 1);
	for (size_t i = 0; i < 200; i++)
		ct_close(conn[i], PER__CLOSE_NORMAL);
	CT_RUN_UNTIL(ct, ct->closes == 200);
	for (size_t i = 0; i < 200; i++)
		ct_peer_close(&peer[i]);
	free(bytes);
}

int main(void)
{
	const struct ct_test tests[] = {
		CT_TEST(test_contract_b2_one_small_send_one_on_sent),
		CT_TEST(test_contract_b2_sends_chained_from_on_sent_keep_order),
		CT_TEST(test_contract_b3_many_iovecs_arrive_in_order),
		CT_TEST(test_contract_b3_iovecs_with_empty_entries_arrive),
		CT_TEST(test_contract_b3_short_writes_into_a_small_buffer_are_resumed),
		CT_TEST(test_contract_b3_big_body_to_slow_reader_is_sent_whole),
		CT_TEST(test_contract_b3_receiving_goes_on_while_a_send_waits),
		CT_TEST(test_contract_b3_close_gives_a_waiting_send_back),
		CT_TEST(test_contract_b3_bytes_taken_before_a_normal_close_are_delivered),
		CT_TEST(test_contract_b3_reset_while_a_send_waits_closes),
		CT_TEST(test_contract_b9_send_to_a_broken_socket_is_swallowed),
		CT_TEST(test_contract_shutdown_ends_the_stream_and_receiving_goes_on),
		CT_TEST(test_contract_b11_shutdown_from_on_sent_loses_nothing),
		CT_TEST(test_contract_b9_many_sockets_sending_at_once_all_complete),
	};

	return ct_run(tests, PER_ARRAY_LEN(tests));
}
