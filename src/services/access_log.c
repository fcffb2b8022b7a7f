/* SPDX-License-Identifier: MIT */
/*
 * access_log.c - an access log for its users: opened, asked, ended, and a worker's side of it. Writes nothing
 * to the file itself (access_writer.c). Invariant: a ring has one worker that puts, for ever.
 */
#include "base/mem.h"
#include "http/req.h"
#include "services/access.h"
#include <peregrine/tls.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define RING_BYTES_MIN ((size_t)64 << 10)
#define RING_BYTES_MAX ((size_t)1 << 30)
#define FLUSH_MS_MAX 60000u
#define CLOSE_MS_MAX 600000u

_Static_assert(RING_BYTES_MIN / 2 > PER__ACCESS_LINE_MAX, "a ring that is half full has room for a line");

/* --- a line ----------------------------------------------------------------------------------- */

/* A slot that this worker has just taken gets its ring. NULL when there is no memory. */
static PER_COLD struct per__access_ring *slot_begin(struct per_access_log *log, unsigned index)
{
	struct per__access_ring *ring = per__access_ring_new(log->ring_bytes);
	unsigned cnt = atomic_load(&log->slot_cnt);

	atomic_store(&log->slots[index].ring, ring);
	while (cnt <= index && !atomic_compare_exchange_weak(&log->slot_cnt, &cnt, index + 1))
		;
	return ring;
}

/*
 * The ring of a worker. Its index names the slot, unless it belongs to a worker of another server: then the
 * next one that is free.
 */
static struct per__access_ring *ring_of(struct per_access_log *log, const struct per__worker *worker)
{
	for (unsigned i = 0; i < PER__ACCESS_RINGS_MAX; i++) {
		unsigned index = (worker->index + i) % PER__ACCESS_RINGS_MAX;
		struct per__access_slot *slot = &log->slots[index];
		const void *owner = atomic_load_explicit(&slot->owner, memory_order_relaxed);

		if (PER_LIKELY(owner == worker))
			return atomic_load_explicit(&slot->ring, memory_order_relaxed);
		if (owner == NULL && atomic_compare_exchange_strong(&slot->owner, &owner, worker))
			return slot_begin(log, index);
	}
	return NULL;
}

void per__access_poke(struct per_access_log *log)
{
	int saved_errno = errno;
	ssize_t n = write(log->pipe_write, "", 1); /* a full pipe is poke enough */

	(void)n;
	errno = saved_errno;
}

/* The line is put: does the thread have to be told? */
static inline void wake_if_needed(struct per_access_log *log, struct per__access_ring *ring)
{
	int state = atomic_load(&log->state);

	if (PER_LIKELY(state != PER__ACCESS_SLEEPING) &&
	    (state != PER__ACCESS_NAPPING || !per__access_ring_is_half_full(ring)))
		return;
	if (atomic_exchange(&log->state, PER__ACCESS_AWAKE) == PER__ACCESS_AWAKE)
		return; /* somebody else has */
	atomic_fetch_add_explicit(&log->wakes, 1, memory_order_relaxed);
	per__access_poke(log);
}

static const char *tls_version(const struct per_access_log *log, const per_req *req)
{
	per_tls_info info;

	if (PER_LIKELY(!per_req_is_tls(req)) || log->format != PER_ACCESS_JSON ||
	    per_req_tls(req, &info) != 0)
		return NULL;
	return info.version; /* static text of the library that speaks it */
}

void per_access_log_write(per_access_log *log, per_req *req, int error)
{
	struct per__access_ring *ring = ring_of(log, req->conn->worker);
	const struct per__access_entry entry = {
		.wall_ms = per__clock_wall_ms(),
		.peer = per__conn_peer(req->conn),
		.line = per_req_line(req),
		.host = per_req_host(req),
		.method = per_req_method_str(req),
		.target = per_req_target(req),
		.referer = per_req_header(req, PER_S("Referer")),
		.agent = per_req_header(req, PER_S("User-Agent")),
		.tls = tls_version(log, req),
		.version = per_req_version(req),
		.status = per_req_status(req),
		.error = error,
		.is_whole = req->head.version != 0,
		.bytes = per_req_bytes_sent(req),
		.duration_ns = per_req_duration_ns(req),
	};

	if (PER_UNLIKELY(ring == NULL)) {
		atomic_fetch_add_explicit(&log->homeless, 1, memory_order_relaxed);
		return;
	}
	if (PER_UNLIKELY(!per__access_ring_put(
		    ring, ring->scratch,
		    per__access_line(ring->scratch, log->format, &entry, &ring->date)))) {
		per__count(&ring->dropped, 1);
		return;
	}
	per__count(&ring->lines, 1);
	wake_if_needed(log, ring);
}

/* --- opening ---------------------------------------------------------------------------------- */

static int number_check(const struct per__log *log, const char *name, uint64_t *value, uint64_t fallback,
			uint64_t max)
{
	if (*value == 0)
		*value = fallback;
	if (*value <= max)
		return 0;
	per__log(log, PER_LOG_ERROR, "access log: %s is %llu; it has to be from 1 to %llu", name,
		 (unsigned long long)*value, (unsigned long long)max);
	return PER_EINVAL;
}

static void log_init(struct per__log *out, const per_access_log_config *config)
{
	out->fn = config->log != NULL ? config->log : per__log_stderr;
	out->user = config->log_user;
	out->level = config->log_level;
	if (out->level < PER_LOG_WARN && !config->log_errors_only)
		out->level = PER_LOG_WARN;
}

static int config_apply(struct per_access_log *log, const per_access_log_config *config)
{
	uint64_t flush_ms = config->flush_ms, close_ms = config->close_timeout_ms;
	uint64_t ring_bytes = config->ring_bytes != 0 ? config->ring_bytes : (size_t)1 << 20;
	int err = number_check(&log->log, "flush_ms", &flush_ms, 100, FLUSH_MS_MAX);

	if (err == 0)
		err = number_check(&log->log, "close_timeout_ms", &close_ms, 1000, CLOSE_MS_MAX);
	if (err != 0)
		return err;
	if (ring_bytes < RING_BYTES_MIN || ring_bytes > RING_BYTES_MAX || !per__is_power_of_two(ring_bytes)) {
		per__log(&log->log, PER_LOG_ERROR,
			 "access log: ring_bytes is %llu; it has to be a power of two from %zu to %zu",
			 (unsigned long long)ring_bytes, RING_BYTES_MIN, RING_BYTES_MAX);
		return PER_EINVAL;
	}
	if (config->path == NULL || config->path[0] == '\0' || (unsigned)config->format > PER_ACCESS_JSON) {
		per__log(&log->log, PER_LOG_ERROR, "access log: no path, or an unknown format");
		return PER_EINVAL;
	}
	log->format = config->format;
	log->ring_bytes = (size_t)ring_bytes;
	log->flush_ns = (int64_t)flush_ms * 1000000;
	log->close_timeout_ns = (int64_t)close_ms * 1000000;
	log->out.file_mode = config->file_mode != 0 ? config->file_mode : 0640;
	log->out.path = per__mem_strdup(config->path);
	return log->out.path != NULL ? 0 : PER_ENOMEM;
}

static int error_from(int number)
{
	switch (number) {
	case EACCES:
	case EPERM:
	case EROFS:
		return PER_EACCES;
	case EMFILE:
	case ENFILE:
		return PER_EMFILE;
	case ENOMEM:
		return PER_ENOMEM;
	default:
		return PER_ESYS;
	}
}

static int file_open(struct per_access_log *log)
{
	int number = per__access_out_open(&log->out);

	if (number == 0) {
		per__access_reader_check(log);
		return 0;
	}
	per__log(&log->log, PER_LOG_ERROR, "access log %s cannot be opened: %s", log->out.path,
		 strerror(number));
	return error_from(number);
}

static int pipe_open(struct per_access_log *log)
{
	int fds[2];

	if (pipe(fds) != 0)
		return error_from(errno);
	for (int i = 0; i < 2; i++) {
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	log->pipe_read = fds[0];
	log->pipe_write = fds[1];
	return 0;
}

/* Signals are the business of the application's threads; SIGPIPE becomes an error of the write. */
static int thread_start(struct per_access_log *log)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0)
		return PER_ESYS;
	err = pthread_create(&log->thread, NULL, per__access_writer_main, log);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err == 0 ? 0 : PER_ENOMEM;
}

static void log_free(struct per_access_log *log)
{
	for (unsigned i = 0; i < atomic_load(&log->slot_cnt); i++)
		per__access_ring_free(atomic_load(&log->slots[i].ring));
	per__access_out_close(&log->out);
	if (log->pipe_read >= 0) {
		close(log->pipe_read);
		close(log->pipe_write);
	}
	per__mem_free(log->out.path);
	per__mem_release(log, sizeof(*log));
}

int per_access_log_open_sized(per_access_log **out, const per_access_log_config *config, size_t config_bytes)
{
	per_access_log_config known = { 0 };
	struct per_access_log *log;
	int err;

	if (out == NULL)
		return PER_EINVAL;
	*out = NULL;
	if (config == NULL)
		return PER_EINVAL;
	memcpy(&known, config, PER_MIN(config_bytes, sizeof(known)));
	log = per__mem_reserve(sizeof(*log));
	if (log == NULL)
		return PER_ENOMEM;
	log->out.fd = log->pipe_read = log->pipe_write = -1;
	log_init(&log->log, &known);
	err = config_apply(log, &known);
	if (err == 0)
		err = file_open(log);
	if (err == 0)
		err = pipe_open(log);
	if (err == 0)
		err = thread_start(log);
	if (err != 0) {
		log_free(log);
		return err;
	}
	*out = log;
	return 0;
}

/* --- asking and ending ------------------------------------------------------------------------ */

void per_access_log_reopen(per_access_log *log)
{
	atomic_store(&log->reopen_wanted, true);
	per__access_poke(log);
}

static struct per__access_ring *ring_at(const struct per_access_log *log, unsigned index)
{
	return atomic_load_explicit(&log->slots[index].ring, memory_order_acquire);
}

uint64_t per__access_dropped(const struct per_access_log *log)
{
	unsigned cnt = atomic_load(&log->slot_cnt);
	uint64_t sum = atomic_load(&log->homeless);

	for (unsigned i = 0; i < cnt; i++)
		sum += ring_at(log, i) != NULL ? per__counter_read(&ring_at(log, i)->dropped) : 0;
	return sum;
}

void per_access_log_stats_sized(const per_access_log *log, per_access_log_stats *out, size_t stats_bytes)
{
	unsigned cnt = atomic_load(&log->slot_cnt);
	uint64_t lost = per__counter_read(&log->lost); /* before lines: never more of them */
	per_access_log_stats stats = {
		.dropped = per__access_dropped(log) + lost,
		.bytes = per__counter_read(&log->bytes),
		.writes = per__counter_read(&log->writes),
		.write_errors = per__counter_read(&log->write_errors),
		.wakes = atomic_load(&log->wakes),
		.reopens = per__counter_read(&log->reopens),
		.reopen_errors = per__counter_read(&log->reopen_errors),
	};

	for (unsigned i = 0; i < cnt; i++) {
		struct per__access_ring *ring = ring_at(log, i);

		if (ring == NULL)
			continue;
		stats.lines += per__counter_read(&ring->lines);
		stats.bytes_now += per__access_ring_waiting(ring);
	}
	stats.lines -= PER_MIN(lost, stats.lines); /* one that is lost may not be counted yet */
	memset(out, 0, stats_bytes);
	memcpy(out, &stats, PER_MIN(stats_bytes, sizeof(stats)));
}

int per_access_log_close(per_access_log *log)
{
	int err;

	if (log == NULL)
		return 0;
	atomic_store(&log->close_wanted, true);
	per__access_poke(log);
	PER_ASSERT(pthread_join(log->thread, NULL) == 0);
	err = log->has_lost_the_rest ? PER_ESYS : 0;
	log_free(log);
	return err;
}
