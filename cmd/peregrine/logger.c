/* SPDX-License-Identifier: MIT */
/*
 * logger.c - the program's own log. A line is one write(2) to a file opened for appending, so lines of
 * several threads do not mix, and a file is replaced under its number (dup2), so no writer ever meets a
 * closed one.
 */
#include "logger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096u
#define FILE_MODE 0644

/* Is stderr the journal's socket? JOURNAL_STREAM is "device:inode" then (systemd.exec(5)). */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat info;

	if (stream == NULL || fstat(STDERR_FILENO, &info) != 0)
		return false;
	snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)info.st_dev,
		 (unsigned long long)info.st_ino);
	return strcmp(own, stream) == 0;
}

void logger_init(struct logger *logger, per_log_level level)
{
	*logger = (struct logger){ .file_fd = -1, .path = "-" };
	atomic_store(&logger->level, (int)level);
	atomic_store(&logger->fd, STDERR_FILENO);
	logger->has_priority = is_journal();
}

/* "2024-05-01T12:00:00.123Z error: ", or for the journal "<3>" (sd-daemon(3)). Returns its length. */
static int prefix(const struct logger *logger, bool is_stderr, per_log_level level, char *buf, size_t cap)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	static const int priorities[] = { 3, 4, 6, 7 };
	struct timespec now;
	struct tm parts;
	char date[32];

	if (is_stderr && logger->has_priority)
		return snprintf(buf, cap, "<%d>", priorities[level]);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	if (strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts) == 0)
		date[0] = '\0';
	return snprintf(buf, cap, "%s.%03ldZ %s: ", date, now.tv_nsec / 1000000, names[level]);
}

void logger_line(per_log_level level, const char *line, void *user)
{
	struct logger *logger = user;
	const int fd = atomic_load(&logger->fd);
	char text[LINE_BYTES_MAX];
	ssize_t ignored;
	int len;

	if ((int)level > atomic_load(&logger->level))
		return;
	len = prefix(logger, fd == STDERR_FILENO, level, text, sizeof(text));
	len += snprintf(text + len, sizeof(text) - (size_t)len, "%s\n", line);
	if ((size_t)len >= sizeof(text)) {
		len = (int)sizeof(text) - 1;
		text[len - 1] = '\n';
	}
	ignored = write(fd, text, (size_t)len); /* there is no other place to complain */
	(void)ignored;
}

void logger_say(struct logger *logger, per_log_level level, const char *format, ...)
{
	char line[LINE_BYTES_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	logger_line(level, line, logger);
}

bool logger_open(struct logger *logger, const char *path)
{
	int fd;

	if (strcmp(path, "-") == 0) {
		atomic_store(&logger->fd, STDERR_FILENO);
		snprintf(logger->path, sizeof(logger->path), "-");
		return true;
	}
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, FILE_MODE);
	if (fd < 0) {
		logger_say(logger, PER_LOG_ERROR, "cannot open the log %s: %s", path, strerror(errno));
		return false;
	}
	if (logger->file_fd < 0) {
		logger->file_fd = fd;
	} else {
		(void)dup2(fd, logger->file_fd);
		(void)fcntl(logger->file_fd, F_SETFD, FD_CLOEXEC);
		close(fd);
	}
	atomic_store(&logger->fd, logger->file_fd);
	if (path != logger->path)
		snprintf(logger->path, sizeof(logger->path), "%s", path);
	return true;
}
