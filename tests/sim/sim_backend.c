/* SPDX-License-Identifier: MIT */
/*
 * sim_backend.c - the simulated backend: init, down-calls, and the claims about what the core does.
 * sim_turn.c up-calls. A socket that broke by itself swallows calls until on_closed tells the core; one that
 * was closed by the core does not. Invariant: sock->be.ptr names its peer exactly while sock->state is not
 * PER__SOCK_FREE.
 */
#include "sim_backend.h"

#include "sim_turn.h"

#include <peregrine/types.h>
#include <stdio.h>
#include <stdlib.h>

static struct sim_loop *loop_state(struct per__loop *loop)
{
	return loop->be_state;
}

static int sim_probe(struct per__probe *out)
{
	snprintf(out->reason, sizeof(out->reason), "%s",
		 per__sim_current != NULL ? "works here" : "no simulated world was set");
	out->features[0] = '\0';
	return per__sim_current != NULL ? 0 : PER_ENOTSUP;
}

static int sim_init(struct per__loop *loop, const struct per__be_conf *conf)
{
	struct per__sim *sim = per__sim_current;
	struct sim_loop *state;

	if (sim == NULL)
		return PER_ENOTSUP;
	PER_ASSERT(conf->recv_buf_bytes > 0);
	PER_ASSERT(conf->sockets_max > 0 || conf->is_acceptor);
	state = sim_alloc(sizeof(*state));
	state->sim = sim;
	state->loop = loop;
	state->conf = *conf;
	for (uint32_t i = 0; i < SIM_RECV_BUFS; i++) {
		state->recv_buf[i] = sim_alloc(conf->recv_buf_bytes);
		per__mem_poison(state->recv_buf[i], conf->recv_buf_bytes);
	}
	sim->loop_cnt++;
	loop->be_state = state;
	sim_clock_set(state);
	return 0;
}

static void sim_fini(struct per__loop *loop)
{
	struct sim_loop *state = loop_state(loop);

	sim_claim(state->sim, !state->in_poll, "fini from inside poll");
	for (struct per__sim_peer *peer = state->sim->peers; peer != NULL; peer = peer->next) {
		if (peer->state != SIM_PEER_ATTACHED || peer->end.loop != loop)
			continue;
		if (peer->end.is_sending)
			free(peer->end.iov_own);
		sim_peer_server_closed(peer, true);
	}
	for (uint32_t i = 0; i < SIM_RECV_BUFS; i++) {
		per__mem_unpoison(state->recv_buf[i], state->conf.recv_buf_bytes);
		free(state->recv_buf[i]);
	}
	state->sim->loop_cnt--;
	free(state->ops);
	free(state);
	loop->be_state = NULL;
}

static int sim_listen(struct per__loop *loop, struct per__listener *listener)
{
	struct sim_loop *state = loop_state(loop);

	for (struct per__listener *each = state->listeners; each != NULL; each = each->next) {
		if (!sim_claim(state->sim, each != listener, "listen on a listener that listens already"))
			return PER_EINVAL;
	}
	listener->next = state->listeners;
	state->listeners = listener;
	return 0;
}

static void sim_unlisten(struct per__loop *loop, struct per__listener *listener)
{
	struct per__listener **link = &loop_state(loop)->listeners;

	while (*link != NULL && *link != listener)
		link = &(*link)->next;
	if (!sim_claim(loop_state(loop)->sim, *link != NULL, "unlisten on a listener that does not listen"))
		return;
	*link = listener->next;
	listener->next = NULL;
}

static struct per__sim_peer *peer_by_fd(struct per__sim *sim, int fd)
{
	struct per__sim_peer *peer = sim->peers;

	while (peer != NULL && peer->fd != fd)
		peer = peer->next;
	return peer;
}

static int sim_adopt(struct per__loop *loop, struct per__sock *sock, int fd)
{
	struct sim_loop *state = loop_state(loop);
	struct per__sim_peer *peer = peer_by_fd(state->sim, fd);

	if (peer == NULL || peer->state != SIM_PEER_DETACHED) {
		sim_violation(state->sim, "adopt of a descriptor that is not free to be adopted");
		return PER_EINVAL;
	}
	if (!sim_attach(state, sock, peer))
		return PER_EINVAL;
	return 0;
}

static void sim_wake(struct per__loop *loop)
{
	__atomic_store_n(&loop_state(loop)->wake, 1, __ATOMIC_RELEASE);
}

static int sim_poll_fd(struct per__loop *loop)
{
	(void)loop;
	return PER_ENOTSUP;
}

/* The peer of a socket that the core names; NULL (and a violation) when it must not name it. */
static struct per__sim_peer *named(struct per__loop *loop, const struct per__sock *sock)
{
	struct per__sim *sim = loop_state(loop)->sim;
	struct per__sim_peer *peer;

	if (sock->state == PER__SOCK_FREE || sock->be.ptr == NULL) {
		sim_violation(sim, "a socket is named that is not open, or after on_closed");
		return NULL;
	}
	peer = sock->be.ptr;
	if (peer->end.sock != sock || peer->end.loop != loop) {
		sim_violation(sim, "a socket is named on a loop it does not belong to");
		return NULL;
	}
	return peer;
}

static bool send_is_allowed(struct per__sim *sim, const struct sim_end *end, const struct iovec *iov,
			    uint32_t cnt)
{
	uint64_t bytes = 0;

	if (!sim_claim(sim, !end->is_sending, "a second send while one is outstanding"))
		return false;
	if (!sim_claim(sim, !end->is_shut, "send after shutdown"))
		return false;
	if (!sim_claim(sim, !end->is_core_closed, "send after close"))
		return false;
	if (!sim_claim(sim, iov != NULL && cnt >= 1, "send of no iovec"))
		return false;
	for (uint32_t i = 0; i < cnt; i++)
		bytes += iov[i].iov_len;
	if (!sim_claim(sim, bytes >= 1, "send of no bytes"))
		return false;
	return sim_claim(sim, bytes <= PER__SEND_MAX_BYTES, "send of more than PER__SEND_MAX_BYTES");
}

static void sim_send(struct per__loop *loop, struct per__sock *sock, struct iovec *iov, uint32_t cnt)
{
	struct sim_loop *state = loop_state(loop);
	struct per__sim_peer *peer = named(loop, sock);

	if (peer == NULL || !send_is_allowed(state->sim, &peer->end, iov, cnt))
		return;
	sock->out_iov = iov;
	sock->out_cnt = cnt;
	sim_lend(state, peer, iov, cnt);
}

static void sim_recv_pause(struct per__loop *loop, struct per__sock *sock)
{
	struct per__sim_peer *peer = named(loop, sock);

	if (peer != NULL)
		peer->end.is_paused = true;
}

static void sim_recv_resume(struct per__loop *loop, struct per__sock *sock)
{
	struct per__sim_peer *peer = named(loop, sock);

	if (peer != NULL)
		peer->end.is_paused = false;
}

static void sim_shutdown(struct per__loop *loop, struct per__sock *sock)
{
	struct per__sim *sim = loop_state(loop)->sim;
	struct per__sim_peer *peer = named(loop, sock);

	if (peer == NULL || !sim_claim(sim, !peer->end.is_sending, "shutdown while a send is outstanding") ||
	    !sim_claim(sim, !peer->end.is_core_closed, "shutdown after close"))
		return;
	peer->end.is_shut = true;
	if (sock->state == PER__SOCK_OPEN)
		peer->has_fin = true;
}

static void sim_close(struct per__loop *loop, struct per__sock *sock, enum per__close_how how)
{
	struct sim_loop *state = loop_state(loop);
	struct per__sim_peer *peer = named(loop, sock);

	if (peer == NULL || peer->end.is_core_closed)
		return;
	peer->end.is_core_closed = true;
	peer->end.how = how;
	sim_end_close(state, peer, 0);
}

const struct per__backend per__backend_sim = {
	.name = "sim",
	.id = PER__SIM_ID,
	.probe = sim_probe,
	.init = sim_init,
	.fini = sim_fini,
	.listen = sim_listen,
	.unlisten = sim_unlisten,
	.adopt = sim_adopt,
	.poll = sim_poll,
	.wake = sim_wake,
	.poll_fd = sim_poll_fd,
	.send = sim_send,
	.recv_pause = sim_recv_pause,
	.recv_resume = sim_recv_resume,
	.shutdown = sim_shutdown,
	.close = sim_close,
};
