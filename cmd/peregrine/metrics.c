/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - GET /metrics as Prometheus text (exposition format 0.0.4): the library's counters for each
 * worker, and the program's own. One worker on one thread.
 */
#include "metrics.h"

#include "program.h"
#include "text.h"
#include "totals.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 64u
#define MEMORY_BYTES ((size_t)16 << 20)
#define RECV_BUFS 16u
#define FORMAT PER_S("text/plain; version=0.0.4; charset=utf-8")
#define TEXT PER_S("text/plain")
#define FIRST_BYTES ((size_t)64 << 10)
#define MOST_BYTES ((size_t)16 << 20)

/* --- what is told ----------------------------------------------------------------------------- */

static void add_one(struct text *text, const char *name, const char *kind, const char *help, double value)
{
	text_add(text, "# HELP peregrine_%s %s\n# TYPE peregrine_%s %s\nperegrine_%s %.17g\n", name, help,
		 name, kind, name, value);
}

static void add_process(struct text *text, struct program *program)
{
	struct reloads *reloads = &program->reloads;

	add_one(text, "start_time_seconds", "gauge", "when the process began, in seconds since 1970",
		(double)program->start_s);
	text_add(text, "# HELP peregrine_reloads_total times the configuration was read again\n"
		       "# TYPE peregrine_reloads_total counter\n");
	text_add(text, "peregrine_reloads_total{result=\"good\"} %" PRIu64 "\n", atomic_load(&reloads->good));
	text_add(text, "peregrine_reloads_total{result=\"bad\"} %" PRIu64 "\n", atomic_load(&reloads->bad));
	add_one(text, "reload_last_good", "gauge", "whether the newest configuration is the one in use",
		atomic_load(&reloads->is_last_good) ? 1 : 0);
	add_one(text, "reload_last_good_time_seconds", "gauge",
		"since when the configuration is in use, in seconds since 1970",
		(double)atomic_load(&reloads->last_good_s));
	add_one(text, "log_lost_total", "counter", "lines of the program's own log that were lost",
		(double)atomic_load(&program->logger.lost));
}

static void add_files(struct text *text, struct program *program)
{
	per_static_stats stats;

	pthread_mutex_lock(&program->mutex);
	stats = program->past_files;
	totals_add_files(&stats, program->site);
	pthread_mutex_unlock(&program->mutex);
	add_one(text, "files_hits_total", "counter", "requests that found their file in the cache",
		(double)stats.hits);
	add_one(text, "files_misses_total", "counter", "requests that did not", (double)stats.misses);
	add_one(text, "files_changes_total", "counter", "cached files that were found changed",
		(double)stats.changes);
	add_one(text, "files_evictions_total", "counter", "cached files that had to make room",
		(double)stats.evictions);
	add_one(text, "files_disk_reads_total", "counter", "reads that had to wait for a disk",
		(double)stats.disk_reads);
	add_one(text, "files_cut_total", "counter", "answers that ended early", (double)stats.cut);
	add_one(text, "files_entries", "gauge", "paths in the cache", (double)stats.entries_now);
	add_one(text, "files_cache_bytes", "gauge", "memory of the cache", (double)stats.bytes_now);
	add_one(text, "files_descriptors", "gauge", "files that are open", (double)stats.descriptors_now);
}

static void add_access_log(struct text *text, struct program *program)
{
	per_access_log_stats stats;

	pthread_mutex_lock(&program->mutex);
	stats = program->past_log;
	totals_add_log(&stats, program->access_log);
	pthread_mutex_unlock(&program->mutex);
	add_one(text, "access_log_lines_total", "counter", "lines taken", (double)stats.lines);
	add_one(text, "access_log_dropped_total", "counter", "lines dropped: the disk was too slow",
		(double)stats.dropped);
	add_one(text, "access_log_bytes_total", "counter", "bytes written", (double)stats.bytes);
	add_one(text, "access_log_waiting_bytes", "gauge", "bytes that wait", (double)stats.bytes_now);
	add_one(text, "access_log_write_errors_total", "counter", "writes that failed",
		(double)stats.write_errors);
	add_one(text, "access_log_reopens_total", "counter", "times the file was opened anew",
		(double)stats.reopens);
}

/* The value of a label: backslash, quote and newline are escaped. */
static void add_label(struct text *text, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			text_add(text, "\\n");
		else
			text_add(text, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
	}
}

static void add_certificates(struct text *text, per_server *server)
{
	per_tls_cert_info info;

	for (size_t i = 0; per_tls_cert_at(server, i, &info) == 0; i++) {
		if (i == 0)
			text_add(
				text,
				"# HELP peregrine_tls_certificate_not_after_seconds when a certificate ends, "
				"in seconds since 1970\n"
				"# TYPE peregrine_tls_certificate_not_after_seconds gauge\n");
		text_add(text, "peregrine_tls_certificate_not_after_seconds{index=\"%zu\",file=\"", i);
		add_label(text, info.file);
		text_add(text, "\"} %" PRId64 "\n", info.not_after_s);
	}
}

static void add_library(struct text *text, const per_server *server)
{
	size_t cap = FIRST_BYTES;
	int len = PER_ETOOBIG;

	while (len == PER_ETOOBIG && cap <= MOST_BYTES) {
		char *room = text_reserve(text, cap);

		len = room != NULL ? per_server_prometheus(server, room, cap) : PER_ENOMEM;
		cap *= 2;
	}
	text_commit(text, len > 0 ? (size_t)len : 0);
}

/* --- the server ------------------------------------------------------------------------------- */

static int metrics_answer(per_req *req, struct program *program)
{
	struct text text = { 0 };

	add_library(&text, program->server);
	add_process(&text, program);
	add_files(&text, program);
	add_access_log(&text, program);
	add_certificates(&text, program->server);
	if (text.is_failed) {
		free(text.buf);
		return PER_ENOMEM;
	}
	return per_reply_ref(req, 200, FORMAT, per_str_make(text.buf, text.len), free, text.buf);
}

static int on_request(per_req *req, void *user)
{
	const per_str path = per_req_path(req);
	const per_method method = per_req_method(req);
	int err;

	if (method != PER_METHOD_GET && method != PER_METHOD_HEAD) {
		err = per_header(req, PER_S("Allow"), PER_S("GET, HEAD"));
		return err != 0 ? err : per_reply(req, 405, TEXT, PER_S("Method Not Allowed\n"));
	}
	if (per_str_equal(path, PER_S("/metrics")))
		return metrics_answer(req, user);
	if (per_str_equal(path, PER_S("/healthz")))
		return per_reply(req, 200, TEXT, PER_S("ok\n"));
	return per_reply(req, 404, TEXT, PER_S("Not Found: this is for /metrics and /healthz\n"));
}

bool metrics_open(struct metrics *metrics, struct program *program)
{
	const struct config *config = program->started;
	const per_listen listen = { .address = config->metrics.address };
	const per_config own = {
		.listen = &listen,
		.listen_count = 1,
		.handler = { .on_request = on_request, .user = program },
		.log = logger_line,
		.log_user = &program->logger,
		.log_level = PER_LOG_WARN, /* what there is to say of it, program.c says */
		.backend = config->engine.backend,
		.workers = 1,
		.connections_max = CONNECTIONS_MAX,
		.memory_bytes = MEMORY_BYTES,
		.recv_buf_count = RECV_BUFS,
	};
	int err;

	metrics->program = program;
	if (config->metrics.address == NULL)
		return true;
	err = per_server_new(&metrics->server, &own);
	if (err != 0)
		logger_say(&program->logger, PER_LOG_ERROR, "no metrics at %s: %s", listen.address,
			   per_strerror(err));
	return err == 0;
}

static void *run(void *arg)
{
	const struct metrics *metrics = arg;
	const int err = per_server_run(metrics->server);

	if (err != 0)
		logger_say(&metrics->program->logger, PER_LOG_ERROR, "no metrics: %s", per_strerror(err));
	return NULL;
}

bool metrics_start(struct metrics *metrics)
{
	if (metrics->server == NULL)
		return true;
	metrics->is_running = pthread_create(&metrics->thread, NULL, run, metrics) == 0;
	return metrics->is_running;
}

void metrics_close(struct metrics *metrics)
{
	if (metrics->server == NULL)
		return;
	if (metrics->is_running) {
		/* twice: whoever reads counters just now need not be waited for */
		per_server_stop(metrics->server);
		per_server_stop(metrics->server);
		(void)pthread_join(metrics->thread, NULL);
	}
	per_server_free(metrics->server);
	metrics->server = NULL;
}
