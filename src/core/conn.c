/* SPDX-License-Identifier: MIT */
/*
 * conn.c - the life of one connection between its backend and its protocol: the up-calls of backend.h end
 * here. Knows neither system calls nor byte formats. Called by the backends, by worker.c and by the
 * protocols. Invariant: after PER__CONN_CLOSING only per__on_closed() is to come, and nothing is sent or
 * received.
 */
#include "core/conn.h"

#include "backend/listen.h"
#include "core/acceptor.h"
#include "core/out.h"
#include "core/secure.h"
#include "core/worker.h"
#include <string.h>
#include <unistd.h>

#define LINGER_MAX_FACTOR 15 /* a peer that never stops sending is listened to this many linger timeouts */

static inline struct per__loop *loop_of(const struct per__conn *conn)
{
	return &conn->worker->loop;
}

/* --- deadlines -------------------------------------------------------------------------------- */

static void wheel_move(struct per__conn *conn)
{
	struct per__worker *worker = conn->worker;

	conn->wheel_ns = conn->deadline_ns;
	per__wheel_set(&worker->wheel, per__slab_index(&worker->conns, conn), conn->deadline_ns);
}

/*
 * The hot path writes two fields. The wheel is touched only when the new deadline comes before the one it
 * knows; a deadline that has moved back is noticed when the old one comes.
 */
void per__conn_set_timer(struct per__conn *conn, enum per__timer_kind kind, int64_t timeout_ns)
{
	struct per__worker *worker = conn->worker;
	int64_t deadline_ns = worker->loop.now_ns + timeout_ns;

	conn->timer_kind = (uint8_t)kind;
	conn->deadline_ns = deadline_ns;
	if (PER_UNLIKELY(conn->timer.tick == 0 || deadline_ns < conn->wheel_ns))
		wheel_move(conn);
}

bool per__conn_stay_fresh(struct per__conn *conn, int64_t timeout_ns)
{
	const struct per__worker *worker = conn->worker;
	/* when its deadline was set; before this policy it is not known when */
	int64_t begin_ns = PER_MAX(conn->deadline_ns - timeout_ns, worker->policy_ns);
	int64_t age_ns = PER_MAX(worker->loop.now_ns - begin_ns, 0);

	if (age_ns >= PER_MIN(PER__CONN_FRESH_NS, timeout_ns))
		return false;
	per__conn_set_timer(conn, conn->timer_kind, PER_MIN(PER__CONN_FRESH_NS, timeout_ns) - age_ns);
	return true;
}

void per__conn_watch_rate(struct per__conn *conn)
{
	if (conn->timer_kind == PER__TIMER_RATE)
		return;
	conn->rate_in = conn->sock.bytes_in;
	conn->rate_out = conn->sock.bytes_out;
	per__conn_set_timer(conn, PER__TIMER_RATE, conn->worker->policy.rate_window_ns);
}

void per__conn_want_body(struct per__conn *conn, int64_t longer_ns)
{
	conn->flags |= PER__CONN_WANT_BODY;
	if (conn->timer_kind == PER__TIMER_RATE)
		conn->deadline_ns += longer_ns;
	else
		per__conn_watch_rate(conn);
}

/*
 * Has the peer taken enough of the output in this window? What the kernel has taken tells for a fast one.
 * For a slow one its buffer is asked: it takes more only when a good part of it is free again, so a steady
 * reader would look stalled.
 */
static bool has_taken(struct per__conn *conn, uint64_t bytes_min)
{
	uint64_t unsent = per__sock_unsent(conn->sock.fd);
	uint64_t taken = conn->sock.bytes_out - PER_MIN(unsent, conn->sock.bytes_out);
	uint64_t before = conn->rate_taken;

	conn->rate_taken = taken;
	return conn->sock.bytes_out - conn->rate_out >= bytes_min ||
	       taken - PER_MIN(before, taken) >= bytes_min;
}

/* One rate window is over: whoever had to move bytes must have moved enough of them. */
static void rate_window_end(struct per__conn *conn)
{
	const struct per__worker *worker = conn->worker;
	const struct per__policy *policy = &worker->policy;
	/* one that began under another policy may have been shorter */
	bool is_judged = worker->loop.now_ns - policy->rate_window_ns >= worker->policy_ns;
	uint64_t in = conn->sock.bytes_in - conn->rate_in;
	bool is_sending = (conn->flags & PER__CONN_SENDING) != 0;
	bool is_reading = (conn->flags & PER__CONN_WANT_BODY) != 0;

	conn->timer_kind = PER__TIMER_NONE;
	if (is_sending && !has_taken(conn, is_judged ? policy->write_window_bytes_min : 0))
		per__conn_cut(conn);
	else if (is_reading && in < policy->body_window_bytes_min && !is_sending && is_judged)
		conn->proto->on_timeout(conn);
	else if (is_sending || is_reading)
		per__conn_watch_rate(conn);
}

void per__conn_expired(struct per__conn *conn)
{
	struct per__worker *worker = conn->worker;

	if ((conn->flags & PER__CONN_CLOSING) != 0 || conn->timer_kind == PER__TIMER_NONE)
		return;
	if (conn->deadline_ns > worker->loop.now_ns) {
		wheel_move(conn);
		return;
	}
	if (conn->timer_kind == PER__TIMER_LINGER) {
		per__conn_close(conn, PER__CLOSE_NORMAL);
	} else if (conn->timer_kind == PER__TIMER_RATE) {
		rate_window_end(conn);
	} else {
		conn->timer_kind = PER__TIMER_NONE;
		conn->proto->on_timeout(conn);
	}
}

/* --- ending ----------------------------------------------------------------------------------- */

void per__conn_close(struct per__conn *conn, enum per__close_how how)
{
	if ((conn->flags & PER__CONN_CLOSING) != 0)
		return;
	conn->flags |= PER__CONN_CLOSING;
	loop_of(conn)->be->close(loop_of(conn), &conn->sock, how);
}

void per__conn_cut(struct per__conn *conn)
{
	if ((conn->flags & PER__CONN_CLOSING) != 0)
		return;
	conn->flags |= PER__CONN_TIMED_OUT;
	per__count(&conn->worker->counters.timeouts, 1);
	per__conn_close(conn, PER__CLOSE_RESET);
}

void per__conn_input_drop(struct per__conn *conn)
{
	if (conn->in != NULL)
		per__block_give(conn->worker, conn->in);
	conn->in = NULL;
	conn->in_pos = conn->in_len = conn->in_cap = 0;
}

void per__conn_recv_go_on(struct per__conn *conn)
{
	if ((conn->flags & PER__CONN_PAUSED) == 0)
		return;
	conn->flags &= ~(uint32_t)PER__CONN_PAUSED;
	loop_of(conn)->be->recv_resume(loop_of(conn), &conn->sock);
}

static void linger_begin(struct per__conn *conn)
{
	int64_t timeout_ns = conn->worker->policy.linger_timeout_ns;

	conn->flags |= PER__CONN_LINGERING;
	conn->linger_end_ns = loop_of(conn)->now_ns + LINGER_MAX_FACTOR * timeout_ns;
	per__conn_input_drop(conn);
	loop_of(conn)->be->shutdown(loop_of(conn), &conn->sock);
	per__conn_recv_go_on(conn);
	per__conn_set_timer(conn, PER__TIMER_LINGER, timeout_ns);
}

void per__conn_finish_now(struct per__conn *conn)
{
	if ((conn->flags & PER__CONN_LINGERING) != 0)
		return;
	if ((conn->flags & PER__CONN_LINGER) != 0 && (conn->flags & PER__CONN_EOF) == 0)
		linger_begin(conn);
	else
		per__conn_close(conn, PER__CLOSE_NORMAL);
}

void per__conn_switch(struct per__conn *conn)
{
	conn->proto = conn->proto_next;
	conn->proto_next = NULL;
	per__conn_unhold(conn);
	conn->proto->on_open(conn);
	if (PER_UNLIKELY(conn->worker->is_stopping) && per__conn_is_open(conn))
		conn->proto->on_stop(conn); /* the others have heard of it before */
}

void per__conn_finish(struct per__conn *conn, bool with_linger)
{
	conn->flags |= PER__CONN_FINISHING | PER__CONN_HOLD | (with_linger ? PER__CONN_LINGER : 0);
	conn->flags &= ~(uint32_t)PER__CONN_WANT_BODY;
	per__conn_mark_dirty(conn);
}

/* --- output ----------------------------------------------------------------------------------- */

void per__conn_mark_dirty(struct per__conn *conn)
{
	struct per__worker *worker = conn->worker;

	if ((conn->flags & PER__CONN_DIRTY) != 0)
		return;
	conn->flags |= PER__CONN_DIRTY;
	conn->dirty_next = NULL;
	if (worker->dirty_last != NULL)
		worker->dirty_last->dirty_next = conn;
	else
		worker->dirty_first = conn;
	worker->dirty_last = conn;
}

/*
 * Hands the first block to the backend. One send per connection and turn: called at its end, and when a
 * send is over.
 */
void per__conn_flush(struct per__conn *conn)
{
	struct per__out_block *block = conn->out_first;

	if ((conn->flags & PER__CONN_CLOSING) != 0)
		return;
	if (PER_UNLIKELY((conn->flags & PER__CONN_TLS) != 0)) {
		per__secure_flush(conn);
		return;
	}
	if ((conn->flags & PER__CONN_SENDING) != 0) {
		per__conn_watch_rate(conn);
		return;
	}
	if (block == NULL) {
		if ((conn->flags & PER__CONN_FINISHING) != 0)
			per__conn_finish_now(conn);
		return;
	}
	conn->flags |= PER__CONN_SENDING;
	if (PER_UNLIKELY(block->file.len != 0))
		loop_of(conn)->be->send_file(loop_of(conn), &conn->sock, block->iov, block->iov_cnt);
	else
		loop_of(conn)->be->send(loop_of(conn), &conn->sock, block->iov, block->iov_cnt);
	per__conn_watch_rate(conn);
}

void per__on_sent(struct per__loop *loop, struct per__sock *sock)
{
	struct per__conn *conn = per__conn_of(sock);
	bool has_sent = true; /* something of the protocol's */

	(void)loop;
	conn->flags &= ~(uint32_t)PER__CONN_SENDING;
	if (PER_UNLIKELY((conn->flags & PER__CONN_TLS) != 0))
		has_sent = per__secure_sent(conn);
	else
		per__out_pop(conn);
	if ((conn->flags & PER__CONN_CLOSING) != 0)
		return;
	if ((conn->flags & PER__CONN_WANT_WRITABLE) != 0 && conn->out_bytes <= conn->out_low) {
		conn->flags &= ~(uint32_t)PER__CONN_WANT_WRITABLE;
		conn->proto->on_writable(conn);
	}
	per__conn_flush(conn);
	if (conn->out_first == NULL && has_sent &&
	    (conn->flags & (PER__CONN_FINISHING | PER__CONN_CLOSING | PER__CONN_SENDING)) == 0)
		conn->proto->on_drained(conn);
}

/* --- input ------------------------------------------------------------------------------------ */

/*
 * Slows the peer down: the protocol takes nothing, and something is kept already. Or nothing is to come: then
 * a paused backend tells of a reset all the same (B8).
 */
static void input_pause(struct per__conn *conn)
{
	if ((conn->flags & PER__CONN_PAUSED) != 0)
		return;
	conn->flags |= PER__CONN_PAUSED;
	loop_of(conn)->be->recv_pause(loop_of(conn), &conn->sock);
}

/* Makes room behind the kept input for at least one more byte; for all of wanted if the memory is there. */
static bool input_grow(struct per__conn *conn, size_t wanted)
{
	size_t cap;
	uint8_t *in = per__block_take(conn->worker,
				      PER_MAX((size_t)conn->in_len + wanted, (size_t)2 * conn->in_len), &cap);

	if (in == NULL)
		return false;
	if (conn->in_len > 0)
		memcpy(in, conn->in + conn->in_pos, conn->in_len);
	if (conn->in != NULL)
		per__block_give(conn->worker, conn->in);
	conn->in = in;
	conn->in_cap = (uint32_t)PER_MIN(cap, (size_t)UINT32_MAX);
	conn->in_pos = 0;
	return true;
}

/* Appends to the kept input. Returns false after ending the connection: the memory budget is used up. */
static bool input_keep(struct per__conn *conn, const uint8_t *data, size_t len)
{
	if (conn->in_cap - conn->in_pos - conn->in_len < len && conn->in_cap - conn->in_len >= len) {
		memmove(conn->in, conn->in + conn->in_pos, conn->in_len);
		conn->in_pos = 0;
	}
	if (conn->in_cap - conn->in_pos - conn->in_len < len && !input_grow(conn, len)) {
		conn->proto->on_nomem(conn);
		return false;
	}
	memcpy(conn->in + conn->in_pos + conn->in_len, data, len);
	conn->in_len += (uint32_t)len;
	return true;
}

static inline bool input_is_wanted(const struct per__conn *conn)
{
	return (conn->flags & (PER__CONN_HOLD | PER__CONN_CLOSING)) == 0;
}

/*
 * Offers input to the protocol, and the rest of it to the next one when the first has handed the connection
 * on.
 */
static size_t input_offer(struct per__conn *conn, uint8_t *data, size_t len)
{
	const struct per__proto *proto;
	size_t used = 0;

	do {
		proto = conn->proto;
		used += proto->on_data(conn, data + used, len - used);
		PER_ASSERT(used <= len);
	} while (PER_UNLIKELY(proto != conn->proto) && used < len && input_is_wanted(conn));
	return used;
}

/* Offers the kept input to the protocol. */
static void input_offer_kept(struct per__conn *conn)
{
	size_t used = input_offer(conn, conn->in + conn->in_pos, conn->in_len);

	conn->in_pos += (uint32_t)used;
	conn->in_len -= (uint32_t)used;
	if (conn->in_len == 0)
		per__conn_input_drop(conn);
}

/*
 * New input. In the ordinary case nothing is kept and the protocol reads it where the backend has it.
 * Behind an incomplete head it is appended in portions, so that what follows the head is read in place again.
 */
void per__conn_input(struct per__conn *conn, uint8_t *data, size_t len)
{
	size_t portion;

	while (conn->in_len > 0 && len > 0 && input_is_wanted(conn)) {
		portion = PER_MIN(len, PER_MAX((size_t)1, (size_t)conn->in_cap - conn->in_len));
		if (!input_keep(conn, data, portion))
			return;
		data += portion;
		len -= portion;
		input_offer_kept(conn);
	}
	if (len > 0 && input_is_wanted(conn)) {
		size_t used = input_offer(conn, data, len);

		data += used;
		len -= used;
	}
	if (len > 0 && (conn->flags & (PER__CONN_CLOSING | PER__CONN_FINISHING)) == 0)
		input_keep(conn, data, len);
	if (conn->in_len > 0 && !input_is_wanted(conn) &&
	    (conn->flags & (PER__CONN_CLOSING | PER__CONN_FINISHING)) == 0)
		input_pause(conn);
}

static void lingering_input(struct per__conn *conn, size_t len)
{
	int64_t now_ns = loop_of(conn)->now_ns;

	if (len == 0 || now_ns >= conn->linger_end_ns)
		per__conn_close(conn, PER__CLOSE_NORMAL);
	else
		per__conn_set_timer(conn, PER__TIMER_LINGER, conn->worker->policy.linger_timeout_ns);
}

/* The protocol hears of the end of the stream when it has seen everything before it. */
static PER_COLD void eof_tell_now(struct per__conn *conn)
{
	if ((conn->flags & PER__CONN_EOF_TOLD) != 0)
		return;
	if (input_is_wanted(conn)) {
		conn->flags |= PER__CONN_EOF_TOLD;
		conn->proto->on_eof(conn);
	} else if ((conn->flags & (PER__CONN_CLOSING | PER__CONN_FINISHING)) == 0) {
		input_pause(conn);
	}
}

static inline void eof_tell(struct per__conn *conn)
{
	if (PER_UNLIKELY((conn->flags & PER__CONN_EOF) != 0))
		eof_tell_now(conn);
}

void per__conn_input_end(struct per__conn *conn)
{
	conn->flags |= PER__CONN_EOF;
	eof_tell(conn);
}

static void stream_end(struct per__conn *conn)
{
	if ((conn->flags & PER__CONN_TLS) != 0)
		per__secure_eof(conn);
	per__conn_input_end(conn);
}

void per__on_recv(struct per__loop *loop, struct per__sock *sock, uint8_t *data, size_t len)
{
	struct per__conn *conn = per__conn_of(sock);

	(void)loop;
	if (PER_UNLIKELY((conn->flags & PER__CONN_CLOSING) != 0))
		return;
	if (PER_UNLIKELY((conn->flags & PER__CONN_LINGERING) != 0))
		lingering_input(conn, len);
	else if (PER_UNLIKELY(len == 0))
		stream_end(conn);
	else if (PER_UNLIKELY((conn->flags & PER__CONN_TLS) != 0))
		per__secure_input(conn, data, len);
	else
		per__conn_input(conn, data, len);
}

void per__conn_unhold(struct per__conn *conn)
{
	if ((conn->flags & (PER__CONN_FINISHING | PER__CONN_CLOSING)) != 0)
		return;
	conn->flags &= ~(uint32_t)PER__CONN_HOLD;
	per__conn_mark_dirty(conn);
}

static void conn_give(struct per__conn *conn)
{
	struct per__worker *worker = conn->worker;

	per__wheel_clear(&worker->wheel, per__slab_index(&worker->conns, conn));
	per__count(&worker->counters.connections_now, (uint64_t)-1);
	conn->sock.gen++;
	conn->proto = NULL; /* free: per__worker_turn() skips it */
	per__slab_give(&worker->conns, conn);
}

void per__conn_turn(struct per__conn *conn)
{
	conn->flags &= ~(uint32_t)PER__CONN_DIRTY;
	if (PER_UNLIKELY((conn->flags & PER__CONN_CLOSING) != 0)) {
		if ((conn->flags & PER__CONN_GONE) != 0)
			conn_give(conn);
		return;
	}
	conn->proto->on_turn(conn);
	if (conn->in_len > 0 && input_is_wanted(conn))
		input_offer_kept(conn);
	if (input_is_wanted(conn))
		per__conn_recv_go_on(conn);
	eof_tell(conn);
	per__conn_flush(conn);
}

/* --- beginning and end ------------------------------------------------------------------------ */

const struct per__proto *per__conn_first_proto(const struct per__conn *conn)
{
	const struct per__worker *worker = conn->worker;

	return worker->listeners[conn->listener].is_tls ? &per__proto_handshake : worker->upper.first;
}

static struct per__conn *conn_take(struct per__worker *worker, uint8_t listener)
{
	const struct per__policy *policy = &worker->policy;
	bool is_tls = worker->listeners[listener].is_tls;
	struct per__conn *conn = per__slab_take(&worker->conns);
	uint32_t gen;

	if (conn == NULL)
		return NULL;
	gen = conn->sock.gen;
	memset(conn, 0, sizeof(*conn));
	conn->sock.gen = gen;
	conn->worker = worker;
	conn->listener = listener;
	conn->proto = per__conn_first_proto(conn);
	conn->out_low = worker->conf->write_queue_bytes / 2;
	per__count(&worker->counters.connections, 1);
	per__count(&worker->counters.connections_now, 1);
	per__conn_set_timer(conn, PER__TIMER_IDLE,
			    is_tls ? policy->tls_handshake_timeout_ns : policy->head_timeout_ns);
	return conn;
}

/*
 * Connections of a PROXY listener whose real peer may speak for others begin with a header. Who will be asked
 * for the peer's address anyhow asks while the kernel surely knows it.
 */
static void conn_choose_proto(struct per__conn *conn, int fd)
{
	const struct per__worker *worker = conn->worker;
	bool is_proxy = worker->listeners[conn->listener].is_proxy;

	if ((!is_proxy && !worker->conf->asks_peers) || per__sock_peer(fd, &conn->peer) != 0)
		return;
	if (is_proxy && per__nets_contain(&worker->policy.proxy_trusted, &conn->peer))
		conn->proto = worker->upper.first_proxy;
}

struct per__sock *per__on_accept(struct per__loop *loop, struct per__listener *listener, int fd)
{
	struct per__worker *worker = per__worker_of(loop);
	struct per__conn *conn;

	if (worker->is_acceptor) {
		per__acceptor_hand_over(worker, listener, fd);
		return PER__SOCK_TAKEN;
	}
	conn = conn_take(worker, (uint8_t)listener->index);
	if (conn == NULL)
		return NULL;
	conn_choose_proto(conn, fd);
	return &conn->sock;
}

void per__on_closed(struct per__loop *loop, struct per__sock *sock, int error)
{
	struct per__conn *conn = per__conn_of(sock);
	int reason;

	(void)loop;
	conn->flags |= PER__CONN_CLOSING;
	conn->flags &= ~(uint32_t)PER__CONN_SENDING;
	reason = (conn->flags & PER__CONN_TIMED_OUT) != 0 ? PER_ETIMEDOUT : error != 0 ? PER_EGONE : 0;
	conn->proto->on_close(conn, reason);
	if (PER_UNLIKELY(conn->proto_next != NULL)) /* the upgrade was answered and did not come about */
		conn->proto_next->on_close(conn, reason);
	per__out_drop(conn);
	per__conn_input_drop(conn);
	if (PER_UNLIKELY(conn->secure != NULL))
		per__secure_drop(conn);
	if ((conn->flags & PER__CONN_DIRTY) != 0)
		conn->flags |=
			PER__CONN_GONE; /* per__conn_turn() frees the slot when the dirty list comes to it */
	else
		conn_give(conn);
}

const struct per__peer *per__conn_peer(struct per__conn *conn)
{
	if (conn->peer.family == 0)
		per__sock_peer(conn->sock.fd, &conn->peer);
	return &conn->peer;
}

void per__conn_adopt(struct per__worker *worker, int fd, uint8_t listener)
{
	struct per__conn *conn = worker->is_done ? NULL : conn_take(worker, listener);

	if (conn == NULL) {
		per__count(&worker->loop.counters.accept_refused, 1);
		close(fd);
		return;
	}
	conn_choose_proto(conn, fd);
	if (worker->loop.be->adopt(&worker->loop, &conn->sock, fd) != 0) {
		close(fd);
		conn_give(conn);
	} else if (PER_UNLIKELY(worker->is_stopping)) {
		conn->proto->on_stop(conn);
	}
}
