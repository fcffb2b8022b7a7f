/* SPDX-License-Identifier: MIT */
/*
 * access_log_app.c - a server that writes an access log, for test_access_log.py and test_metrics.py.
 * SIGUSR1 opens the log anew, from the handler itself. Options come in pairs: --log PATH --format NAME ...
 */
#include <peregrine/peregrine.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define METRICS_BYTES (1u << 20)

static per_access_log *the_log; /* a signal handler has no argument */

static void on_usr1(int sig)
{
	(void)sig;
	per_access_log_reopen(the_log);
}

/* --- answers ---------------------------------------------------------------------------------- */

static char body[1u << 20];

static int64_t number_behind(per_str path, const char *prefix)
{
	size_t len = strlen(prefix);
	char text[24] = "";

	if (path.len <= len || path.len - len >= sizeof(text) || memcmp(path.ptr, prefix, len) != 0)
		return -1;
	memcpy(text, path.ptr + len, path.len - len);
	return strtoll(text, NULL, 10);
}

static int reply_stats(per_req *req)
{
	per_access_log_stats stats;
	char text[500];

	per_access_log_stats_read(the_log, &stats);
	snprintf(text, sizeof(text),
		 "lines=%" PRIu64 " dropped=%" PRIu64 " bytes=%" PRIu64 " bytes_now=%" PRIu64
		 " writes=%" PRIu64 " write_errors=%" PRIu64 " wakes=%" PRIu64 " reopens=%" PRIu64
		 " reopen_errors=%" PRIu64 "\n",
		 stats.lines, stats.dropped, stats.bytes, stats.bytes_now, stats.writes, stats.write_errors,
		 stats.wakes, stats.reopens, stats.reopen_errors);
	return per_reply(req, 200, PER_S("text/plain"), per_str_from(text));
}

static int reply_metrics(per_req *req)
{
	char *text = malloc(METRICS_BYTES);
	int len, err;

	if (text == NULL)
		return PER_ENOMEM;
	len = per_server_prometheus(per_req_server(req), text, METRICS_BYTES);
	err = len < 0 ? len
		      : per_reply(req, 200, PER_S("text/plain; version=0.0.4"),
				  per_str_make(text, (size_t)len));
	free(text);
	return err;
}

static int on_request(per_req *req, void *user)
{
	per_str path = per_req_path(req);
	int64_t n;

	(void)user;
	if (per_str_equal(path, PER_S("/stats")))
		return reply_stats(req);
	if (per_str_equal(path, PER_S("/metrics")))
		return reply_metrics(req);
	if (per_str_equal(path, PER_S("/abort"))) {
		per_abort(req);
		return 0;
	}
	if (per_str_equal(path, PER_S("/never")))
		return per_defer(req, NULL);
	if (per_str_equal(path, PER_S("/fail")))
		return PER_EINVAL;
	if ((n = number_behind(path, "/bytes/")) >= 0 && n <= (int64_t)sizeof(body))
		return per_reply_ref(req, 200, PER_S(""), per_str_make(body, (size_t)n), NULL, NULL);
	if ((n = number_behind(path, "/status/")) >= 200 && n < 600)
		return per_reply(req, (int)n, PER_S(""), PER_S("status\n"));
	return per_reply(req, 200, PER_S("text/plain"), PER_S("hello\n"));
}

static void on_log(per_req *req, int error, void *user)
{
	per_access_log_write(user, req, error);
}

/* --- life ------------------------------------------------------------------------------------- */

struct setup {
	per_config config;
	per_access_log_config log;
	per_listen listen;
	per_tls_cert cert;
	per_tls_config tls;
};

static bool option_set(struct setup *setup, const char *name, const char *value)
{
	static const char *const backends[] = { "auto", "io_uring", "epoll", "kqueue" };
	static const char *const formats[] = { "combined", "common", "json" };
	unsigned number = (unsigned)strtoul(value, NULL, 10);

	for (int i = 0; i < 4 && strcmp(name, "--backend") == 0; i++) {
		if (strcmp(value, backends[i]) == 0)
			return (setup->config.backend = (per_backend)i, true);
	}
	for (int i = 0; i < 3 && strcmp(name, "--format") == 0; i++) {
		if (strcmp(value, formats[i]) == 0)
			return (setup->log.format = (per_access_format)i, true);
	}
	if (strcmp(name, "--cert") == 0) { /* with its key */
		setup->cert = (per_tls_cert){ .cert_file = value, .key_file = value };
		setup->tls = (per_tls_config){ .certs = &setup->cert, .cert_count = 1 };
		setup->config.tls = &setup->tls;
		setup->listen.flags = PER_LISTEN_TLS;
		return true;
	}
	if (strcmp(name, "--log") == 0)
		return (setup->log.path = value) != NULL;
	if (strcmp(name, "--workers") == 0)
		return (setup->config.workers = number) > 0;
	if (strcmp(name, "--ring-bytes") == 0)
		return (setup->log.ring_bytes = number) > 0;
	if (strcmp(name, "--flush-ms") == 0)
		return (setup->log.flush_ms = number) > 0;
	if (strcmp(name, "--head-timeout-ms") == 0)
		return (setup->config.head_timeout_ms = number) > 0;
	return false;
}

static int serve(struct setup *setup)
{
	per_server *server;
	int err = per_access_log_open(&the_log, &setup->log);

	if (err != 0)
		return err;
	setup->config.handler.user = the_log;
	err = per_server_new(&server, &setup->config);
	if (err != 0)
		return err;
	signal(SIGUSR1, on_usr1);
	fprintf(stderr, "pid %d\n", (int)getpid());
	printf("listening on %s\n", per_server_address(server, 0));
	fflush(stdout);
	err = per_server_run(server);
	per_server_free(server);
	return err;
}

int main(int argc, char **argv)
{
	struct setup setup = {
		.listen = { .address = "127.0.0.1:0" },
		.config = {
			.listen_count = 1,
			.handle_signals = true,
			.stop_timeout_ms = 200,
			.handler = { .on_request = on_request, .on_log = on_log },
		},
		.log = { .flush_ms = 10 },
	};
	int err, close_err;

	setup.config.listen = &setup.listen;
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc || !option_set(&setup, argv[i], argv[i + 1])) {
			fprintf(stderr, "access_log_app: cannot use %s\n", argv[i]);
			return 2;
		}
	}
	memset(body, 'b', sizeof(body));
	err = serve(&setup);
	signal(SIGUSR1, SIG_IGN);
	close_err = per_access_log_close(the_log);
	fprintf(stderr, "server: %s, log: %s\n", per_strerror(err), per_strerror(close_err));
	return err == 0 ? 0 : 1;
}
