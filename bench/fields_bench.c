/* SPDX-License-Identifier: MIT */
/*
 * fields_bench.c - what it costs to understand a browser's request for a file once its head is parsed:
 * path, fields, coding, preconditions. Medians of many short rounds. Not a test: it asserts no timing. Run
 * by hand on an idle core.
 */
#include "http/accept.h"
#include "http/path.h"
#include "http/wants.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 101u
#define CALLS 20000u /* per round */
#define NOW_S 1718000000

static const char *const fields[][2] = {
	{ "Host", "www.example.com" },
	{ "User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
			"Chrome/126.0.0.0 Safari/537.36" },
	{ "Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8" },
	{ "Accept-Language", "en-GB,en;q=0.9,de;q=0.7" },
	{ "Accept-Encoding", "gzip, deflate, br, zstd" },
	{ "Connection", "keep-alive" },
	{ "Referer", "https://www.example.com/articles/" },
	{ "Cookie", "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark" },
	{ "Upgrade-Insecure-Requests", "1" },
	{ "Sec-Fetch-Dest", "document" },
	{ "Sec-Fetch-Mode", "navigate" },
	{ "Sec-Fetch-Site", "same-origin" },
	{ "If-None-Match", "\"5d8c72a5edda8d6a\"" },
	{ "If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT" },
};

/* Everything that a step reads and writes. */
struct work {
	per_str names[PER_ARRAY_LEN(fields)], values[PER_ARRAY_LEN(fields)];
	per_str target;
	struct per__lines unusual; /* an Accept-Encoding that has to be parsed */
	struct per__validators validators;
	struct per__wants wants;
	struct per__path path;
	char name[PER__PATH_CAP];
	unsigned sum; /* of results, so that they are needed */
};

static void step_path(struct work *work)
{
	work->sum += (unsigned)per__path_parse(&work->path, work->name, sizeof(work->name), work->target);
}

static void step_fields(struct work *work)
{
	per__wants_init(&work->wants);
	for (size_t i = 0; i < PER_ARRAY_LEN(fields); i++)
		per__wants_take(&work->wants, work->names[i], work->values[i]);
}

static void step_coding(struct work *work)
{
	work->sum += per__accept_coding(&work->wants.accept_encoding, 0xf);
}

static void step_coding_unusual(struct work *work)
{
	work->sum += per__accept_coding(&work->unusual, 0xf);
}

static void step_media(struct work *work)
{
	work->sum += per__accept_media(&work->wants.accept);
}

static void step_judge(struct work *work)
{
	work->sum += per__conditional_judge(&work->wants.conditions, &work->validators, true, NOW_S);
}

static const struct {
	const char *name;
	void (*run)(struct work *work);
	bool is_usual; /* a part of every request of a browser */
} steps[] = {
	{ "path", step_path, true },
	{ "14 fields", step_fields, true },
	{ "coding", step_coding, true },
	{ "preconditions", step_judge, true },
	{ "coding, parsed", step_coding_unusual, false },
	{ "HTML or JSON", step_media, false },
};

static void work_init(struct work *work)
{
	*work = (struct work){
		.target = PER_S("/articles/2024/06/how-servers-work/images/photo-large.webp"),
		.validators = { PER_S("\"5d8c72a5edda8d6a\""), PER_S("Sun, 06 Nov 1994 08:49:37 GMT"),
				784111777 },
	};
	for (size_t i = 0; i < PER_ARRAY_LEN(fields); i++) {
		work->names[i] = per_str_from(fields[i][0]);
		work->values[i] = per_str_from(fields[i][1]);
	}
	per__lines_add(&work->unusual, PER_S("br;q=1.0, gzip;q=0.8, *;q=0.1"));
	step_fields(work);
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median_ns(struct work *work, void (*run)(struct work *work))
{
	double ns[ROUNDS];

	for (unsigned round = 0; round < ROUNDS; round++) {
		const double start = now_ns();

		for (unsigned i = 0; i < CALLS; i++) {
			run(work);
			__asm__ volatile("" : : "r"(work) : "memory");
		}
		ns[round] = (now_ns() - start) / CALLS;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), compare_doubles);
	return ns[ROUNDS / 2];
}

int main(void)
{
	static struct work work;
	double sum = 0;

	work_init(&work);
	for (size_t i = 0; i < PER_ARRAY_LEN(steps); i++) {
		const double ns = median_ns(&work, steps[i].run);

		sum += steps[i].is_usual ? ns : 0;
		printf("%-16s %6.1f ns%s\n", steps[i].name, ns, steps[i].is_usual ? "" : "  (seldom)");
	}
	printf("%-16s %6.1f ns\n", "a usual request", sum);
	return 0;
}
