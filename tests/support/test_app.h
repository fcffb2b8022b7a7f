/* SPDX-License-Identifier: MIT */
/*
 * test_app.h - what the parts of test_app.c share: counters, jobs for the clerk's thread, work that
 * outlasts a hook.
 * Each part is a header of static functions, because a test program is one source file. Only test_app.c
 * includes them.
 */
#ifndef PER_TESTS_TEST_APP_H
#define PER_TESTS_TEST_APP_H

#include <peregrine/peregrine.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVERS_MAX 4
#define LISTEN_MAX 8
#define HELD_MAX 4096
#define PERIOD 251u /* byte i of every generated body is i % PERIOD */
#define PATTERN_BYTES (PERIOD + (1u << 20))
#define ERRORS_MAX 16

/* --- what is counted, and what the threads share ---------------------------------------------- */

struct counts {
	uint64_t seen, done, stray, lent, released, posted, ran, gone, writable;
	uint64_t errors[ERRORS_MAX]; /* on_done by error, [0]: none */
	uint64_t init, exit;
};

struct app;
struct ws_app;

/* An answer that waits for another thread. */
struct job {
	struct app *app; /* a posted function gets nothing else, and its exchange may be gone */
	per_server *server;
	per_ref ref;
	per_post_fn fn;
	uint64_t key; /* 0: at once, else when /release?key= says so */
	int64_t n;
	struct job *next;
};

struct app {
	struct counts counts;
	char *pattern;
	pthread_t clerk; /* posts answers */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *queue, *held;
	bool is_stopping;
	per_server *servers[SERVERS_MAX];
	unsigned server_count;
	struct ws_app *ws; /* test_app_ws.h */
};

/* One exchange that lasts longer than a hook. */
struct work {
	enum {
		WORK_NONE,
		WORK_STREAM,
		WORK_STREAM_REF,
		WORK_ECHO,
		WORK_UPLOAD,
		WORK_SLOW,
		WORK_STUCK,
		WORK_REFUSE_MID
	} kind;
	struct app *app;
	int64_t pos, total, piece;
	uint32_t adler_a, adler_b;
	char *pending; /* bytes of an echo that met PER_EAGAIN */
	size_t pending_len;
	bool is_complete;
	per_ref ref;
};

#define COUNT(counter) __atomic_fetch_add(&(counter), 1, __ATOMIC_RELAXED)
#define READ(counter) __atomic_load_n(&(counter), __ATOMIC_RELAXED)

static struct work idle_work; /* stands for "seen" where nothing has to be remembered; never written */

static struct work *work_new(per_req *req, struct app *app, int kind)
{
	struct work *work = calloc(1, sizeof(*work));

	if (work == NULL)
		abort();
	work->kind = kind;
	work->app = app;
	work->adler_a = 1;
	per_req_set_data(req, work);
	return work;
}

static per_str query(per_req *req, const char *name)
{
	return per_query_get(per_req_query(req), per_str_from(name));
}

static int64_t number(per_str text, int64_t otherwise)
{
	int64_t n = 0;

	if (text.ptr == NULL || text.len == 0 || text.len > 15)
		return otherwise;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return otherwise;
		n = n * 10 + (text.ptr[i] - '0');
	}
	return n;
}

/* The number behind the last slash of the path. */
static int64_t path_number(per_req *req, int64_t otherwise)
{
	per_str path = per_req_path(req);
	size_t begin = path.len;

	while (begin > 0 && path.ptr[begin - 1] != '/')
		begin--;
	return number(per_str_make(path.ptr + begin, path.len - begin), otherwise);
}

static int reply_text(per_req *req, const char *text)
{
	return per_reply(req, 200, PER_S("text/plain"), per_str_from(text));
}

static void release_block(void *arg)
{
	struct app **owner = arg;

	COUNT((*owner)->counts.released);
	free(owner);
}

/* len bytes of the pattern in memory of their own, to be lent; released with release_block(). */
static char *block_new(struct app *app, int64_t pos, size_t len, void **arg)
{
	struct app **owner = malloc(sizeof(*owner) + len + 1);
	char *data = (char *)(owner + 1);

	if (owner == NULL)
		abort();
	*owner = app;
	for (size_t i = 0; i < len; i++)
		data[i] = (char)((uint64_t)(pos + (int64_t)i) % PERIOD);
	*arg = owner;
	COUNT(app->counts.lent);
	return data;
}

#endif
