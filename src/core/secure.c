/* SPDX-License-Identifier: MIT */
/*
 * secure.c - records of TLS between a connection and its protocol: opened in, sealed out, ended.
 * Knows neither OpenSSL (tls/tls.h) nor what is inside of the records. Called by conn.c and handshake.c.
 * Invariant: plaintext leaves the queue only when the records made of it are in the connection's wire.
 */
#include "core/secure.h"

#include "base/mem.h"
#include "core/out.h"
#include "core/worker.h"
#include <string.h>

/*
 * How long records are. A receiver can use nothing of a record before its last byte has come, so at the
 * beginning, when a congestion window is small, one record fills one packet; later a few, and then all that a
 * record can hold, which is cheapest. A pause brings small ones again: the window may have shrunk.
 */
#define RECORD_SMALL 1330u /* with its overhead, the headers of TCP and IPv6 and options: within 1,440 */
#define RECORD_MIDDLE 4096u
#define RAMP_SMALL_BYTES (16u * 1024u)
#define RAMP_MIDDLE_BYTES (64u * 1024u)
#define RAMP_PAUSE_NS INT64_C(1000000000)

/* One key seals so many records at most: RFC 8446 section 5.5 allows 2^24.5 of AES-GCM. */
#define KEY_RECORDS_MAX (1u << 23)

/* --- a worker's ------------------------------------------------------------------------------- */

int per__secure_init(struct per__worker *worker)
{
	struct per__secure_worker *shared = per__mem_reserve(sizeof(*shared));
	int err;

	if (shared == NULL)
		return PER_ENOMEM;
	worker->secure = shared;
	err = per__tls_line_open(&shared->line);
	if (err == 0)
		err = per__slab_init(&shared->slab, sizeof(struct per__secure), PER_CACHE_LINE,
				     worker->conf->connections_max);
	return err;
}

void per__secure_fini(struct per__worker *worker)
{
	struct per__secure_worker *shared = worker->secure;

	if (shared == NULL)
		return;
	per__slab_fini(&shared->slab);
	per__tls_line_close(&shared->line);
	per__mem_release(shared, sizeof(*shared));
	worker->secure = NULL;
}

/* --- the wire --------------------------------------------------------------------------------- */

/* A block for at least bytes of records behind those that are there. */
static struct per__wire *wire_append(struct per__conn *conn, size_t bytes)
{
	struct per__secure *secure = conn->secure;
	struct per__wire *wire;
	size_t cap;

	if (secure->wire_bytes + bytes > PER__WIRE_BYTES_MAX)
		return NULL;
	wire = per__block_take(conn->worker, sizeof(*wire) + bytes, &cap);
	if (wire == NULL)
		return NULL;
	wire->next = NULL;
	wire->used = wire->plain = 0;
	wire->cap = (uint32_t)(cap - sizeof(*wire));
	if (secure->wire_last != NULL)
		secure->wire_last->next = wire;
	else
		secure->wire_first = wire;
	secure->wire_last = wire;
	return wire;
}

/* The block that may be filled, or NULL. */
static struct per__wire *wire_filling(const struct per__conn *conn)
{
	struct per__secure *secure = conn->secure;

	if (secure->wire_last == secure->wire_first && (conn->flags & PER__CONN_SENDING) != 0)
		return NULL;
	return secure->wire_last;
}

static void wire_pop(struct per__conn *conn)
{
	struct per__secure *secure = conn->secure;
	struct per__wire *wire = secure->wire_first;

	PER_ASSERT(wire != NULL);
	PER_DEBUG_ASSERT(conn->out_bytes >= wire->plain);
	conn->out_bytes -= wire->plain;
	secure->wire_bytes -= wire->used;
	secure->wire_first = wire->next;
	if (secure->wire_first == NULL)
		secure->wire_last = NULL;
	per__block_give(conn->worker, wire);
}

/* Takes what OpenSSL puts out: records, each in one piece. */
static int wire_take(void *arg, const uint8_t *data, size_t len)
{
	struct per__conn *conn = arg;
	struct per__wire *wire = wire_filling(conn);

	if (PER_UNLIKELY(wire == NULL || wire->cap - wire->used < len)) {
		wire = wire_append(conn, len);
		if (wire == NULL)
			return PER_ENOMEM;
	}
	memcpy(wire->data + wire->used, data, len);
	wire->used += (uint32_t)len;
	conn->secure->wire_bytes += (uint32_t)len;
	return 0;
}

void per__secure_aim(struct per__conn *conn, uint8_t *data, size_t len)
{
	struct per__tls_line *line = &conn->worker->secure->line;

	line->in = data;
	line->in_len = len;
	line->out = wire_take;
	line->arg = conn;
}

/* --- out -------------------------------------------------------------------------------------- */

static size_t record_bytes(struct per__secure *secure, int64_t now_ns)
{
	if (now_ns - secure->sealed_ns > RAMP_PAUSE_NS)
		secure->ramp_bytes = 0;
	secure->sealed_ns = now_ns;
	if (PER_LIKELY(secure->ramp_bytes >= RAMP_MIDDLE_BYTES))
		return PER__TLS_RECORD_MAX;
	return secure->ramp_bytes >= RAMP_SMALL_BYTES ? RECORD_MIDDLE : RECORD_SMALL;
}

/*
 * Room for the records of what is queued, or of as much of it as the memory allows. When that is used up, the
 * blocks that are set aside for errors are there for all: sealing gives memory of the queue back.
 */
static struct per__wire *wire_reserve(struct per__conn *conn)
{
	struct per__worker *worker = conn->worker;
	size_t records = conn->out_bytes / RECORD_SMALL + 1;
	size_t wanted = PER_MIN(conn->out_bytes + records * PER__TLS_OVERHEAD_MAX,
				(size_t)PER__SEAL_BYTES - sizeof(struct per__wire));
	struct per__wire *wire = wire_filling(conn);

	if (wire != NULL && wire->cap - wire->used >= wanted)
		return wire;
	wire = wire_append(conn, wanted);
	if (PER_UNLIKELY(wire == NULL)) {
		worker->may_use_reserve = true;
		wire = wire_append(conn, 1);
		worker->may_use_reserve = false;
	}
	return wire;
}

/* One record from the beginning of the queue. Returns 0, or a negative PER_E*: the connection is broken. */
static int record_seal(struct per__conn *conn, struct per__wire *wire)
{
	struct per__secure *secure = conn->secure;
	size_t room = wire->cap - wire->used - PER__TLS_OVERHEAD_MAX;
	size_t most = PER_MIN(record_bytes(secure, conn->worker->loop.now_ns), room);
	const uint8_t *data;
	size_t len;
	int n;

	if (PER_UNLIKELY(++secure->record_cnt == KEY_RECORDS_MAX)) {
		per__tls_rekey(secure->tls);
		secure->record_cnt = 0;
	}
	data = per__out_peek(conn, conn->worker->secure->gather, most, &len);
	n = per__tls_seal(secure->tls, data, len, wire->data + wire->used);
	if (PER_UNLIKELY(n < 0))
		return n;
	wire->used += (uint32_t)n;
	secure->wire_bytes += (uint32_t)n;
	secure->ramp_bytes = (uint32_t)PER_MIN(secure->ramp_bytes + len, (size_t)RAMP_MIDDLE_BYTES);
	secure->wire_last->plain += (uint32_t)len;
	per__out_consume(conn, len);
	return 0;
}

static void queue_seal(struct per__conn *conn)
{
	struct per__wire *wire = wire_reserve(conn);
	int err = wire != NULL ? 0 : PER_ENOMEM;

	/* A client that wants small fragments gets more overhead, which may have begun another block. */
	while (err == 0 && conn->out_first != NULL && conn->secure->wire_last == wire &&
	       wire->cap - wire->used > 2 * PER__TLS_OVERHEAD_MAX)
		err = record_seal(conn, wire);
	if (PER_UNLIKELY(err != 0))
		per__conn_close(conn, PER__CLOSE_RESET);
}

bool per__secure_is_early(const struct per__conn *conn)
{
	const struct per__secure *secure = conn->secure;

	return secure->tls != NULL && (secure->flags & PER__SECURE_FAILED) == 0 &&
	       per__tls_is_early(secure->tls);
}

/* The records to send, or NULL when there are none. */
static struct per__wire *seal(struct per__conn *conn)
{
	struct per__secure *secure = conn->secure;

	per__secure_aim(conn, NULL, 0);
	if (PER_UNLIKELY((secure->flags & PER__SECURE_FAILED) != 0))
		per__out_drop(conn);
	/* Not behind records of the protocol's that wait: one send at a time is in memory. */
	if (conn->out_first != NULL && (secure->wire_last == NULL || secure->wire_last->plain == 0))
		queue_seal(conn);
	if (PER_UNLIKELY((conn->flags & PER__CONN_FINISHING) != 0) && conn->out_first == NULL &&
	    !per__secure_is_early(conn) &&
	    (secure->flags & (PER__SECURE_ESTABLISHED | PER__SECURE_FAILED | PER__SECURE_ENDED)) ==
		    PER__SECURE_ESTABLISHED) {
		secure->flags |= PER__SECURE_ENDED;
		per__tls_end(secure->tls);
	}
	if (secure->wire_first == NULL || (conn->flags & PER__CONN_CLOSING) != 0)
		return NULL;
	secure->wire_first->iov = (struct iovec){ secure->wire_first->data, secure->wire_first->used };
	return secure->wire_first;
}

/* All is sent, but close_notify has to wait until the client has completed a handshake with 0-RTT. */
static void end_wait(struct per__conn *conn)
{
	if (conn->timer_kind == PER__TIMER_LINGER)
		return;
	per__conn_set_timer(conn, PER__TIMER_LINGER, conn->worker->policy.linger_timeout_ns);
	per__conn_recv_go_on(conn);
}

/* A handshake has its own deadline: only the protocol's bytes are watched. */
void per__secure_flush(struct per__conn *conn)
{
	struct per__loop *loop = &conn->worker->loop;

	if ((conn->flags & PER__CONN_SENDING) == 0) {
		struct per__wire *wire = seal(conn);

		if (wire == NULL && (conn->flags & PER__CONN_CLOSING) == 0 &&
		    (conn->flags & PER__CONN_FINISHING) != 0) {
			if (per__secure_is_early(conn) && (conn->flags & PER__CONN_EOF) == 0)
				end_wait(conn);
			else
				per__conn_finish_now(conn);
		}
		if (wire == NULL)
			return;
		conn->flags |= PER__CONN_SENDING;
		loop->be->send(loop, &conn->sock, &wire->iov, 1);
	}
	if (conn->out_bytes > 0 || (conn->flags & PER__CONN_FINISHING) != 0)
		per__conn_watch_rate(conn);
}

bool per__secure_sent(struct per__conn *conn)
{
	struct per__secure *secure = conn->secure;

	if (secure->wire_first->plain > 0)
		secure->flags |= PER__SECURE_CARRIED;
	wire_pop(conn);
	if (secure->wire_first != NULL || (secure->flags & PER__SECURE_CARRIED) == 0)
		return false;
	secure->flags &= ~(uint32_t)PER__SECURE_CARRIED;
	return true;
}

/* --- in --------------------------------------------------------------------------------------- */

static inline bool is_opening(const struct per__conn *conn)
{
	return (conn->secure->flags & PER__SECURE_FAILED) == 0 &&
	       (conn->flags & (PER__CONN_CLOSING | PER__CONN_EOF)) == 0 &&
	       ((conn->flags & PER__CONN_FINISHING) == 0 || per__secure_is_early(conn));
}

/*
 * All of the ciphertext that was lent is opened, also when the protocol takes no input now: what it does not
 * take is kept as plaintext, and the peer slowed down, as without TLS.
 */
static void records_open(struct per__conn *conn)
{
	struct per__secure_worker *shared = conn->worker->secure;
	struct per__tls *tls = conn->secure->tls;
	int result;

	do {
		uint8_t *data;
		size_t len;

		result = per__tls_open(tls, shared->opened, sizeof(shared->opened), &data, &len);
		if (len == 0)
			break;
		per__conn_input(conn, data, len);
	} while (result == 0 && is_opening(conn));
	if (result == PER_EGONE && is_opening(conn))
		per__conn_input_end(conn);
	else if (result == PER_EPROTO && is_opening(conn))
		per__secure_fail(conn);
}

void per__secure_input(struct per__conn *conn, uint8_t *data, size_t len)
{
	bool was_early;

	if (PER_UNLIKELY((conn->secure->flags & PER__SECURE_ESTABLISHED) == 0)) {
		per__conn_input(conn, data, len);
		return;
	}
	if (!is_opening(conn))
		return;
	was_early = per__secure_is_early(conn);
	per__secure_aim(conn, data, len);
	records_open(conn);
	/* an answer of TLS itself, or close_notify can follow */
	if (PER_UNLIKELY(conn->secure->wire_first != NULL || was_early) &&
	    (conn->flags & PER__CONN_SENDING) == 0)
		per__conn_mark_dirty(conn);
}

void per__secure_eof(struct per__conn *conn)
{
	if ((conn->secure->flags & PER__SECURE_ESTABLISHED) != 0 && is_opening(conn))
		per__count(&conn->worker->counters.tls_truncated, 1);
}

/* --- the end ---------------------------------------------------------------------------------- */

void per__secure_fail(struct per__conn *conn)
{
	struct per__worker *worker = conn->worker;
	char reason[160];

	per__tls_reason(reason, sizeof(reason));
	per__log(&worker->conf->log, PER_LOG_DEBUG, "TLS with a client has failed: %s", reason);
	per__count(&worker->counters.tls_failed, 1);
	conn->secure->flags |= PER__SECURE_FAILED;
	per__out_drop(conn);
	per__conn_finish(conn, true);
}

void per__secure_drop(struct per__conn *conn)
{
	struct per__secure *secure = conn->secure;
	struct per__worker *worker = conn->worker;

	while (secure->wire_first != NULL)
		wire_pop(conn);
	if (secure->tls != NULL)
		per__tls_free(secure->tls);
	conn->secure = NULL;
	per__slab_give(&worker->secure->slab, secure);
}

int per__secure_info(const struct per__conn *conn, per_tls_info *out)
{
	if (conn->secure == NULL || conn->secure->tls == NULL)
		return PER_ENOTSUP;
	per__tls_info_read(conn->secure->tls, out);
	return 0;
}
