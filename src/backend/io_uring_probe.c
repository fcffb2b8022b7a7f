/* SPDX-License-Identifier: MIT */
/*
 * io_uring_probe.c - finds out whether io_uring works here by doing what the backend does, on a small ring
 * of its own. Answers in words that tell a user what to change. Called by per__backend_select() and by the
 * program's --probe.
 */
#include "backend/io_uring_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#define PROBE_BUFS 4u
#define PROBE_BUF_BYTES 64u
#define PROBE_PAGE 65536u /* the largest page there is */
#define PROBE_PAGES 2u
#define PROBE_TRIES 100

struct prober {
	struct io_uring ring;
	int rung;
	bool is_registered;
	struct io_uring_buf_ring
		*br; /* first page: the buffer ring, and the buffers behind it; second: another ring */
	struct per__probe *out;
};

static PER_PRINTF(3, 4) int answer(struct per__probe *out, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(out->reason, sizeof(out->reason), format, args);
	va_end(args);
	return err;
}

static void feature(struct per__probe *out, const char *name)
{
	size_t len = strlen(out->features);

	(void)snprintf(out->features + len, sizeof(out->features) - len, "%s%s", len != 0 ? ", " : "", name);
}

/* The sysctl of 6.6 and later: 0 all may, 1 members of a group, 2 nobody. -1: there is no such thing. */
static int sysctl_disabled(void)
{
	char text[2] = "";
	int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	(void)!read(fd, text, 1);
	(void)close(fd);
	return text[0] >= '0' && text[0] <= '2' ? text[0] - '0' : -1;
}

static int setup_failed(struct per__probe *out, int err)
{
	switch (err) {
	case -ENOSYS:
		return answer(out, PER_ENOTSUP,
			      "ENOSYS, kernel without io_uring, or hidden by a seccomp policy");
	case -EPERM:
	case -EACCES:
		switch (sysctl_disabled()) {
		case 2:
			return answer(out, PER_EACCES,
				      "EPERM, switched off by sysctl kernel.io_uring_disabled=2");
		case 1:
			return answer(
				out, PER_EACCES,
				"EPERM, or kernel.io_uring_disabled=1 and not in kernel.io_uring_group");
		default:
			return answer(out, PER_EACCES, "EPERM, blocked by seccomp or a container policy");
		}
	case -ENOMEM:
		return answer(out, PER_ENOMEM,
			      "ENOMEM, raise the memlock limit (ulimit -l) or the memory limit");
	case -EMFILE:
	case -ENFILE:
		return answer(out, PER_EMFILE, "no file descriptor left, raise the limit (ulimit -n)");
	case -EINVAL:
		return answer(out, PER_ENOTSUP, "kernel too old: no ring flag is known (needs 6.0)");
	default:
		return answer(out, PER_ESYS, "io_uring_setup: %s", strerror(-err));
	}
}

/*
 * Submits what is queued and waits for one completion, not for ever. Returns 0 or -errno; the caller marks
 * it seen.
 */
static int next_cqe(struct prober *p, struct io_uring_cqe **cqe)
{
	struct __kernel_timespec ts = { .tv_sec = 1 };
	int err;

	for (int i = 0; i < PROBE_TRIES; i++) {
		err = io_uring_submit_and_wait_timeout(&p->ring, cqe, 1, &ts, NULL);
		if (err != -EINTR)
			break;
	}
	return err < 0 ? err : 0;
}

static int buf_ring_probe(struct prober *p)
{
	struct io_uring_buf_reg reg = { .ring_entries = PROBE_BUFS, .bgid = URING_BUF_GROUP };
	int err;

	p->br = per__mem_reserve(PROBE_PAGES * PROBE_PAGE);
	if (p->br == NULL)
		return answer(p->out, PER_ENOMEM, "no memory for a probe");
	reg.ring_addr = (uint64_t)(uintptr_t)p->br;
	err = io_uring_register_buf_ring(&p->ring, &reg, 0);
	if (err == -EINVAL || err == -ENOSYS)
		return answer(p->out, PER_ENOTSUP, "kernel too old: no provided-buffer rings (needs 5.19)");
	if (err == -EPERM || err == -EACCES)
		return answer(p->out, PER_EACCES,
			      "EPERM, io_uring_register blocked by seccomp or a container policy");
	if (err != 0)
		return answer(p->out, err == -ENOMEM ? PER_ENOMEM : PER_ESYS, "buffer ring: %s",
			      strerror(-err));
	for (unsigned i = 0; i < PROBE_BUFS; i++)
		io_uring_buf_ring_add(p->br, (char *)p->br + PROBE_PAGE / 2 + (size_t)i * PROBE_BUF_BYTES,
				      PROBE_BUF_BYTES, (unsigned short)i, PROBE_BUFS - 1, (int)i);
	io_uring_buf_ring_advance(p->br, PROBE_BUFS);
	return 0;
}

/* One byte through a socketpair into a provided buffer. */
static int recv_probe(struct prober *p, const int pair[2])
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&p->ring);
	struct io_uring_cqe *cqe;
	int err, res;
	unsigned cqe_flags;

	io_uring_prep_recv(sqe, pair[0], NULL, 0, 0);
	sqe->ioprio |= IORING_RECV_MULTISHOT;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = URING_BUF_GROUP;
	sqe->user_data = URING_OP_RECV;
	if (write(pair[1], "p", 1) != 1)
		return answer(p->out, PER_ESYS, "socketpair: %s", strerror(errno));
	err = next_cqe(p, &cqe);
	if (err == -EPERM || err == -EACCES)
		return answer(p->out, PER_EACCES,
			      "EPERM, io_uring_enter blocked by seccomp or a container policy");
	if (err != 0)
		return answer(p->out, PER_ENOTSUP, "a receive did not complete: %s", strerror(-err));
	res = cqe->res;
	cqe_flags = cqe->flags;
	io_uring_cqe_seen(&p->ring, cqe);
	if (res == -EINVAL)
		return answer(p->out, PER_ENOTSUP, "kernel too old: no multishot recv (needs 6.0)");
	if (res != 1 || (cqe_flags & IORING_CQE_F_BUFFER) == 0)
		return answer(p->out, PER_ENOTSUP, "multishot recv failed: %s",
			      res < 0 ? strerror(-res) : "wrong answer");
	return 0;
}

/* Accepts on an unnamed local listener. Not being able to make one is no verdict. */
static int accept_probe(struct prober *p)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	int err = 0;

	if (listener < 0 || client < 0 ||
	    bind(listener, (struct sockaddr *)&addr, sizeof(addr.sun_family)) != 0 ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) != 0 || listen(listener, 1) != 0 ||
	    connect(client, (struct sockaddr *)&addr, len) != 0)
		goto close_both;
	sqe = io_uring_get_sqe(&p->ring);
	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = URING_OP_ACCEPT;
	while (err == 0) { /* the receive's end may come first */
		err = next_cqe(p, &cqe);
		if (err == 0 && cqe->user_data == URING_OP_ACCEPT)
			break;
		if (err == 0)
			io_uring_cqe_seen(&p->ring, cqe);
	}
	if (err == 0 && cqe->res >= 0)
		(void)close(cqe->res);
	else
		err = answer(p->out, PER_ENOTSUP, "kernel too old: no multishot accept (needs 5.19)");
close_both:
	if (listener >= 0)
		(void)close(listener);
	if (client >= 0)
		(void)close(client);
	return err;
}

static void incremental_probe(struct prober *p)
{
	/* By position: the fourth member is called pad or flags, depending on the header's age. */
	struct io_uring_buf_reg reg = { (uint64_t)(uintptr_t)p->br + PROBE_PAGE,
					PROBE_BUFS,
					URING_BUF_GROUP + 1,
					URING_PBUF_RING_INC,
					{ 0 } };

	if (io_uring_register_buf_ring(&p->ring, &reg, 0) == 0)
		feature(p->out, "incremental buffers");
}

static void features_probe(struct prober *p)
{
	struct io_uring_probe *ops = io_uring_get_probe_ring(&p->ring);

	feature(p->out, per__uring_ladder[p->rung].name);
	if (p->is_registered)
		feature(p->out, "registered ring");
	feature(p->out, "provided-buffer ring, multishot accept and recv");
	if (ops != NULL && io_uring_opcode_supported(ops, IORING_OP_SEND_ZC))
		feature(p->out, "zero-copy send");
	if ((p->ring.features & URING_FEAT_RECVSEND_BUNDLE) != 0)
		feature(p->out, "bundles");
	if ((p->ring.features & URING_FEAT_MIN_TIMEOUT) != 0)
		feature(p->out, "minimum wait");
	incremental_probe(p);
	if (ops != NULL)
		io_uring_free_probe(ops);
}

static int probe_with_ring(struct prober *p)
{
	int pair[2];
	int err;

	if ((p->ring.features & (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP)) !=
	    (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP))
		return answer(p->out, PER_ENOTSUP,
			      "kernel too old: no wait with a timeout argument (needs 6.0)");
	p->is_registered = io_uring_register_ring_fd(&p->ring) == 1;
	err = buf_ring_probe(p);
	if (err != 0)
		return err;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return answer(p->out, PER_ESYS, "socketpair: %s", strerror(errno));
	err = recv_probe(p, pair);
	(void)close(pair[1]); /* ends the receive */
	if (err == 0)
		err = accept_probe(p);
	(void)close(pair[0]);
	if (err != 0)
		return err;
	features_probe(p);
	return answer(p->out, 0, "works here");
}

int per__uring_probe(struct per__probe *out)
{
	struct prober p = { .out = out };
	int err;

	out->reason[0] = '\0';
	out->features[0] = '\0';
	p.rung = per__uring_create(&p.ring, PROBE_BUFS, 2 * PROBE_BUFS, 0);
	if (p.rung < 0)
		return setup_failed(out, p.rung);
	err = probe_with_ring(&p);
	io_uring_queue_exit(&p.ring);
	if (p.br != NULL)
		per__mem_release(p.br, PROBE_PAGES * PROBE_PAGE);
	return err;
}
