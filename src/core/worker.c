/* SPDX-License-Identifier: MIT */
/*
 * worker.c - one loop: its memory, its turn, its end.
 * A turn waits and handles (all of it inside the backend's poll), looks at the timers, and then lets each
 * connection that has something to send do so once. Called by server.c, always on the worker's own thread
 * but for stop.
 */
#include "core/worker.h"

#include "base/clock.h"
#include "base/mem.h"
#include "core/acceptor.h"
#include "core/conn.h"
#include "core/secure.h"
#include <string.h>

#define MAIL_BATCH 64u
#define RESERVE_SHARE 8u /* this part of the blocks is kept for answers that say there is no memory */
#define CUT_GRACE_NS \
	(2 * INT64_C(1000000000)) /* after the deadline of a stop: time for the kernel to let go */

/* --- memory ----------------------------------------------------------------------------------- */

static int memory_init(struct per__worker *worker)
{
	const struct per__conf *conf = worker->conf;
	uint32_t blocks = (uint32_t)(conf->memory_bytes / 2 / PER__BLOCK_BYTES);
	int err = per__slab_init(&worker->conns, sizeof(struct per__conn), PER_CACHE_LINE,
				 conf->connections_max);

	if (err == 0)
		err = per__slab_init(&worker->reqs, worker->upper.req_bytes, PER_CACHE_LINE,
				     conf->connections_max);
	if (err == 0)
		err = per__slab_init(&worker->exts, worker->upper.ext_bytes, PER_CACHE_LINE,
				     conf->connections_max);
	if (err == 0)
		err = per__slab_init(&worker->blocks, PER__BLOCK_BYTES, PER_CACHE_LINE, PER_MAX(blocks, 16u));
	if (err == 0)
		err = per__buddy_init(&worker->overflow, conf->memory_bytes / 2);
	if (err == 0 && conf->policy.tls_handshakes_max > 0)
		err = per__secure_init(worker);
	return err;
}

int per__worker_init(struct per__worker *worker)
{
	int err = worker->is_acceptor ? 0 : memory_init(worker);

	worker->due_ns = INT64_MAX;
	worker->policy = worker->conf->policy;
	worker->policy_ns = INT64_MIN;
	if (err == 0)
		err = per__mailbox_init(&worker->mailbox);
	if (err == 0 && !worker->is_acceptor)
		err = worker->upper.begin(worker);
	if (err != 0)
		per__worker_fini(worker);
	return err;
}

void per__worker_fini(struct per__worker *worker)
{
	per__mem_free(atomic_load(&worker->policy_next));
	if (worker->upper_state != NULL)
		worker->upper.end(worker);
	per__mailbox_fini(&worker->mailbox);
	per__secure_fini(worker);
	per__buddy_fini(&worker->overflow);
	per__slab_fini(&worker->blocks);
	per__slab_fini(&worker->exts);
	per__slab_fini(&worker->reqs);
	per__slab_fini(&worker->conns);
}

void *per__block_take(struct per__worker *worker, size_t bytes, size_t *cap)
{
	void *block = NULL;

	if (PER_LIKELY(bytes <= PER__BLOCK_BYTES)) {
		*cap = PER__BLOCK_BYTES;
		if (PER_LIKELY(worker->blocks.used <
				       worker->blocks.capacity - worker->blocks.capacity / RESERVE_SHARE ||
			       worker->may_use_reserve))
			block = per__slab_take(&worker->blocks);
		if (PER_LIKELY(block != NULL))
			return block;
	}
	block = per__buddy_take(&worker->overflow, bytes, cap);
	per__count(block != NULL ? &worker->counters.overflow_blocks : &worker->counters.overflow_failures,
		   1);
	return block;
}

void per__block_give(struct per__worker *worker, void *block)
{
	if (PER_UNLIKELY(per__buddy_owns(&worker->overflow, block)))
		per__buddy_give(&worker->overflow, block);
	else
		per__slab_give(&worker->blocks, block);
}

size_t per__block_size(const struct per__worker *worker, const void *block)
{
	if (per__buddy_owns(&worker->overflow, block))
		return per__buddy_size(&worker->overflow, block);
	return PER__BLOCK_BYTES;
}

/* --- beginning -------------------------------------------------------------------------------- */

void per__worker_date_make(struct per__worker *worker)
{
	const struct per__conf *conf = worker->conf;
	char *pos = worker->date_line;

	worker->date_wall_s = worker->loop.wall_s;
	memcpy(pos, "Date: ", 6);
	per__date_format(pos + 6, worker->date_wall_s);
	pos += 6 + PER__DATE_LEN;
	memcpy(pos, "\r\n", 2);
	pos += 2;
	memcpy(pos, conf->server_field, conf->server_field_len);
	worker->date_line_len = (size_t)(pos - worker->date_line) + conf->server_field_len;
}

/* Do what measures time, and what it is measured by, stay as they are? */
static bool has_same_pace(const struct per__policy *a, const struct per__policy *b)
{
	return a->rate_window_ns == b->rate_window_ns &&
	       a->body_window_bytes_min == b->body_window_bytes_min &&
	       a->write_window_bytes_min == b->write_window_bytes_min &&
	       a->head_timeout_ns == b->head_timeout_ns &&
	       a->tls_handshake_timeout_ns == b->tls_handshake_timeout_ns;
}

void per__worker_take_policy(struct per__worker *worker)
{
	struct per__policy *next;

	if (PER_LIKELY(atomic_load_explicit(&worker->policy_next, memory_order_relaxed) == NULL))
		return;
	next = atomic_exchange(&worker->policy_next, NULL);
	if (next == NULL)
		return;
	if (!has_same_pace(&worker->policy, next))
		worker->policy_ns = worker->loop.now_ns;
	worker->policy = *next;
	per__mem_free(next);
}

static int listeners_start(struct per__worker *worker)
{
	int err = 0;

	for (size_t i = 0; i < worker->listener_cnt && err == 0; i++)
		err = worker->loop.be->listen(&worker->loop, &worker->listeners[i]);
	return err;
}

int per__worker_start(struct per__worker *worker)
{
	const struct per__conf *conf = worker->conf;
	struct per__be_conf be_conf = {
		.sockets_max = worker->is_acceptor ? 64 : conf->connections_max,
		.recv_buf_bytes = conf->recv_buf_bytes,
		.recv_buf_count = conf->recv_buf_count,
		.log = &conf->log,
		.is_acceptor = worker->is_acceptor,
	};
	int err = worker->loop.be->init(&worker->loop, &be_conf);

	if (err != 0)
		return err;
	if (!worker->is_acceptor)
		per__wheel_init(&worker->wheel, worker->conns.base + offsetof(struct per__conn, timer),
				worker->conns.object_bytes, worker->loop.now_ns);
	per__worker_date_make(worker);
	per__mailbox_open(&worker->mailbox, true);
	err = listeners_start(worker);
	if (err != 0) {
		per__mailbox_open(&worker->mailbox, false);
		worker->loop.be->fini(&worker->loop);
	}
	return err;
}

/* --- stopping --------------------------------------------------------------------------------- */

void per__worker_wake(void *worker)
{
	struct per__loop *loop = &((struct per__worker *)worker)->loop;

	loop->be->wake(loop);
}

void per__worker_stop(struct per__worker *worker, int level)
{
	int old = atomic_load(&worker->stop_level);

	while (old < level && !atomic_compare_exchange_weak(&worker->stop_level, &old, level))
		;
	per__worker_poke(worker);
}

/* Calls fn for every connection that is open. */
static void conns_each(struct per__worker *worker, void (*fn)(struct per__conn *conn))
{
	for (uint32_t i = 0; i < worker->conns.touched; i++) {
		struct per__conn *conn = per__slab_at(&worker->conns, i);

		if (conn->proto != NULL && (conn->flags & PER__CONN_CLOSING) == 0)
			fn(conn);
	}
}

static void conn_stop(struct per__conn *conn)
{
	conn->proto->on_stop(conn);
}

static void conn_cut(struct per__conn *conn)
{
	per__count(&conn->worker->counters.stop_cuts, 1);
	per__conn_close(conn, PER__CLOSE_RESET);
}

static void listeners_stop(struct per__worker *worker)
{
	for (size_t i = 0; i < worker->listener_cnt; i++) {
		worker->loop.be->unlisten(&worker->loop, &worker->listeners[i]);
		worker->upper.unlistened(worker, i);
	}
	worker->listener_cnt = 0;
}

static void stop_begin(struct per__worker *worker)
{
	worker->is_stopping = true;
	worker->stop_deadline_ns = worker->loop.now_ns + worker->policy.stop_timeout_ns;
	listeners_stop(worker);
	conns_each(worker, conn_stop);
}

/* No connection, and none on its way from an acceptor. */
static bool is_empty(const struct per__worker *worker)
{
	return worker->conns.used == 0 && __atomic_load_n(&worker->handed_over, __ATOMIC_RELAXED) == 0;
}

/* Looks at the stop request; is_done is set when nothing is left. */
static void stop_check(struct per__worker *worker)
{
	int level = atomic_load_explicit(&worker->stop_level, memory_order_relaxed);
	int64_t now_ns = worker->loop.now_ns;

	if (PER_LIKELY(level == 0))
		return;
	if (!worker->is_stopping)
		stop_begin(worker);
	if (level >= 2 || now_ns >= worker->stop_deadline_ns) {
		conns_each(worker, conn_cut);
		worker->stop_deadline_ns = PER_MIN(worker->stop_deadline_ns, now_ns);
	}
	worker->is_done = is_empty(worker) || now_ns >= worker->stop_deadline_ns + CUT_GRACE_NS;
}

/* --- a turn ----------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
	return a_ns < 0 ? b_ns : b_ns < 0 ? a_ns : PER_MIN(a_ns, b_ns);
}

int64_t per__worker_wait_ns(const struct per__worker *worker)
{
	int64_t now_ns = worker->loop.now_ns;
	int64_t wait_ns = worker->is_acceptor ? -1 : per__wheel_wait_ns(&worker->wheel, now_ns);

	if (worker->dirty_first != NULL || per__handshakes_wait(worker))
		return 0;
	if (worker->due_ns != INT64_MAX)
		wait_ns = earlier(wait_ns, PER_MAX(worker->due_ns - now_ns, INT64_C(1000000)));
	if (worker->is_stopping)
		wait_ns = earlier(wait_ns, PER_MAX(worker->stop_deadline_ns - now_ns, INT64_C(1000000)));
	return wait_ns;
}

static void timers_expire(struct per__worker *worker)
{
	int64_t slot;

	while ((slot = per__wheel_expire(&worker->wheel, worker->loop.now_ns)) >= 0)
		per__conn_expired(per__slab_at(&worker->conns, (uint32_t)slot));
}

/* Calls what is due, and looks when something is next. */
static PER_COLD void attached_due(struct per__worker *worker)
{
	int64_t now_ns = worker->loop.now_ns;

	worker->due_ns = INT64_MAX;
	for (struct per__attached *attached = worker->attached; attached != NULL; attached = attached->next) {
		bool is_due = attached->due_ns <= now_ns;

		if (is_due)
			attached->due_ns = INT64_MAX;
		worker->due_ns = PER_MIN(worker->due_ns, attached->due_ns);
		if (is_due)
			attached->on_due(attached);
	}
}

void per__worker_short(struct per__worker *worker)
{
	for (struct per__attached *attached = worker->attached; attached != NULL; attached = attached->next)
		attached->on_short(attached);
}

/* Accepting has failed, most likely for want of a descriptor: what lies open unused is to be closed. */
static PER_COLD void shortage_tell(struct per__worker *worker)
{
	worker->accept_errors = per__counter_read(&worker->loop.counters.accept_errors);
	if (worker->is_acceptor)
		per__acceptor_short(worker);
	else
		per__worker_short(worker);
}

/*
 * Every connection that asked for it gets its end of turn. One that asks again meanwhile comes in the next
 * turn, so a busy connection cannot keep the loop from the kernel.
 */
static void dirty_run(struct per__worker *worker)
{
	struct per__conn *conn = worker->dirty_first;

	worker->dirty_first = worker->dirty_last = NULL;
	while (conn != NULL) {
		struct per__conn *next = conn->dirty_next;

		per__conn_turn(conn);
		conn = next;
	}
}

int per__worker_turn(struct per__worker *worker, int64_t timeout_ns)
{
	int err = worker->loop.be->poll(&worker->loop, earlier(timeout_ns, per__worker_wait_ns(worker)));

	if (err != 0)
		return err;
	if (!worker->is_acceptor)
		timers_expire(worker);
	if (PER_UNLIKELY(worker->loop.now_ns >= worker->due_ns))
		attached_due(worker);
	if (PER_UNLIKELY(per__counter_read(&worker->loop.counters.accept_errors) != worker->accept_errors))
		shortage_tell(worker);
	stop_check(worker);
	dirty_run(worker);
	if (PER_UNLIKELY(per__handshakes_wait(worker)))
		per__handshakes_run(worker);
	return 0;
}

/* --- mail ------------------------------------------------------------------------------------- */

/* Bounded by what is in the box now: a function that posts again is run in the next turn. */
void per__worker_mail(struct per__worker *worker)
{
	struct per__mail batch[MAIL_BATCH];
	uint32_t left = per__mailbox_count(&worker->mailbox);

	while (left > 0) {
		uint32_t taken = per__mailbox_take(&worker->mailbox, batch, PER_MIN(left, MAIL_BATCH));

		for (uint32_t i = 0; i < taken; i++)
			batch[i].run(worker, &batch[i]);
		left = taken < left ? left - taken : 0;
		if (taken == 0)
			break;
	}
	if (per__mailbox_count(&worker->mailbox) > 0)
		worker->loop.be->wake(&worker->loop);
}

void per__worker_attach(struct per__worker *worker, struct per__attached *attached)
{
	attached->next = worker->attached;
	attached->due_ns = INT64_MAX;
	worker->attached = attached;
}

void per__worker_due(struct per__worker *worker, struct per__attached *attached, int64_t due_ns)
{
	attached->due_ns = due_ns;
	worker->due_ns = PER_MIN(worker->due_ns, due_ns);
}

void per__worker_detach(struct per__worker *worker, struct per__attached *attached)
{
	struct per__attached **link = &worker->attached;

	while (*link != attached)
		link = &(*link)->next;
	*link = attached->next;
}

void per__worker_poke(struct per__worker *worker)
{
	per__mailbox_poke(&worker->mailbox, per__worker_wake, worker);
}

void per__on_wake(struct per__loop *loop)
{
	struct per__worker *worker = per__worker_of(loop);
	struct per__attached *attached, *next;

	per__worker_mail(worker);
	if (worker->is_acceptor)
		return;
	worker->upper.on_wake(worker);
	for (attached = worker->attached; attached != NULL; attached = next) {
		next = attached->next;
		attached->on_wake(attached);
	}
}

static void attached_end(struct per__worker *worker)
{
	while (worker->attached != NULL) {
		struct per__attached *attached = worker->attached;

		worker->attached = attached->next;
		attached->on_end(attached);
	}
}

void per__worker_end(struct per__worker *worker)
{
	worker->is_stopping = true;
	worker->is_done = true;
	listeners_stop(worker);
	conns_each(worker, conn_cut);
	for (int i = 0; i < 1000 && worker->conns.used > 0; i++) {
		if (worker->loop.be->poll(&worker->loop, 1000000) != 0)
			break;
		dirty_run(worker);
	}
	per__mailbox_open(&worker->mailbox, false);
	per__worker_mail(worker);
	if (!worker->is_acceptor)
		worker->upper.on_wake(worker);
	attached_end(worker);
}

void per__worker_release(struct per__worker *worker)
{
	worker->loop.be->fini(&worker->loop);
}
