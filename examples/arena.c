/* SPDX-License-Identifier: MIT */
/*
 * arena.c - the endpoints of the public HttpArena benchmark, for load generators and test suites. Shows
 * dispatch by hand, streaming both ways with backpressure, state per request without malloc, a WebSocket.
 * Try it: arena --port 8080 --backend epoll    and then: curl 'localhost:8080/baseline11?a=13&b=42'
 */
#include "arena_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define BYTES_MAX (100u << 20)               /* GET /bytes/N */
#define UPLOAD_BYTES_MAX ((uint64_t)1 << 40) /* POST /upload */
#define ECHO_BYTES_MAX ((uint64_t)1 << 34)   /* POST /echo */
#define ECHO_BUFFERED_MAX (64u << 10)        /* an announced body up to this is collected by the library */
#define ECHO_COLLECT_MAX (16u << 10)         /* a chunked body up to this is answered with a Content-Length */
#define HOLD_BYTES (64u << 10)               /* what is collected, and one piece more */
#define NUMBER_BODY_MAX 64u                  /* POST /baseline11 */
#define STREAMS_MAX 4096u                    /* per worker: streamed requests at once, then 503 */
#define MESSAGE_BYTES_MAX ((size_t)16 << 20) /* /ws */

#define TEXT PER_S("text/plain")
#define BINARY PER_S("application/octet-stream")

/* The body of /bytes/N: byte i is DIGITS[i % 64]. */
#define DIGITS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
#define PATTERN_BYTES 65536u
#define X4(x) x, x, x, x
#define X64(x) X4(X4(X4(x)))
static const char pattern[PATTERN_BYTES / 64][64] = { X4(X4(X64(DIGITS))) };

/* --- a streamed request ----------------------------------------------------------------------- */

enum stream_kind { STREAM_UPLOAD, STREAM_ECHO, STREAM_BYTES };

/*
 * What is remembered of a request that takes more than one call, from on_head (STREAM_BYTES: on_request)
 * to on_done. An echo first collects. When that grows too large, or when the length is known, it begins its
 * answer and passes pieces on. A refused piece stays in hold, and the body is paused until on_writable.
 */
struct stream {
	struct stream *next; /* in the free list */
	enum stream_kind kind;
	bool has_begun;   /* echo: the head of the answer is out */
	bool is_complete; /* echo: the whole body has arrived */
	uint64_t bytes;   /* upload: received; bytes: still to send */
	size_t held;      /* echo: bytes that wait in hold */
	char hold[HOLD_BYTES];
};

/* The memory of a worker is reserved when it starts, and touched when it is first needed. */
struct worker {
	struct stream *free; /* given back */
	unsigned touched;    /* of streams */
	struct stream streams[STREAMS_MAX];
};

static int worker_init(unsigned index, void **state, void *user)
{
	(void)index;
	(void)user;
	*state = calloc(1, sizeof(struct worker));
	return *state ? 0 : PER_ENOMEM;
}

static void worker_exit(unsigned index, void *state, void *user)
{
	(void)index;
	(void)user;
	free(state);
}

static struct stream *stream_take(per_req *req, enum stream_kind kind)
{
	struct worker *worker = per_req_worker_state(req);
	struct stream *stream = worker->free;
	if (stream != NULL)
		worker->free = stream->next;
	else if (worker->touched < STREAMS_MAX)
		stream = &worker->streams[worker->touched++];
	else
		return NULL;
	memset(stream, 0, offsetof(struct stream, hold));
	stream->kind = kind;
	per_req_set_data(req, stream);
	return stream;
}

static void on_done(per_req *req, int error, void *user)
{
	(void)error;
	(void)user;
	struct stream *stream = per_req_data(req);
	if (stream == NULL)
		return;
	struct worker *worker = per_req_worker_state(req);
	stream->next = worker->free;
	worker->free = stream;
}

/* --- answers ---------------------------------------------------------------------------------- */

static int reply_number(per_req *req, int64_t number)
{
	char text[24];
	const int len = snprintf(text, sizeof(text), "%" PRId64, number);
	return per_reply(req, 200, TEXT, per_str_make(text, (size_t)len));
}

/* The reason phrase as the body. */
static int reply_status(per_req *req, int status)
{
	return per_reply(req, status, TEXT, per_reason(status));
}

/* --- /baseline11 ------------------------------------------------------------------------------ */

/* An optional sign and digits, all of text, within 64 bits. */
static bool number_parse(per_str text, int64_t *number)
{
	const bool is_negative = text.len > 0 && text.ptr[0] == '-';
	int64_t sum = 0;
	size_t i = is_negative || (text.len > 0 && text.ptr[0] == '+');
	if (i == text.len)
		return false;
	for (; i < text.len; i++) {
		const int digit = text.ptr[i] - '0';
		if (!is_digit(text.ptr[i]) || __builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, is_negative ? -digit : digit, &sum))
			return false;
	}
	*number = sum;
	return true;
}

/* As number_parse(), for a value that may be percent-encoded. */
static bool number_decode(per_str value, int64_t *number)
{
	char text[NUMBER_BODY_MAX];
	if (number_parse(value, number))
		return true;
	const int64_t len = value.ptr ? per_percent_decode(text, sizeof(text), value, false) : -1;
	return len >= 0 && number_parse(per_str_make(text, (size_t)len), number);
}

/* Adds the values of a query: a and b have to be integers, any other value counts if it is one. */
static bool query_sum(per_str query, int64_t *sum)
{
	per_str name, value;
	int64_t number;
	while (per_query_next(&query, &name, &value)) {
		if (number_decode(value, &number)) {
			if (__builtin_add_overflow(*sum, number, sum))
				return false;
		} else if (name.len == 1 && (name.ptr[0] == 'a' || name.ptr[0] == 'b')) {
			return false;
		}
	}
	return true;
}

static int answer_baseline(per_req *req)
{
	per_str body = per_req_body(req);
	int64_t sum = 0, number = 0;
	while (body.len > 0 && (body.ptr[body.len - 1] == '\n' || body.ptr[body.len - 1] == '\r'))
		body.len--;
	if (!query_sum(per_req_query(req), &sum) || (body.len > 0 && !number_parse(body, &number)) ||
	    __builtin_add_overflow(sum, number, &sum))
		return reply_status(req, 400);
	return reply_number(req, sum);
}

/* --- /bytes/N --------------------------------------------------------------------------------- */

/* Queues as much as the connection takes; on_writable comes back for the rest. */
static int bytes_go_on(per_req *req, struct stream *stream)
{
	while (stream->bytes > 0) {
		/* Every piece but the last has the length of the pattern, so each begins at its beginning. */
		const size_t len = stream->bytes < PATTERN_BYTES ? (size_t)stream->bytes : PATTERN_BYTES;
		const int err = per_write_ref(req, pattern, len, NULL, NULL);
		if (err != 0)
			return err == PER_EAGAIN ? 0 : err;
		stream->bytes -= len;
	}
	return per_end(req);
}

static int answer_bytes(per_req *req)
{
	const per_str path = per_req_path(req);
	const per_str digits = per_str_make(path.ptr + 7, path.len - 7);
	int64_t count;
	if (digits.len == 0 || !is_digit(digits.ptr[0]) || !number_parse(digits, &count) || count > BYTES_MAX)
		return reply_status(req, 400);
	if (count <= PATTERN_BYTES)
		return per_reply_ref(req, 200, BINARY, per_str_make(pattern[0], (size_t)count), NULL, NULL);

	const bool is_head = per_req_method(req) == PER_METHOD_HEAD;
	struct stream *stream = is_head ? NULL : stream_take(req, STREAM_BYTES);
	if (stream == NULL && !is_head)
		return reply_status(req, 503);
	int err = per_header(req, PER_S("Content-Type"), BINARY);
	if (err == 0)
		err = per_begin(req, 200, count);
	if (err != 0 || is_head)
		return err ? err : per_end(req);
	stream->bytes = (uint64_t)count;
	return bytes_go_on(req, stream);
}

/* --- /echo, and / with a body ----------------------------------------------------------------- */

/* on_head: short bodies are left to the library, which hands them to on_request in one piece. */
static int echo_head(per_req *req, int64_t length)
{
	if (length >= 0 && length <= ECHO_BUFFERED_MAX)
		return 0;
	if (stream_take(req, STREAM_ECHO) == NULL)
		return reply_status(req, 503);
	const int err = per_req_set_body_max(req, ECHO_BYTES_MAX);
	return err ? err : per_req_stream_body(req);
}

static int echo_begin(per_req *req, struct stream *stream)
{
	const int err = per_header(req, PER_S("Content-Type"), BINARY);
	stream->has_begun = true;
	/* A chunked body comes back chunked: its length, -1, is PER_LENGTH_UNKNOWN. */
	return err ? err : per_begin(req, 200, per_req_content_length(req));
}

/* Passes on what is held; when all of it is gone, ends the answer or lets the body go on. */
static int echo_go_on(per_req *req, struct stream *stream)
{
	if (stream->held > 0) {
		const int err = per_write(req, stream->hold, stream->held);
		if (err == PER_EAGAIN)
			per_req_pause_body(req);
		if (err != 0)
			return err == PER_EAGAIN ? 0 : err;
		stream->held = 0;
	}
	if (stream->is_complete)
		return per_end(req);
	per_req_resume_body(req); /* the last thing done: it may bring the next piece */
	return 0;
}

static int echo_body(per_req *req, struct stream *stream, const void *data, size_t len)
{
	int err = 0;
	if (!stream->has_begun && per_req_content_length(req) >= 0)
		err = echo_begin(req, stream);
	if (err == 0 && stream->has_begun && stream->held == 0) {
		err = per_write(req, data, len);
		if (err != PER_EAGAIN)
			return err;
		per_req_pause_body(req);
		err = 0;
	}
	if (err != 0 || len > HOLD_BYTES - stream->held)
		return err ? err : PER_ENOMEM;
	memcpy(stream->hold + stream->held, data, len);
	stream->held += len;
	if (stream->has_begun || stream->held <= ECHO_COLLECT_MAX)
		return 0;
	err = echo_begin(req, stream);
	return err ? err : echo_go_on(req, stream);
}

static int answer_echo(per_req *req)
{
	struct stream *stream = per_req_data(req);
	if (stream == NULL)
		return per_reply(req, 200, BINARY, per_req_body(req));
	if (!stream->has_begun)
		return per_reply(req, 200, BINARY, per_str_make(stream->hold, stream->held));
	stream->is_complete = true;
	return echo_go_on(req, stream);
}

/* --- /upload ---------------------------------------------------------------------------------- */

static int upload_head(per_req *req)
{
	if (stream_take(req, STREAM_UPLOAD) == NULL)
		return reply_status(req, 503);
	const int err = per_req_set_body_max(req, UPLOAD_BYTES_MAX);
	return err ? err : per_req_stream_body(req);
}

static int answer_upload(per_req *req)
{
	const struct stream *stream = per_req_data(req);
	return reply_number(req, stream ? (int64_t)stream->bytes : 0);
}

/* --- /ws -------------------------------------------------------------------------------------- */

/*
 * A client that sends without reading needs no policy here: while its echoes are above queue_bytes, its
 * messages are not read, so a send never meets the limit.
 */
static void ws_echo(per_ws *ws, per_ws_type type, void *data, size_t len, void *user)
{
	(void)user;
	(void)per_ws_send(ws, type, data, len); /* fails only when the connection is over: on_close tells */
}

static const per_ws_config ws_config = {
	.handler.on_message = ws_echo,
	.message_bytes_max = MESSAGE_BYTES_MAX,
	.deflate = true, /* for clients that offer it */
};

static int answer_ws(per_req *req)
{
	const int err = per_ws_accept(req, &ws_config, PER_S(""), NULL);
	return err == PER_EPROTO ? 0 : err; /* no WebSocket handshake: it was answered with an error */
}

/* --- who answers what ------------------------------------------------------------------------- */

enum route {
	ROUTE_NONE,
	ROUTE_ROOT,
	ROUTE_PIPELINE,
	ROUTE_BASELINE,
	ROUTE_UPLOAD,
	ROUTE_ECHO,
	ROUTE_BYTES,
	ROUTE_WS
};

/* The length tells all paths but one apart, so a request costs one comparison. */
static enum route route_of(per_str path)
{
	switch (path.len) {
	case 1:
		return path.ptr[0] == '/' ? ROUTE_ROOT : ROUTE_NONE;
	case 3:
		return memcmp(path.ptr, "/ws", 3) == 0 ? ROUTE_WS : ROUTE_NONE;
	case 5:
		return memcmp(path.ptr, "/echo", 5) == 0 ? ROUTE_ECHO : ROUTE_NONE;
	case 7:
		if (memcmp(path.ptr, "/upload", 7) == 0)
			return ROUTE_UPLOAD;
		break;
	case 9:
		if (memcmp(path.ptr, "/pipeline", 9) == 0)
			return ROUTE_PIPELINE;
		break;
	case 11:
		if (memcmp(path.ptr, "/baseline11", 11) == 0)
			return ROUTE_BASELINE;
		break;
	default:
		break;
	}
	return path.len >= 7 && memcmp(path.ptr, "/bytes/", 7) == 0 ? ROUTE_BYTES : ROUTE_NONE;
}

#define METHOD(name) (1u << PER_METHOD_##name)
#define METHODS_GET (METHOD(GET) | METHOD(HEAD))

/* The methods of a route, and how the Allow field of a refusal says it (RFC 9110 section 15.5.6). */
static const struct {
	unsigned methods;
	const char *allow;
} routes[] = {
	[ROUTE_NONE] = { ~0u, "" },
	/* Any method, but TRACE would show a client's secrets to its scripts, and CONNECT has no path. */
	[ROUTE_ROOT] = { ~(METHOD(TRACE) | METHOD(CONNECT)), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" },
	[ROUTE_PIPELINE] = { METHODS_GET, "GET, HEAD" },
	[ROUTE_BASELINE] = { METHODS_GET | METHOD(POST), "GET, HEAD, POST" },
	[ROUTE_UPLOAD] = { METHOD(POST), "POST" },
	[ROUTE_ECHO] = { METHOD(POST), "POST" },
	[ROUTE_BYTES] = { METHODS_GET, "GET, HEAD" },
	[ROUTE_WS] = { METHOD(GET), "GET" },
};

static bool route_takes(enum route route, unsigned methods)
{
	return (routes[route].methods & methods) != 0;
}

static int refuse(per_req *req, enum route route)
{
	const int err = per_header(req, PER_S("Allow"), per_str_from(routes[route].allow));
	return err ? err : reply_status(req, 405);
}

static int on_head(per_req *req, void *user)
{
	(void)user;
	const int64_t length = per_req_content_length(req);
	if (length == 0)
		return 0; /* no body */
	const enum route route = route_of(per_req_path(req));
	const unsigned method = 1u << per_req_method(req);
	if (!route_takes(route, method))
		return 0; /* on_request refuses, so that the connection survives a short body */
	if (route == ROUTE_UPLOAD)
		return upload_head(req);
	if (route == ROUTE_ECHO || (route == ROUTE_ROOT && (method & METHODS_GET) == 0))
		return echo_head(req, length);
	if (route == ROUTE_BASELINE)
		return per_req_set_body_max(req, NUMBER_BODY_MAX);
	return 0;
}

static int on_body(per_req *req, const void *data, size_t len, void *user)
{
	(void)user;
	struct stream *stream = per_req_data(req);
	if (stream->kind == STREAM_ECHO)
		return echo_body(req, stream, data, len);
	stream->bytes += len;
	return 0;
}

static int on_request(per_req *req, void *user)
{
	(void)user;
	const enum route route = route_of(per_req_path(req));
	const unsigned method = 1u << per_req_method(req);
	if (!route_takes(route, method))
		return refuse(req, route);
	switch (route) {
	case ROUTE_PIPELINE:
		return per_reply(req, 200, TEXT, PER_S("ok"));
	case ROUTE_BASELINE:
		return answer_baseline(req);
	case ROUTE_BYTES:
		return answer_bytes(req);
	case ROUTE_UPLOAD:
		return answer_upload(req);
	case ROUTE_ECHO:
		return answer_echo(req);
	case ROUTE_WS:
		return answer_ws(req);
	case ROUTE_ROOT:
		if ((method & METHODS_GET) == 0)
			return answer_echo(req);
		return per_reply(req, 200, TEXT, PER_S("arena\n"));
	case ROUTE_NONE:
		break;
	}
	return reply_status(req, 404);
}

static void on_writable(per_req *req, void *user)
{
	(void)user;
	struct stream *stream = per_req_data(req);
	const int err = stream->kind == STREAM_BYTES ? bytes_go_on(req, stream) : echo_go_on(req, stream);
	if (err != 0)
		per_abort(req); /* an answer that had begun cannot become an error */
}

/* --- life ------------------------------------------------------------------------------------- */

static void stats_print(const per_server *server)
{
	per_stats s;
	if (per_server_stats(server, -1, &s) == 0)
		fprintf(stderr, "stats requests=%ju syscalls=%ju turns=%ju events=%ju connections=%ju\n",
			(uintmax_t)s.requests, (uintmax_t)s.syscalls, (uintmax_t)s.turns, (uintmax_t)s.events,
			(uintmax_t)s.connections);
}

static void fd_limit_raise(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct options options;
	if (!options_parse(&options, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	options.config.handler = (per_handler){
		.on_head = on_head,
		.on_body = on_body,
		.on_request = on_request,
		.on_writable = on_writable,
		.on_done = on_done,
		.worker_init = worker_init,
		.worker_exit = worker_exit,
	};
	options.config.handle_signals = true;
	fd_limit_raise();

	per_server *server;
	int err = per_server_new(&server, &options.config);
	if (err == 0) {
		printf("listening on %s (backend %s, %u workers; %s)\n", per_server_address(server, 0),
		       per_server_backend(server), per_server_workers(server),
		       per_server_backend_reason(server));
		fflush(stdout);
		err = per_server_run(server);
		if (options.has_stats)
			stats_print(server);
	}
	per_server_free(server);
	if (err != 0)
		fprintf(stderr, "arena: cannot serve %s: %s\n", options.address[0], per_strerror(err));
	return err != 0;
}
