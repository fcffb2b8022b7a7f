/* SPDX-License-Identifier: MIT */
/*
 * io_uring.c - the io_uring backend: one ring per loop, one io_uring_enter per turn, everything else is
 * shared memory. Here: the turn, the dispatch and the straight path of receive, send and close. The rest is
 * in io_uring_recv.c (buffers, pauses, starvation), io_uring_watch.c (resets during a pause),
 * io_uring_accept.c, io_uring_wake.c and io_uring_ring.c. Up-calls only from dispatch and turn_end.
 */
#include "backend/io_uring_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FINI_TRIES 64
#define FINI_WAIT_NS 10000000

/* --- ending a socket -------------------------------------------------------------------------- */

void per__uring_cancel(struct uring *u, struct per__sock *sock, enum uring_op target, enum uring_op op)
{
	struct io_uring_sqe *sqe = uring_sqe(u, IORING_OP_ASYNC_CANCEL, -1, uring_tag(sock, op));

	sqe->addr = uring_tag(sock, target);
	sock->inflight++;
}

/*
 * Cancels and closes in one submission. The close only gives the number back: the operations hold the file,
 * so the FIN or RST leaves when the last of them has ended, and on_closed waits for them all. A turn less
 * than joining first.
 */
void per__uring_sock_end(struct uring *u, struct per__sock *sock, int error)
{
	PER_ASSERT(sock->state == PER__SOCK_OPEN);
	sock->state = PER__SOCK_CLOSING;
	sock->be.held.error = error;
	per__uring_held_drop(u, sock);
	if ((sock->flags & (SOCK_RECV | SOCK_CANCEL)) == SOCK_RECV) {
		sock->flags |= SOCK_CANCEL;
		per__uring_cancel(u, sock, URING_OP_RECV, URING_OP_CANCEL_RECV);
	}
	if ((sock->flags & SOCK_SEND) != 0)
		per__uring_cancel(u, sock, URING_OP_SEND, URING_OP_CANCEL_SEND);
	if (PER_UNLIKELY((sock->be_flags & SOCK_WATCH) != 0))
		per__uring_cancel(u, sock, URING_OP_WATCH, URING_OP_CANCEL_WATCH);
	(void)uring_sqe(u, IORING_OP_CLOSE, sock->fd, uring_tag(sock, URING_OP_CLOSE));
	sock->inflight++;
	u->fds[(unsigned)sock->fd / 64] &= ~(UINT64_C(1) << ((unsigned)sock->fd % 64));
}

void per__uring_sock_finish(struct uring *u, struct per__sock *sock)
{
	if (sock->inflight != 0 || sock->state != PER__SOCK_CLOSING)
		return;
	if ((sock->flags & (SOCK_RESUMED | SOCK_STARVED)) != 0) {
		u->is_due = true; /* a list still names it, until the end of a turn */
		return;
	}
	sock->state = PER__SOCK_FREE;
	sock->fd = -1;
	u->sock_count--;
	per__on_closed(u->loop, sock, sock->be.held.error);
	if (PER_UNLIKELY(u->is_accept_paused))
		per__uring_accept_resume(u);
}

static void uring_close(struct per__loop *loop, struct per__sock *sock, enum per__close_how how)
{
	struct uring *u = loop->be_state;

	if (sock->state != PER__SOCK_OPEN)
		return;
	if (how == PER__CLOSE_RESET) {
		struct linger linger = { .l_onoff = 1, .l_linger = 0 };

		(void)setsockopt(sock->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		per__count(&loop->counters.syscalls, 1);
	}
	per__uring_sock_end(u, sock, 0);
	uring_submit_if_outside(u);
}

static void uring_shutdown(struct per__loop *loop, struct per__sock *sock)
{
	if (sock->state != PER__SOCK_OPEN)
		return;
	PER_ASSERT((sock->flags & SOCK_SEND) == 0);
	sock->be_flags |= SOCK_SHUT;
	(void)shutdown(sock->fd, SHUT_WR); /* as an SQE it would go to a worker thread */
	per__count(&loop->counters.syscalls, 1);
}

static int uring_adopt(struct per__loop *loop, struct per__sock *sock, int fd)
{
	struct uring *u = loop->be_state;

	if (!per__uring_sock_start(u, sock, fd))
		return PER_EMFILE;
	uring_submit_if_outside(u);
	return 0;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* No MSG_WAITALL: each short send is progress that a rate timeout can see. */
PER_INLINE void send_queue(struct uring *u, struct per__sock *sock, unsigned ioprio)
{
	uint64_t tag = uring_tag(sock, URING_OP_SEND);
	struct io_uring_sqe *sqe;

	if (PER_LIKELY(sock->out_cnt == 1)) {
		sqe = uring_sqe(u, IORING_OP_SEND, sock->fd, tag);
		sqe->addr = (uint64_t)(uintptr_t)sock->out_iov->iov_base;
		sqe->len = (uint32_t)sock->out_iov->iov_len;
	} else {
		struct msghdr *msg;

		sqe = uring_sqe(u, IORING_OP_SENDMSG, sock->fd, tag);
		msg = per__uring_msg_of(u, sqe);
		*msg = (struct msghdr){ .msg_iov = sock->out_iov,
					.msg_iovlen = PER_MIN(sock->out_cnt, IOV_MAX) };
		sqe->addr = (uint64_t)(uintptr_t)msg;
		sqe->len = 1;
	}
	sqe->ioprio = (uint16_t)ioprio;
	sqe->msg_flags = MSG_NOSIGNAL;
	u->sends_queued++;
}

static void uring_send(struct per__loop *loop, struct per__sock *sock, struct iovec *iov, uint32_t cnt)
{
	struct uring *u = loop->be_state;

	PER_ASSERT(cnt != 0 && (sock->flags & SOCK_SEND) == 0);
	if (PER_UNLIKELY(sock->state != PER__SOCK_OPEN))
		return; /* it broke; on_closed is on its way and gives iov back */
	sock->out_iov = iov;
	sock->out_cnt = cnt;
	sock->flags |= SOCK_SEND;
	sock->inflight++;
	send_queue(u, sock, 0);
	uring_submit_if_outside(u);
}

/* Takes the first bytes bytes off what is to be sent. */
static void send_advance(struct per__sock *sock, size_t bytes)
{
	struct iovec *iov = sock->out_iov;
	uint32_t cnt = sock->out_cnt;

	while (cnt != 0 && bytes >= iov->iov_len) { /* takes empty entries along */
		bytes -= iov->iov_len;
		iov++;
		cnt--;
	}
	if (cnt != 0) {
		iov->iov_base = (char *)iov->iov_base + bytes;
		iov->iov_len -= bytes;
	}
	sock->out_iov = iov;
	sock->out_cnt = cnt;
}

/* A send that failed, or of a socket that is closing. */
static PER_COLD void send_other(struct uring *u, struct per__sock *sock, int res)
{
	if (sock->state == PER__SOCK_OPEN && (res == -EAGAIN || res == -EINTR)) {
		send_queue(u, sock, IORING_RECVSEND_POLL_FIRST);
		return;
	}
	sock->flags &= (uint8_t)~SOCK_SEND;
	sock->inflight--;
	if (sock->state == PER__SOCK_OPEN)
		per__uring_sock_end(u, sock, res < 0 ? res : -EPIPE);
	else
		per__uring_sock_finish(u, sock);
}

PER_INLINE void send_done(struct uring *u, struct per__sock *sock, int res)
{
	PER_ASSERT((sock->flags & SOCK_SEND) != 0);
	if (PER_UNLIKELY((sock->out_cnt & PER__SOCK_FILE) != 0)) {
		per__uring_file_event(u, sock);
		return;
	}
	if (PER_LIKELY(res > 0)) {
		sock->bytes_out += (uint32_t)res;
		u->turn_bytes_out += (uint32_t)res;
	}
	if (PER_UNLIKELY(res <= 0 || sock->state != PER__SOCK_OPEN)) {
		send_other(u, sock, res);
		return;
	}
	if (PER_LIKELY(sock->out_cnt == 1 && sock->out_iov->iov_len == (uint32_t)res)) {
		sock->out_cnt = 0;
	} else {
		send_advance(sock, (uint32_t)res);
		if (sock->out_cnt != 0) {
			send_queue(u, sock, 0);
			return;
		}
	}
	sock->flags &= (uint8_t)~SOCK_SEND;
	sock->inflight--;
	per__on_sent(u->loop, sock);
}

static void send_cancelled(struct uring *u, struct per__sock *sock, int res)
{
	sock->inflight--;
	if (res == -ENOENT && (sock->flags & SOCK_SEND) != 0) /* see per__uring_recv_cancelled() */
		per__uring_cancel(u, sock, URING_OP_SEND, URING_OP_CANCEL_SEND);
	else
		per__uring_sock_finish(u, sock);
}

/* --- receiving -------------------------------------------------------------------------------- */

/* The straight path: bytes for an open socket whose owner listens. One call up, and the buffer goes back. */
PER_INLINE void recv_done(struct uring *u, struct per__sock *sock, int res, unsigned cqe_flags)
{
	unsigned id = cqe_flags >> IORING_CQE_BUFFER_SHIFT;

	PER_ASSERT((sock->flags & SOCK_RECV) != 0); /* else it is not this connection's */
	if (PER_UNLIKELY(res <= 0 || sock->state != PER__SOCK_OPEN ||
			 (sock->flags & (SOCK_PAUSED | SOCK_RESUMED)) != 0)) {
		per__uring_recv_other(u, sock, res, cqe_flags);
		return;
	}
	PER_DEBUG_ASSERT((cqe_flags & IORING_CQE_F_BUFFER) != 0);
	u->buf_level--;
	sock->bytes_in += (uint32_t)res;
	u->turn_bytes_in += (uint32_t)res;
	u->span_recvs++;
	if (sock->be_mark != u->span_mark) {
		sock->be_mark = u->span_mark;
		u->span_socks++;
	}
	if (PER_UNLIKELY((cqe_flags & IORING_CQE_F_MORE) == 0)) { /* before the up-call, which may close */
		sock->flags &= (uint8_t)~SOCK_RECV;
		sock->inflight--;
	}
	URING_UNPOISON(uring_buf(u, id), (size_t)res);
	per__on_recv(u->loop, sock, uring_buf(u, id), (size_t)res);
	uring_buf_give(u, id);
	if (PER_UNLIKELY((sock->flags & SOCK_RECV) == 0))
		per__uring_recv_again(u, sock);
}

/* --- the turn --------------------------------------------------------------------------------- */

static void closed(struct uring *u, struct per__sock *sock)
{
	sock->inflight--;
	per__uring_sock_finish(u, sock);
}

PER_INLINE void dispatch_one(struct uring *u, uint64_t user_data, int res, unsigned cqe_flags)
{
	void *ptr = (void *)(uintptr_t)(user_data & ~(uint64_t)URING_OP_MASK);

	switch ((enum uring_op)(user_data & URING_OP_MASK)) {
	case URING_OP_RECV:
		recv_done(u, ptr, res, cqe_flags);
		break;
	case URING_OP_SEND:
		send_done(u, ptr, res);
		break;
	case URING_OP_CLOSE:
		closed(u, ptr);
		break;
	case URING_OP_CANCEL_RECV:
		per__uring_recv_cancelled(u, ptr, res);
		break;
	case URING_OP_CANCEL_SEND:
		send_cancelled(u, ptr, res);
		break;
	case URING_OP_ACCEPT:
		per__uring_accepted(u, ptr, res, cqe_flags);
		break;
	case URING_OP_CANCEL_ACCEPT:
		per__uring_accept_cancelled(u, ptr, res);
		break;
	case URING_OP_WAKE:
		per__uring_woken(u, cqe_flags);
		break;
	case URING_OP_WATCH:
		per__uring_watched(u, ptr, res, cqe_flags);
		break;
	case URING_OP_CANCEL_WATCH:
		per__uring_watch_cancelled(u, ptr, res);
		break;
	case URING_OP_NONE:
	case URING_OP_CANCEL_ALL:
		break;
	}
}

/*
 * Works off the completions that are there now; what an up-call's early submission adds is for the next
 * turn.
 */
static void dispatch(struct uring *u)
{
	unsigned tail = io_uring_smp_load_acquire(u->cq_ktail);
	unsigned first = u->cq_head;

	while (u->cq_head != tail) {
		const struct io_uring_cqe *cqe = &u->cqes[u->cq_head & u->cq_mask];
		uint64_t user_data = cqe->user_data;
		unsigned cqe_flags = cqe->flags;
		int res = cqe->res;

		u->cq_head++; /* copied: an enter inside the up-call may hand this place back to the kernel */
		__builtin_prefetch((void *)(uintptr_t)(u->cqes[u->cq_head & u->cq_mask].user_data &
						       ~(uint64_t)URING_OP_MASK));
		dispatch_one(u, user_data, res, cqe_flags);
	}
	io_uring_smp_store_release(u->cq_khead, tail);
	per__count(&u->loop->counters.events, tail - first);
}

static void turn_count(struct uring *u)
{
	struct per__be_counters *counters = &u->loop->counters;

	per__count(&counters->turns, 1);
	per__count(&counters->bytes_in, u->turn_bytes_in);
	per__count(&counters->bytes_out, u->turn_bytes_out);
	u->turn_bytes_in = 0;
	u->turn_bytes_out = 0;
}

/* Once in a span: how many receives will come while a batch may be waited for, and from how many sockets. */
static void batch_adapt(struct uring *u)
{
	int64_t span_ns = u->loop->now_ns - u->span_start_ns;
	uint64_t expected;

	if (span_ns < URING_SPAN_NS)
		return;
	expected = (uint64_t)u->span_recvs * URING_BATCH_WAIT_NS / (uint64_t)span_ns;
	expected = PER_MIN(expected, u->span_socks / URING_BATCH_SHARE);
	u->batch = expected < URING_BATCH_MIN ? 1 : (uint32_t)PER_MIN(expected, URING_BATCH_MAX);
	u->span_start_ns = u->loop->now_ns;
	u->span_recvs = u->span_socks = 0;
	u->span_mark++;
}

/* Submits and waits, or does not wait when something can be done at once. */
static int turn_wait(struct uring *u, int64_t timeout_ns)
{
	unsigned wait_cnt = timeout_ns != 0 && !u->is_due && !uring_cq_ready(u) ? 1 : 0;

	if (PER_UNLIKELY(u->accept_retry_ns != 0) && wait_cnt != 0) {
		int64_t left_ns = PER_MAX(u->accept_retry_ns - u->loop->now_ns, 1);

		timeout_ns = timeout_ns < 0 ? left_ns : PER_MIN(timeout_ns, left_ns);
	}
	if (wait_cnt != 0 && u->batch > 1) {
		wait_cnt = u->sends_queued + u->batch;
		timeout_ns = timeout_ns < 0 ? URING_BATCH_WAIT_NS : PER_MIN(timeout_ns, URING_BATCH_WAIT_NS);
	}
	if (PER_UNLIKELY(IO_URING_READ_ONCE(*u->sq_kflags) & IORING_SQ_CQ_OVERFLOW))
		per__count(&u->loop->counters.cq_overflows, 1); /* the enter brings them back */
	return per__uring_enter(u, wait_cnt, timeout_ns);
}

static int uring_poll(struct per__loop *loop, int64_t timeout_ns)
{
	struct uring *u = loop->be_state;
	int err;

	PER_ASSERT(!u->is_polling);
	u->is_polling = true;
	if (PER_UNLIKELY(u->is_embedded))
		per__uring_outside_begin(u);
	err = turn_wait(u, timeout_ns);
	loop->now_ns = PER_MAX(per__clock_now_ns(), loop->now_ns); /* a timeout may have moved it ahead */
	loop->wall_s = per__clock_wall_s();
	if (PER_LIKELY(err == 0)) {
		if (!uring_cq_ready(u)) /* a batch was waited for in vain */
			u->batch = 1;
		dispatch(u);
		batch_adapt(u);
		if (PER_UNLIKELY(u->is_due || u->starved.head != NULL))
			per__uring_recv_turn_end(u);
		if (PER_UNLIKELY(u->accept_retry_ns != 0 && loop->now_ns >= u->accept_retry_ns))
			per__uring_accept_resume(u);
		turn_count(u);
	}
	u->is_polling = false;
	if (PER_UNLIKELY(u->is_embedded))
		per__uring_submit_outside(u);
	return err;
}

/* --- beginning and end ------------------------------------------------------------------------ */

static uint32_t round_up_to_power(uint32_t n)
{
	uint32_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

static int init_error(const struct per__log *log, const char *what, int err)
{
	per__log(log, PER_LOG_ERROR, "io_uring: %s: %s", what, strerror(-err));
	return err == -ENOMEM ? PER_ENOMEM : err == -EMFILE || err == -ENFILE ? PER_EMFILE : PER_ESYS;
}

static void state_free(struct uring *u)
{
	per__uring_bufs_close(u);
	if (u->backlog != NULL)
		per__mem_release(u->backlog, u->backlog_cap * sizeof(*u->backlog));
	if (u->fds != NULL)
		per__mem_release(u->fds, URING_FDS_MAX / 8);
	if (u->wake_fd >= 0)
		(void)close(u->wake_fd);
	if (u->poll_fd >= 0)
		(void)close(u->poll_fd);
	per__mem_release(u, sizeof(*u));
}

/* Everything that needs no ring. */
static int state_open(struct uring *u, const struct per__be_conf *conf)
{
	u->backlog_cap = conf->sockets_max * URING_SQES_PER_SOCK + 4 * URING_LISTENERS_MAX;
	u->backlog = per__mem_reserve(u->backlog_cap * sizeof(*u->backlog));
	u->fds = per__mem_reserve(URING_FDS_MAX / 8);
	if (u->backlog == NULL || u->fds == NULL)
		return -ENOMEM;
	u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return u->wake_fd < 0 ? -errno : 0;
}

int per__uring_init_at(struct per__loop *loop, const struct per__be_conf *conf, int rung)
{
	struct uring *u = per__mem_reserve(sizeof(*u));
	uint32_t cq_entries = round_up_to_power(PER_MIN(conf->sockets_max, URING_CQ_ENTRIES_MAX));
	int err;

	if (u == NULL)
		return PER_ENOMEM;
	u->loop = loop;
	u->log = conf->log;
	u->wake_fd = -1;
	u->poll_fd = -1;
	err = state_open(u, conf);
	if (err != 0) {
		state_free(u);
		return init_error(conf->log, "set-up", err);
	}
	err = per__uring_open(u, PER_MAX(cq_entries, URING_CQ_ENTRIES_MIN), rung);
	if (err < 0) {
		state_free(u);
		return init_error(conf->log, "io_uring_setup", err);
	}
	err = per__uring_bufs_open(u, conf);
	if (err != 0) {
		per__uring_close(u);
		state_free(u);
		return init_error(conf->log, "buffer ring", err);
	}
	u->batch = 1;
	loop->be_state = u;
	loop->now_ns = per__clock_now_ns();
	loop->wall_s = per__clock_wall_s();
	u->span_start_ns = loop->now_ns;
	u->span_mark = 1;
	per__uring_wake_arm(u);
	return 0;
}

static int uring_init(struct per__loop *loop, const struct per__be_conf *conf)
{
	return per__uring_init_at(loop, conf, 0);
}

/*
 * Reads completions without up-calls. Returns true when cancelling everything found nothing left to cancel.
 */
static bool drain(struct uring *u)
{
	unsigned tail = io_uring_smp_load_acquire(u->cq_ktail);
	bool is_over = false;

	for (; u->cq_head != tail; u->cq_head++) {
		const struct io_uring_cqe *cqe = &u->cqes[u->cq_head & u->cq_mask];
		unsigned op = (unsigned)cqe->user_data & URING_OP_MASK;

		if (op == URING_OP_CANCEL_ALL)
			is_over = cqe->res == 0 || cqe->res == -ENOENT;
		else if (op == URING_OP_ACCEPT && cqe->res >= 0)
			(void)close(cqe->res);
	}
	return is_over;
}

static void close_all(const struct uring *u)
{
	for (unsigned word = 0; word * 64 < u->fds_high; word++) {
		for (uint64_t bits = u->fds[word]; bits != 0; bits &= bits - 1)
			(void)close((int)(word * 64 + (unsigned)__builtin_ctzll(bits)));
	}
}

static void uring_fini(struct per__loop *loop)
{
	struct uring *u = loop->be_state;

	if (u == NULL)
		return;
	for (int i = 0; i < FINI_TRIES; i++) {
		struct io_uring_sqe *sqe =
			uring_sqe(u, IORING_OP_ASYNC_CANCEL, -1, uring_tag(NULL, URING_OP_CANCEL_ALL));

		sqe->cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
		if (per__uring_enter(u, 1, FINI_WAIT_NS) != 0 || drain(u))
			break;
	}
	(void)per__uring_enter(u, 0, 0); /* the last task work, and what the drain has made room for */
	(void)drain(u);
	close_all(u);
	per__uring_close(u);
	state_free(u);
	loop->be_state = NULL;
}

const struct per__backend per__backend_io_uring = {
	.name = "io_uring",
	.id = PER_BACKEND_IO_URING,
	.recv_bufs_each = URING_SPARE_FACTOR,
	.probe = per__uring_probe,
	.init = uring_init,
	.fini = uring_fini,
	.listen = per__uring_listen,
	.unlisten = per__uring_unlisten,
	.adopt = uring_adopt,
	.poll = uring_poll,
	.wake = per__uring_wake,
	.poll_fd = per__uring_poll_fd,
	.send = uring_send,
	.send_file = per__uring_send_file,
	.recv_pause = per__uring_recv_pause,
	.recv_resume = per__uring_recv_resume,
	.shutdown = uring_shutdown,
	.close = uring_close,
};
