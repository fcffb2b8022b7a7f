/* SPDX-License-Identifier: MIT */
/*
 * parse_bench.c - what parsing one request head costs, by instruction set: nanoseconds per head and bytes per
 * nanosecond. Medians of many short rounds, the parsers taken in turn. Not a test: it asserts no timing. Run
 * by hand on an idle core.
 */
#include "http/h1_parse.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 101u
#define PARSERS_MAX 4u
#define FIELDS_MAX 64u
#define ROUND_BYTES 4000000u /* parsed per round, so that rounds take about equally long */

struct sample {
	const char *name;
	const char *head;
};

static const struct sample samples[] = {
	{ "minimal (wrk)", "GET /pipeline HTTP/1.1\r\nHost: localhost:8080\r\n\r\n" },
	{ "browser",
	  "GET /articles/2024/06/how-servers-work?ref=home&utm_source=feed HTTP/1.1\r\n"
	  "Host: www.example.com\r\n"
	  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
	  "Chrome/126.0.0.0 "
	  "Safari/537.36\r\n"
	  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
	  "Accept-Language: en-GB,en;q=0.9,de;q=0.7\r\n"
	  "Accept-Encoding: gzip, deflate, br, zstd\r\n"
	  "Connection: keep-alive\r\n"
	  "Referer: https://www.example.com/articles/\r\n"
	  "Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark\r\n"
	  "Upgrade-Insecure-Requests: 1\r\n"
	  "Sec-Fetch-Dest: document\r\n"
	  "Sec-Fetch-Mode: navigate\r\n"
	  "Sec-Fetch-Site: same-origin\r\n"
	  "If-None-Match: \"5d8c72a5edda8d6a\"\r\n"
	  "\r\n" },
	{ "long cookie", NULL },
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Nanoseconds per head of one round. */
static double round_ns(per__h1_parse_fn parse, const uint8_t *head, size_t len)
{
	static const struct per__h1_limits limits = { 65535, 8192, FIELDS_MAX };
	const unsigned count = (unsigned)(ROUND_BYTES / (len + 100));
	struct per__field fields[FIELDS_MAX];
	struct per__h1_head result;
	const int64_t start = now_ns();

	for (unsigned i = 0; i < count; i++) {
		per__h1_head_init(&result, fields, FIELDS_MAX);
		if (parse(&result, &limits, head, len) != (int)len)
			abort();
		__asm__ volatile("" : : "r"(&result), "r"(fields) : "memory");
	}
	return (double)(now_ns() - start) / count;
}

static void bench_sample(const char *name, const uint8_t *head, size_t len)
{
	double ns[PARSERS_MAX][ROUNDS];
	per__h1_parse_fn parse;
	const char *parser;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; (parse = per__h1_parse_at(i, NULL)) != NULL; i++)
			ns[i][round] = round_ns(parse, head, len);
	}
	for (unsigned i = 0; per__h1_parse_at(i, &parser) != NULL; i++) {
		qsort(ns[i], ROUNDS, sizeof(ns[i][0]), compare_doubles);

		const double median = ns[i][ROUNDS / 2];

		printf("%-14s %6zu bytes  %-7s %8.1f ns  %6.2f bytes/ns  (fastest %.1f ns)\n", name, len,
		       parser, median, (double)len / median, ns[i][0]);
	}
}

/* One Cookie field of about 3.5 kB. */
static size_t long_cookie(char *dst, size_t cap)
{
	size_t len = (size_t)snprintf(dst, cap, "GET / HTTP/1.1\r\nHost: www.example.com\r\nCookie: a=b");

	for (unsigned i = 0; i < 80; i++)
		len += (size_t)snprintf(dst + len, cap - len, "; part%u=0123456789abcdefghijklmnopqrstuvwxyz",
					i);
	len += (size_t)snprintf(dst + len, cap - len, "\r\nAccept: */*\r\n\r\n");
	return len;
}

int main(void)
{
	char cookie[8192];
	const size_t cookie_len = long_cookie(cookie, sizeof(cookie));

	for (size_t i = 0; i < PER_ARRAY_LEN(samples); i++) {
		const char *head = samples[i].head != NULL ? samples[i].head : cookie;

		bench_sample(samples[i].name, (const uint8_t *)head,
			     samples[i].head != NULL ? strlen(head) : cookie_len);
	}
	return 0;
}
