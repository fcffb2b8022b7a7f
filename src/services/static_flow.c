/* SPDX-License-Identifier: MIT */
/*
 * static_flow.c - answers that take more than one piece of work: they wait for a load, are read while
 * they are sent, or have several parts. Goes on when the connection has room or a job is done; never
 * waits. Invariant: a flow lives until its exchange is over and no job refers to it.
 */
#include "services/static_files.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_BYTES (64u * 1024u)     /* of a job */
#define WINDOW_BYTES (1024u * 1024u) /* of a file that is handed to the kernel at once */
#define SAMPLE_BYTES (128u * 1024u)  /* one byte in so many is looked at */

/*
 * A transfer that has found so much in the system's memory, and whose reader takes it fast, gets larger
 * windows, and fewer bytes of them are looked at: what is sent until the next look is still younger than
 * what waits for a slow reader.
 */
#define WARM_BYTES (8u * 1024u * 1024u)
#define WARM_WINDOW_BYTES (2u * 1024u * 1024u)
#define WARM_SAMPLE_BYTES (512u * 1024u)
#define WARM_NS INT64_C(50000000) /* a window leaves within that time */

/* --- life ------------------------------------------------------------------------------------- */

static bool has_job(const struct per__flow *flow)
{
	return flow->state == PER__FLOW_LOADING || flow->state == PER__FLOW_READING;
}

static void flow_free(struct per__flow *flow)
{
	struct per__shard *shard = flow->shard;

	for (unsigned i = 0; i < PER__FOUND_MAX; i++) {
		if (flow->found[i].entry != NULL)
			per__cache_give(&shard->cache, flow->found[i].entry);
	}
	if (flow->entry != NULL)
		per__cache_give(&shard->cache, flow->entry);
	per__block_give(shard->worker, flow);
	shard->flows--;
	per__shard_settle(shard);
}

static void flow_on_end(struct per_req *req)
{
	struct per__flow *flow = req->source_state;

	req->source = NULL;
	flow->req = NULL;
	if (flow->entry != NULL && flow->part < flow->ranges.count)
		flow->entry->checked_ns = INT64_MIN / 2; /* cut: perhaps the file is another one by now */
	if (!has_job(flow))
		flow_free(flow);
}

bool per__flow_job_ended(struct per__flow *flow)
{
	if (flow->req != NULL)
		return true;
	flow_free(flow);
	return false;
}

static void flow_fill(struct per_req *req);

static const struct per__source flow_source = { .on_writable = flow_fill, .on_end = flow_on_end };

struct per__flow *per__flow_of(struct per__ask *ask)
{
	struct per__shard *shard = ask->shard;
	struct per__flow *flow;
	size_t cap;

	if (ask->flow != NULL)
		return ask->flow;
	flow = per__block_take(shard->worker, sizeof(*flow) + ask->key.len, &cap);
	if (flow == NULL)
		return NULL;
	memset(flow, 0, sizeof(*flow));
	flow->shard = shard;
	flow->req = ask->req;
	flow->status = ask->status;
	if (ask->key.len > 0)
		memcpy(flow + 1, ask->key.ptr, ask->key.len);
	flow->key = per_str_make((const char *)(flow + 1), ask->key.len);
	ask->req->source = &flow_source;
	ask->req->source_state = flow;
	ask->flow = flow;
	shard->flows++;
	return flow;
}

void per__flow_cut(struct per__flow *flow)
{
	per__count(&flow->shard->counters.cut, 1);
	per_abort(flow->req);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void read_run(struct per__job *job)
{
	struct per__read_job *work = (struct per__read_job *)job;
	size_t done = 0;

	while (done < work->wanted) {
		ssize_t n =
			pread(work->fd, work->data + done, work->wanted - done, (off_t)(work->pos + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	work->got = done;
}

static void read_release(void *arg)
{
	struct per__read_job *work = arg;

	per__block_give(work->worker, work);
}

static void flow_fill_again(struct per_req *req)
{
	struct per__flow *flow = req->source_state;
	struct per__read_job *work = flow->read;
	size_t got = work->got;
	int err;

	flow->read = NULL;
	if (got == 0) {
		read_release(work);
		per__flow_cut(flow);
		return;
	}
	err = per_write_ref(req, work->data, got, read_release, work);
	if (err != 0) {
		per__flow_cut(flow);
		return;
	}
	flow->pos += got;
	flow_fill(req);
}

static void read_done(struct per__job *job)
{
	struct per__read_job *work = (struct per__read_job *)job;
	struct per__flow *flow = work->flow;

	flow->state = PER__FLOW_SENDING;
	if (!per__flow_job_ended(flow)) {
		read_release(work);
		return;
	}
	flow->read = work;
	per__resp_resume(flow->req, flow_fill_again);
}

/* Has the next bytes read by a disk thread. */
static int read_later(struct per__flow *flow, uint64_t left)
{
	struct per__shard *shard = flow->shard;
	struct per__read_job *work;
	size_t cap;

	work = per__block_take(shard->worker, READ_BYTES, &cap);
	if (work == NULL)
		return PER_ENOMEM;
	*work = (struct per__read_job){
		.job = { .run = read_run, .done = read_done },
		.flow = flow,
		.worker = shard->worker,
		.fd = flow->variant->fd,
		.pos = flow->pos,
		.wanted = (size_t)PER_MIN(left, (uint64_t)(cap - sizeof(*work))),
	};
	flow->state = PER__FLOW_READING;
	per__count(&shard->counters.disk_reads, 1);
	per__disk_put(&shard->files->disk, &shard->disk, &work->job);
	return PER_EAGAIN;
}

/* Reads what is in the system's memory, straight into the queue. Returns 0, PER_EAGAIN, or another PER_E*. */
static int read_now(struct per__flow *flow, uint64_t left)
{
	uint8_t *pos;
	size_t room;
	ssize_t n = -1;
	int err = per__resp_reserve(flow->req, &pos, &room);

	if (err != 0)
		return err;
#ifdef RWF_NOWAIT
	struct iovec iov = { pos, (size_t)PER_MIN((uint64_t)room, left) };

	n = preadv2(flow->variant->fd, &iov, 1, (off_t)flow->pos, RWF_NOWAIT);
#else
	errno = EAGAIN;
#endif
	err = errno;
	per__resp_commit(flow->req, n > 0 ? (size_t)n : 0);
	if (n > 0) {
		flow->pos += (uint64_t)n;
		return 0;
	}
	if (n < 0 && (err == EAGAIN || err == EOPNOTSUPP || err == EINTR))
		return read_later(flow, left);
	return PER_ESYS; /* an error, or the file has become shorter */
}

/* --- by the kernel ---------------------------------------------------------------------------- */

/*
 * Is this part of the file in the system's memory? A byte in each step is read, and the last one: what is
 * dropped from memory goes in pieces larger than that as a rule. If it is wrong the worker waits for a disk
 * once.
 */
static bool is_in_memory(int fd, uint64_t pos, uint64_t len, uint64_t step)
{
#ifdef RWF_NOWAIT
	uint64_t end = pos + len;
	uint8_t byte;
	struct iovec iov = { &byte, 1 };

	for (uint64_t at = pos; at < end; at += step) {
		if (preadv2(fd, &iov, 1, (off_t)at, RWF_NOWAIT) != 1)
			return false;
	}
	return preadv2(fd, &iov, 1, (off_t)(end - 1), RWF_NOWAIT) == 1;
#else
	(void)fd;
	(void)pos;
	(void)len;
	(void)step;
	return false;
#endif
}

/* Counts a window that was found in memory; the count begins again when the last one has left slowly. */
static void warm_count(struct per__flow *flow, uint64_t len)
{
	int64_t now_ns = flow->shard->worker->loop.now_ns;

	if (now_ns - flow->window_ns > WARM_NS)
		flow->warm = 0;
	flow->window_ns = now_ns;
	flow->warm = PER_MIN(flow->warm + len, (uint64_t)WARM_BYTES);
}

/* Hands a part of the file to the kernel. Returns as read_now(). */
static int file_now(struct per__flow *flow, uint64_t left)
{
	bool is_warm = flow->warm >= WARM_BYTES;
	uint64_t len = PER_MIN(left, (uint64_t)(is_warm ? WARM_WINDOW_BYTES : WINDOW_BYTES));
	int err = per__resp_check(flow->req, (size_t)len);

	if (err != 0) /* it is asked again: then is the time to look */
		return err;
	if (!is_in_memory(flow->variant->fd, flow->pos, len, is_warm ? WARM_SAMPLE_BYTES : SAMPLE_BYTES)) {
		flow->warm = 0;
		return read_now(flow, left);
	}
	per__cache_lend(flow->entry);
	err = per__resp_file(flow->req, flow->variant->fd, flow->pos, len, per__entry_release, flow->entry);
	if (err == 0) {
		flow->pos += len;
		warm_count(flow, len);
	}
	return err;
}

/* --- sending ---------------------------------------------------------------------------------- */

static int lend_now(struct per__flow *flow, uint64_t left)
{
	const char *data = flow->variant->text + flow->variant->head_len + flow->pos;
	int err;

	per__cache_lend(flow->entry);
	err = per_write_ref(flow->req, data, (size_t)left, per__entry_release, flow->entry);
	if (err == 0)
		flow->pos += left;
	return err;
}

static bool is_multipart(const struct per__flow *flow)
{
	return flow->ranges.count > 1;
}

static int part_head(struct per__flow *flow)
{
	char memory[512];
	struct per__text text = per__text_make(memory, sizeof(memory));
	int err;

	per__multipart_head(&text, &flow->multipart, &flow->ranges, flow->part);
	PER_ASSERT(per__text_fits(&text));
	err = per_write(flow->req, memory, text.len);
	if (err == 0)
		flow->head_is_due = false;
	return err;
}

static int parts_end(struct per__flow *flow)
{
	char memory[128];
	struct per__text text = per__text_make(memory, sizeof(memory));
	int err = 0;

	if (is_multipart(flow)) {
		per__multipart_end(&text, &flow->multipart);
		PER_ASSERT(per__text_fits(&text));
		err = per_write(flow->req, memory, text.len);
	}
	return err != 0 ? err : per_end(flow->req);
}

static void part_begin(struct per__flow *flow)
{
	flow->head_is_due = is_multipart(flow);
	if (flow->part < flow->ranges.count)
		flow->pos = flow->ranges.at[flow->part].first;
}

/* Sends the next piece. Returns 0: there is more to do. */
static int flow_step(struct per__flow *flow)
{
	uint64_t left = flow->ranges.at[flow->part].last + 1 - flow->pos;

	if (flow->head_is_due)
		return part_head(flow);
	if (left == 0) {
		flow->part++;
		part_begin(flow);
		return 0;
	}
	if (flow->variant->fd < 0)
		return lend_now(flow, left);
	return per__resp_can_send_file(flow->req) ? file_now(flow, left) : read_now(flow, left);
}

static void flow_fill(struct per_req *req)
{
	struct per__flow *flow = req->source_state;
	int err = 0;

	if (has_job(flow))
		return; /* it goes on when that is done */
	while (err == 0 && flow->part < flow->ranges.count)
		err = flow_step(flow);
	if (err == 0)
		err = parts_end(flow);
	if (err != 0 && err != PER_EAGAIN)
		per__flow_cut(flow);
}

void per__flow_send(struct per__flow *flow, const struct per__ranges *ranges)
{
	uint64_t size = flow->variant->size;

	flow->state = PER__FLOW_SENDING;
	flow->part = 0;
	if (ranges != NULL)
		flow->ranges = *ranges;
	else
		flow->ranges.count = size > 0 ? 1 : 0;
	if (ranges == NULL && size > 0)
		flow->ranges.at[0] = (struct per__range){ 0, size - 1 };
	part_begin(flow);
	if (per_req_method(flow->req) == PER_METHOD_HEAD)
		flow->ranges.count = 0; /* the head is all of it */
	flow_fill(flow->req);
}
