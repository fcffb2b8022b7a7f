/* SPDX-License-Identifier: MIT */
/*
 * base_log_test.c - log lines: levels, cutting, the default callback, escaping.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include "support/unit.h"

struct seen {
	int lines;
	per_log_level level;
	char line[2 * PER__LOG_LINE_BYTES];
};

static void remember(per_log_level level, const char *line, void *user)
{
	struct seen *seen = user;

	seen->lines++;
	seen->level = level;
	(void)snprintf(seen->line, sizeof(seen->line), "%s", line);
	errno = ERANGE;
}

static void test_log_hands_over_formatted_line_and_keeps_errno(void **state)
{
	struct seen seen = { 0 };
	struct per__log log = { remember, &seen, PER_LOG_WARN };

	(void)state;
	errno = EBADF;
	per__log(&log, PER_LOG_WARN, "%s: %d", "answer", 42);
	assert_int_equal(errno, EBADF);
	assert_int_equal(seen.lines, 1);
	assert_int_equal(seen.level, PER_LOG_WARN);
	assert_string_equal(seen.line, "answer: 42");
}

static void test_log_drops_lines_above_its_level(void **state)
{
	struct seen seen = { 0 };
	struct per__log log = { remember, &seen, PER_LOG_WARN };

	(void)state;
	per__log(&log, PER_LOG_ERROR, "counts");
	per__log(&log, PER_LOG_INFO, "does not");
	per__log(&log, PER_LOG_DEBUG, "does not");
	assert_int_equal(seen.lines, 1);
	log.level = PER_LOG_DEBUG;
	per__log(&log, PER_LOG_DEBUG, "counts now");
	assert_int_equal(seen.lines, 2);
}

static void test_log_without_callback_is_silent(void **state)
{
	struct per__log log = { NULL, NULL, PER_LOG_DEBUG };

	(void)state;
	per__log(&log, PER_LOG_ERROR, "%s", "nobody listens");
}

static void test_log_cuts_a_line_at_its_buffer(void **state)
{
	struct seen seen = { 0 };
	struct per__log log = { remember, &seen, PER_LOG_DEBUG };

	(void)state;
	per__log(&log, PER_LOG_INFO, "%*s", (int)PER__LOG_LINE_BYTES - 1, "x");
	assert_int_equal(strlen(seen.line), PER__LOG_LINE_BYTES - 1);
	assert_int_equal(seen.line[PER__LOG_LINE_BYTES - 2], 'x');
	per__log(&log, PER_LOG_INFO, "%*s", (int)PER__LOG_LINE_BYTES, "x");
	assert_int_equal(strlen(seen.line), PER__LOG_LINE_BYTES - 1);
	assert_int_equal(seen.line[PER__LOG_LINE_BYTES - 2], ' ');
}

/* What the default callback writes to stderr. */
static void stderr_text(per_log_level level, const char *line, char *text, size_t cap)
{
	int pipe_fd[2];
	int saved = dup(STDERR_FILENO);
	ssize_t len;

	assert_true(saved >= 0);
	assert_int_equal(pipe(pipe_fd), 0);
	assert_true(dup2(pipe_fd[1], STDERR_FILENO) >= 0);
	per__log_stderr(level, line, NULL);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)close(pipe_fd[1]);
	len = read(pipe_fd[0], text, cap - 1);
	(void)close(pipe_fd[0]);
	assert_true(len >= 0);
	text[len] = '\0';
}

static void test_log_stderr_names_program_and_level(void **state)
{
	char text[4096], line[3000];

	(void)state;
	stderr_text(PER_LOG_ERROR, "x", text, sizeof(text));
	assert_string_equal(text, "peregrine: error: x\n");
	stderr_text(PER_LOG_WARN, "no ring", text, sizeof(text));
	assert_string_equal(text, "peregrine: warning: no ring\n");
	stderr_text(PER_LOG_INFO, "", text, sizeof(text));
	assert_string_equal(text, "peregrine: info: \n");
	stderr_text(PER_LOG_DEBUG, "x", text, sizeof(text));
	assert_string_equal(text, "peregrine: debug: x\n");
	memset(line, 'y', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	stderr_text(PER_LOG_WARN, line, text, sizeof(text));
	assert_true(strlen(text) > PER__LOG_LINE_BYTES && strlen(text) < sizeof(line));
	assert_int_equal(text[strlen(text) - 1], '\n');
}

/* A reader that has stalled costs the line, and no time; the pipe's mode, which others share, stays. */
static void test_log_stderr_does_not_wait_for_a_reader(void **state)
{
	char filler[4096] = { 0 }, text[4096];
	const char line[] = "peregrine: error: kept\n";
	int saved = dup(STDERR_FILENO), pipe_fd[2];
	ssize_t len;

	(void)state;
	assert_int_equal(pipe(pipe_fd), 0);
	assert_true(dup2(pipe_fd[1], STDERR_FILENO) >= 0);
	assert_int_equal(fcntl(pipe_fd[1], F_SETFL, O_NONBLOCK), 0);
	while (write(pipe_fd[1], filler, sizeof(filler)) > 0)
		;
	assert_int_equal(fcntl(pipe_fd[1], F_SETFL, 0), 0);
	per__log_stderr(PER_LOG_ERROR, "lost", NULL);
	assert_int_equal(fcntl(pipe_fd[1], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(pipe_fd[0], F_SETFL, O_NONBLOCK), 0);
	while (read(pipe_fd[0], text, sizeof(text)) > 0)
		assert_null(memchr(text, 'l', sizeof(text)));
	per__log_stderr(PER_LOG_ERROR, "kept", NULL);
	len = read(pipe_fd[0], text, sizeof(text));
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)close(pipe_fd[0]);
	(void)close(pipe_fd[1]);
	assert_int_equal(len, sizeof(line) - 1);
	assert_memory_equal(text, line, sizeof(line) - 1);
}

static void test_log_escape_shows_what_cannot_be_printed(void **state)
{
	char dst[64];

	(void)state;
	assert_string_equal(per__log_escape(dst, sizeof(dst), "plain ~", 7), "plain ~");
	assert_string_equal(per__log_escape(dst, sizeof(dst), "a\r\n\0\x1b\x7f\xff", 7),
			    "a\\x0d\\x0a\\x00\\x1b\\x7f\\xff");
	assert_string_equal(per__log_escape(dst, sizeof(dst), NULL, 0), "");
}

static void test_log_escape_ends_in_dots_when_cut(void **state)
{
	char dst[32];

	(void)state;
	assert_string_equal(per__log_escape(dst, 9, "12345678", 8), "12345678");
	assert_string_equal(per__log_escape(dst, 9, "123456789", 9), "12345...");
	assert_string_equal(per__log_escape(dst, 9, "1234\n5", 6), "1234...");
	assert_string_equal(per__log_escape(dst, 9, "\n\n", 2), "\\x0a\\x0a");
	assert_string_equal(per__log_escape(dst, 9, "\n\n\n", 3), "\\x0a...");
	assert_string_equal(per__log_escape(dst, 3, "1234", 4), "..");
	assert_string_equal(per__log_escape(dst, 1, "1234", 4), "");
}

static void test_log_escape_never_leaves_its_buffer(void **state)
{
	uint64_t random = 3;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t cap = (size_t)(test_random(&random) % 40);
		size_t len = (size_t)(test_random(&random) % 40);
		char *dst = malloc(cap + 1); /* one byte that must stay */
		uint8_t src[40];

		for (size_t i = 0; i < len; i++)
			src[i] = (uint8_t)(test_random(&random) % 3 == 0 ? test_random(&random) : 'a');
		dst[cap] = '#';
		(void)per__log_escape(dst, cap, src, len);
		assert_int_equal(dst[cap], '#');
		if (cap > 0)
			assert_non_null(memchr(dst, '\0', cap));
		free(dst);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_hands_over_formatted_line_and_keeps_errno),
		cmocka_unit_test(test_log_drops_lines_above_its_level),
		cmocka_unit_test(test_log_without_callback_is_silent),
		cmocka_unit_test(test_log_cuts_a_line_at_its_buffer),
		cmocka_unit_test(test_log_stderr_names_program_and_level),
		cmocka_unit_test(test_log_stderr_does_not_wait_for_a_reader),
		cmocka_unit_test(test_log_escape_shows_what_cannot_be_printed),
		cmocka_unit_test(test_log_escape_ends_in_dots_when_cut),
		cmocka_unit_test(test_log_escape_never_leaves_its_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
