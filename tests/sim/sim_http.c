/* SPDX-License-Identifier: MIT */
/*
 * sim_http.c - server and world, the catalogue of requests, and the comparison of answers. Time is virtual
 * throughout. Looks into the server (server.h) only to see that nothing is left in its pools.
 */
#include "sim/sim_http.h"

#include "core/secure.h"
#include "server.h"
#include "sim/sim_http_app.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATE_FIELD "\r\nDate: "
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static struct sim_http_case cases[SIM_HTTP_KINDS];
static size_t case_cnt;

void sim_http_fail(const struct sim_http *http, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "PER_SEED=0x%" PRIx64 " ", sim_seed(http->sim));
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* --- the life of a server --------------------------------------------------------------------- */

static void log_nothing(per_log_level level, const char *line, void *user)
{
	(void)level;
	(void)line;
	(void)user;
}

static per_config config_small(struct sim_http *http)
{
	return (per_config){
		.handler = sim_http_handler(http),
		.backend = (per_backend)PER__SIM_ID,
		.host = "127.0.0.1",
		.workers = 1,
		.connections_max = 16,
		.memory_bytes = 8u << 20,
		.recv_buf_bytes = 4096,
		.write_queue_bytes = 8192,
		.body_rate_min = 1,
		.write_rate_min = 1,
		.log = log_nothing,
	};
}

void sim_http_begin(struct sim_http *http, uint64_t seed, sim_http_change change)
{
	per_config config;

	memset(http, 0, sizeof(*http));
	http->sim = sim_new(seed);
	per__sim_current = http->sim;
	config = config_small(http);
	if (change != NULL)
		change(&config, seed);
	SIM_HTTP_CHECK(http, per_server_new(&http->server, &config) == 0);
	SIM_HTTP_CHECK(http, per_server_poll(http->server, 0) == 1);
}

void sim_http_turn(struct sim_http *http)
{
	int result = per_server_poll(http->server, -1);

	SIM_HTTP_CHECK(http, result >= 0);
	http->is_stopped = result == 0;
}

per_stats sim_http_stats(const struct sim_http *http)
{
	per_stats stats;

	SIM_HTTP_CHECK(http, per_server_stats(http->server, -1, &stats) == 0);
	return stats;
}

uint64_t sim_http_open(const struct sim_http *http)
{
	return sim_http_stats(http).connections_now;
}

void sim_http_check_empty(struct sim_http *http)
{
	const struct per__worker *worker = http->server->workers[0];

	SIM_HTTP_CHECK(http, sim_http_open(http) == 0);
	SIM_HTTP_CHECK(http, worker->conns.used == 0);
	SIM_HTTP_CHECK(http, worker->reqs.used == 0);
	SIM_HTTP_CHECK(http, worker->exts.used == 0);
	SIM_HTTP_CHECK(http, worker->blocks.used == 0);
	SIM_HTTP_CHECK(http, worker->overflow.used_bytes == 0);
	SIM_HTTP_CHECK(http, worker->wheel.set_cnt == 0);
	if (worker->secure != NULL) {
		SIM_HTTP_CHECK(http, worker->secure->slab.used == 0);
		SIM_HTTP_CHECK(http, worker->secure->in_progress == 0);
		SIM_HTTP_CHECK(http, !per__handshakes_wait(worker));
	}
	SIM_HTTP_CHECK(http, http->begun == http->done);
	SIM_HTTP_CHECK(http, http->lent == http->released);
}

static bool is_quiet(const struct sim_http *http)
{
	return sim_http_open(http) == 0 && http->posted == http->posts_run && sim_is_idle(http->sim);
}

void sim_http_end(struct sim_http *http)
{
	per_stats stats;

	if (!http->is_stopped) {
		SIM_HTTP_RUN_UNTIL(http, is_quiet(http));
		sim_http_check_empty(http);
		per_server_stop(http->server);
		for (int i = 0; i < 100 && !http->is_stopped; i++)
			sim_http_turn(http);
		SIM_HTTP_CHECK(http, http->is_stopped);
	}
	sim_http_check_empty(http);
	stats = sim_http_stats(http);
	/* a 503 for input that could not be kept may belong to no request */
	for (int i = 2; i < 6 && http->server->conf.handler.on_log == sim_http_handler(http).on_log; i++)
		SIM_HTTP_CHECK(http, i == 5 ? http->logged[i] <= stats.responses[i]
					    : http->logged[i] == stats.responses[i]);
	per_server_free(http->server);
	sim_free(http->sim);
}

/* --- comparing -------------------------------------------------------------------------------- */

/* Replaces the value of every Date field: time passes differently under faults. */
static void dates_blank(uint8_t *data, size_t len)
{
	const size_t field_len = sizeof(DATE_FIELD) - 1;

	for (size_t i = 0; i + field_len <= len; i++) {
		if (data[i] == '\r' && memcmp(data + i, DATE_FIELD, field_len) == 0)
			memset(data + i + field_len, '#', PER_MIN((size_t)29, len - i - field_len));
	}
}

bool sim_http_has_all(struct per__sim_peer *peer, const uint8_t *kinds, size_t count)
{
	size_t wanted = 0, len;

	for (size_t i = 0; i < count; i++)
		wanted += cases[kinds[i]].answer_len;
	(void)sim_peer_received(peer, &len);
	return len >= wanted;
}

/* How far the two agree. */
static size_t same_bytes(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	return i;
}

static void expect_failed(struct sim_http *http, const uint8_t *data, size_t len, size_t pos,
			  const struct sim_http_case *one)
{
	size_t from = pos > 60 ? pos - 60 : 0;

	fprintf(stderr, "answer to \"%s\" differs at offset %zu of %zu, after: %.*s|%.*s\n", one->name, pos,
		len, (int)(pos - from), (const char *)data + from, (int)PER_MIN(len - pos, (size_t)80),
		(const char *)data + pos);
	sim_http_fail(http, "the response stream is not the expected one");
}

void sim_http_expect(struct sim_http *http, struct per__sim_peer *peer, const uint8_t *kinds, size_t count,
		     bool is_prefix)
{
	size_t len;
	const uint8_t *received = sim_peer_received(peer, &len);

	sim_http_expect_bytes(http, received, len, kinds, count, is_prefix);
}

void sim_http_expect_bytes(struct sim_http *http, const uint8_t *received, size_t len, const uint8_t *kinds,
			   size_t count, bool is_prefix)
{
	size_t pos = 0;
	uint8_t *data = malloc(len + 1);

	if (data == NULL)
		abort();
	if (len != 0)
		memcpy(data, received, len);
	dates_blank(data, len);
	for (size_t i = 0; i < count; i++) {
		const struct sim_http_case *one = &cases[kinds[i]];
		size_t continue_len = sizeof(CONTINUE) - 1, part, same;

		if (one->may_continue && len - pos >= continue_len &&
		    memcmp(data + pos, CONTINUE, continue_len) == 0)
			pos += continue_len;
		part = PER_MIN(one->answer_len, len - pos);
		same = same_bytes(data + pos, one->answer, part);
		if (is_prefix && len - pos < one->answer_len && (same == part || one->may_continue)) {
			free(data); /* ends inside this answer, or inside the interim one before it */
			return;
		}
		if (same != one->answer_len)
			expect_failed(http, data, len, pos + same, one);
		pos += part;
	}
	if (pos != len)
		sim_http_fail(http, "%zu bytes behind the last answer: %.*s", len - pos,
			      (int)PER_MIN(len - pos, (size_t)200), (char *)data + pos);
	free(data);
}

/* --- the catalogue ---------------------------------------------------------------------------- */

static struct sim_http_case *case_add(const char *name, const char *head, const void *body, size_t body_len)
{
	struct sim_http_case *one = &cases[case_cnt++];

	PER_ASSERT(case_cnt <= SIM_HTTP_KINDS);
	one->name = name;
	one->head_len = strlen(head);
	one->request_len = one->head_len + body_len;
	one->request = malloc(one->request_len);
	if (one->request == NULL)
		abort();
	memcpy(one->request, head, one->head_len);
	if (body_len != 0)
		memcpy(one->request + one->head_len, body, body_len);
	return one;
}

/* body_len bytes in chunks of growing size, extensions and a trailer. */
static size_t chunks_make(char *out, size_t cap, const char *body, size_t body_len)
{
	size_t len = 0, pos = 0, chunk = 1;

	while (pos < body_len) {
		size_t part = PER_MIN(chunk, body_len - pos);
		const char *ext = chunk % 3 == 0 ? ";a=\"b;\"" : "";

		len += (size_t)snprintf(out + len, cap - len, "%zx%s\r\n", part, ext);
		PER_ASSERT(len + part < cap);
		memcpy(out + len, body + pos, part);
		len += part;
		len += (size_t)snprintf(out + len, cap - len, "\r\n");
		pos += part;
		chunk = chunk * 2 + 1;
	}
	len += (size_t)snprintf(out + len, cap - len, "0\r\nX-Sum: 17\r\nX-Empty:\r\n\r\n");
	PER_ASSERT(len < cap);
	return len;
}

static void cases_make(void)
{
	static char body[20000], chunked[22000], cookie[900];
	char long_cookie[301] = { 0 };
	size_t len;

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)(i * 7 + i / 251); /* CR, LF and heads among them */
	memcpy(body + 100, "\r\n\r\nGET /evil HTTP/1.1\r\nHost: e\r\n\r\n", 36);
	memset(long_cookie, 'c', 300);
	snprintf(cookie, sizeof(cookie),
		 "GET /a?b=c HTTP/1.1\r\nHost: h\r\nCookie: %s\r\nX-Empty:\r\nX-Tight:v\r\nX-Wide: \t w "
		 "\t\r\n\r\n",
		 long_cookie);
	case_add("get", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 0);
	case_add("get with fields", cookie, NULL, 0);
	case_add("head", "HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 0);
	case_add("post nothing", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", NULL, 0);
	case_add("post", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 150\r\n\r\n", body, 150);
	case_add("post large", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 15000\r\n\r\n", body,
		 15000);
	len = chunks_make(chunked, sizeof(chunked), body, 700);
	case_add("post chunked", "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
		 chunked, len);
	case_add("stream chunked", "POST /stream HTTP/1.1\r\nHost: h\r\ntransfer-encoding: Chunked\r\n\r\n",
		 chunked, len);
	case_add("stream", "POST /stream HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n", body, 20000);
	case_add("stream paused", "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n", body,
		 9000);
	case_add("big by reference", "GET /big HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 0);
	case_add("answer in pieces", "GET /pieces HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 0);
	case_add("answer later", "GET /later HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 0);
	case_add("absolute-form", "GET http://example.org/x?y HTTP/1.1\r\nHost: example.org\r\n\r\n", NULL,
		 0);
	case_add("expect",
		 "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", body,
		 10)
		->may_continue = true;
	case_add("close", "GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", NULL, 0)->is_last = true;
	case_add("bad", "GET /c HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n", NULL, 0)->is_last = true;
	case_add("old", "GET /old HTTP/1.0\r\n\r\n", NULL, 0)->is_last = true;
	PER_ASSERT(case_cnt == SIM_HTTP_KINDS);
}

/* Asks a server on which nothing goes wrong. */
static void answer_learn(struct sim_http_case *one)
{
	struct sim_http http;
	struct per__sim_peer *peer;
	const uint8_t *data;
	size_t len, skip = 0;

	sim_http_begin(&http, 1, NULL);
	peer = sim_connect(http.sim, 0);
	sim_peer_send(peer, one->request, one->request_len);
	sim_peer_close_write(peer);
	SIM_HTTP_RUN_UNTIL(&http, sim_peer_is_over(peer));
	data = sim_peer_received(peer, &len);
	SIM_HTTP_CHECK(&http, len > 0);
	if (one->may_continue && len > sizeof(CONTINUE) && memcmp(data, CONTINUE, sizeof(CONTINUE) - 1) == 0)
		skip = sizeof(CONTINUE) - 1;
	one->answer_len = len - skip;
	one->answer = malloc(one->answer_len);
	if (one->answer == NULL)
		abort();
	memcpy(one->answer, data + skip, one->answer_len);
	dates_blank(one->answer, one->answer_len);
	SIM_HTTP_CHECK(&http, sim_http_stats(&http).timeouts == 0);
	sim_http_end(&http);
}

const struct sim_http_case *sim_http_cases(void)
{
	if (case_cnt == 0) {
		cases_make();
		for (size_t i = 0; i < case_cnt; i++)
			answer_learn(&cases[i]);
	}
	return cases;
}
