/* SPDX-License-Identifier: MIT */
/*
 * test_app_ws.h - every part of the WebSocket interface, for test_ws_clients.py. The query of a handshake
 * says how the connection behaves (settings_read()), text messages to /ws/cmd are commands (commands[]), and
 * what other threads do is started by requests (/ws-to, /ws-publish, /ws-post, /ws-resume, ...).
 * Part of test_app.c.
 */
#ifndef PER_TESTS_TEST_APP_WS_H
#define PER_TESTS_TEST_APP_WS_H

#include "test_app.h"

#include <sched.h>

#define WS_KEYS 4096u /* connections that are found again by ?key=N */
#define WS_CLOSES_BYTES 65536u
#define WS_ID_BYTES 400u

enum ws_kind { WS_ECHO, WS_PIECES, WS_CMD, WS_SINK };

/* The settings of one path and query. They must outlive their connections, so they live to the end. */
struct ws_end {
	struct ws_end *next;
	char id[WS_ID_BYTES];
	per_ws_config config;
	enum ws_kind kind;
	bool tells_pong, tells_drain;
};

/* Each error of a kind of call, [0]: none. */
struct ws_results {
	uint64_t by_error[ERRORS_MAX];
};

struct ws_thread;

struct ws_app {
	struct app *app;
	pthread_mutex_t lock; /* guards all but counters */
	struct ws_end *ends;
	struct ws_thread *threads;
	struct {
		per_server *server;
		per_ref ref;
	} keys[WS_KEYS];
	char closes[WS_CLOSES_BYTES]; /* a line for each on_close */
	size_t closes_len;
	uint64_t opened, closed, messages, bytes, drains, pongs, posts_run, posts_gone;
	struct ws_results sends, publishes, posts, accepts;
};

/* One connection. */
struct ws_peer {
	struct ws_app *ws;
	const struct ws_end *end;
	int64_t key;
	uint64_t pieces, bytes;
	uint32_t adler_a, adler_b;
	bool is_open;
};

static int ws_result(struct ws_results *results, int err)
{
	COUNT(results->by_error[err <= 0 && err > -ERRORS_MAX ? -err : ERRORS_MAX - 1]);
	return err;
}

/* --- hooks ------------------------------------------------------------------------------------ */

static int ws_say(per_ws *ws, const char *text)
{
	struct ws_peer *peer = per_ws_data(ws);

	return ws_result(&peer->ws->sends, per_ws_send(ws, PER_WS_TEXT, text, strlen(text)));
}

static void ws_on_open(per_ws *ws, void *user)
{
	struct ws_peer *peer = per_ws_data(ws);

	(void)user;
	if (peer->is_open || per_ws_worker_state(ws) != peer->ws->app)
		abort();
	peer->is_open = true;
	COUNT(peer->ws->opened);
	if (peer->key >= 0) {
		pthread_mutex_lock(&peer->ws->lock);
		peer->ws->keys[peer->key].ref = per_ws_ref(ws);
		peer->ws->keys[peer->key].server = per_ws_server(ws);
		pthread_mutex_unlock(&peer->ws->lock);
	}
	if (strstr(peer->end->id, "greet=") != NULL)
		ws_say(ws, "welcome");
	if (strstr(peer->end->id, "goodbye=") != NULL)
		per_ws_close(ws, 4000, PER_S("goodbye"));
	if (strstr(peer->end->id, "topic=") != NULL && per_ws_subscribe(ws, PER_S("topic")) != 0)
		abort();
}

static void ws_on_close(per_ws *ws, int code, per_str reason, void *user)
{
	struct ws_peer *peer = per_ws_data(ws);
	struct ws_app *app = peer->ws;
	size_t room;
	int n;

	(void)user;
	if (!peer->is_open)
		abort();
	COUNT(app->closed);
	pthread_mutex_lock(&app->lock);
	room = sizeof(app->closes) - app->closes_len;
	n = snprintf(app->closes + app->closes_len, room, "%jd %d [%.*s]\n", (intmax_t)peer->key, code,
		     (int)reason.len, reason.ptr);
	if (n > 0 && (size_t)n < room)
		app->closes_len += (size_t)n;
	pthread_mutex_unlock(&app->lock);
	per_ws_set_data(ws, NULL);
	free(peer);
}

static void ws_on_drain(per_ws *ws, void *user)
{
	struct ws_peer *peer = per_ws_data(ws);

	(void)user;
	COUNT(peer->ws->drains);
	if (peer->end->tells_drain)
		ws_say(ws, "drained");
}

static void ws_on_pong(per_ws *ws, const void *data, size_t len, void *user)
{
	struct ws_peer *peer = per_ws_data(ws);
	char text[200];

	(void)user;
	COUNT(peer->ws->pongs);
	snprintf(text, sizeof(text), "pong %.*s", (int)len, len > 0 ? (const char *)data : "");
	if (peer->end->tells_pong)
		ws_say(ws, text);
}

static void ws_on_piece(per_ws *ws, per_ws_type type, void *data, size_t len, bool is_last, void *user)
{
	struct ws_peer *peer = per_ws_data(ws);
	const uint8_t *bytes = data;
	char text[100];

	(void)user;
	peer->pieces++;
	peer->bytes += len;
	for (size_t i = 0; i < len; i++) {
		peer->adler_a = (peer->adler_a + bytes[i]) % 65521;
		peer->adler_b = (peer->adler_b + peer->adler_a) % 65521;
	}
	if (!is_last)
		return;
	snprintf(text, sizeof(text), "%s bytes=%" PRIu64 " adler=%" PRIu32 " pieces=%" PRIu64,
		 type == PER_WS_TEXT ? "text" : "binary", peer->bytes, peer->adler_b << 16 | peer->adler_a,
		 peer->pieces);
	peer->pieces = peer->bytes = 0;
	peer->adler_a = 1;
	peer->adler_b = 0;
	ws_say(ws, text);
}

/* --- commands --------------------------------------------------------------------------------- */

/* count messages "NUMBER xxx" of size bytes. */
static void ws_flood(per_ws *ws, const char *args)
{
	struct ws_peer *peer = per_ws_data(ws);
	unsigned count = 0, size = 0;
	char *text;

	if (sscanf(args, "%u %u", &count, &size) != 2 || size < 12 || (text = malloc(size + 1)) == NULL)
		abort();
	for (unsigned i = 0; i < count; i++) {
		memset(text, 'x', size);
		text[snprintf(text, size, "%08u", i)] = ' ';
		ws_result(&peer->ws->sends, per_ws_send(ws, PER_WS_TEXT, text, size));
	}
	free(text);
}

static void ws_cmd_close(per_ws *ws, const char *args)
{
	struct ws_peer *peer = per_ws_data(ws);
	char *reason;
	long code = strtol(args, &reason, 10);
	int err = per_ws_close(ws, (int)code, per_str_from(*reason == ' ' ? reason + 1 : reason));
	char text[64];

	snprintf(text, sizeof(text), "rc %d", err);
	if (err != 0)
		ws_say(ws, text);
	else if (ws_say(ws, "too late") != PER_ESTATE || per_ws_ping(ws, "x", 1) != PER_ESTATE ||
		 per_ws_close(ws, 1000, PER_S("")) != PER_ESTATE)
		abort(); /* nothing can be sent behind a close frame */
	(void)peer;
}

static void ws_cmd_abort(per_ws *ws, const char *args)
{
	(void)args;
	per_ws_abort(ws);
}

static void ws_cmd_ping(per_ws *ws, const char *args)
{
	if (per_ws_ping(ws, args, strlen(args)) != 0)
		ws_say(ws, "refused");
}

static void ws_cmd_sub(per_ws *ws, const char *args)
{
	char text[64];

	snprintf(text, sizeof(text), "rc %d", per_ws_subscribe(ws, per_str_from(args)));
	ws_say(ws, text);
}

static void ws_cmd_unsub(per_ws *ws, const char *args)
{
	char text[64];

	snprintf(text, sizeof(text), "rc %d", per_ws_unsubscribe(ws, per_str_from(args)));
	ws_say(ws, text);
}

/* What fills a message: x, or what no compressor makes shorter when it is short. */
static void ws_fill(char *text, size_t len, bool is_noise)
{
	uint32_t state = 1;

	for (size_t i = 0; i < len; i++) {
		state = state * 1664525 + 1013904223;
		text[i] = is_noise ? (char)('!' + (state >> 16) % 94) : 'x';
	}
}

/* Publishes "ID NUMBER xxx" count times: pub TOPIC ID COUNT SIZE. An ID of "noise": nothing but noise. */
static void ws_publish(struct ws_app *app, per_server *server, const char *args)
{
	char topic[300], id[32], *text;
	unsigned count = 0, size = 0;

	if (sscanf(args, "%299s %31s %u %u", topic, id, &count, &size) != 4 || size < 50 ||
	    (text = malloc(size + 1)) == NULL)
		abort();
	for (unsigned i = 0; i < count; i++) {
		int err;

		ws_fill(text, size, strcmp(id, "noise") == 0);
		if (strcmp(id, "noise") != 0)
			text[snprintf(text, size, "%s %08u", id, i)] = ' ';
		do {
			err = ws_result(&app->publishes,
					per_ws_publish(server, per_str_from(topic), PER_WS_TEXT, text, size));
			if (err == PER_EAGAIN)
				sched_yield();
		} while (err == PER_EAGAIN);
	}
	free(text);
}

static void ws_cmd_pub(per_ws *ws, const char *args)
{
	struct ws_peer *peer = per_ws_data(ws);

	ws_publish(peer->ws, per_ws_server(ws), args);
}

static void ws_cmd_pause(per_ws *ws, const char *args)
{
	(void)args;
	ws_say(ws, "paused");
	per_ws_pause(ws);
}

static void ws_cmd_queued(per_ws *ws, const char *args)
{
	char text[64];

	(void)args;
	snprintf(text, sizeof(text), "queued %zu", per_ws_queued(ws));
	ws_say(ws, text);
}

/* Calls that must be refused, each with its error. */
static void ws_cmd_wrong(per_ws *ws, const char *args)
{
	char long_topic[256], reason[126];
	per_server *server = per_ws_server(ws);
	memset(long_topic, 't', sizeof(long_topic));
	memset(reason, 'r', sizeof(reason));
	const int errors[] = {
		per_ws_send(ws, (per_ws_type)3, "x", 1),
		per_ws_send(ws, (per_ws_type)0, "x", 1),
		per_ws_ping(ws, reason, 126),
		per_ws_close(ws, 1005, PER_S("")),
		per_ws_close(ws, 1006, PER_S("")),
		per_ws_close(ws, 1015, PER_S("")),
		per_ws_close(ws, 999, PER_S("")),
		per_ws_close(ws, 5000, PER_S("")),
		per_ws_close(ws, -1, PER_S("")),
		per_ws_close(ws, 1000, per_str_make(reason, 124)),
		per_ws_close(ws, 1000, PER_S("\xff")),
		per_ws_close(ws, 0, PER_S("a reason without a code")),
		per_ws_subscribe(ws, PER_S("")),
		per_ws_subscribe(ws, per_str_make(long_topic, 256)),
		per_ws_publish(server, PER_S(""), PER_WS_TEXT, "x", 1),
		per_ws_publish(server, per_str_make(long_topic, 256), PER_WS_TEXT, "x", 1),
		per_ws_publish(server, PER_S("t"), (per_ws_type)7, "x", 1),
	};
	char text[300];
	int len = 0;

	(void)args;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%d ", errors[i]);
	ws_say(ws, text);
}

static const struct {
	const char *name;
	void (*run)(per_ws *ws, const char *args);
} commands[] = {
	{ "flood", ws_flood },     { "close", ws_cmd_close }, { "abort", ws_cmd_abort },
	{ "ping", ws_cmd_ping },   { "sub", ws_cmd_sub },     { "unsub", ws_cmd_unsub },
	{ "pub", ws_cmd_pub },     { "pause", ws_cmd_pause }, { "queued", ws_cmd_queued },
	{ "wrong", ws_cmd_wrong },
};

static void ws_command(per_ws *ws, const void *data, size_t len)
{
	char text[1024], *args;

	if (len >= sizeof(text))
		abort();
	memcpy(text, data, len);
	text[len] = '\0';
	args = strchr(text, ' ');
	if (args != NULL)
		*args++ = '\0';
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, text) == 0) {
			commands[i].run(ws, args != NULL ? args : "");
			return;
		}
	}
	ws_say(ws, "what?");
}

static void ws_on_message(per_ws *ws, per_ws_type type, void *data, size_t len, void *user)
{
	struct ws_peer *peer = per_ws_data(ws);

	(void)user;
	COUNT(peer->ws->messages);
	__atomic_fetch_add(&peer->ws->bytes, len, __ATOMIC_RELAXED);
	if (peer->end->kind == WS_CMD)
		ws_command(ws, data, len);
	else if (peer->end->kind == WS_ECHO)
		ws_result(&peer->ws->sends, per_ws_send(ws, type, data, len));
	if (len > 0)
		memset(data, 'z', len); /* it is ours until we return */
}

/* --- handshakes ------------------------------------------------------------------------------- */

static unsigned setting(per_req *req, const char *name)
{
	return (unsigned)number(query(req, name), 0);
}

static void settings_read(per_req *req, struct ws_end *end)
{
	per_str policy = query(req, "policy");
	per_ws_config *config = &end->config;

	config->message_bytes_max = setting(req, "message");
	config->fragments_max = setting(req, "fragments");
	config->queue_bytes = setting(req, "queue");
	config->idle_timeout_ms = setting(req, "idle");
	config->pong_timeout_ms = setting(req, "pong");
	config->close_timeout_ms = setting(req, "close");
	config->deflate = setting(req, "deflate") != 0;
	config->deflate_level = (int)setting(req, "level");
	config->server_window_bits = setting(req, "sbits");
	config->client_window_bits = setting(req, "cbits");
	config->server_no_context_takeover = setting(req, "snt") != 0;
	config->client_no_context_takeover = setting(req, "cnt") != 0;
	config->deflate_min_bytes = setting(req, "dmin");
	config->deflate_memory_bytes = setting(req, "dmem");
	if (per_str_equal(policy, PER_S("drop")))
		config->policy = PER_WS_POLICY_DROP;
	else if (per_str_equal(policy, PER_S("latest")))
		config->policy = PER_WS_POLICY_LATEST;
	end->tells_pong = query(req, "tell-pong").ptr != NULL;
	end->tells_drain = query(req, "tell-drain").ptr != NULL;
}

static struct ws_end *end_new(struct ws_app *app, per_req *req, const char *id)
{
	struct ws_end *end = calloc(1, sizeof(*end));

	if (end == NULL)
		abort();
	snprintf(end->id, sizeof(end->id), "%s", id);
	settings_read(req, end);
	end->kind = strncmp(id, "/ws/pieces", 10) == 0 ? WS_PIECES
		    : strncmp(id, "/ws/cmd", 7) == 0   ? WS_CMD
		    : strncmp(id, "/ws/sink", 8) == 0  ? WS_SINK
						       : WS_ECHO;
	end->config.handler = (per_ws_handler){
		.on_open = ws_on_open,
		.on_message = end->kind != WS_PIECES ? ws_on_message : NULL,
		.on_piece = end->kind == WS_PIECES ? ws_on_piece : NULL,
		.on_drain = ws_on_drain,
		.on_pong = ws_on_pong,
		.on_close = ws_on_close,
	};
	end->next = app->ends;
	app->ends = end;
	return end;
}

/* The settings of a target but for its key, made at its first use. */
static struct ws_end *end_of(struct ws_app *app, per_req *req)
{
	per_str target = per_req_target(req);
	char id[WS_ID_BYTES];
	struct ws_end *end;

	snprintf(id, sizeof(id), "%.*s", (int)target.len, target.ptr);
	if (strstr(id, "key=") != NULL)
		*strstr(id, "key=") = '\0';
	pthread_mutex_lock(&app->lock);
	for (end = app->ends; end != NULL && strcmp(end->id, id) != 0;)
		end = end->next;
	if (end == NULL)
		end = end_new(app, req, id);
	pthread_mutex_unlock(&app->lock);
	return end;
}

static int ws_accept(per_req *req, struct ws_app *app, per_str protocol)
{
	struct ws_end *end = end_of(app, req);
	struct ws_peer *peer = calloc(1, sizeof(*peer));
	char text[64];
	int err;

	if (peer == NULL)
		abort();
	*peer = (struct ws_peer){ .ws = app, .end = end, .key = number(query(req, "key"), -1), .adler_a = 1 };
	if (peer->key >= (int64_t)WS_KEYS)
		abort();
	err = ws_result(&app->accepts, per_ws_accept(req, &end->config, protocol, peer));
	if (err == 0)
		return 0;
	free(peer);
	if (err == PER_EPROTO || err == PER_EGONE)
		return 0; /* answered, or nobody is there */
	snprintf(text, sizeof(text), "refused %d\n", err);
	return per_reply(req, 400, PER_S("text/plain"), per_str_from(text));
}

/* The first of ours that the client offers. */
static per_str protocol_choose(per_req *req)
{
	const per_str ours[] = { PER_S("beta"), PER_S("alpha"), PER_S("x.y-z") };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (per_ws_offers_protocol(req, ours[i]))
			return ours[i];
	}
	return PER_S("");
}

struct ws_late {
	struct app *app;
	per_server *server;
	per_ref ref;
};

static void late_accept(per_req *req, void *arg)
{
	struct ws_late *late = arg;

	if (req != NULL && ws_accept(req, late->app->ws, PER_S("")) != 0)
		abort();
	free(late);
}

/* Accepts in a posted function instead of in the hook. */
static int ws_defer(per_req *req, struct app *app)
{
	struct ws_late *late = malloc(sizeof(*late));
	int err = late != NULL ? per_defer(req, &late->ref) : PER_ENOMEM;

	if (err != 0)
		abort();
	late->app = app;
	late->server = per_req_server(req);
	err = per_post(late->server, late->ref, late_accept, late);
	if (err != 0)
		free(late);
	return err;
}

/* /ws/...: the second part of the path says which handshake. */
static int on_ws(per_req *req, struct app *app)
{
	per_str path = per_req_path(req);
	per_str wanted = query(req, "protocol"), origin = per_req_header(req, PER_S("origin"));
	char text[64];
	int err;

	if (path.len > 10 && memcmp(path.ptr, "/ws/refuse", 10) == 0)
		return per_reply(req, (int)path_number(req, 403), PER_S("text/plain"),
				 PER_S("not for you\n"));
	if (per_str_equal(path, PER_S("/ws/is-upgrade"))) {
		snprintf(text, sizeof(text), "%d\n", per_ws_is_upgrade(req));
		return reply_text(req, text);
	}
	if (per_str_equal(path, PER_S("/ws/origin"))) {
		if (!per_str_equal(origin, PER_S("https://good.example")))
			return per_reply(req, 403, PER_S("text/plain"), PER_S("another origin\n"));
		per_header(req, PER_S("X-Cookie"), per_req_header(req, PER_S("cookie")));
	}
	if (per_str_equal(path, PER_S("/ws/late")))
		return ws_defer(req, app);
	if (per_str_equal(path, PER_S("/ws/protocols")))
		wanted = protocol_choose(req);
	err = ws_accept(req, app->ws, wanted.ptr != NULL ? wanted : PER_S(""));
	if (err == 0 && per_str_equal(path, PER_S("/ws/twice")) && ws_accept(req, app->ws, PER_S("")) == 0)
		COUNT(app->ws->accepts.by_error[0]); /* seen as one accept too many */
	return err;
}

/* --- from other threads ----------------------------------------------------------------------- */

struct ws_thread {
	struct ws_thread *next;
	pthread_t thread;
	struct ws_app *app;
	per_server *server;
	per_ref ref;
	unsigned count, size;
	char args[400];
};

static void *send_main(void *arg)
{
	struct ws_thread *thread = arg;
	char *text = malloc(thread->size + 1);

	if (text == NULL)
		abort();
	for (unsigned i = 0; i < thread->count; i++) {
		int err;

		memset(text, 'x', thread->size);
		text[snprintf(text, thread->size, "%08u", i)] = ' ';
		do {
			err = ws_result(&thread->app->sends, per_ws_send_to(thread->server, thread->ref,
									    PER_WS_TEXT, text, thread->size));
			if (err == PER_EAGAIN)
				sched_yield();
		} while (err == PER_EAGAIN);
	}
	free(text);
	return NULL;
}

static void *publish_main(void *arg)
{
	struct ws_thread *thread = arg;

	ws_publish(thread->app, thread->server, thread->args);
	return NULL;
}

static struct ws_thread *thread_new(struct app *app, per_req *req)
{
	struct ws_thread *thread = calloc(1, sizeof(*thread));
	int64_t key = number(query(req, "key"), 0);

	if (thread == NULL || key >= (int64_t)WS_KEYS)
		abort();
	thread->app = app->ws;
	thread->server = per_req_server(req);
	thread->count = setting(req, "count");
	thread->size = setting(req, "size") < 20 ? 20 : setting(req, "size");
	pthread_mutex_lock(&app->ws->lock);
	thread->ref = app->ws->keys[key].ref;
	thread->next = app->ws->threads;
	app->ws->threads = thread;
	pthread_mutex_unlock(&app->ws->lock);
	return thread;
}

/* /ws-to?key=K&count=N&size=S: another thread sends to one connection. */
static int on_ws_to(per_req *req, struct app *app)
{
	struct ws_thread *thread = thread_new(app, req);

	if (pthread_create(&thread->thread, NULL, send_main, thread) != 0)
		abort();
	return reply_text(req, "started\n");
}

/* /ws-publish?id=I&count=N&size=S: another thread publishes to "topic". */
static int on_ws_publish(per_req *req, struct app *app)
{
	struct ws_thread *thread = thread_new(app, req);
	per_str id = query(req, "id");

	snprintf(thread->args, sizeof(thread->args), "topic %.*s %u %u", (int)id.len, id.ptr, thread->count,
		 thread->size < 50 ? 50 : thread->size);
	if (pthread_create(&thread->thread, NULL, publish_main, thread) != 0)
		abort();
	return reply_text(req, "started\n");
}

static void ws_posted(per_ws *ws, void *arg)
{
	struct ws_app *app = arg;

	COUNT(app->posts_run);
	if (ws == NULL)
		COUNT(app->posts_gone);
	else
		ws_say(ws, "posted");
}

static void ws_resumed(per_ws *ws, void *arg)
{
	(void)arg;
	if (ws != NULL)
		per_ws_resume(ws);
}

static per_ref ref_of(struct app *app, per_req *req)
{
	int64_t key = number(query(req, "key"), 0);
	per_ref ref;

	pthread_mutex_lock(&app->ws->lock);
	ref = app->ws->keys[key].ref;
	pthread_mutex_unlock(&app->ws->lock);
	return ref;
}

static int on_ws_post(per_req *req, struct app *app)
{
	char text[64];
	int err = ws_result(&app->ws->posts,
			    per_ws_post(per_req_server(req), ref_of(app, req), ws_posted, app->ws));

	snprintf(text, sizeof(text), "%d\n", err);
	return reply_text(req, text);
}

static int on_ws_resume(per_req *req, struct app *app)
{
	char text[64];

	snprintf(text, sizeof(text), "%d\n",
		 per_ws_post(per_req_server(req), ref_of(app, req), ws_resumed, app->ws));
	return reply_text(req, text);
}

static int results_print(char *text, size_t cap, const char *name, const struct ws_results *results)
{
	int len = 0;

	for (int i = 0; i < ERRORS_MAX; i++)
		len += snprintf(text + len, cap - (size_t)len, " %s%d=%" PRIu64, name, i,
				READ(results->by_error[i]));
	return len;
}

static int on_ws_counts(per_req *req, struct app *app)
{
	const struct ws_app *ws = app->ws;
	char text[4096];
	int len = snprintf(text, sizeof(text),
			   "opened=%" PRIu64 " closed=%" PRIu64 " messages=%" PRIu64 " bytes=%" PRIu64
			   " drains=%" PRIu64 " pongs=%" PRIu64 " posts_run=%" PRIu64 " posts_gone=%" PRIu64,
			   READ(ws->opened), READ(ws->closed), READ(ws->messages), READ(ws->bytes),
			   READ(ws->drains), READ(ws->pongs), READ(ws->posts_run), READ(ws->posts_gone));

	len += results_print(text + len, sizeof(text) - (size_t)len, "send", &ws->sends);
	len += results_print(text + len, sizeof(text) - (size_t)len, "publish", &ws->publishes);
	len += results_print(text + len, sizeof(text) - (size_t)len, "post", &ws->posts);
	len += results_print(text + len, sizeof(text) - (size_t)len, "accept", &ws->accepts);
	return reply_text(req, text);
}

/* How connections have ended since the last time: "KEY CODE [REASON]". */
static int on_ws_closes(per_req *req, struct app *app)
{
	int err;

	pthread_mutex_lock(&app->ws->lock);
	err = per_reply(req, 200, PER_S("text/plain"), per_str_make(app->ws->closes, app->ws->closes_len));
	app->ws->closes_len = 0;
	pthread_mutex_unlock(&app->ws->lock);
	return err;
}

/* --- life ------------------------------------------------------------------------------------- */

static struct ws_app *ws_app_new(struct app *app)
{
	struct ws_app *ws = calloc(1, sizeof(*ws));

	if (ws == NULL)
		abort();
	ws->app = app;
	pthread_mutex_init(&ws->lock, NULL);
	return ws;
}

/* Before the servers are freed: threads that send to them end first. */
static void ws_app_join(struct ws_app *ws)
{
	while (ws->threads != NULL) {
		struct ws_thread *thread = ws->threads;

		ws->threads = thread->next;
		pthread_join(thread->thread, NULL);
		free(thread);
	}
}

static void ws_app_free(struct ws_app *ws)
{
	while (ws->ends != NULL) {
		struct ws_end *end = ws->ends;

		ws->ends = end->next;
		free(end);
	}
	printf("wsaccount opened=%" PRIu64 " closed=%" PRIu64 "\n", ws->opened, ws->closed);
	free(ws);
}

#endif
