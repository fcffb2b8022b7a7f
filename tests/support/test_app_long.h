/* SPDX-License-Identifier: MIT */
/*
 * test_app_long.h - exchanges that outlast a hook: bodies by reference, streams, answers from another
 * thread, request bodies.
 * Part of test_app.c.
 */
#ifndef PER_TESTS_TEST_APP_LONG_H
#define PER_TESTS_TEST_APP_LONG_H

#include "test_app.h"

/* --- bodies by reference and in pieces -------------------------------------------------------- */

static int on_ref(per_req *req, struct app *app)
{
	int64_t n = path_number(req, 0);
	void *arg;
	char *data = block_new(app, 0, (size_t)n, &arg);

	return per_reply_ref(req, (int)number(query(req, "status"), 200), PER_S("application/octet-stream"),
			     per_str_make(data, (size_t)n), release_block, arg);
}

static int on_ref_static(per_req *req, struct app *app)
{
	return per_reply_ref(req, 200, PER_S(""), per_str_make(app->pattern, 100000), NULL, NULL);
}

static int on_copy(per_req *req, struct app *app)
{
	int64_t n = path_number(req, 0);

	return per_reply(req, 200, PER_S(""),
			 per_str_make(app->pattern, (size_t)(n < (1 << 20) ? n : 1 << 20)));
}

/* Writes until the stream is complete or meets PER_EAGAIN. */
static int stream_go_on(per_req *req, struct work *work)
{
	int err = 0;

	while (work->pos < work->total) {
		int64_t n = work->total - work->pos < work->piece ? work->total - work->pos : work->piece;
		void *arg;

		if (work->kind == WORK_STREAM_REF) {
			char *data = block_new(work->app, work->pos, (size_t)n, &arg);

			err = per_write_ref(req, data, (size_t)n, release_block, arg);
		} else {
			err = per_write(req, work->app->pattern + work->pos % PERIOD, (size_t)n);
		}
		if (err == PER_EAGAIN)
			return 0;
		if (err != 0)
			return err;
		work->pos += n;
	}
	return per_end(req);
}

static int stream_begin(per_req *req, struct work *work, int64_t total, int64_t piece, bool has_length)
{
	int err = per_begin(req, 200, has_length ? total : PER_LENGTH_UNKNOWN);

	work->total = total;
	work->piece = piece;
	return err != 0 ? err : stream_go_on(req, work);
}

static int on_stream(per_req *req, struct app *app)
{
	per_str ref = query(req, "ref"), unknown = query(req, "unknown");
	struct work *work = work_new(req, app, ref.ptr != NULL ? WORK_STREAM_REF : WORK_STREAM);
	int64_t piece = number(query(req, "piece"), 16384);

	per_header(req, PER_S("Content-Type"), PER_S("application/octet-stream"));
	return stream_begin(req, work, path_number(req, 0), piece < (1 << 20) ? piece : 1 << 20,
			    unknown.ptr == NULL);
}

static int on_trailers(per_req *req, struct app *app)
{
	int err = per_begin(req, 200, PER_LENGTH_UNKNOWN);
	int bad;

	(void)app;
	if (err == 0)
		err = per_write(req, "data", 4);
	bad = per_trailer(req, PER_S("X-Bad"), PER_S("a\r\nInjected: yes"));
	if (err == 0)
		err = per_trailer(req, PER_S("X-Sum"),
				  bad == PER_EINVAL ? PER_S("42") : PER_S("bad trailer accepted"));
	return err != 0 ? err : per_end(req);
}

static int on_short(per_req *req, struct app *app)
{
	(void)app;
	per_begin(req, 200, 100);
	per_write(req, "only this", 9);
	return per_end(req);
}

static int on_over(per_req *req, struct app *app)
{
	int err;

	(void)app;
	per_begin(req, 200, 2);
	err = per_write(req, "too long", 8);
	per_write(req, err == PER_ETOOBIG ? "ok" : "no", 2);
	return per_end(req);
}

/* --- answers from another thread -------------------------------------------------------------- */

static void job_put(struct app *app, struct job *job)
{
	pthread_mutex_lock(&app->lock);
	struct job **list = job->key == 0 ? &app->queue : &app->held;
	job->next = *list;
	*list = job;
	pthread_cond_signal(&app->changed);
	pthread_mutex_unlock(&app->lock);
}

static void *clerk_main(void *arg)
{
	struct app *app = arg;
	struct job *job;

	pthread_mutex_lock(&app->lock);
	for (;;) {
		while (app->queue == NULL && !app->is_stopping)
			pthread_cond_wait(&app->changed, &app->lock);
		job = app->queue;
		if (job == NULL)
			break;
		app->queue = job->next;
		pthread_mutex_unlock(&app->lock);
		COUNT(app->counts.posted);
		if (per_post(job->server, job->ref, job->fn, job) != 0) {
			COUNT(app->counts.ran); /* refused: fn will not be called */
			COUNT(app->counts.gone);
			free(job);
		}
		pthread_mutex_lock(&app->lock);
	}
	pthread_mutex_unlock(&app->lock);
	return NULL;
}

static struct app *posted(per_req *req, struct job *job, struct app *app)
{
	COUNT(app->counts.ran);
	if (req == NULL)
		COUNT(app->counts.gone);
	free(job);
	return app;
}

static void post_reply(per_req *req, void *arg)
{
	struct app *app = ((struct job *)arg)->app;

	posted(req, arg, app);
	if (req != NULL && reply_text(req, "deferred\n") != 0)
		per_abort(req);
}

static void post_ref(per_req *req, void *arg)
{
	struct app *app = ((struct job *)arg)->app;
	int64_t n = ((struct job *)arg)->n;
	void *block;

	posted(req, arg, app);
	if (req == NULL)
		return;
	char *data = block_new(app, 0, (size_t)n, &block);
	if (per_reply_ref(req, 200, PER_S(""), per_str_make(data, (size_t)n), release_block, block) != 0)
		per_abort(req);
}

static void post_stream(per_req *req, void *arg)
{
	struct app *app = ((struct job *)arg)->app;
	int64_t n = ((struct job *)arg)->n;

	posted(req, arg, app);
	if (req != NULL && stream_begin(req, work_new(req, app, WORK_STREAM), n, 10000, false) != 0)
		per_abort(req);
}

static void post_resume(per_req *req, void *arg)
{
	posted(req, arg, ((struct job *)arg)->app);
	if (req != NULL)
		per_req_resume_body(req);
}

static int defer(per_req *req, struct app *app, per_post_fn fn, uint64_t key)
{
	struct job *job = calloc(1, sizeof(*job));
	int err;

	if (job == NULL)
		abort();
	job->app = app;
	job->server = per_req_server(req);
	job->fn = fn;
	job->key = key;
	job->n = path_number(req, 0);
	err = per_defer(req, &job->ref);
	if (err != 0)
		free(job);
	else
		job_put(app, job);
	return err;
}

static int on_defer(per_req *req, struct app *app)
{
	return defer(req, app, post_reply, 0);
}

static int on_defer_ref(per_req *req, struct app *app)
{
	return defer(req, app, post_ref, 0);
}

static int on_defer_stream(per_req *req, struct app *app)
{
	return defer(req, app, post_stream, 0);
}

static int on_hold(per_req *req, struct app *app)
{
	return defer(req, app, post_reply, (uint64_t)path_number(req, 1));
}

/* Lets go of everything held under a key, 0: of everything. Returns how many that were. */
static int release_held(struct app *app, uint64_t key)
{
	int n = 0;

	pthread_mutex_lock(&app->lock);
	for (struct job **at = &app->held; *at != NULL;) {
		struct job *job = *at;

		if (key != 0 && job->key != key) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		job->next = app->queue;
		app->queue = job;
		n++;
	}
	pthread_cond_signal(&app->changed);
	pthread_mutex_unlock(&app->lock);
	return n;
}

static int on_release(per_req *req, struct app *app)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", release_held(app, (uint64_t)path_number(req, 1)));
	return reply_text(req, text);
}

static int on_held(per_req *req, struct app *app)
{
	char text[32];
	int n = 0;

	pthread_mutex_lock(&app->lock);
	for (struct job *job = app->held; job != NULL; job = job->next)
		n++;
	pthread_mutex_unlock(&app->lock);
	snprintf(text, sizeof(text), "%d\n", n);
	return reply_text(req, text);
}

/* --- request bodies --------------------------------------------------------------------------- */

static int on_echo(per_req *req, struct app *app)
{
	(void)app;
	return per_reply(req, 200, PER_S("application/octet-stream"), per_req_body(req));
}

static int on_upload(per_req *req, struct app *app)
{
	struct work *work = per_req_data(req);
	char text[64];

	(void)app;
	if (work == NULL || work == &idle_work)
		return reply_text(req, "0 1\n");
	snprintf(text, sizeof(text), "%jd %" PRIu32 "\n", (intmax_t)work->pos,
		 (work->adler_b << 16) | work->adler_a);
	return reply_text(req, text);
}

static int on_echo_stream(per_req *req, struct app *app)
{
	struct work *work = per_req_data(req);

	(void)app;
	if (work == NULL || work == &idle_work)
		return reply_text(req, "");
	work->is_complete = true;
	return work->pending_len > 0 ? 0 : per_end(req);
}

static void upload_count(struct work *work, const uint8_t *data, size_t len)
{
	work->pos += (int64_t)len;
	for (size_t i = 0; i < len;) {
		size_t end = len - i < 5000 ? len : i + 5000; /* Adler-32: sums stay below 2^32 */

		for (; i < end; i++) {
			work->adler_a += data[i];
			work->adler_b += work->adler_a;
		}
		work->adler_a %= 65521;
		work->adler_b %= 65521;
	}
}

static int echo_piece(per_req *req, struct work *work, const void *data, size_t len)
{
	int err = work->pending_len > 0 ? PER_EAGAIN : per_write(req, data, len);

	if (err != PER_EAGAIN)
		return err;
	work->pending = realloc(work->pending, work->pending_len + len);
	if (work->pending == NULL)
		abort();
	memcpy(work->pending + work->pending_len, data, len);
	work->pending_len += len;
	per_req_pause_body(req);
	return 0;
}

static int app_on_body(per_req *req, const void *data, size_t len, void *user)
{
	struct work *work = per_req_data(req);

	switch (work->kind) {
	case WORK_ECHO:
		return echo_piece(req, work, data, len);
	case WORK_SLOW:
		upload_count(work, data, len);
		per_req_pause_body(req);
		return defer(req, user, post_resume, 0);
	case WORK_STUCK:
		per_req_pause_body(req);
		return 0;
	case WORK_REFUSE_MID:
		upload_count(work, data, len);
		return work->pos < work->total ? 0
					       : per_reply(req, 413, PER_S("text/plain"), PER_S("enough\n"));
	default:
		upload_count(work, data, len);
		return 0;
	}
}

static void app_on_writable(per_req *req, void *user)
{
	struct app *app = user;
	struct work *work = per_req_data(req);
	int err = 0;

	COUNT(app->counts.writable);
	if (work == NULL || work == &idle_work)
		return;
	if (work->kind == WORK_STREAM || work->kind == WORK_STREAM_REF) {
		err = stream_go_on(req, work);
	} else if (work->kind == WORK_ECHO && work->pending_len > 0) {
		err = per_write(req, work->pending, work->pending_len);
		if (err == PER_EAGAIN)
			return;
		work->pending_len = 0;
		if (err == 0 && work->is_complete)
			err = per_end(req);
		else if (err == 0)
			per_req_resume_body(req);
	}
	if (err != 0)
		per_abort(req);
}

#endif
