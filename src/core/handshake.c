/* SPDX-License-Identifier: MIT */
/*
 * handshake.c - the beginning of a connection of TLS: a protocol like the others, whose input is raw and
 * whose work waits in a queue for the end of the turn, because a handshake costs as much as a hundred
 * requests. Called by conn.c through per__proto_handshake, by worker.c at the end of a turn. Hands the
 * connection on to the worker's first protocol.
 */
#include "core/secure.h"

#include "core/worker.h"
#include <string.h>

/*
 * What one turn does for handshakes: at most one first step, which has the signature and the key exchange in
 * it, and some of the second ones, which are cheap and free memory. So an established connection waits for
 * one handshake at most, and under load, when a turn has much to do, requests come first.
 */
#define BEGUN_STEPS_MAX 8u
#define FRESH_STEPS_MAX 1u

/* --- the queue -------------------------------------------------------------------------------- */

static struct per__secure_queue *queue_of(const struct per__secure *secure)
{
	struct per__secure_worker *shared = secure->conn->worker->secure;

	return secure->tls != NULL ? &shared->begun : &shared->fresh;
}

static void queue_add(struct per__secure *secure)
{
	struct per__secure_queue *queue = queue_of(secure);

	if ((secure->flags & PER__SECURE_QUEUED) != 0)
		return;
	secure->flags |= PER__SECURE_QUEUED;
	secure->queue_next = NULL;
	secure->queue_prev = queue->last;
	if (queue->last != NULL)
		queue->last->queue_next = secure;
	else
		queue->first = secure;
	queue->last = secure;
}

static void queue_remove(struct per__secure *secure)
{
	struct per__secure_queue *queue = queue_of(secure);

	if ((secure->flags & PER__SECURE_QUEUED) == 0)
		return;
	secure->flags &= ~(uint32_t)PER__SECURE_QUEUED;
	if (secure->queue_next != NULL)
		secure->queue_next->queue_prev = secure->queue_prev;
	else
		queue->last = secure->queue_prev;
	if (secure->queue_prev != NULL)
		secure->queue_prev->queue_next = secure->queue_next;
	else
		queue->first = secure->queue_next;
}

bool per__handshakes_wait(const struct per__worker *worker)
{
	return worker->secure != NULL &&
	       (worker->secure->begun.first != NULL || worker->secure->fresh.first != NULL);
}

/* --- a step ----------------------------------------------------------------------------------- */

static void in_progress_end(struct per__secure *secure)
{
	if ((secure->flags & PER__SECURE_COUNTED) == 0)
		return;
	secure->flags &= ~(uint32_t)PER__SECURE_COUNTED;
	secure->conn->worker->secure->in_progress--;
}

static void fail(struct per__conn *conn)
{
	in_progress_end(conn->secure);
	per__secure_fail(conn);
}

/* What came behind the handshake is the protocol's: records that were kept raw, and what OpenSSL has read. */
static void establish(struct per__conn *conn)
{
	struct per__worker *worker = conn->worker;
	struct per__secure *secure = conn->secure;
	uint8_t *raw = conn->in;
	uint8_t *rest = raw != NULL ? raw + conn->in_pos : NULL;
	size_t len = conn->in_len;
	bool has_ended = (conn->flags & PER__CONN_EOF) != 0;

	in_progress_end(secure);
	secure->flags |= PER__SECURE_ESTABLISHED;
	secure->sealed_ns = 0;
	secure->ramp_bytes = secure->record_cnt = 0;
	per__count(&worker->counters.tls_handshakes, 1);
	if (per__tls_is_resumed(secure->tls))
		per__count(&worker->counters.tls_resumed, 1);
	per__tls_settle(secure->tls);
	conn->in = NULL;
	conn->in_pos = conn->in_len = conn->in_cap = 0;
	conn->flags &= ~(uint32_t)(PER__CONN_EOF | PER__CONN_EOF_TOLD);
	conn->proto = worker->upper.first;
	per__conn_unhold(conn);
	per__conn_set_timer(conn, PER__TIMER_IDLE, worker->policy.head_timeout_ns);
	per__secure_input(conn, rest, len);
	if (raw != NULL)
		per__block_give(worker, raw);
	if (has_ended) {
		per__secure_eof(conn);
		per__conn_input_end(conn);
	}
	if (PER_UNLIKELY(worker->is_stopping) && per__conn_is_open(conn))
		conn->proto->on_stop(conn);
}

static void step(struct per__secure *secure)
{
	struct per__conn *conn = secure->conn;
	struct per__worker *worker = conn->worker;
	const struct per__tls_line *line = &worker->secure->line;
	int result;

	queue_remove(secure);
	if ((conn->flags & PER__CONN_CLOSING) != 0)
		return;
	if (secure->tls == NULL)
		secure->tls = per__tls_new(worker->tls, &worker->secure->line);
	if (secure->tls == NULL) {
		per__conn_close(conn, PER__CLOSE_RESET);
		return;
	}
	per__secure_aim(conn, conn->in != NULL ? conn->in + conn->in_pos : NULL, conn->in_len);
	result = per__tls_handshake(secure->tls);
	conn->in_pos += conn->in_len - (uint32_t)line->in_len;
	conn->in_len = (uint32_t)line->in_len;
	if (conn->in_len == 0)
		per__conn_input_drop(conn);
	if (result > 0)
		establish(conn);
	else if (result < 0 || (conn->flags & PER__CONN_EOF) != 0)
		fail(conn);
	else if ((conn->flags & PER__CONN_HOLD) != 0)
		per__conn_unhold(conn);
	per__conn_flush(conn);
}

static void queue_run(struct per__secure_queue *queue, unsigned most)
{
	while (most-- > 0 && queue->first != NULL)
		step(queue->first);
}

void per__handshakes_run(struct per__worker *worker)
{
	queue_run(&worker->secure->begun, BEGUN_STEPS_MAX);
	queue_run(&worker->secure->fresh, FRESH_STEPS_MAX);
}

/* --- called by the connection ----------------------------------------------------------------- */

/* Somebody speaks without TLS: answered in kind. */
static void answer_plain(struct per__conn *conn)
{
	per__count(&conn->worker->counters.bad_requests, 1);
	if (conn->worker->upper.not_tls(conn) == 0)
		per__conn_finish(conn, true);
	else
		per__conn_close(conn, PER__CLOSE_RESET);
}

static bool begin(struct per__conn *conn)
{
	struct per__worker *worker = conn->worker;
	struct per__secure_worker *shared = worker->secure;
	struct per__secure *secure;

	if (shared->in_progress >= worker->policy.tls_handshakes_max) {
		per__count(&worker->counters.tls_refused, 1);
		per__conn_close(conn, PER__CLOSE_RESET);
		return false;
	}
	secure = per__slab_take(&shared->slab);
	PER_ASSERT(secure != NULL); /* as many as connections */
	memset(secure, 0, sizeof(*secure));
	secure->conn = conn;
	secure->flags = PER__SECURE_COUNTED;
	shared->in_progress++;
	conn->secure = secure;
	conn->flags |= PER__CONN_TLS;
	return true;
}

/* All input is kept until the connection's turn comes. */
static size_t handshake_on_data(struct per__conn *conn, uint8_t *data, size_t len)
{
	if (conn->secure == NULL) {
		if (data[0] >= 'A' && data[0] <= 'Z') {
			answer_plain(conn);
			return len;
		}
		if (!begin(conn))
			return 0;
	}
	queue_add(conn->secure);
	if (len >= PER__HANDSHAKE_BYTES_MAX)
		per__conn_hold(conn);
	return 0;
}

/* What has come before the end may complete the handshake: the step looks at the flag. */
static void handshake_on_eof(struct per__conn *conn)
{
	if (conn->secure == NULL)
		per__conn_close(conn, PER__CLOSE_NORMAL);
	else if ((conn->secure->flags & PER__SECURE_QUEUED) == 0)
		fail(conn);
}

static void handshake_on_nothing(struct per__conn *conn)
{
	(void)conn;
}

static void handshake_cut(struct per__conn *conn)
{
	per__conn_close(conn, PER__CLOSE_RESET);
}

/* One that has begun counts as new, whatever its age. */
static void handshake_on_stop(struct per__conn *conn)
{
	const struct per__worker *worker = conn->worker;

	if (!per__conn_stay_fresh(conn, conn->secure != NULL ? conn->deadline_ns - worker->loop.now_ns
							     : worker->policy.tls_handshake_timeout_ns))
		per__conn_close(conn, PER__CLOSE_NORMAL);
}

static void handshake_on_timeout(struct per__conn *conn)
{
	if (conn->worker->is_stopping)
		per__conn_close(conn, PER__CLOSE_NORMAL);
	else
		per__conn_cut(conn);
}

static void handshake_on_close(struct per__conn *conn, int error)
{
	(void)error;
	if (conn->secure == NULL)
		return;
	queue_remove(conn->secure);
	if ((conn->secure->flags & PER__SECURE_COUNTED) != 0)
		per__count(&conn->worker->counters.tls_failed, 1);
	in_progress_end(conn->secure);
}

const struct per__proto per__proto_handshake = {
	.name = "TLS handshake",
	.on_open = handshake_on_nothing,
	.on_data = handshake_on_data,
	.on_eof = handshake_on_eof,
	.on_turn = handshake_on_nothing,
	.on_writable = handshake_on_nothing,
	.on_drained = handshake_on_nothing,
	.on_timeout = handshake_on_timeout,
	.on_nomem = handshake_cut,
	.on_stop = handshake_on_stop,
	.on_close = handshake_on_close,
};
