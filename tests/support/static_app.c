/* SPDX-License-Identifier: MIT */
/*
 * static_app.c - serves a directory with every setting of per_static_config on its command line, for
 * tests/integration/test_static*.py. SIGUSR1 replaces the served directory by a new one of the same
 * configuration while answers are in flight; "/-/stats" tells the counters, "/-/error/N" asks for an
 * error, "/-/under" serves below a prefix.
 */
#include <peregrine/peregrine.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES_MAX 16
#define WORKERS_MAX 16

static struct app {
	per_config config;
	per_static_config files;
	per_tls_config tls;
	per_tls_cert cert;
	per_static_field cache_control[RULES_MAX], fields[RULES_MAX];
	per_static_type types[RULES_MAX];
	per_static_error_page pages[RULES_MAX];
	const char *index[RULES_MAX];
	per_server *server;
	per_static *served[WORKERS_MAX]; /* each worker's own pointer, all the same but for a moment */
	per_static *current;
	bool is_polled; /* driven by per_server_poll(): then files are read, never sent by the kernel */
} app;

/* A replacement of the directory on its way to every worker. */
struct swap {
	per_static *from, *to;
	atomic_uint workers_left;
};

/* --- requests --------------------------------------------------------------------------------- */

static int reply_stats(per_req *req, per_static *files)
{
	per_static_stats stats;
	char text[512];
	int len;

	per_static_stats_read(files, &stats);
	len = snprintf(text, sizeof(text),
		       "hits=%llu misses=%llu changes=%llu evictions=%llu disk_reads=%llu cut=%llu "
		       "entries=%llu bytes=%llu "
		       "descriptors=%llu\n",
		       (unsigned long long)stats.hits, (unsigned long long)stats.misses,
		       (unsigned long long)stats.changes, (unsigned long long)stats.evictions,
		       (unsigned long long)stats.disk_reads, (unsigned long long)stats.cut,
		       (unsigned long long)stats.entries_now, (unsigned long long)stats.bytes_now,
		       (unsigned long long)stats.descriptors_now);
	return per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len));
}

/* A status: three digits, which are not followed by a NUL. */
static int number_of(const char *digits)
{
	return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0';
}

static int on_request(per_req *req, void *user)
{
	per_static *files = app.served[per_req_worker(req)];
	per_str path = per_req_path(req);

	(void)user;
	if (path.len < 3 || memcmp(path.ptr, "/-/", 3) != 0)
		return per_static_reply(files, req);
	if (path.len == 8 && memcmp(path.ptr, "/-/stats", 8) == 0)
		return reply_stats(req, files);
	if (path.len == 12 && memcmp(path.ptr, "/-/error/", 9) == 0)
		return per_static_reply_error(files, req, number_of(path.ptr + 9));
	if (path.len > 9 && memcmp(path.ptr, "/-/under/", 9) == 0)
		return per_static_reply_path(files, req, per_str_make(path.ptr + 8, path.len - 8));
	if (path.len > 9 && memcmp(path.ptr, "/-/field/", 9) == 0) {
		per_header(req, PER_S("X-Added"), PER_S("yes"));
		return per_static_reply_path(files, req, per_str_make(path.ptr + 8, path.len - 8));
	}
	return per_reply(req, 404, PER_S("text/plain"), PER_S("no such path\n"));
}

/* --- replacing the directory ------------------------------------------------------------------ */

static void swap_one(unsigned worker, void *arg)
{
	struct swap *swap = arg;

	app.served[worker] = swap->to;
	if (atomic_fetch_sub(&swap->workers_left, 1) > 1)
		return;
	per_static_free(swap->from); /* on a worker: the last one that has let go */
	free(swap);
	printf("swapped\n");
	fflush(stdout);
}

static void swap_all(void)
{
	unsigned workers = per_server_workers(app.server);
	struct swap *swap = calloc(1, sizeof(*swap));

	if (swap == NULL || per_static_new(&swap->to, &app.files) != 0)
		exit(3);
	swap->from = app.current;
	app.current = swap->to;
	atomic_init(&swap->workers_left, workers);
	for (unsigned i = 0; i < workers; i++) {
		while (per_worker_post(app.server, i, swap_one, swap) == PER_EAGAIN)
			;
	}
}

static void *signal_main(void *arg)
{
	sigset_t set;
	int sig = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	while (sigwait(&set, &sig) == 0 && sig == SIGUSR1)
		swap_all();
	return arg;
}

/* --- command line ----------------------------------------------------------------------------- */

#define NUMBER(name, where)                                          \
	{                                                            \
		name, offsetof(struct app, where), sizeof(app.where) \
	}

static const struct option {
	const char *name;
	size_t offset, bytes;
} options[] = {
	NUMBER("--workers", config.workers),
	NUMBER("--accept-threads", config.accept_threads),
	NUMBER("--polled", is_polled),
	NUMBER("--memory-bytes", config.memory_bytes),
	NUMBER("--write-queue-bytes", config.write_queue_bytes),
	NUMBER("--rate-window-ms", config.rate_window_ms),
	NUMBER("--stop-timeout-ms", config.stop_timeout_ms),
	NUMBER("--listing", files.listing),
	NUMBER("--links", files.links),
	NUMBER("--dotfiles", files.dotfiles),
	NUMBER("--no-index", files.no_index),
	NUMBER("--no-precompressed", files.no_precompressed),
	NUMBER("--nosniff", files.nosniff),
	NUMBER("--no-cache", files.no_cache),
	NUMBER("--cache-bytes", files.cache_bytes),
	NUMBER("--cache-file-bytes", files.cache_file_bytes),
	NUMBER("--cache-entries", files.cache_entries),
	NUMBER("--cache-descriptors", files.cache_descriptors),
	NUMBER("--check-ms", files.check_ms),
	NUMBER("--cache-idle-ms", files.cache_idle_ms),
	NUMBER("--disk-threads", files.disk_threads),
};

static bool option_number(const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		unsigned long long n = strtoull(value, NULL, 10);

		if (strcmp(options[i].name, name) == 0) {
			memcpy((char *)&app + options[i].offset, &n, options[i].bytes); /* little end first */
			return true;
		}
	}
	return false;
}

/* Cuts "a=b" in two; a rule "=value" is for every file. */
static char *split(char *value, const char **before)
{
	char *equals = strchr(value, '=');

	if (equals == NULL)
		exit(2);
	*equals = '\0';
	*before = value[0] != '\0' ? value : NULL;
	return equals + 1;
}

static bool option_rule(const char *name, char *value)
{
	const char *before = NULL;

	if (strcmp(name, "--cache-control") == 0) {
		per_static_field *rule = &app.cache_control[app.files.cache_control_count++];

		rule->value = split(value, &rule->pattern);
		return true;
	}
	if (strcmp(name, "--field") == 0) { /* pattern=name=value */
		per_static_field *field = &app.fields[app.files.field_count++];

		field->value = split(split(value, &field->pattern), &field->name);
		return true;
	}
	if (strcmp(name, "--type") == 0) {
		per_static_type *type = &app.types[app.files.type_count++];

		type->type = split(value, &type->extension);
		return true;
	}
	if (strcmp(name, "--error-page") == 0) {
		per_static_error_page *page = &app.pages[app.files.error_page_count++];

		page->file = split(value, &before);
		page->status = atoi(before);
		return true;
	}
	return false;
}

static bool option_text(const char *name, char *value)
{
	static const char *const backends[] = { "auto", "io_uring", "epoll", "kqueue" };

	if (strcmp(name, "--root") == 0)
		return (app.files.root = value) != NULL;
	if (strcmp(name, "--fallback") == 0)
		return (app.files.fallback = value) != NULL;
	if (strcmp(name, "--default-type") == 0)
		return (app.files.default_type = value) != NULL;
	if (strcmp(name, "--index") == 0)
		return (app.index[app.files.index_count++] = value) != NULL;
	if (strcmp(name, "--tls-cert") == 0) {
		app.config.tls = &app.tls;
		app.tls.certs = &app.cert;
		app.tls.cert_count = 1;
		return (app.cert.cert_file = value) != NULL;
	}
	if (strcmp(name, "--tls-key") == 0)
		return (app.cert.key_file = value) != NULL;
	if (strcmp(name, "--port") == 0) {
		static per_listen listen[1];
		static char address[32];

		snprintf(address, sizeof(address), "127.0.0.1:%s", value);
		listen[0].address = address;
		listen[0].flags = app.config.tls != NULL ? PER_LISTEN_TLS : 0; /* --tls-cert comes before */
		app.config.listen = listen;
		app.config.listen_count = 1;
		return true;
	}
	for (unsigned i = 0; i < 4 && strcmp(name, "--backend") == 0; i++) {
		if (strcmp(value, backends[i]) == 0) {
			app.config.backend = (per_backend)i;
			return true;
		}
	}
	return option_rule(name, value) || option_number(name, value);
}

static int poll_until_stopped(void)
{
	int more;

	do {
		more = per_server_poll(app.server, -1);
	} while (more > 0);
	return more;
}

static int run(void)
{
	pthread_t thread;
	sigset_t set;
	int err = per_static_new(&app.current, &app.files);

	if (err != 0)
		return err;
	err = per_server_new(&app.server, &app.config);
	if (err != 0)
		return err;
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		app.served[i] = app.current;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_create(&thread, NULL, signal_main, NULL);
	printf("listening on %s\nready\n", per_server_address(app.server, 0));
	fflush(stdout);
	err = app.is_polled ? poll_until_stopped() : per_server_run(app.server);
	pthread_kill(thread, SIGUSR2);
	pthread_join(thread, NULL);
	per_server_free(app.server);
	per_static_free(app.current);
	return err;
}

int main(int argc, char **argv)
{
	int err;

	app.config.handler.on_request = on_request;
	app.config.handle_signals = true;
	app.files.cache_control = app.cache_control;
	app.files.fields = app.fields;
	app.files.types = app.types;
	app.files.error_pages = app.pages;
	app.files.index_names = app.index;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!option_text(argv[i], argv[i + 1])) {
			fprintf(stderr, "static_app: cannot use %s\n", argv[i]);
			return 2;
		}
	}
	err = run();
	if (err != 0)
		fprintf(stderr, "static_app: %s\n", per_strerror(err));
	return err != 0;
}
