/* SPDX-License-Identifier: MIT */
/*
 * stats.c - what can be read of a running server: counters, Prometheus text, the account of its memory, the
 * probe. Never stops a worker: reads counters that each worker writes for itself.
 */
#include "core/secure.h"
#include "server.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- counters --------------------------------------------------------------------------------- */

/* Name in per_stats, where it is kept, what it is in Prometheus. */
#define CORE_COUNTERS(X)                                                             \
	X(requests, counter, "requests whose head was parsed and handed on")         \
	X(connections, counter, "connections accepted")                              \
	X(connections_now, gauge, "connections open")                                \
	X(bad_requests, counter, "requests answered with 4xx or 501 by the library") \
	X(timeouts, counter, "connections ended by a timeout")                       \
	X(stop_cuts, counter, "connections cut at the end of a stop")                \
	X(overflow_blocks, counter, "buffers larger than a block taken")             \
	X(overflow_failures, counter, "buffers refused: above the memory budget")    \
	X(posts, counter, "functions posted by other threads and run")               \
	X(tls_handshakes, counter, "TLS handshakes completed")                       \
	X(tls_resumed, counter, "of them, resumed with a ticket")                    \
	X(tls_failed, counter, "TLS handshakes and connections that failed")         \
	X(tls_refused, counter, "connections closed: too many handshakes")           \
	X(tls_truncated, counter, "TLS streams that ended without close_notify")
#define LOOP_COUNTERS(X)                                                            \
	X(bytes_in, counter, "bytes received")                                      \
	X(bytes_out, counter, "bytes handed to the kernel")                         \
	X(syscalls, counter, "system calls of the backend")                         \
	X(turns, counter, "loop turns")                                             \
	X(events, counter, "completions or readiness events handled")               \
	X(recv_rearms, counter, "multishot receives started again")                 \
	X(recv_starved, counter, "times a receive found no buffer")                 \
	X(recv_bufs_high, gauge, "most receive buffers in use at once")             \
	X(cq_overflows, counter, "overflows of the completion queue")               \
	X(accept_errors, counter, "errors while accepting")                         \
	X(accept_refused, counter, "connections closed at once for want of a slot") \
	X(accept_pauses, counter, "times accepting was suspended")

static void stats_add(const struct per__worker *worker, per_stats *out)
{
#define X(name, kind, help) out->name += per__counter_read(&worker->counters.name);
	CORE_COUNTERS(X)
#undef X
#define X(name, kind, help) out->name += per__counter_read(&worker->loop.counters.name);
	LOOP_COUNTERS(X)
#undef X
	for (unsigned i = 0; i < PER__STATUS_CLASSES; i++)
		out->responses[i] += per__counter_read(&worker->counters.responses[i]);
}

int per_server_stats_sized(const per_server *server, int worker, per_stats *out, size_t stats_bytes)
{
	per_stats stats = { 0 };

	if (worker < -1 || worker >= (int)server->conf.workers || out == NULL)
		return PER_EINVAL;
	for (unsigned i = 0; i < server->loop_cnt; i++) {
		if (worker == -1 || i == (unsigned)worker)
			stats_add(server->workers[i], &stats);
	}
	memset(out, 0, stats_bytes);
	memcpy(out, &stats, PER_MIN(stats_bytes, sizeof(stats)));
	return 0;
}

/* --- text ------------------------------------------------------------------------------------- */

/* A buffer that is written to its end and remembers that it would have needed more. */
struct text {
	char *buf;
	size_t cap, len;
};

PER_PRINTF(2, 3) static void text_add(struct text *text, const char *format, ...)
{
	va_list args;
	size_t room = text->len < text->cap ? text->cap - text->len : 0;
	int n;

	va_start(args, format);
	n = vsnprintf(room > 0 ? text->buf + text->len : NULL, room, format, args);
	va_end(args);
	if (n > 0)
		text->len += (size_t)n;
}

static int text_end(const struct text *text)
{
	return text->len < text->cap ? (int)text->len : PER_ETOOBIG;
}

static void metric_head(struct text *text, const char *name, const char *kind, const char *help)
{
	bool is_counter = strcmp(kind, "counter") == 0;

	text_add(text, "# HELP peregrine_%s%s %s\n# TYPE peregrine_%s%s %s\n", name,
		 is_counter ? "_total" : "", help, name, is_counter ? "_total" : "", kind);
}

static void metric_line(struct text *text, const char *name, const char *kind, unsigned worker,
			uint64_t value)
{
	text_add(text, "peregrine_%s%s{worker=\"%u\"} %llu\n", name,
		 strcmp(kind, "counter") == 0 ? "_total" : "", worker, (unsigned long long)value);
}

static void responses_add(struct text *text, const struct per_server *server)
{
	metric_head(text, "responses", "counter", "responses begun, by class of the status");
	for (unsigned i = 0; i < server->conf.workers; i++) {
		for (unsigned k = 2; k < PER__STATUS_CLASSES; k++)
			text_add(text, "peregrine_responses_total{worker=\"%u\",code=\"%uxx\"} %llu\n", i, k,
				 (unsigned long long)per__counter_read(
					 &server->workers[i]->counters.responses[k]));
	}
}

/* What a pool can say of itself. */
struct pool_gauge {
	const char *name, *help;
	size_t (*read)(const struct per__slab *slab);
};

static size_t pool_used(const struct per__slab *slab)
{
	return per__gauge_read32(&slab->used);
}

static size_t pool_high(const struct per__slab *slab)
{
	return per__gauge_read32(&slab->used_high);
}

static size_t pool_capacity(const struct per__slab *slab)
{
	return slab->capacity;
}

static void pool_add(struct text *text, const struct per_server *server, const struct pool_gauge *gauge)
{
	metric_head(text, gauge->name, "gauge", gauge->help);
	for (unsigned i = 0; i < server->conf.workers; i++) {
		const struct per__worker *worker = server->workers[i];
		const struct {
			const char *name;
			const struct per__slab *slab;
		} pools[] = {
			{ "connections", &worker->conns },
			{ "exchanges", &worker->reqs },
			{ "websockets", &worker->exts },
			{ "blocks", &worker->blocks },
		};

		for (size_t k = 0; k < PER_ARRAY_LEN(pools); k++)
			text_add(text, "peregrine_%s{worker=\"%u\",pool=\"%s\"} %zu\n", gauge->name, i,
				 pools[k].name, gauge->read(pools[k].slab));
	}
}

/* The region for buffers larger than a block, in bytes. */
static void overflow_add(struct text *text, const struct per_server *server)
{
	metric_head(text, "overflow_bytes", "gauge", "bytes of buffers larger than a block in use");
	for (unsigned i = 0; i < server->conf.workers; i++)
		metric_line(text, "overflow_bytes", "gauge", i,
			    per__gauge_read_size(&server->workers[i]->overflow.used_bytes));
	metric_head(text, "overflow_bytes_high", "gauge", "most of them in use at once");
	for (unsigned i = 0; i < server->conf.workers; i++)
		metric_line(text, "overflow_bytes_high", "gauge", i,
			    per__gauge_read_size(&server->workers[i]->overflow.used_bytes_high));
	metric_head(text, "overflow_bytes_capacity", "gauge", "most of them there may be");
	for (unsigned i = 0; i < server->conf.workers; i++)
		metric_line(text, "overflow_bytes_capacity", "gauge", i,
			    server->workers[i]->overflow.region_bytes);
}

static void memory_add(struct text *text, const struct per_server *server)
{
	static const struct pool_gauge gauges[] = {
		{ "pool_used", "objects of a pool in use", pool_used },
		{ "pool_used_high", "most of them in use at once", pool_high },
		{ "pool_capacity", "most of them there may be", pool_capacity },
	};

	for (size_t i = 0; i < PER_ARRAY_LEN(gauges); i++)
		pool_add(text, server, &gauges[i]);
	overflow_add(text, server);
}

int per_server_prometheus(const per_server *server, char *buf, size_t cap)
{
	struct text text = { buf, cap, 0 };

	metric_head(&text, "build_info", "gauge", "the library that runs, and how it talks to the kernel");
	text_add(&text, "peregrine_build_info{version=\"%s\",backend=\"%s\"} 1\n", PER_VERSION,
		 server->backend->name);
#define METRIC(name, kind, help, where)                 \
	metric_head(&text, #name, #kind, help);         \
	for (unsigned i = 0; i < server->loop_cnt; i++) \
		metric_line(&text, #name, #kind, i, per__counter_read(&server->workers[i]->where.name));
#define X(name, kind, help) METRIC(name, kind, help, counters)
	CORE_COUNTERS(X)
#undef X
#define X(name, kind, help) METRIC(name, kind, help, loop.counters)
	LOOP_COUNTERS(X)
#undef X
	responses_add(&text, server);
	memory_add(&text, server);
	return text_end(&text);
}

/* --- memory and probe ------------------------------------------------------------------------- */

static void memory_line(struct text *text, const char *what, size_t cnt, size_t bytes_each)
{
	text_add(text, "%-28s %8zu x %8zu bytes = %8.1f MiB\n", what, cnt, bytes_each,
		 (double)cnt * (double)bytes_each / 1048576.0);
}

int per_server_memory(const per_server *server, char *buf, size_t cap)
{
	const struct per__worker *worker = server->workers[0];
	size_t bufs = (size_t)server->conf.recv_buf_count * server->backend->recv_bufs_each;
	struct text text = { buf, cap, 0 };

	text_add(&text,
		 "memory of each of %u workers (address space; a page costs nothing until it is used):\n",
		 server->conf.workers);
	memory_line(&text, "connections", worker->conns.capacity, worker->conns.object_bytes);
	memory_line(&text, "exchanges", worker->reqs.capacity, worker->reqs.object_bytes);
	memory_line(&text, "WebSockets", worker->exts.capacity, worker->exts.object_bytes);
	if (worker->secure != NULL)
		memory_line(&text, "TLS connections", worker->conns.capacity, sizeof(struct per__secure));
	memory_line(&text, "blocks", worker->blocks.capacity, worker->blocks.object_bytes);
	memory_line(&text, "overflow region", 1, worker->overflow.region_bytes);
	memory_line(&text, "receive buffers", PER_MAX(bufs, (size_t)1), server->conf.recv_buf_bytes);
	memory_line(&text, "mailbox", PER__MAILBOX_MAX, sizeof(struct per__mail));
	return text_end(&text);
}

int per_probe(char *buf, size_t cap)
{
	struct text text = { buf, cap, 0 };

	for (size_t i = 0; per__backends[i] != NULL; i++) {
		struct per__probe probe = { .reason = "" };
		int err;

		if (per__backends[i]->id == PER__BACKEND_SIM)
			continue;
		err = per__backends[i]->probe(&probe);
		text_add(&text, "%-9s %-4s %s\n", per__backends[i]->name, err == 0 ? "yes" : "no",
			 probe.reason);
		if (probe.features[0] != '\0')
			text_add(&text, "%-14s %s\n", "", probe.features);
	}
	return text_end(&text);
}
