/* SPDX-License-Identifier: MIT */
/*
 * sim_http_app.c - the application under simulation: one path for each way to read a body and to answer.
 * Its answers depend on the request alone, so that they can be compared whatever happens on the way.
 */
#include "sim/sim_http_app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG_BYTES 50000u
#define PIECE_BYTES 3000u
#define PIECES 12u

/* What the application keeps of one exchange. */
struct exchange {
	uint64_t hash, bytes; /* of a streamed body */
	uint32_t pieces;      /* of a streamed answer that were queued */
	bool is_paused;
};

struct later {
	struct sim_http *http;
	per_ref ref;
	bool is_resume;
};

static uint8_t big_body[BIG_BYTES];

static struct exchange *exchange_of(struct sim_http *http, per_req *req)
{
	struct exchange *exchange = per_req_data(req);

	if (exchange == NULL) {
		exchange = calloc(1, sizeof(*exchange));
		if (exchange == NULL)
			abort();
		exchange->hash = 0xcbf29ce484222325u;
		per_req_set_data(req, exchange);
		http->begun++;
	}
	return exchange;
}

static bool path_is(const per_req *req, const char *path)
{
	return per_str_equal(per_req_path(req), per_str_from(path));
}

/* --- answering and resuming later ------------------------------------------------------------- */

static void later_post(per_req *req, void *arg)
{
	struct later *later = arg;
	struct sim_http *http = later->http;

	http->posts_run++;
	if (req != NULL && later->is_resume) {
		exchange_of(http, req)->is_paused = false;
		per_req_resume_body(req);
	} else if (req != NULL) {
		(void)per_reply(req, 200, PER_S("text/plain"), PER_S("later"));
	}
	free(later);
}

static void later_script(struct per__sim *sim, void *arg)
{
	struct later *later = arg;
	struct sim_http *http = later->http;

	(void)sim;
	if (per_post(http->server, later->ref, later_post, later) != 0) {
		http->posts_run++;
		free(later);
	}
}

static int later_begin(struct sim_http *http, per_req *req, bool is_resume)
{
	struct later *later = calloc(1, sizeof(*later));
	int err;

	if (later == NULL)
		abort();
	later->http = http;
	later->is_resume = is_resume;
	err = per_defer(req, &later->ref);
	if (err != 0) {
		free(later);
		return err;
	}
	http->posted++;
	sim_after(http->sim, (int64_t)sim_random_below(http->sim, 2000000), later_script, later);
	return 0;
}

/* --- streamed answers ------------------------------------------------------------------------- */

static int pieces_go_on(struct sim_http *http, per_req *req)
{
	struct exchange *exchange = exchange_of(http, req);
	uint8_t piece[PIECE_BYTES];
	int err;

	while (exchange->pieces < PIECES) {
		memset(piece, 'a' + (int)exchange->pieces, sizeof(piece));
		err = per_write(req, piece, 1 + exchange->pieces * (PIECE_BYTES - 1) / PIECES);
		if (err == PER_EAGAIN)
			return 0;
		if (err != 0)
			return err;
		exchange->pieces++;
	}
	return per_end(req);
}

static void released(void *arg)
{
	((struct sim_http *)arg)->released++;
}

static int reply_big(struct sim_http *http, per_req *req)
{
	if (big_body[1] == 0) {
		for (size_t i = 0; i < sizeof(big_body); i++)
			big_body[i] = (uint8_t)(i * 31 + 7);
	}
	http->lent++;
	return per_reply_ref(req, 200, PER_S("application/octet-stream"),
			     per_str_make((const char *)big_body, BIG_BYTES), released, http);
}

/* --- the hooks -------------------------------------------------------------------------------- */

static int on_head(per_req *req, void *user)
{
	struct sim_http *http = user;

	(void)exchange_of(http, req);
	if (path_is(req, "/refuse"))
		return per_reply(req, 403, PER_S("text/plain"), PER_S("no"));
	if (path_is(req, "/stream") || path_is(req, "/slow"))
		return per_req_stream_body(req);
	return 0;
}

static int on_body(per_req *req, const void *data, size_t len, void *user)
{
	struct sim_http *http = user;
	struct exchange *exchange = exchange_of(http, req);
	const uint8_t *bytes = data;

	SIM_HTTP_CHECK(http, len >= 1);
	SIM_HTTP_CHECK(http, !exchange->is_paused);
	for (size_t i = 0; i < len; i++)
		exchange->hash = (exchange->hash ^ bytes[i]) * 0x100000001b3u;
	exchange->bytes += len;
	if (path_is(req, "/slow") && sim_chance(http->sim, SIM_MILLION / 5)) {
		exchange->is_paused = true;
		per_req_pause_body(req);
		return later_begin(http, req, true);
	}
	return 0;
}

static int reply_plain(struct sim_http *http, per_req *req)
{
	struct exchange *exchange = exchange_of(http, req);
	char text[400];
	per_str target = per_req_target(req);
	per_str trailer = per_req_trailer(req, PER_S("X-Sum"));
	int len;

	len = snprintf(text, sizeof(text), "%.*s %zu %llu %llx %.*s", (int)PER_MIN(target.len, 200u),
		       target.ptr, per_req_header_count(req), (unsigned long long)exchange->bytes,
		       (unsigned long long)exchange->hash, (int)PER_MIN(trailer.len, 100u), trailer.ptr);
	return per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len));
}

static int on_request(per_req *req, void *user)
{
	struct sim_http *http = user;

	(void)exchange_of(http, req);
	if (path_is(req, "/echo"))
		return per_reply(req, 200, PER_S("application/octet-stream"), per_req_body(req));
	if (path_is(req, "/big"))
		return reply_big(http, req);
	if (path_is(req, "/later")) {
		http->deferred++;
		return later_begin(http, req, false);
	}
	if (path_is(req, "/pieces")) {
		int err = per_begin(req, 200, PER_LENGTH_UNKNOWN);

		return err != 0 ? err : pieces_go_on(http, req);
	}
	return reply_plain(http, req);
}

static void on_writable(per_req *req, void *user)
{
	if (pieces_go_on(user, req) != 0)
		per_abort(req);
}

static void on_done(per_req *req, int error, void *user)
{
	struct sim_http *http = user;

	SIM_HTTP_CHECK(http, error <= 0);
	SIM_HTTP_CHECK(http, per_req_data(req) != NULL);
	SIM_HTTP_CHECK(http, http->logged_seen == http->done + 1);
	free(per_req_data(req));
	per_req_set_data(req, NULL);
	http->done++;
}

static void hash_add(struct sim_http *http, per_str text)
{
	for (size_t i = 0; i < text.len; i++)
		http->logged_hash = (http->logged_hash ^ (uint8_t)text.ptr[i]) * 0x100000001b3u;
}

/* Reads all that an access log could ask for: under AddressSanitizer it has to be there. */
static void on_log(per_req *req, int error, void *user)
{
	struct sim_http *http = user;
	per_str line = per_req_line(req), target = per_req_target(req), name, value;
	int status = per_req_status(req);

	SIM_HTTP_CHECK(http, error <= 0);
	SIM_HTTP_CHECK(http, status == 0 || (status >= 200 && status <= 599));
	SIM_HTTP_CHECK(http, status != 0 || error != 0);
	SIM_HTTP_CHECK(http, status != 0 || per_req_bytes_sent(req) == 0);
	SIM_HTTP_CHECK(http, per_req_duration_ns(req) >= 0);
	SIM_HTTP_CHECK(http, target.len == 0 || memmem(line.ptr, line.len, target.ptr, target.len) != NULL);
	SIM_HTTP_CHECK(http, memchr(line.ptr, '\n', line.len) == NULL);
	hash_add(http, line);
	hash_add(http, per_req_method_str(req));
	hash_add(http, per_req_path(req));
	hash_add(http, per_req_query(req));
	hash_add(http, per_req_host(req));
	hash_add(http, per_req_body(req));
	for (size_t i = 0; per_req_header_at(req, i, &name, &value) == 0; i++) {
		hash_add(http, name);
		hash_add(http, value);
	}
	http->logged[status / 100]++;
	http->logged_seen += per_req_data(req) != NULL;
}

per_handler sim_http_handler(struct sim_http *http)
{
	return (per_handler){
		.on_head = on_head,
		.on_body = on_body,
		.on_request = on_request,
		.on_writable = on_writable,
		.on_done = on_done,
		.on_log = on_log,
		.user = http,
	};
}
