/* SPDX-License-Identifier: MIT */
/*
 * contract_file_test.c - parts of files, on every backend that can send them: B2, B3, B6 and B9 of
 * backend.h hold for send_file as they do for send.
 */
#include "common/ct.h"

#include <signal.h>
#include <unistd.h>

#define HEAD_BYTES 300u
#define BIG_BYTES (8u * 1024u * 1024u)
#define SEED 78u

/*
 * A send with a file part: HEAD_BYTES of the pattern, or none, and behind them the pattern goes on in the
 * file.
 */
struct sending {
	struct iovec iov[3];
	struct per__file_part part;
	uint8_t head[HEAD_BYTES];
};

/* A file without a name that holds len bytes of the pattern from offset on. */
static int file_new(size_t len, uint64_t offset)
{
	FILE *file = tmpfile();
	uint8_t *bytes = malloc(len);
	int fd;

	assert_non_null(file);
	assert_non_null(bytes);
	ct_pattern_fill(bytes, len, SEED, offset);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fflush(file), 0);
	fd = dup(fileno(file));
	assert_true(fd >= 0);
	(void)fclose(file);
	free(bytes);
	return fd;
}

static void send_part(struct ct_conn *conn, struct sending *sending, bool has_head)
{
	struct ct *ct = conn->ct;
	uint32_t cnt = has_head ? 2 : 0;

	ct_pattern_fill(sending->head, HEAD_BYTES, SEED, 0);
	sending->iov[0] = (struct iovec){ sending->head, 100 };
	sending->iov[1] = (struct iovec){ sending->head + 100, HEAD_BYTES - 100 };
	sending->iov[cnt].iov_base = &sending->part;
	conn->is_sending = true;
	conn->sending_bytes = sending->part.len + (has_head ? HEAD_BYTES : 0);
	ct->be->send_file(&ct->loop, &conn->sock, sending->iov, cnt);
}

/* Skips where there is nothing to test. A worker has SIGPIPE blocked. */
static struct ct_conn *begin(struct ct *ct, struct ct_peer *peer, bool is_small)
{
	sigset_t set;

	if (ct->be->send_file == NULL) {
		print_message("SKIP %s: this backend sends no files, the core reads them\n", ct->be->name);
		skip();
	}
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	ct_listen(ct, false);
	return is_small ? ct_adopt(ct, peer, true) : ct_open(ct, peer);
}

static void end(struct ct_conn *conn, struct ct_peer *peer)
{
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	assert_int_equal(ct_peer_expect_end(peer, NULL), 0);
	ct_peer_close(peer);
}

static void test_contract_b2_head_and_file_one_on_sent(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = begin(ct, &peer, false);
	struct sending sending = { .part = { .len = 50000, .fd = file_new(50000, HEAD_BYTES) } };

	send_part(conn, &sending, true);
	assert_int_equal(conn->sents, 0); /* B1: never from the down-call */
	CT_RUN_UNTIL(ct, conn->sents == 1);
	ct_peer_expect(&peer, SEED, 0, HEAD_BYTES + 50000, 0);
	ct_settle(ct);
	assert_int_equal(conn->sents, 1);
	assert_int_equal(conn->sock.bytes_out, HEAD_BYTES + 50000);
	close(sending.part.fd);
	end(conn, &peer);
}

static void test_contract_b2_part_in_the_middle_without_head(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = begin(ct, &peer, false);
	struct sending sending = { .part = { .off = 1000, .len = 5000, .fd = file_new(50000, 0) } };

	send_part(conn, &sending, false);
	CT_RUN_UNTIL(ct, conn->sents == 1);
	ct_peer_expect(&peer, SEED, 1000, 5000, 0);
	close(sending.part.fd);
	end(conn, &peer);
}

/* What comes behind a file is sent and received as ever: the socket is as it was. */
static void test_contract_b9_sends_and_receives_go_on_behind_a_file(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = begin(ct, &peer, false);
	struct sending sending = { .part = { .len = 5000, .fd = file_new(5000, 0) } };
	uint8_t bytes[700];
	uint8_t in[64] = { 1 };

	for (unsigned round = 0; round < 3; round++) {
		sending.part.off = 0;
		sending.part.len = 5000;
		send_part(conn, &sending, false);
		CT_RUN_UNTIL(ct, conn->sents == 2 * round + 1);
		ct_peer_expect(&peer, SEED, 0, 5000, 0);
		ct_settle(ct); /* nothing to receive for a while: the backend waits for it */
		ct_peer_send_all(&peer, in, sizeof(in));
		CT_RUN_UNTIL(ct, conn->got == (round + 1) * sizeof(in));
		ct_pattern_fill(bytes, sizeof(bytes), SEED, 0);
		ct_send_bytes(conn, bytes, sizeof(bytes));
		CT_RUN_UNTIL(ct, conn->sents == 2 * round + 2);
		ct_peer_expect(&peer, SEED, 0, sizeof(bytes), 0);
	}
	close(sending.part.fd);
	end(conn, &peer);
}

static void test_contract_b3_slow_reader_gets_all_and_receiving_goes_on(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = begin(ct, &peer, true);
	struct sending sending = { .part = { .len = 1000000, .fd = file_new(1000000, HEAD_BYTES) } };
	uint8_t in[64] = { 1 };

	send_part(conn, &sending, true);
	ct_settle(ct);
	assert_int_equal(conn->sents, 0);
	ct_peer_send_all(&peer, in, sizeof(in));
	CT_RUN_UNTIL(ct, conn->got == sizeof(in));
	ct_peer_expect(&peer, SEED, 0, HEAD_BYTES + 1000000, 3000);
	CT_RUN_UNTIL(ct, conn->sents == 1);
	assert_int_equal(conn->sock.bytes_out, HEAD_BYTES + 1000000);
	close(sending.part.fd);
	end(conn, &peer);
}

static void test_contract_b3_close_gives_a_waiting_part_back(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = begin(ct, &peer, true);
	struct sending sending = { .part = { .len = BIG_BYTES, .fd = file_new(BIG_BYTES, HEAD_BYTES) } };

	send_part(conn, &sending, true);
	ct_settle(ct);
	ct_close_wait(conn, PER__CLOSE_NORMAL);
	close(sending.part.fd); /* B6: nobody reads it any more */
	memset(&sending, 0xee, sizeof(sending));
	assert_int_equal(conn->sents, 0);
	assert_int_equal(conn->error, 0);
	ct_peer_close(&peer);
}

static void test_contract_b3_reset_while_a_part_waits_closes(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = begin(ct, &peer, false);
	struct sending sending = { .part = { .len = BIG_BYTES, .fd = file_new(BIG_BYTES, HEAD_BYTES) } };

	send_part(conn, &sending, true);
	ct_settle(ct);
	ct_peer_reset(&peer);
	CT_RUN_UNTIL(ct, conn->is_closed);
	assert_true(conn->error < 0);
	close(sending.part.fd);
}

/* No signal, no up-call but on_closed. */
static void test_contract_b9_part_to_a_broken_socket_closes(void **state)
{
	struct ct *ct = *state;
	struct ct_peer peer;
	struct ct_conn *conn = begin(ct, &peer, false);
	struct sending sending = { .part = { .fd = file_new(5000, HEAD_BYTES) } };

	ct_peer_reset(&peer);
	while (!conn->is_closed) {
		sending.part.off = 0;
		sending.part.len = 5000;
		if (!conn->is_sending)
			send_part(conn, &sending, true);
		ct_step(ct);
	}
	close(sending.part.fd);
}

/* The file is shorter than was promised: the peer must not take what it got for all of it. */
static void short_run(struct ct *ct, uint64_t off)
{
	struct ct_peer peer;
	struct ct_conn *conn = begin(ct, &peer, false);
	struct sending sending = { .part = { .off = off, .len = 20000, .fd = file_new(5000, HEAD_BYTES) } };
	uint64_t got = 0;

	send_part(conn, &sending, true);
	CT_RUN_UNTIL(ct, conn->is_closed);
	assert_true(conn->error < 0);
	assert_int_equal(conn->sents, 0);
	assert_int_equal(ct_peer_expect_end(&peer, &got), -ECONNRESET);
	assert_true(got <= HEAD_BYTES + 5000);
	close(sending.part.fd);
	ct_peer_close(&peer);
}

static void test_contract_file_that_ends_early_resets(void **state)
{
	short_run(*state, 0);
}

static void test_contract_part_behind_the_end_of_the_file_resets(void **state)
{
	short_run(*state, 100000);
}

int main(void)
{
	const struct ct_test tests[] = {
		CT_TEST(test_contract_b2_head_and_file_one_on_sent),
		CT_TEST(test_contract_b2_part_in_the_middle_without_head),
		CT_TEST(test_contract_b9_sends_and_receives_go_on_behind_a_file),
		CT_TEST(test_contract_b3_slow_reader_gets_all_and_receiving_goes_on),
		CT_TEST(test_contract_b3_close_gives_a_waiting_part_back),
		CT_TEST(test_contract_b3_reset_while_a_part_waits_closes),
		CT_TEST(test_contract_b9_part_to_a_broken_socket_closes),
		CT_TEST(test_contract_file_that_ends_early_resets),
		CT_TEST(test_contract_part_behind_the_end_of_the_file_resets),
	};

	return ct_run(tests, PER_ARRAY_LEN(tests));
}
