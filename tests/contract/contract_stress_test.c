/* SPDX-License-Identifier: MIT */
/* ctest: timeout=240
 * contract_stress_test.c - two hundred sockets under random operations, against a model, on every backend.
 * Both directions of every stream are patterns that are checked byte for byte; a failure prints PER_SEED=...,
 * which repeats the same operations (a kernel's timing cannot be repeated).
 */
#include "common/ct.h"

#include <inttypes.h>

#define LINKS 200u
#define OPS 25000u
#define OPS_SIM 8000u /* a turn of the simulator costs more with many sockets */
#define SEND_MAX 30000u
#define IOV_MOST 40u

/* What the model knows of one connection. */
struct link {
	struct ct_peer peer;
	struct ct_conn *conn;
	uint32_t in_seed, out_seed;
	uint64_t peer_sent, peer_got; /* bytes */
	uint64_t out_offset;          /* bytes ever lent by the core */
	uint8_t *out;                 /* the send in progress */
	struct iovec iov[IOV_MOST];
	bool is_peer_shut, is_peer_gone;
};

struct stress {
	struct ct *ct;
	struct per__sim *random; /* only its numbers are used */
	struct link link[LINKS];
	uint64_t opened, closed_by_us, closed_by_peer;
};

static uint64_t pick(struct stress *stress, uint64_t limit)
{
	return sim_random_below(stress->random, limit);
}

static void out_free(struct link *link)
{
	free(link->out);
	link->out = NULL;
}

static void link_sent(struct ct_conn *conn)
{
	out_free(conn->arg);
}

static void link_closed(struct ct_conn *conn)
{
	struct link *link = conn->arg;

	out_free(link);
	link->conn = NULL;
}

static void link_open(struct stress *stress, struct link *link)
{
	struct ct *ct = stress->ct;
	bool is_adopted = pick(stress, 3) == 0;

	memset(link, 0, sizeof(*link));
	link->conn = is_adopted ? ct_adopt(ct, &link->peer, pick(stress, 2)) : ct_open(ct, &link->peer);
	link->in_seed = (uint32_t)pick(stress, UINT32_MAX);
	link->out_seed = (uint32_t)pick(stress, UINT32_MAX);
	link->conn->is_pattern = true;
	link->conn->in_seed = link->in_seed;
	link->conn->arg = link;
	link->conn->on_sent = link_sent;
	link->conn->on_closed = link_closed;
	stress->opened++;
}

static bool link_is_used(const struct link *link)
{
	return link->peer.ct != NULL;
}

static void op_peer_send(struct stress *stress, struct link *link)
{
	uint8_t bytes[8192];
	size_t len = 1 + pick(stress, pick(stress, 2) ? 50 : sizeof(bytes));
	ssize_t n;

	if (link->is_peer_shut || link->is_peer_gone)
		return;
	ct_pattern_fill(bytes, len, link->in_seed, link->peer_sent);
	n = ct_peer_send(&link->peer, bytes, len);
	if (n > 0)
		link->peer_sent += (uint64_t)n;
}

/* Returns what the read gave. */
static ssize_t link_read(struct link *link, size_t cap)
{
	static uint8_t bytes[65536];
	ssize_t n = ct_peer_recv(&link->peer, bytes, PER_MIN(cap, sizeof(bytes)));

	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] != ct_pattern(link->out_seed, link->peer_got + (uint64_t)i))
			fail_msg("PER_SEED=0x%" PRIx64 " the peer got a wrong byte", link->peer.ct->seed);
	}
	if (n > 0)
		link->peer_got += (uint64_t)n;
	return n;
}

static void op_peer_read(struct stress *stress, struct link *link)
{
	if (!link->is_peer_gone)
		(void)link_read(link, 1 + pick(stress, 20000));
}

static void op_core_send(struct stress *stress, struct link *link)
{
	struct ct_conn *conn = link->conn;
	size_t len = 1 + pick(stress, pick(stress, 4) ? 300 : SEND_MAX);
	uint32_t cnt = 1 + (uint32_t)pick(stress, IOV_MOST);
	size_t pos = 0;

	if (conn == NULL || conn->is_sending || conn->is_shut || conn->is_close_called)
		return;
	link->out = malloc(len);
	assert_non_null(link->out);
	ct_pattern_fill(link->out, len, link->out_seed, link->out_offset);
	link->out_offset += len;
	for (uint32_t i = 0; i < cnt; i++) {
		size_t part = i + 1 == cnt ? len - pos : pick(stress, len - pos + 1);

		link->iov[i] = (struct iovec){ link->out + pos, part };
		pos += part;
	}
	ct_send(conn, link->iov, cnt);
}

static void op_core_pause(struct stress *stress, struct link *link)
{
	(void)stress;
	if (link->conn == NULL || link->conn->is_close_called)
		return;
	if (link->conn->is_paused)
		ct_resume(link->conn);
	else
		ct_pause(link->conn);
}

static void op_core_shutdown(struct stress *stress, struct link *link)
{
	struct ct_conn *conn = link->conn;

	if (pick(stress, 10) == 0 && conn != NULL && !conn->is_sending && !conn->is_close_called)
		ct_shutdown(conn);
}

static void op_core_close(struct stress *stress, struct link *link)
{
	if (link->conn == NULL || pick(stress, 20) != 0)
		return;
	ct_close(link->conn, pick(stress, 2) ? PER__CLOSE_NORMAL : PER__CLOSE_RESET);
	stress->closed_by_us++;
}

static void op_peer_end(struct stress *stress, struct link *link)
{
	uint64_t how = pick(stress, 60);

	if (link->is_peer_gone || how > 2)
		return;
	if (how == 0) {
		if (!link->is_peer_shut)
			ct_peer_shutdown(&link->peer);
		link->is_peer_shut = true;
		return;
	}
	if (how == 1)
		ct_peer_reset(&link->peer);
	else
		ct_peer_close(&link->peer);
	link->is_peer_gone = true;
	stress->closed_by_peer++;
}

static void op_poll(struct stress *stress, struct link *link)
{
	(void)link;
	ct_poll(stress->ct, pick(stress, 10) == 0 ? 100000 : 0);
}

static void op_wake(struct stress *stress, struct link *link)
{
	(void)link;
	stress->ct->be->wake(&stress->ct->loop);
}

/* Operations by weight: a table with repetitions. */
typedef void (*stress_op)(struct stress *stress, struct link *link);
static const stress_op ops[] = {
	op_poll,       op_poll,       op_poll,          op_peer_send,  op_peer_send, op_peer_send,
	op_peer_read,  op_peer_read,  op_peer_read,     op_core_send,  op_core_send, op_core_send,
	op_core_pause, op_core_pause, op_core_shutdown, op_core_close, op_peer_end,  op_wake,
};

static void stress_step(struct stress *stress)
{
	struct link *link = &stress->link[pick(stress, LINKS)];

	if (!link_is_used(link))
		link_open(stress, link);
	else if (link->conn == NULL && pick(stress, 3) == 0)
		ct_peer_dispose(&link->peer);
	else
		ops[pick(stress, PER_ARRAY_LEN(ops))](stress, link);
}

/* Has everything arrived that can arrive? */
static bool link_is_done(const struct link *link)
{
	const struct ct_conn *conn = link->conn;

	if (conn == NULL || conn->is_close_called)
		return conn == NULL;
	if (conn->is_sending)
		return false;
	return link->is_peer_gone || (conn->got == link->peer_sent && (!link->is_peer_shut || conn->has_eof));
}

static bool stress_settle_once(struct stress *stress)
{
	bool is_done = true;

	for (uint32_t i = 0; i < LINKS; i++) {
		struct link *link = &stress->link[i];

		if (!link_is_used(link))
			continue;
		if (link->conn != NULL && !link->conn->is_close_called && link->conn->is_paused)
			ct_resume(link->conn);
		if (!link->is_peer_gone)
			(void)link_read(link, SIZE_MAX);
		is_done = is_done && link_is_done(link);
	}
	return is_done;
}

/* The rest of the stream up to its end: nothing that the core sent may be missing. */
static void link_expect_rest(struct link *link, uint64_t sent)
{
	ssize_t n;

	do {
		n = link_read(link, SIZE_MAX);
		if (n == -EAGAIN)
			ct_step(link->peer.ct);
	} while (n > 0 || n == -EAGAIN);
	if (n != 0 || link->peer_got != sent)
		fail_msg("PER_SEED=0x%" PRIx64 " the peer got %" PRIu64 " of %" PRIu64 " bytes, then %zd",
			 link->peer.ct->seed, link->peer_got, sent, n);
}

static void stress_end(struct stress *stress)
{
	struct ct *ct = stress->ct;
	bool is_clean[LINKS] = { false };

	CT_RUN_UNTIL(ct, stress_settle_once(stress));
	for (uint32_t i = 0; i < LINKS; i++) {
		struct link *link = &stress->link[i];

		if (link->conn == NULL)
			continue;
		is_clean[i] = !link->is_peer_gone;
		ct_close(link->conn, PER__CLOSE_NORMAL);
	}
	CT_RUN_UNTIL(ct, ct->used == 0);
	for (uint32_t i = 0; i < LINKS; i++) {
		if (is_clean[i])
			link_expect_rest(&stress->link[i], stress->link[i].out_offset);
		if (link_is_used(&stress->link[i]))
			ct_peer_dispose(&stress->link[i].peer);
	}
}

static void stress_run(struct ct *ct, const struct per__be_conf *conf, uint32_t op_cnt)
{
	struct stress *stress = calloc(1, sizeof(*stress));

	assert_non_null(stress);
	stress->ct = ct;
	stress->random = sim_new(ct->seed);
	ct_restart(ct, conf);
	ct_listen(ct, false);
	for (uint32_t i = 0; i < op_cnt; i++)
		stress_step(stress);
	stress_end(stress);
	assert_int_equal(ct->refused, 0);
	sim_free(stress->random);
	free(stress);
}

static void test_contract_stress_random_operations_streams_equal(void **state)
{
	struct ct *ct = *state;
	struct per__be_conf conf = { .sockets_max = CT_CONNS, .recv_buf_bytes = 4096, .recv_buf_count = 64 };

	stress_run(ct, &conf, ct->sim != NULL ? OPS_SIM : OPS);
}

static void test_contract_stress_with_few_small_buffers_streams_equal(void **state)
{
	struct ct *ct = *state;
	struct per__be_conf conf = { .sockets_max = CT_CONNS, .recv_buf_bytes = 512, .recv_buf_count = 8 };

	stress_run(ct, &conf, ct->sim != NULL ? OPS_SIM : OPS);
}

int main(void)
{
	const struct ct_test tests[] = {
		CT_TEST(test_contract_stress_random_operations_streams_equal),
		CT_TEST(test_contract_stress_with_few_small_buffers_streams_equal),
	};

	return ct_run(tests, PER_ARRAY_LEN(tests));
}
