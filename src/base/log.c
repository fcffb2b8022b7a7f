/* SPDX-License-Identifier: MIT */
/*
 * log.c - formatting a log line on the stack and handing it to the callback. Rotates nothing.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void per__log(const struct per__log *log, per_log_level level, const char *format, ...)
{
	char line[PER__LOG_LINE_BYTES];
	int saved_errno = errno;
	va_list args;

	if (log->fn == NULL || level > log->level)
		return;
	va_start(args, format);
	if (vsnprintf(line, sizeof(line), format, args) < 0)
		line[0] = '\0';
	va_end(args);
	log->fn(level, line, log->user);
	errno = saved_errno; /* logging an error must not change what is known of it */
}

static const char *level_name(per_log_level level)
{
	switch (level) {
	case PER_LOG_ERROR:
		return "error";
	case PER_LOG_WARN:
		return "warning";
	case PER_LOG_INFO:
		return "info";
	case PER_LOG_DEBUG:
		return "debug";
	}
	return "log";
}

/*
 * Waits for no reader. O_NONBLOCK on stderr itself would be seen by everybody who has it, and poll(2) alone
 * does not help when two threads meet: so a pipe is opened once more, with a mode of its own.
 */
static void stderr_write(const char *text, size_t len)
{
	struct pollfd waiting = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct stat info;
	ssize_t ignored = 0; /* there is no other place to complain */
	int fd = -1;

	if (fstat(STDERR_FILENO, &info) == 0 && S_ISFIFO(info.st_mode))
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		ignored = write(fd, text, len);
		close(fd);
	} else if (poll(&waiting, 1, 0) != 0) {
		ignored = write(STDERR_FILENO, text, len);
	}
	(void)ignored;
}

void per__log_stderr(per_log_level level, const char *line, void *user)
{
	char text[PER__LOG_LINE_BYTES + 64];
	int len = snprintf(text, sizeof(text) - 1, "peregrine: %s: %s", level_name(level), line);

	(void)user;
	if (len < 0)
		return;
	len = PER_MIN(len, (int)sizeof(text) - 2);
	text[len] = '\n';
	stderr_write(text, (size_t)len + 1);
}

const char *per__log_escape(char *dst, size_t cap, const void *src, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	static const char dots[] = "...";
	const uint8_t *byte = src;
	size_t pos = 0;
	size_t cut = 0; /* where the dots go if the rest does not fit */

	if (cap == 0)
		return dst;
	cap--;
	for (size_t i = 0; i < len; i++) {
		bool is_plain = byte[i] >= 0x20 && byte[i] <= 0x7e;

		if (pos + 3 <= cap)
			cut = pos;
		if (pos + (is_plain ? 1 : 4) > cap) {
			pos = cut;
			for (size_t dot = 0; dot < 3 && pos < cap; dot++)
				dst[pos++] = dots[dot];
			break;
		}
		if (is_plain) {
			dst[pos++] = (char)byte[i];
			continue;
		}
		dst[pos++] = '\\';
		dst[pos++] = 'x';
		dst[pos++] = digits[byte[i] >> 4];
		dst[pos++] = digits[byte[i] & 15];
	}
	dst[pos] = '\0';
	return dst;
}
