/* SPDX-License-Identifier: MIT */
/*
 * sim_peer.c - the far ends of the simulated connections: what they send, read and see. Never up-calls.
 * Called by tests and, for the two byte streams, by sim_backend.c.
 * Invariant: out_read <= out.base + out.len; the bytes between are on their way and bound by sndbuf_bytes.
 */
#include "sim_world.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_NS 1000000000u

__extension__ typedef unsigned __int128 u128;

static struct per__sim_peer *peer_new(struct per__sim *sim, enum sim_peer_state state, uint16_t index)
{
	struct per__sim_peer *peer = sim_alloc(sizeof(*peer));

	peer->sim = sim;
	peer->state = state;
	peer->listener_index = index;
	peer->fd = sim->fd_next++;
	peer->next = sim->peers;
	sim->peers = peer;
	peer->eof_ns = peer->reset_ns = SIM_NEVER;
	peer->reset_at_in = peer->reset_at_out = peer->cut_out = UINT64_MAX;
	peer->rate = SIM_RATE_UNLIMITED;
	peer->rate_ns = peer->last_ns = peer->connect_ns = sim->now_ns;
	if (sim_chance(sim, sim->faults.accept_delay))
		peer->connect_ns += sim_delay_ns(sim);
	return peer;
}

struct per__sim_peer *sim_connect(struct per__sim *sim, uint16_t listener_index)
{
	return peer_new(sim, SIM_PEER_PENDING, listener_index);
}

struct per__sim_peer *sim_connect_detached(struct per__sim *sim)
{
	return peer_new(sim, SIM_PEER_DETACHED, 0);
}

int sim_peer_fd(const struct per__sim_peer *peer)
{
	return peer->fd;
}

void sim_peer_free(struct per__sim_peer *peer)
{
	struct per__sim_peer **link = &peer->sim->peers;

	PER_ASSERT(peer->state != SIM_PEER_ATTACHED);
	PER_ASSERT(peer->sim->in_poll == 0);
	while (*link != peer)
		link = &(*link)->next;
	*link = peer->next;
	free(peer->in.data);
	free(peer->out.data);
	free(peer->segs);
	free(peer);
}

/* --- peer to server --------------------------------------------------------------------------- */

/* When something sent now with that delay arrives: never before what was sent earlier. */
static int64_t peer_arrival(struct per__sim_peer *peer, int64_t ns)
{
	struct per__sim *sim = peer->sim;
	int64_t at = sim->now_ns + ns;

	if (sim->faults.latency_ns_max > 0)
		at += (int64_t)sim_random_below(sim, (uint64_t)sim->faults.latency_ns_max + 1);
	if (at < peer->last_ns)
		at = peer->last_ns;
	peer->last_ns = at;
	return at;
}

/* A RST has reached the peer. */
static void peer_rst(struct per__sim_peer *peer, bool is_lossy)
{
	sim_peer_drain(peer);
	peer->has_rst = true;
	if (is_lossy)
		peer->out.len = (size_t)(peer->out_read - peer->out.base);
}

static void peer_seg_add(struct per__sim_peer *peer, int64_t at)
{
	uint64_t end = peer->in.base + peer->in.len;

	if (peer->seg_pos == peer->seg_cnt)
		peer->seg_pos = peer->seg_cnt = 0;
	if (peer->seg_cnt > peer->seg_pos && peer->segs[peer->seg_cnt - 1].at_ns == at) {
		peer->segs[peer->seg_cnt - 1].end = end;
		return;
	}
	if (peer->seg_cnt == peer->seg_cap) {
		peer->seg_cap = PER_MAX(peer->seg_cap * 2, 16u);
		peer->segs = realloc(peer->segs, peer->seg_cap * sizeof(*peer->segs));
		if (peer->segs == NULL)
			abort();
	}
	peer->segs[peer->seg_cnt++] = (struct sim_seg){ at, end };
}

void sim_peer_send_after(struct per__sim_peer *peer, int64_t ns, const void *data, size_t len)
{
	if (peer->state == SIM_PEER_GONE) {
		peer_rst(peer, sim_chance(peer->sim, peer->sim->faults.rst_loses)); /* nobody is there */
		return;
	}
	if (peer->is_reset || len == 0)
		return;
	PER_ASSERT(peer->eof_ns == SIM_NEVER);
	sim_bytes_append(&peer->in, data, len);
	peer_seg_add(peer, peer_arrival(peer, ns));
}

void sim_peer_send(struct per__sim_peer *peer, const void *data, size_t len)
{
	sim_peer_send_after(peer, 0, data, len);
}

void sim_peer_close_write_after(struct per__sim_peer *peer, int64_t ns)
{
	if (peer->eof_ns == SIM_NEVER)
		peer->eof_ns = peer_arrival(peer, ns);
}

void sim_peer_close_write(struct per__sim_peer *peer)
{
	sim_peer_close_write_after(peer, 0);
}

void sim_peer_reset_after(struct per__sim_peer *peer, int64_t ns)
{
	int64_t at = peer->sim->now_ns + ns;

	if (at < peer->reset_ns)
		peer->reset_ns = at;
	peer->is_reset_late = sim_chance(peer->sim, SIM_MILLION / 2);
}

void sim_peer_reset(struct per__sim_peer *peer)
{
	sim_peer_reset_after(peer, 0);
	peer->is_reset = true;
}

/* Exactly here: nothing that was sent behind this point is given any more. */
void sim_peer_reset_now(struct per__sim_peer *peer)
{
	sim_peer_reset(peer);
	peer->is_reset_late = false;
}

void sim_peer_reset_at_in(struct per__sim_peer *peer, uint64_t bytes)
{
	peer->reset_at_in = bytes;
	if (peer->in_given >= bytes)
		sim_peer_reset_now(peer);
}

void sim_peer_reset_at_out(struct per__sim_peer *peer, uint64_t bytes)
{
	peer->reset_at_out = bytes;
	if (peer->out.base + peer->out.len >= bytes)
		sim_peer_reset_now(peer);
}

void sim_peer_cut_out(struct per__sim_peer *peer, uint64_t bytes)
{
	peer->cut_out = bytes;
}

uint64_t sim_peer_arrived(struct per__sim_peer *peer)
{
	uint64_t arrived = peer->in_given;

	while (peer->seg_pos < peer->seg_cnt && peer->segs[peer->seg_pos].end <= peer->in_given)
		peer->seg_pos++;
	for (size_t i = peer->seg_pos; i < peer->seg_cnt && peer->segs[i].at_ns <= peer->sim->now_ns; i++)
		arrived = peer->segs[i].end;
	return arrived;
}

int64_t sim_peer_next_in_ns(struct per__sim_peer *peer)
{
	while (peer->seg_pos < peer->seg_cnt && peer->segs[peer->seg_pos].end <= peer->in_given)
		peer->seg_pos++;
	if (peer->seg_pos < peer->seg_cnt)
		return peer->segs[peer->seg_pos].at_ns;
	return peer->end.is_eof_given ? SIM_NEVER : peer->eof_ns;
}

/* --- server to peer --------------------------------------------------------------------------- */

static uint64_t peer_underway(const struct per__sim_peer *peer)
{
	return peer->out.base + peer->out.len - peer->out_read;
}

void sim_peer_drain(struct per__sim_peer *peer)
{
	uint64_t underway = peer_underway(peer);
	int64_t now = peer->sim->now_ns;
	u128 allowed;

	if (peer->rate == SIM_RATE_UNLIMITED) {
		peer->out_read += underway;
		return;
	}
	if (underway == 0 || peer->rate == 0) {
		peer->rate_ns = now;
		return;
	}
	allowed = (u128)(uint64_t)(now - peer->rate_ns) * peer->rate / SECOND_NS;
	if (allowed >= underway) {
		peer->out_read += underway;
		peer->rate_ns = now;
		return;
	}
	peer->out_read += (uint64_t)allowed;
	peer->rate_ns += (int64_t)(allowed * SECOND_NS / peer->rate); /* the fraction of a byte is kept */
}

static uint64_t peer_sndbuf(const struct per__sim_peer *peer)
{
	size_t bytes = peer->sim->faults.sndbuf_bytes;

	return bytes != 0 ? bytes : SIM_SNDBUF_DEFAULT;
}

uint64_t sim_peer_room(struct per__sim_peer *peer)
{
	uint64_t underway;

	sim_peer_drain(peer);
	underway = peer_underway(peer);
	return underway >= peer_sndbuf(peer) ? 0 : peer_sndbuf(peer) - underway;
}

int64_t sim_peer_drain_ns(const struct per__sim_peer *peer, bool is_blocked)
{
	uint64_t need = peer_underway(peer);

	if (need == 0 || peer->rate == 0)
		return SIM_NEVER;
	if (peer->rate == SIM_RATE_UNLIMITED)
		return peer->sim->now_ns;
	if (is_blocked)
		need = PER_MIN(need, peer_sndbuf(peer) / SIM_RESUME_SHARE + 1);
	return peer->rate_ns + (int64_t)((u128)need * SECOND_NS / peer->rate) + 1;
}

void sim_peer_set_read_rate(struct per__sim_peer *peer, uint64_t bytes_per_s)
{
	sim_peer_drain(peer);
	peer->rate = bytes_per_s;
	peer->rate_ns = peer->sim->now_ns;
}

const uint8_t *sim_peer_received(struct per__sim_peer *peer, size_t *len)
{
	sim_peer_drain(peer);
	*len = (size_t)(peer->out_read - peer->out.base);
	return peer->out.data;
}

void sim_peer_consume(struct per__sim_peer *peer, size_t len)
{
	PER_ASSERT(len <= peer->out_read - peer->out.base);
	sim_bytes_drop(&peer->out, len);
}

size_t sim_peer_read(struct per__sim_peer *peer, void *buf, size_t cap)
{
	size_t len;
	const uint8_t *data = sim_peer_received(peer, &len);

	len = PER_MIN(len, cap);
	if (len != 0)
		memcpy(buf, data, len);
	sim_peer_consume(peer, len);
	return len;
}

/*
 * The server's end goes away. Bytes that it has not read make the FIN a RST, as the kernel does it (RFC 2525
 * section 2.17); bytes still on their way are answered with one.
 */
void sim_peer_server_closed(struct per__sim_peer *peer, bool is_reset)
{
	struct per__sim *sim = peer->sim;

	peer->state = SIM_PEER_GONE;
	peer->has_fin = !is_reset && !peer->is_reset && sim_peer_arrived(peer) == peer->in_given;
	if (!peer->has_fin || sim_peer_unread(peer) != 0)
		peer_rst(peer, is_reset || sim_chance(sim, sim->faults.rst_loses));
}

bool sim_peer_is_accepted(const struct per__sim_peer *peer)
{
	return peer->state != SIM_PEER_PENDING;
}

bool sim_peer_saw_fin(struct per__sim_peer *peer)
{
	sim_peer_drain(peer);
	return peer->has_fin && peer_underway(peer) == 0;
}

bool sim_peer_saw_rst(const struct per__sim_peer *peer)
{
	return peer->has_rst;
}

bool sim_peer_was_refused(const struct per__sim_peer *peer)
{
	return peer->is_refused;
}

bool sim_peer_is_over(struct per__sim_peer *peer)
{
	return sim_peer_saw_rst(peer) || sim_peer_saw_fin(peer);
}

bool sim_peer_is_attached(const struct per__sim_peer *peer)
{
	return peer->state == SIM_PEER_ATTACHED;
}

uint64_t sim_peer_bytes_in(const struct per__sim_peer *peer)
{
	return peer->in_given;
}

uint64_t sim_peer_bytes_out(const struct per__sim_peer *peer)
{
	return peer->out.base + peer->out.len;
}

uint64_t sim_peer_unread(const struct per__sim_peer *peer)
{
	return peer->in.base + peer->in.len - peer->in_given;
}
