/* SPDX-License-Identifier: MIT */
/*
 * test_app.c - a program that uses every part of the public interface, for the suites in
 * tests/integration, which know
 * its paths and read its output. Only <peregrine/peregrine.h>; nothing here is an example of good style
 * for a server.
 * Invariant: what it has seen, lent and posted is counted, and the counts are printed at the end ("account
 * ...").
 */
#include "test_app_long.h"
#include "test_app_plain.h"
#include "test_app_ws.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

/* --- routing ---------------------------------------------------------------------------------- */

struct route {
	const char *path; /* up to the second slash */
	int (*fn)(per_req *req, struct app *app);
};

static const struct route routes[] = {
	{ "/hello", on_hello },
	{ "/empty", on_empty },
	{ "/status", on_status },
	{ "/error", on_error },
	{ "/header", on_header },
	{ "/hostile", on_hostile },
	{ "/hostile-type", on_hostile_type },
	{ "/close", on_close },
	{ "/interim", on_interim },
	{ "/twice", on_twice },
	{ "/never", on_never },
	{ "/fail", on_fail },
	{ "/fail-begun", on_fail_begun },
	{ "/abort", on_abort },
	{ "/stop", on_stop },
	{ "/info", on_info },
	{ "/fields", on_fields },
	{ "/query", on_query },
	{ "/stats", on_stats },
	{ "/counts", on_counts },
	{ "/text", on_text },
	{ "/ref", on_ref },
	{ "/ref-static", on_ref_static },
	{ "/copy", on_copy },
	{ "/stream", on_stream },
	{ "/trailers", on_trailers },
	{ "/short", on_short },
	{ "/over", on_over },
	{ "/defer", on_defer },
	{ "/defer-ref", on_defer_ref },
	{ "/defer-stream", on_defer_stream },
	{ "/hold", on_hold },
	{ "/release", on_release },
	{ "/held", on_held },
	{ "/echo", on_echo },
	{ "/limit", on_echo },
	{ "/upload", on_upload },
	{ "/upload-limit", on_upload },
	{ "/slow-body", on_upload },
	{ "/stuck-body", on_upload },
	{ "/refuse-mid", on_upload },
	{ "/echo-stream", on_echo_stream },
	{ "/ws", on_ws },
	{ "/ws-to", on_ws_to },
	{ "/ws-publish", on_ws_publish },
	{ "/ws-post", on_ws_post },
	{ "/ws-resume", on_ws_resume },
	{ "/ws-counts", on_ws_counts },
	{ "/ws-closes", on_ws_closes },
};

static const struct route *route_of(per_req *req)
{
	per_str path = per_req_path(req);
	size_t len = 1;

	while (len < path.len && path.ptr[len] != '/')
		len++;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (per_str_equal(per_str_make(path.ptr, len < path.len ? len : path.len),
				  per_str_from(routes[i].path)))
			return &routes[i];
	}
	return NULL;
}

static int app_on_request(per_req *req, void *user)
{
	const struct route *route = route_of(req);

	return route != NULL ? route->fn(req, user)
			     : per_reply(req, 404, PER_S("text/plain"), PER_S("no such path\n"));
}

static bool is_path(per_req *req, const char *path)
{
	const struct route *route = route_of(req);

	return route != NULL && strcmp(route->path, path) == 0;
}

static int stream_body(per_req *req, struct app *app, int kind)
{
	struct work *work = work_new(req, app, kind);

	work->total = path_number(req, 0);
	return per_req_stream_body(req);
}

/* Refuses, limits or chooses a streamed body, where the path asks for it. */
static int app_on_head(per_req *req, void *user)
{
	struct app *app = user;

	COUNT(app->counts.seen);
	per_req_set_data(req, &idle_work);
	if (is_path(req, "/upload"))
		return stream_body(req, app, WORK_UPLOAD);
	if (is_path(req, "/slow-body"))
		return stream_body(req, app, WORK_SLOW);
	if (is_path(req, "/stuck-body"))
		return stream_body(req, app, WORK_STUCK);
	if (is_path(req, "/refuse-mid"))
		return stream_body(req, app, WORK_REFUSE_MID);
	if (is_path(req, "/refuse"))
		return per_reply(req, 500, PER_S(""), PER_S(""));
	if (per_str_equal_nocase(per_req_header(req, PER_S("x-refuse")), PER_S("401"))) {
		per_header(req, PER_S("WWW-Authenticate"), PER_S("Basic realm=\"test\""));
		return per_reply(req, 401, PER_S("text/plain"), PER_S("who are you?\n"));
	}
	if (per_str_equal_nocase(per_req_header(req, PER_S("x-refuse")), PER_S("413")))
		return per_reply(req, 413, PER_S("text/plain"), PER_S("not so much\n"));
	if (is_path(req, "/limit"))
		return per_req_set_body_max(req, (uint64_t)path_number(req, 0));
	if (is_path(req, "/upload-limit")) {
		stream_body(req, app, WORK_UPLOAD);
		return per_req_set_body_max(req, (uint64_t)path_number(req, 0));
	}
	if (is_path(req, "/echo-stream") && per_req_content_length(req) != 0) {
		stream_body(req, app, WORK_ECHO);
		return per_begin(req, 200, per_req_content_length(req));
	}
	return 0;
}

static void app_on_done(per_req *req, int error, void *user)
{
	struct app *app = user;
	struct work *work = per_req_data(req);

	if (work == NULL) {
		COUNT(app->counts.stray);
		return;
	}
	COUNT(app->counts.done);
	COUNT(app->counts.errors[error <= 0 && error > -ERRORS_MAX ? -error : ERRORS_MAX - 1]);
	per_req_set_data(req, NULL);
	if (work == &idle_work)
		return;
	free(work->pending);
	free(work);
}

static int app_worker_init(unsigned worker, void **state, void *user)
{
	struct app *app = user;

	(void)worker;
	*state = app;
	COUNT(app->counts.init);
	return 0;
}

static void app_worker_exit(unsigned worker, void *state, void *user)
{
	struct app *app = user;

	(void)worker;
	if (state == app)
		COUNT(app->counts.exit);
}

/* --- command line and life -------------------------------------------------------------------- */

#define FIELD(name) offsetof(per_config, name), sizeof(((per_config *)0)->name)

static const struct option {
	const char *name;
	size_t offset, bytes;
} options[] = {
	{ "--workers", FIELD(workers) },
	{ "--accept-threads", FIELD(accept_threads) },
	{ "--stack-bytes", FIELD(stack_bytes) },
	{ "--connections-max", FIELD(connections_max) },
	{ "--memory-bytes", FIELD(memory_bytes) },
	{ "--recv-buf-bytes", FIELD(recv_buf_bytes) },
	{ "--recv-buf-count", FIELD(recv_buf_count) },
	{ "--head-bytes-max", FIELD(head_bytes_max) },
	{ "--head-fields-max", FIELD(head_fields_max) },
	{ "--target-bytes-max", FIELD(target_bytes_max) },
	{ "--body-bytes-max", FIELD(body_bytes_max) },
	{ "--requests-max", FIELD(requests_per_connection_max) },
	{ "--write-queue-bytes", FIELD(write_queue_bytes) },
	{ "--head-timeout-ms", FIELD(head_timeout_ms) },
	{ "--idle-timeout-ms", FIELD(idle_timeout_ms) },
	{ "--rate-window-ms", FIELD(rate_window_ms) },
	{ "--body-rate-min", FIELD(body_rate_min) },
	{ "--write-rate-min", FIELD(write_rate_min) },
	{ "--linger-timeout-ms", FIELD(linger_timeout_ms) },
	{ "--stop-timeout-ms", FIELD(stop_timeout_ms) },
};

struct setup {
	per_config config;
	per_listen listen[LISTEN_MAX];
	unsigned servers;
	bool embed;
};

static bool option_number(per_config *config, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		uint64_t n = strtoull(value, NULL, 10);
		uint32_t narrow = (uint32_t)n;

		if (strcmp(options[i].name, name) != 0)
			continue;
		if (options[i].bytes == sizeof(narrow))
			memcpy((char *)config + options[i].offset, &narrow, sizeof(narrow));
		else
			memcpy((char *)config + options[i].offset, &n, sizeof(n));
		return true;
	}
	return false;
}

static bool option_backend(per_config *config, const char *value)
{
	static const char *const names[] = { "auto", "io_uring", "epoll", "kqueue" };

	for (int i = 0; i < 4; i++) {
		if (strcmp(value, names[i]) == 0) {
			config->backend = (per_backend)i;
			return true;
		}
	}
	return false;
}

static bool option_listen(struct setup *setup, const char *address, unsigned flags)
{
	if (setup->config.listen_count == LISTEN_MAX)
		return false;
	setup->listen[setup->config.listen_count++] = (per_listen){ .address = address, .flags = flags };
	return true;
}

static bool option_text(struct setup *setup, const char *name, char *value)
{
	static char address[32];

	if (strcmp(name, "--port") == 0) {
		snprintf(address, sizeof(address), "127.0.0.1:%s", value);
		return option_listen(setup, address, 0);
	}
	if (strcmp(name, "--listen") == 0)
		return option_listen(setup, value, 0);
	if (strcmp(name, "--listen-proxy") == 0)
		return option_listen(setup, value, PER_LISTEN_PROXY);
	if (strcmp(name, "--listen-v6only") == 0)
		return option_listen(setup, value, PER_LISTEN_V6ONLY);
	if (strcmp(name, "--backend") == 0)
		return option_backend(&setup->config, value);
	if (strcmp(name, "--servers") == 0)
		return (setup->servers = (unsigned)atoi(value)) <= SERVERS_MAX;
	if (strcmp(name, "--proxy-trusted") == 0)
		return (setup->config.proxy_trusted = value) != NULL;
	if (strcmp(name, "--server-name") == 0)
		return (setup->config.server_name = value) != NULL;
	return option_number(&setup->config, name, value);
}

static bool setup_read(struct setup *setup, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--pin") == 0)
			setup->config.pin = true;
		else if (strcmp(argv[i], "--embed") == 0)
			setup->embed = true;
		else if (i + 1 == argc || !option_text(setup, argv[i], argv[i + 1])) {
			fprintf(stderr, "test_app: cannot use %s\n", argv[i]);
			return false;
		} else {
			i++;
		}
	}
	return true;
}

/* Stops every server at SIGTERM or SIGINT, answers what is held at SIGUSR2; main() ends it by SIGUSR1. */
static void *signal_main(void *arg)
{
	struct app *app = arg;
	sigset_t set;
	int sig = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	while (sigwait(&set, &sig) == 0 && sig != SIGUSR1) {
		if (sig == SIGUSR2)
			release_held(app, 0);
		for (unsigned i = 0; sig != SIGUSR2 && i < app->server_count; i++)
			per_server_stop(app->servers[i]);
	}
	return NULL;
}

static void *server_main(void *arg)
{
	per_server *server = arg;
	int err = per_server_run(server);

	printf("stopped %s: %s\n", per_server_address(server, 0), per_strerror(err));
	fflush(stdout);
	return err == 0 ? NULL : arg;
}

/* Drives a server from a loop of our own, the way an application with an event loop would. */
static void *embed_main(void *arg)
{
	per_server *server = arg;
	struct pollfd fd = { .fd = per_server_poll_fd(server), .events = POLLIN };
	int err = fd.fd < 0 ? fd.fd : 1;

	while (err == 1) {
		if (poll(&fd, 1, per_server_poll_timeout_ms(server)) < 0 && errno != EINTR)
			abort();
		err = per_server_poll(server, 0);
	}
	printf("stopped %s: %s\n", per_server_address(server, 0), per_strerror(err));
	fflush(stdout);
	return err == 0 ? NULL : arg;
}

static int servers_new(struct app *app, const struct setup *setup)
{
	for (unsigned i = 0; i < setup->servers; i++) {
		per_config config = setup->config;
		per_listen other = { .address = "127.0.0.1:0" };
		int err;

		if (i > 0) {
			config.listen = &other;
			config.listen_count = 1;
		}
		err = per_server_new(&app->servers[i], &config);
		if (err != 0) {
			fprintf(stderr, "test_app: %s\n", per_strerror(err));
			return err;
		}
		app->server_count = i + 1;
		for (size_t n = 0; per_server_address(app->servers[i], n) != NULL; n++)
			printf("listening on %s (backend %s, %s)\n", per_server_address(app->servers[i], n),
			       per_server_backend(app->servers[i]),
			       per_server_backend_reason(app->servers[i]));
	}
	return 0;
}

static int servers_run(struct app *app, bool embed)
{
	pthread_t threads[SERVERS_MAX], signals;
	int status = 0;

	if (pthread_create(&signals, NULL, signal_main, app) != 0)
		abort();
	for (unsigned i = 0; i < app->server_count; i++) {
		if (pthread_create(&threads[i], NULL, embed ? embed_main : server_main, app->servers[i]) != 0)
			abort();
	}
	printf("ready\n");
	fflush(stdout);
	for (unsigned i = 0; i < app->server_count; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		status |= failed != NULL;
	}
	pthread_kill(signals, SIGUSR1);
	pthread_join(signals, NULL);
	return status;
}

static void app_end(struct app *app)
{
	char text[2048];

	pthread_mutex_lock(&app->lock);
	app->is_stopping = true;
	pthread_cond_signal(&app->changed);
	pthread_mutex_unlock(&app->lock);
	pthread_join(app->clerk, NULL);
	ws_app_join(app->ws);
	for (unsigned i = 0; i < app->server_count; i++)
		per_server_free(app->servers[i]);
	while (app->held != NULL) {
		struct job *job = app->held;

		app->held = job->next;
		free(job);
	}
	free(app->pattern);
	ws_app_free(app->ws);
	counts_print(app, text, sizeof(text));
	printf("account %s\n", text);
}

int main(int argc, char **argv)
{
	struct app app = { .pattern = malloc(PATTERN_BYTES), .lock = PTHREAD_MUTEX_INITIALIZER };
	struct setup setup = { .servers = 1 };
	sigset_t set;
	int status;

	if (!setup_read(&setup, argc, argv) || app.pattern == NULL)
		return 2;
	for (size_t i = 0; i < PATTERN_BYTES; i++)
		app.pattern[i] = (char)(i % PERIOD);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* inherited by every thread: only signal_main() takes them */
	app.ws = ws_app_new(&app);
	setup.config.listen = setup.listen;
	setup.config.handler = (per_handler){
		.on_request = app_on_request,
		.on_head = app_on_head,
		.on_body = app_on_body,
		.on_writable = app_on_writable,
		.on_done = app_on_done,
		.worker_init = app_worker_init,
		.worker_exit = app_worker_exit,
		.user = &app,
	};
	pthread_cond_init(&app.changed, NULL);
	if (pthread_create(&app.clerk, NULL, clerk_main, &app) != 0)
		abort();
	status = servers_new(&app, &setup) != 0 ? 3 : servers_run(&app, setup.embed);
	app_end(&app);
	return status;
}
