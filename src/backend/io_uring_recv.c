/* SPDX-License-Identifier: MIT */
/*
 * io_uring_recv.c - receive buffers, and every turn a receive can take besides "bytes arrived, the owner
 * wants them". The straight path is in io_uring.c. Each buffer is in one place: the ring, the stack of
 * spares, or held for a socket. A receive that ends is armed again unless the stream ended, the owner
 * paused, or there is no buffer: then it waits in the list of the starved, first come first served, until
 * buffers were given back.
 */
#include "backend/io_uring_internal.h"

#include "base/mem.h"

#include <errno.h>

/* --- buffers ---------------------------------------------------------------------------------- */

static int buf_ring_register(struct uring *u)
{
	struct io_uring_buf_reg reg = { .ring_addr = (uint64_t)(uintptr_t)u->br,
					.ring_entries = u->ring_count,
					.bgid = URING_BUF_GROUP };

	return io_uring_register_buf_ring(&u->ring, &reg, 0);
}

static void bufs_refill(struct uring *u)
{
	uint32_t used;

	while (u->buf_level < u->buf_target && u->free_count != 0 &&
	       (u->free_count > u->free_low || u->buf_level < URING_TARGET_LOW))
		uring_buf_put(u, u->free_ids[--u->free_count]);
	used = u->buf_count - u->free_count;
	if (used > per__counter_read(&u->loop->counters.recv_bufs_high))
		per__count(&u->loop->counters.recv_bufs_high,
			   used - per__counter_read(&u->loop->counters.recv_bufs_high));
}

int per__uring_bufs_open(struct uring *u, const struct per__be_conf *conf)
{
	if (!per__is_power_of_two(conf->recv_buf_count) || conf->recv_buf_count > URING_RING_BUFS_MAX ||
	    conf->recv_buf_bytes == 0)
		return -EINVAL;
	u->ring_count = conf->recv_buf_count;
	u->buf_count = PER_MIN(u->ring_count * URING_SPARE_FACTOR, URING_BUFS_MAX);
	u->buf_bytes = conf->recv_buf_bytes;
	u->buf_target = PER_MIN(u->ring_count, URING_TARGET_FIRST);
	u->br_mask = (uint16_t)(u->ring_count - 1);
	u->br_bytes = u->ring_count * sizeof(struct io_uring_buf);
	u->bufs_bytes = (size_t)u->buf_count * u->buf_bytes;
	u->ids_bytes = (size_t)u->buf_count * (2 * sizeof(uint16_t) + sizeof(uint32_t));
	u->br = per__mem_reserve(u->br_bytes);
	u->bufs = per__mem_reserve(u->bufs_bytes);
	u->hold_len = per__mem_reserve(u->ids_bytes);
	if (u->br == NULL || u->bufs == NULL || u->hold_len == NULL)
		return -ENOMEM;
	u->hold_next = (uint16_t *)(u->hold_len + u->buf_count);
	u->free_ids = u->hold_next + u->buf_count;
	for (uint32_t i = 0; i < u->buf_count; i++) /* the lowest ids on top */
		u->free_ids[i] = (uint16_t)(u->buf_count - 1 - i);
	u->free_count = u->buf_count;
	u->free_low = u->buf_count / 4;
	URING_POISON(u->bufs, u->bufs_bytes);
	bufs_refill(u);
	return buf_ring_register(u);
}

void per__uring_bufs_close(struct uring *u)
{
	if (u->bufs != NULL) {
		URING_UNPOISON(u->bufs, u->bufs_bytes);
		per__mem_release(u->bufs, u->bufs_bytes);
	}
	if (u->hold_len != NULL)
		per__mem_release(u->hold_len, u->ids_bytes);
	if (u->br != NULL)
		per__mem_release(u->br, u->br_bytes);
}

void per__uring_buf_spare(struct uring *u, unsigned id)
{
	PER_ASSERT(u->free_count < u->buf_count);
	u->free_ids[u->free_count++] = (uint16_t)id;
}

/* --- arming, starving ------------------------------------------------------------------------- */

void per__uring_recv_arm(struct uring *u, struct per__sock *sock)
{
	struct io_uring_sqe *sqe;

	PER_DEBUG_ASSERT(sock->state == PER__SOCK_OPEN);
	PER_ASSERT((sock->flags & (SOCK_RECV | SOCK_PAUSED | SOCK_STARVED | SOCK_EOF)) == 0);
	sqe = uring_sqe(u, IORING_OP_RECV, sock->fd, uring_tag(sock, URING_OP_RECV));
	sqe->flags = IOSQE_BUFFER_SELECT;
	if (PER_LIKELY(*uring_careful(sock) == 0 && u->free_count > u->free_low))
		sqe->ioprio = IORING_RECV_MULTISHOT;
	else
		sqe->len = u->buf_bytes;
	sqe->buf_group = URING_BUF_GROUP;
	sock->flags |= SOCK_RECV;
	sock->inflight++;
}

/*
 * Arms again what ended, unless something else will: resume after a pause, the end of the turn, a buffer's
 * return.
 */
void per__uring_recv_again(struct uring *u, struct per__sock *sock)
{
	if (sock->state != PER__SOCK_OPEN ||
	    (sock->flags & (SOCK_RECV | SOCK_PAUSED | SOCK_RESUMED | SOCK_STARVED | SOCK_EOF)) != 0)
		return;
	if (*uring_careful(sock) != 0)
		--*uring_careful(sock);
	per__count(&u->loop->counters.recv_rearms, 1);
	per__uring_recv_arm(u, sock);
}

/*
 * The ring was dry. It is made larger if it may be; the socket waits for its turn whether or not it has
 * bytes to read.
 */
static void starve(struct uring *u, struct per__sock *sock)
{
	per__count(&u->loop->counters.recv_starved, 1);
	u->buf_target = PER_MIN(u->buf_target * 2, u->ring_count);
	u->is_due = true;
	if ((sock->flags & (SOCK_PAUSED | SOCK_RESUMED)) != 0)
		return; /* armed by whoever ends that state */
	sock->flags |= SOCK_STARVED;
	uring_list_add(&u->starved, sock);
}

/*
 * One receive for each buffer in the ring: more would only starve again. After bufs_refill() there is at
 * least one, since hold() never uses up the last spare; so the list moves at every turn.
 */
static void starved_rearm(struct uring *u)
{
	uint32_t left = u->buf_level;

	while (left != 0 && u->starved.head != NULL) {
		struct per__sock *sock = uring_list_take(&u->starved);

		sock->flags &= (uint8_t)~SOCK_STARVED;
		if (sock->state != PER__SOCK_OPEN) {
			per__uring_sock_finish(u, sock);
		} else if ((sock->flags & (SOCK_PAUSED | SOCK_RECV)) == 0) {
			per__uring_recv_again(u, sock);
			left--;
		}
	}
}

/* --- holding ---------------------------------------------------------------------------------- */

static void hold(struct uring *u, struct per__sock *sock, unsigned id, uint32_t len)
{
	u->is_due = true;         /* a spare takes its place in the ring */
	if (u->free_count == 0) { /* every spare is held already: this socket gives way, the others go on */
		uring_buf_give(u, id);
		per__uring_sock_end(u, sock, -ENOBUFS);
		return;
	}
	URING_POISON(uring_buf(u, id), u->buf_bytes);
	u->hold_next[id] = 0;
	u->hold_len[id] = len;
	if (sock->be.held.head == 0)
		sock->be.held.head = (uint16_t)(id + 1);
	else
		u->hold_next[sock->be.held.tail - 1] = (uint16_t)(id + 1);
	sock->be.held.tail = (uint16_t)(id + 1);
}

static unsigned held_take(struct uring *u, struct per__sock *sock)
{
	unsigned id = sock->be.held.head - 1u;

	sock->be.held.head = u->hold_next[id];
	return id;
}

void per__uring_held_drop(struct uring *u, struct per__sock *sock)
{
	while (sock->be.held.head != 0)
		uring_buf_give(u, held_take(u, sock));
}

/* Hands over what was held, until there is no more or the owner has enough again. */
static void held_deliver(struct uring *u, struct per__sock *sock)
{
	while (sock->state == PER__SOCK_OPEN && (sock->flags & SOCK_PAUSED) == 0 && sock->be.held.head != 0) {
		unsigned id = held_take(u, sock);
		uint32_t len = u->hold_len[id];

		URING_UNPOISON(uring_buf(u, id), len);
		per__on_recv(u->loop, sock, uring_buf(u, id), len);
		uring_buf_give(u, id);
	}
	sock->flags &= (uint8_t)~SOCK_RESUMED;
	if (sock->state != PER__SOCK_OPEN) {
		per__uring_sock_finish(u, sock);
	} else if ((sock->flags & (SOCK_PAUSED | SOCK_EOF_DUE)) == SOCK_EOF_DUE) {
		sock->flags &= (uint8_t)~SOCK_EOF_DUE;
		per__on_recv(u->loop, sock, u->bufs, 0);
	} else {
		per__uring_recv_again(u, sock);
	}
}

void per__uring_recv_turn_end(struct uring *u)
{
	struct uring_list resumed = u->resumed;

	u->is_due = false;
	u->resumed.head = NULL; /* what is resumed from here on waits for the next turn */
	while (resumed.head != NULL)
		held_deliver(u, uring_list_take(&resumed));
	bufs_refill(u);
	starved_rearm(u);
	if (u->starved.head != NULL && u->buf_level != 0)
		u->is_due = true;
}

/* --- completions that are not simply bytes for an open, listening owner ----------------------- */

static void recv_ended(struct uring *u, struct per__sock *sock, int res)
{
	switch (res) {
	case 0:
		sock->flags |= SOCK_EOF;
		if ((sock->flags & (SOCK_PAUSED | SOCK_RESUMED)) != 0)
			sock->flags |= SOCK_EOF_DUE;
		else
			per__on_recv(u->loop, sock, u->bufs, 0);
		break;
	case -ENOBUFS:
		starve(u, sock);
		break;
	case -ECANCELED: /* the owner's pause; it may have resumed since */
	case -EINTR:
	case -EAGAIN:
		per__uring_recv_again(u, sock);
		break;
	default:
		if (res > 0)
			per__uring_recv_again(u, sock);
		else
			per__uring_sock_end(u, sock, res);
		break;
	}
}

void per__uring_recv_other(struct uring *u, struct per__sock *sock, int res, unsigned cqe_flags)
{
	bool has_ended = (cqe_flags & IORING_CQE_F_MORE) == 0;

	if (has_ended) {
		sock->flags &= (uint8_t)~SOCK_RECV;
		sock->inflight--;
	}
	if ((cqe_flags & IORING_CQE_F_BUFFER) != 0) {
		unsigned id = cqe_flags >> IORING_CQE_BUFFER_SHIFT;

		u->buf_level--;
		if (res > 0 && sock->state == PER__SOCK_OPEN) {
			sock->bytes_in += (uint32_t)res;
			u->turn_bytes_in += (uint32_t)res;
			hold(u, sock, id, (uint32_t)res);
		} else {
			uring_buf_give(u, id);
		}
	}
	if (sock->state != PER__SOCK_OPEN)
		per__uring_sock_finish(u, sock);
	else if (has_ended)
		recv_ended(u, sock, res);
}

/*
 * The answer to a cancel. -ENOENT with the receive still armed: the cancel came while the kernel was just
 * about to arm it, when it can be found nowhere. It is repeated, else the receive would go on, or a close
 * would never end.
 */
void per__uring_recv_cancelled(struct uring *u, struct per__sock *sock, int res)
{
	sock->flags &= (uint8_t)~SOCK_CANCEL;
	sock->inflight--;
	if (res == -ENOENT && (sock->flags & SOCK_RECV) != 0 &&
	    (sock->state != PER__SOCK_OPEN || (sock->flags & SOCK_PAUSED) != 0)) {
		sock->flags |= SOCK_CANCEL;
		per__uring_cancel(u, sock, URING_OP_RECV, URING_OP_CANCEL_RECV);
	} else if (sock->state != PER__SOCK_OPEN) {
		per__uring_sock_finish(u, sock);
	}
}

/* --- the owner's calls ------------------------------------------------------------------------ */

void per__uring_recv_pause(struct per__loop *loop, struct per__sock *sock)
{
	struct uring *u = loop->be_state;

	if (sock->state != PER__SOCK_OPEN || (sock->flags & SOCK_PAUSED) != 0)
		return;
	sock->flags |= SOCK_PAUSED;
	*uring_careful(sock) = URING_CAREFUL_RECVS;
	if ((sock->flags & (SOCK_RECV | SOCK_CANCEL)) == SOCK_RECV) {
		sock->flags |= SOCK_CANCEL;
		per__uring_cancel(u, sock, URING_OP_RECV, URING_OP_CANCEL_RECV);
	}
	per__uring_watch(u, sock);
	uring_submit_if_outside(u);
}

void per__uring_recv_resume(struct per__loop *loop, struct per__sock *sock)
{
	struct uring *u = loop->be_state;

	if (sock->state != PER__SOCK_OPEN || (sock->flags & SOCK_PAUSED) == 0)
		return;
	sock->flags &= (uint8_t)~SOCK_PAUSED;
	if ((sock->flags & SOCK_RESUMED) != 0)
		return;
	if (sock->be.held.head != 0 || (sock->flags & SOCK_EOF_DUE) != 0) {
		sock->flags |= SOCK_RESUMED;
		uring_list_add(&u->resumed, sock);
		u->is_due = true;
		if (u->is_embedded &&
		    !u->is_polling) /* held bytes do not make the ring's descriptor readable */
			loop->be->wake(loop);
	} else {
		per__uring_recv_again(u, sock);
		uring_submit_if_outside(u);
	}
}
