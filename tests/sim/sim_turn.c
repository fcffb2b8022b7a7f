/* SPDX-License-Identifier: MIT */
/*
 * sim_turn.c - poll of the simulated backend: which events are ready, in which random order they come, when
 * the next is. The only place of the simulator that up-calls. Time moves only when nothing is ready.
 * Invariant: an event is looked at again right before it happens, because earlier up-calls may have changed
 * everything.
 */
#include "sim_turn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum op_kind { OP_ACCEPT, OP_RECV, OP_SEND, OP_RESET, OP_CLOSED, OP_WAKE };

#define GARBAGE 0xdd
#define RETRY_NS ((int64_t)PER__ACCEPT_RETRY_MS * 1000000)
#define COMPACT_BYTES (64u * 1024u)
#define RUSH_NS 1 /* how long a part of a send takes when nothing delays it */

/* --- what is lent ----------------------------------------------------------------------------- */

/* FNV-1a: byte by byte, so that it does not matter how the bytes were cut. */
static uint64_t hash_more(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash;
}

static uint64_t hash_begin(void)
{
	return 0xcbf29ce484222325u;
}

void sim_lend(struct sim_loop *state, struct per__sim_peer *peer, struct iovec *iov, uint32_t cnt)
{
	struct sim_end *end = &peer->end;

	end->is_sending = true;
	end->iov = iov;
	end->iov_cnt = cnt;
	end->iov_pos = 0;
	end->iov_off = 0;
	end->send_left = 0;
	end->hash_lent = end->hash_taken = hash_begin();
	end->iov_own = sim_alloc(cnt * sizeof(*iov));
	memcpy(end->iov_own, iov, cnt * sizeof(*iov));
	for (uint32_t i = 0; i < cnt; i++) {
		end->send_left += iov[i].iov_len;
		end->hash_lent = hash_more(end->hash_lent, iov[i].iov_base, iov[i].iov_len);
	}
	end->send_not_before = state->sim->now_ns;
	state->sim->seen.lent_bytes += end->send_left;
}

/* Moves the next bytes of the send to the peer, or only looks at them when peer is NULL. */
static void send_take(struct sim_end *end, struct per__sim_peer *peer, uint64_t bytes)
{
	end->send_left -= bytes;
	while (bytes != 0) {
		const struct iovec *iov = &end->iov_own[end->iov_pos];
		const uint8_t *from = (const uint8_t *)iov->iov_base + end->iov_off;
		size_t part = PER_MIN(iov->iov_len - end->iov_off, bytes);

		end->hash_taken = hash_more(end->hash_taken, from, part);
		if (peer != NULL)
			sim_bytes_append(&peer->out, from, part);
		bytes -= part;
		end->iov_off += part;
		if (end->iov_off == iov->iov_len) {
			end->iov_pos++;
			end->iov_off = 0;
		}
	}
}

/* The loan is over: was everything as it was lent? The array is spoilt, since a backend may have used it up
 * (B3). */
static void send_unlend(struct sim_loop *state, struct sim_end *end)
{
	size_t iov_bytes = end->iov_cnt * sizeof(*end->iov);

	sim_claim(state->sim, memcmp(end->iov, end->iov_own, iov_bytes) == 0,
		  "the iovec array was changed while it was lent");
	send_take(end, NULL, end->send_left);
	sim_claim(state->sim, end->hash_taken == end->hash_lent, "bytes were changed while they were lent");
	memset(end->iov, GARBAGE, iov_bytes);
	free(end->iov_own);
	end->sock->out_iov = NULL;
	end->sock->out_cnt = 0;
	end->iov = NULL;
	end->is_sending = false;
}

/* --- the life of an end ----------------------------------------------------------------------- */

bool sim_attach(struct sim_loop *state, struct per__sock *sock, struct per__sim_peer *peer)
{
	bool is_zero = sock->state == PER__SOCK_FREE && sock->flags == 0 && sock->inflight == 0 &&
		       sock->out_cnt == 0 && sock->bytes_in == 0 && sock->bytes_out == 0 &&
		       sock->be.ptr == NULL;

	if (!sim_claim(state->sim, is_zero, "a socket was not zeroed before it was given to the backend"))
		return false;
	if (!sim_claim(state->sim, state->open_cnt < state->conf.sockets_max,
		       "more than sockets_max sockets"))
		return false;
	memset(&peer->end, 0, sizeof(peer->end));
	peer->end.loop = state->loop;
	peer->end.sock = sock;
	peer->state = SIM_PEER_ATTACHED;
	sock->fd = peer->fd;
	sock->state = PER__SOCK_OPEN;
	sock->be.ptr = peer;
	state->open_cnt++;
	return true;
}

void sim_end_close(struct sim_loop *state, struct per__sim_peer *peer, int error)
{
	struct sim_end *end = &peer->end;

	if (end->sock->state == PER__SOCK_CLOSING)
		return;
	end->sock->state = PER__SOCK_CLOSING;
	end->error = error;
	end->is_broken = error != 0;
	end->closed_not_before = state->sim->now_ns;
	if (sim_chance(state->sim, state->sim->faults.close_delay))
		end->closed_not_before += sim_delay_ns(state->sim);
}

/* --- when events are ready -------------------------------------------------------------------- */

static struct per__listener *listener_of(const struct sim_loop *state, const struct per__sim_peer *peer)
{
	struct per__listener *listener = state->listeners;

	while (listener != NULL && listener->index != peer->listener_index)
		listener = listener->next;
	return listener;
}

static bool is_open_here(const struct sim_loop *state, const struct per__sim_peer *peer)
{
	return peer->state == SIM_PEER_ATTACHED && peer->end.loop == state->loop &&
	       peer->end.sock->state == PER__SOCK_OPEN;
}

static int64_t accept_ns(struct sim_loop *state, struct per__sim_peer *peer)
{
	if (peer->state != SIM_PEER_PENDING || state->is_accept_blocked || listener_of(state, peer) == NULL)
		return SIM_NEVER;
	return PER_MAX(peer->connect_ns, state->accept_not_before);
}

static int64_t recv_ns(struct sim_loop *state, struct per__sim_peer *peer)
{
	int64_t at = sim_peer_next_in_ns(peer);

	if (!is_open_here(state, peer) || peer->end.is_paused || at == SIM_NEVER)
		return SIM_NEVER;
	if (!peer->is_reset_late && peer->reset_ns <= state->sim->now_ns)
		return SIM_NEVER;
	at = PER_MAX(at, peer->end.recv_not_before);
	return PER_MAX(at, state->starved_until);
}

static int64_t send_ns(struct sim_loop *state, struct per__sim_peer *peer)
{
	int64_t at = state->sim->now_ns;

	if (!is_open_here(state, peer) || !peer->end.is_sending)
		return SIM_NEVER;
	if (peer->end.send_left != 0 && sim_peer_room(peer) == 0)
		at = sim_peer_drain_ns(peer, true);
	return PER_MAX(at, peer->end.send_not_before);
}

/* A late RST is noticed when the bytes before it were given, at a send, or in a pause; an early one soon. */
static int64_t reset_ns(struct sim_loop *state, struct per__sim_peer *peer)
{
	if (!is_open_here(state, peer) || peer->reset_ns == SIM_NEVER)
		return SIM_NEVER;
	if (!peer->is_reset_late || peer->reset_ns > state->sim->now_ns || peer->end.is_sending ||
	    peer->end.is_paused)
		return peer->reset_ns;
	return sim_peer_arrived(peer) > peer->in_given ? SIM_NEVER : peer->reset_ns;
}

static int64_t closed_ns(struct sim_loop *state, struct per__sim_peer *peer)
{
	if (peer->state != SIM_PEER_ATTACHED || peer->end.loop != state->loop ||
	    peer->end.sock->state != PER__SOCK_CLOSING)
		return SIM_NEVER;
	return peer->end.closed_not_before;
}

static int64_t wake_ns(struct sim_loop *state)
{
	if (!__atomic_load_n(&state->wake, __ATOMIC_ACQUIRE))
		return SIM_NEVER;
	return PER_MAX(state->wake_not_before, state->sim->now_ns);
}

static int64_t op_ns(struct sim_loop *state, uint32_t kind, struct per__sim_peer *peer)
{
	switch ((enum op_kind)kind) {
	case OP_ACCEPT:
		return accept_ns(state, peer);
	case OP_RECV:
		return recv_ns(state, peer);
	case OP_SEND:
		return send_ns(state, peer);
	case OP_RESET:
		return reset_ns(state, peer);
	case OP_CLOSED:
		return closed_ns(state, peer);
	case OP_WAKE:
		return wake_ns(state);
	}
	return SIM_NEVER;
}

/* --- events happen ---------------------------------------------------------------------------- */

static void accept_now(struct sim_loop *state, struct per__sim_peer *peer)
{
	struct per__sim *sim = state->sim;
	struct per__be_counters *counters = &state->loop->counters;
	struct per__listener *listener = listener_of(state, peer);
	struct per__sock *sock;

	if (sim_chance(sim, sim->faults.accept_emfile)) {
		sim->seen.emfile++;
		per__count(&counters->accept_errors, 1);
		per__count(&counters->accept_pauses, 1);
		state->accept_not_before = sim->now_ns + 1 + (int64_t)sim_random_below(sim, RETRY_NS);
		return;
	}
	peer->state = SIM_PEER_DETACHED;
	sock = per__on_accept(state->loop, listener, peer->fd);
	if (sock == PER__SOCK_TAKEN)
		return;
	if (sock == NULL) {
		sim->seen.refused++;
		per__count(&counters->accept_refused, 1);
		per__count(&counters->accept_pauses, 1);
		peer->is_refused = true;
		sim_peer_server_closed(peer, false);
		if (state->open_cnt != 0)
			state->is_accept_blocked = true;
		else /* no close to wait for: the table that is full is another loop's */
			state->accept_not_before = sim->now_ns + 1 + (int64_t)sim_random_below(sim, RETRY_NS);
		return;
	}
	sim_attach(state, sock, peer);
}

static size_t recv_size(struct sim_loop *state, struct per__sim_peer *peer)
{
	const struct per__sim_faults *faults = &state->sim->faults;
	uint64_t len = sim_peer_arrived(peer) - peer->in_given;

	len = PER_MIN(len, state->conf.recv_buf_bytes);
	if (faults->recv_bytes_max != 0)
		len = PER_MIN(len, faults->recv_bytes_max);
	if (peer->reset_at_in > peer->in_given)
		len = PER_MIN(len, peer->reset_at_in - peer->in_given);
	if (len > 1 && sim_chance(state->sim, faults->recv_split)) {
		len = 1 + sim_random_below(state->sim, len);
		state->sim->seen.splits++;
	}
	return (size_t)len;
}

/* Lends the bytes at the very end of a buffer, so that a read past them is seen; afterwards the buffer is
 * spoilt. */
static void recv_lend(struct sim_loop *state, struct per__sim_peer *peer, size_t len)
{
	size_t cap = state->conf.recv_buf_bytes;
	uint8_t *buf = state->recv_buf[state->recv_next];
	uint8_t *data = buf + cap - len;

	state->recv_next = (state->recv_next + 1) % SIM_RECV_BUFS;
	per__mem_unpoison(buf, cap);
	if (len != 0)
		memcpy(data, peer->in.data + (peer->in_given - peer->in.base), len);
	per__mem_poison(buf, cap - len);
	peer->in_given += len;
	if (peer->in_given - peer->in.base > PER_MAX(COMPACT_BYTES, peer->in.len / 2))
		sim_bytes_drop(&peer->in, (size_t)(peer->in_given - peer->in.base));
	peer->end.sock->bytes_in += len;
	per__count(&state->loop->counters.bytes_in, len);
	if (peer->in_given == peer->reset_at_in)
		sim_peer_reset_now(peer);
	per__on_recv(state->loop, peer->end.sock, len != 0 ? data : buf, len);
	per__mem_unpoison(buf, cap);
	memset(buf, GARBAGE, cap);
	per__mem_poison(buf, cap);
}

static void recv_now(struct sim_loop *state, struct per__sim_peer *peer)
{
	struct per__sim *sim = state->sim;
	size_t len;

	if (sim_chance(sim, sim->faults.recv_starve)) {
		sim->seen.starved++;
		per__count(&state->loop->counters.recv_starved, 1);
		state->starved_until = sim->now_ns + sim_delay_ns(sim);
		return;
	}
	if (sim_chance(sim, sim->faults.recv_delay)) {
		peer->end.recv_not_before = sim->now_ns + sim_delay_ns(sim);
		return;
	}
	len = recv_size(state, peer);
	if (len == 0)
		peer->end.is_eof_given = true;
	recv_lend(state, peer, len);
}

static uint64_t send_size(struct sim_loop *state, struct per__sim_peer *peer)
{
	const struct per__sim_faults *faults = &state->sim->faults;
	uint64_t total = peer->out.base + peer->out.len;
	uint64_t len = PER_MIN(sim_peer_room(peer), peer->end.send_left);

	if (faults->send_bytes_max != 0)
		len = PER_MIN(len, faults->send_bytes_max);
	if (peer->reset_at_out > total)
		len = PER_MIN(len, peer->reset_at_out - total);
	if (peer->cut_out > total)
		len = PER_MIN(len, peer->cut_out - total);
	if (len > 1 && sim_chance(state->sim, faults->send_short)) {
		len = 1 + sim_random_below(state->sim, len);
		state->sim->seen.shorts++;
	}
	return len;
}

static void send_now(struct sim_loop *state, struct per__sim_peer *peer)
{
	struct per__sim *sim = state->sim;
	struct sim_end *end = &peer->end;

	if (end->send_left != 0) {
		uint64_t len = send_size(state, peer);

		send_take(end, peer, len);
		end->sock->bytes_out += len;
		per__count(&state->loop->counters.bytes_out, len);
		if (peer->out.base + peer->out.len == peer->reset_at_out)
			sim_peer_reset_now(peer);
		end->send_not_before = sim->now_ns + RUSH_NS;
		if (sim_chance(sim, sim->faults.send_delay))
			end->send_not_before = sim->now_ns + sim_delay_ns(sim);
		else if (end->send_left == 0)
			end->send_not_before = sim->now_ns;
	}
	if (end->send_left == 0 && end->send_not_before <= sim->now_ns) {
		send_unlend(state, end);
		per__on_sent(state->loop, end->sock);
	}
}

static void reset_now(struct sim_loop *state, struct per__sim_peer *peer)
{
	state->sim->seen.resets++;
	peer->is_reset = true;
	sim_end_close(state, peer, peer->end.is_sending && peer->is_reset_late ? -EPIPE : -ECONNRESET);
}

static void closed_now(struct sim_loop *state, struct per__sim_peer *peer)
{
	struct sim_end *end = &peer->end;
	struct per__sock *sock = end->sock;
	int error = end->error;

	if (end->is_sending)
		send_unlend(state, end);
	sim_peer_server_closed(peer, end->how == PER__CLOSE_RESET);
	sock->state = PER__SOCK_FREE;
	sock->be.ptr = NULL;
	end->sock = NULL;
	state->open_cnt--;
	state->is_accept_blocked = false;
	per__on_closed(state->loop, sock, error);
}

static void wake_now(struct sim_loop *state)
{
	struct per__sim *sim = state->sim;

	if (state->wake_not_before <= sim->now_ns && sim_chance(sim, sim->faults.wake_delay)) {
		state->wake_not_before = sim->now_ns + sim_delay_ns(sim);
		return;
	}
	__atomic_store_n(&state->wake, 0,
			 __ATOMIC_SEQ_CST); /* before the call: what is woken for during it is not lost */
	per__on_wake(state->loop);
}

static void op_now(struct sim_loop *state, uint32_t kind, struct per__sim_peer *peer)
{
	per__count(&state->loop->counters.events, 1);
	switch ((enum op_kind)kind) {
	case OP_ACCEPT:
		accept_now(state, peer);
		return;
	case OP_RECV:
		recv_now(state, peer);
		return;
	case OP_SEND:
		send_now(state, peer);
		return;
	case OP_RESET:
		reset_now(state, peer);
		return;
	case OP_CLOSED:
		closed_now(state, peer);
		return;
	case OP_WAKE:
		wake_now(state);
		return;
	}
}

/* --- a turn ----------------------------------------------------------------------------------- */

static void op_add(struct sim_loop *state, uint32_t kind, struct per__sim_peer *peer)
{
	if (op_ns(state, kind, peer) > state->sim->now_ns)
		return;
	if (state->op_cnt == state->op_cap) {
		state->op_cap = PER_MAX(state->op_cap * 2, 64u);
		state->ops = realloc(state->ops, state->op_cap * sizeof(*state->ops));
		if (state->ops == NULL)
			abort();
	}
	state->ops[state->op_cnt++] = (struct sim_op){ kind, peer };
}

/* Everything that is ready, in random order: sockets overtake each other, bytes of one socket never do. */
static void ops_collect(struct sim_loop *state)
{
	struct per__sim *sim = state->sim;

	state->op_cnt = 0;
	for (struct per__sim_peer *peer = sim->peers; peer != NULL; peer = peer->next) {
		if (peer->state == SIM_PEER_GONE || peer->state == SIM_PEER_DETACHED)
			continue;
		for (uint32_t kind = OP_ACCEPT; kind <= OP_CLOSED; kind++)
			op_add(state, kind, peer);
	}
	op_add(state, OP_WAKE, NULL);
	for (size_t i = state->op_cnt; i > 1; i--) {
		size_t j = (size_t)sim_random_below(sim, i);
		struct sim_op op = state->ops[i - 1];

		state->ops[i - 1] = state->ops[j];
		state->ops[j] = op;
	}
}

static void resets_roll(struct sim_loop *state)
{
	if (state->sim->faults.reset == 0)
		return;
	for (struct per__sim_peer *peer = state->sim->peers; peer != NULL; peer = peer->next) {
		if (is_open_here(state, peer) && sim_chance(state->sim, state->sim->faults.reset))
			sim_peer_reset(peer);
	}
}

static size_t scripts_run(struct per__sim *sim)
{
	size_t done = 0;

	for (uint32_t i = 0; i < sim->script_cnt;) {
		struct sim_script script = sim->scripts[i];

		if (script.at_ns > sim->now_ns) {
			i++;
			continue;
		}
		sim->scripts[i] = sim->scripts[--sim->script_cnt];
		script.fn(sim, script.arg);
		done++;
		i = 0;
	}
	return done;
}

static size_t turn_once(struct sim_loop *state)
{
	struct per__sim *sim = state->sim;
	size_t done = scripts_run(sim);

	if (sim_chance(sim, sim->faults.wake_spurious)) {
		sim->seen.spurious++;
		__atomic_store_n(&state->wake, 1, __ATOMIC_RELEASE);
	}
	ops_collect(state);
	for (size_t i = 0; i < state->op_cnt; i++) {
		struct sim_op op = state->ops[i];

		if (op_ns(state, op.kind, op.peer) > sim->now_ns || sim_chance(sim, sim->faults.skip))
			continue;
		op_now(state, op.kind, op.peer);
		done++;
	}
	if (done != 0)
		resets_roll(state);
	return done;
}

/* When the peer reads more. One that has just read the last byte may want to answer: time does not pass. */
static int64_t read_ns(struct per__sim_peer *peer)
{
	uint64_t before = peer->out_read;
	int64_t at;

	sim_peer_drain(peer);
	at = sim_peer_drain_ns(peer, false);
	return at == SIM_NEVER && peer->out_read != before ? peer->sim->now_ns : at;
}

static int64_t next_ns(struct sim_loop *state)
{
	struct per__sim *sim = state->sim;
	int64_t next = wake_ns(state), read;

	for (uint32_t i = 0; i < sim->script_cnt; i++)
		next = PER_MIN(next, sim->scripts[i].at_ns);
	for (struct per__sim_peer *peer = sim->peers; peer != NULL; peer = peer->next) {
		for (uint32_t kind = OP_ACCEPT; kind <= OP_CLOSED; kind++)
			next = PER_MIN(next, op_ns(state, kind, peer));
		read = read_ns(peer);
		next = PER_MIN(next, read);
	}
	return PER_MAX(next, sim->now_ns);
}

void sim_clock_set(struct sim_loop *state)
{
	struct per__sim *sim = state->sim;

	state->loop->now_ns = sim->now_ns;
	state->loop->wall_s = sim->wall_base_s + sim->now_ns / 1000000000;
}

/* Moves the clock to the next event, but not past the end of the wait. */
static void wait_until(struct sim_loop *state, int64_t end_ns)
{
	int64_t next = next_ns(state);

	state->sim->is_idle = next == SIM_NEVER;
	if (next == SIM_NEVER && end_ns == SIM_NEVER)
		return;
	state->sim->now_ns = PER_MAX(PER_MIN(next, end_ns), state->sim->now_ns);
	sim_clock_set(state);
}

int sim_poll(struct per__loop *loop, int64_t timeout_ns)
{
	struct sim_loop *state = loop->be_state;
	struct per__sim *sim = state->sim;
	int64_t end_ns = timeout_ns < 0 ? SIM_NEVER : sim->now_ns + timeout_ns;

	if (!sim_claim(sim, !state->in_poll, "poll from inside poll"))
		return PER_EINVAL;
	state->in_poll = true;
	sim->in_poll++;
	sim->is_idle = false;
	sim->seen.turns++;
	per__count(&loop->counters.turns, 1);
	if (sim->faults.turn_ns_max > 0)
		sim->now_ns += (int64_t)sim_random_below(sim, (uint64_t)sim->faults.turn_ns_max + 1);
	sim_clock_set(state);
	if (turn_once(state) == 0 && timeout_ns != 0) {
		wait_until(state, end_ns);
		if (!sim->is_idle)
			turn_once(state);
	}
	sim->in_poll--;
	state->in_poll = false;
	return 0;
}
