/* SPDX-License-Identifier: MIT */
/*
 * logger.c - the program's own log. Whoever says something puts a line into the queue; the log's thread is
 * the only one that writes, and that closes a file. Invariant: while lines are lost none is put into the
 * queue, so that the line which counts them stands where they would have stood.
 */
#include "logger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096u /* what a pipe takes as one (PIPE_BUF of Linux) */
#define FILE_MODE 0644
#define RETRY_MS 250 /* after a write that was not possible */
#define FLUSH_S 1
#define LOGGER_SAME (-2)
#ifdef __APPLE__ /* which has no pthread_condattr_setclock() */
#define FLUSH_CLOCK CLOCK_REALTIME
#else
#define FLUSH_CLOCK CLOCK_MONOTONIC
#endif

/* --- lines ------------------------------------------------------------------------------------ */

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

/* "2024-05-01T12:00:00.123Z error: ", or for the journal "<3>" (sd-daemon(3)). Returns its length. */
static int prefix(const struct logger *logger, per_log_level level, char *buf, size_t cap)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	static const int priorities[] = { 3, 4, 6, 7 };
	struct timespec now;
	struct tm parts;
	char date[32];

	if (atomic_load(&logger->has_priority))
		return snprintf(buf, cap, "<%d>", priorities[level]);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	if (strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts) == 0)
		date[0] = '\0';
	return snprintf(buf, cap, "%s.%03ldZ %s: ", date, now.tv_nsec / 1000000, names[level]);
}

/* A whole line, cut where it is too long. Returns its length. */
static size_t render(const struct logger *logger, per_log_level level, const char *line,
		     char text[LINE_BYTES_MAX])
{
	int len = prefix(logger, level, text, LINE_BYTES_MAX);

	len += snprintf(text + len, LINE_BYTES_MAX - (size_t)len, "%s\n", line);
	if ((size_t)len < LINE_BYTES_MAX)
		return (size_t)len;
	text[LINE_BYTES_MAX - 2] = '\n';
	return LINE_BYTES_MAX - 1;
}

/* Returns false when there is no room. */
static bool put(struct logger *logger, const char *text, size_t len)
{
	if (len > LOGGER_QUEUE_MAX - logger->len)
		return false;
	memcpy(logger->queue + logger->len, text, len);
	logger->len += len;
	pthread_cond_signal(&logger->said);
	return true;
}

void logger_line(per_log_level level, const char *line, void *user)
{
	struct logger *logger = user;
	char text[LINE_BYTES_MAX];
	ssize_t ignored;
	size_t len;

	if ((int)level > atomic_load(&logger->level))
		return;
	len = render(logger, level, line, text);
	pthread_mutex_lock(&logger->mutex);
	if (!logger->is_running) {
		ignored = write(logger->fd, text, len); /* there is no other place to complain */
		(void)ignored;
	} else if (logger->lost_untold > 0 || !put(logger, text, len)) {
		logger->lost_untold++;
		atomic_fetch_add(&logger->lost, 1);
	}
	pthread_mutex_unlock(&logger->mutex);
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

/* --- the thread ------------------------------------------------------------------------------- */

/* A descriptor, or -1 and errno. Waits for nobody: ENXIO is a FIFO without a reader, or a socket. */
static int file_open(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, FILE_MODE);
}

/*
 * A pipe is opened once more, as it cannot be told not to wait without telling all who have it; and somebody
 * else may write to it between a poll(2) and a write(2).
 */
static int stderr_open(void)
{
	struct stat info;
	int fd = -1;

	if (fstat(STDERR_FILENO, &info) == 0 && S_ISFIFO(info.st_mode))
		fd = open("/proc/self/fd/2", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 ? fd : STDERR_FILENO;
}

/* Takes up the file that lines are to go to from now on. */
static void file_change(struct logger *logger)
{
	if (logger->next_fd == LOGGER_SAME)
		return;
	if (logger->fd > STDERR_FILENO)
		close(logger->fd);
	logger->fd = logger->next_fd;
	logger->next_fd = LOGGER_SAME;
}

/* A FIFO without a reader may have one now. Called, and returns, with the mutex. */
static void file_retry(struct logger *logger)
{
	char path[LOGGER_PATH_MAX];
	int fd;

	memcpy(path, logger->path, sizeof(path));
	pthread_mutex_unlock(&logger->mutex);
	fd = file_open(path);
	pthread_mutex_lock(&logger->mutex);
	logger->fd = fd; /* if there is another file to change to by now, that comes next */
}

/* Whole lines, no more than a pipe takes as one. */
static size_t chunk(const struct logger *logger)
{
	size_t len = logger->len < LINE_BYTES_MAX ? logger->len : LINE_BYTES_MAX;

	while (logger->queue[len - 1] != '\n')
		len--;
	return len;
}

/* Returns how much was written: 0 after a while in which it was not possible. */
static size_t chunk_write(int fd, const char *text, size_t len)
{
	struct pollfd waiting = { .fd = fd, .events = POLLOUT };
	ssize_t n = -1;

	/* first, as stderr may wait */
	if (fd >= 0 && poll(&waiting, 1, RETRY_MS) == 0)
		return 0;
	if (fd >= 0)
		n = write(fd, text, len);
	if (n > 0)
		return (size_t)n;
	(void)poll(NULL, 0, RETRY_MS);
	return 0;
}

/* Lines that were lost are told of when half of the queue is free again: once, not for each line. */
static void lost_tell(struct logger *logger)
{
	char line[128], text[LINE_BYTES_MAX];

	if (logger->lost_untold == 0 || logger->len > LOGGER_QUEUE_MAX / 2)
		return;
	snprintf(line, sizeof(line), "%llu lines of this log were lost: they could not be written in time",
		 (unsigned long long)logger->lost_untold);
	logger->lost_untold = 0;
	(void)put(logger, text, render(logger, PER_LOG_WARN, line, text));
}

static void write_some(struct logger *logger)
{
	const size_t len = chunk(logger);
	const int fd = logger->fd;
	size_t written;

	pthread_mutex_unlock(&logger->mutex);
	written = chunk_write(fd, logger->queue, len);
	pthread_mutex_lock(&logger->mutex);
	logger->len -= written;
	memmove(logger->queue, logger->queue + written, logger->len);
	lost_tell(logger);
	pthread_cond_broadcast(&logger->written);
}

static void *writer_main(void *arg)
{
	struct logger *logger = arg;

	pthread_mutex_lock(&logger->mutex);
	while (!logger->is_over) {
		file_change(logger);
		if (logger->len == 0) {
			pthread_cond_wait(&logger->said, &logger->mutex);
			continue;
		}
		if (logger->fd < 0)
			file_retry(logger);
		if (logger->next_fd == LOGGER_SAME)
			write_some(logger);
	}
	logger->has_ended = true;
	pthread_cond_broadcast(&logger->written);
	pthread_mutex_unlock(&logger->mutex);
	return NULL;
}

/* --- beginning and ending --------------------------------------------------------------------- */

void logger_init(struct logger *logger, per_log_level level)
{
	pthread_condattr_t attr;

	memset(logger, 0, sizeof(*logger));
	atomic_store(&logger->level, (int)level);
	atomic_store(&logger->has_priority, is_journal());
	logger->fd = stderr_open();
	logger->next_fd = LOGGER_SAME;
	snprintf(logger->path, sizeof(logger->path), "-");
	pthread_mutex_init(&logger->mutex, NULL);
	pthread_cond_init(&logger->said, NULL);
	pthread_condattr_init(&attr);
#ifndef __APPLE__
	(void)pthread_condattr_setclock(&attr, FLUSH_CLOCK);
#endif
	pthread_cond_init(&logger->written, &attr);
	pthread_condattr_destroy(&attr);
}

bool logger_start(struct logger *logger)
{
	int err;

	pthread_mutex_lock(&logger->mutex);
	err = pthread_create(&logger->thread, NULL, writer_main, logger);
	logger->is_running = err == 0;
	pthread_mutex_unlock(&logger->mutex);
	if (err != 0)
		logger_say(logger, PER_LOG_ERROR, "no thread for the log: %s", strerror(err));
	return err == 0;
}

/* Nobody waits for the reader of a FIFO. */
static bool is_being_written(const struct logger *logger)
{
	return logger->is_running && logger->len > 0 && (logger->fd >= 0 || logger->next_fd >= 0);
}

/* Waits with the mutex until what was said is written, or the thread has ended; at most for a second. */
static void written_wait(struct logger *logger, bool for_end)
{
	struct timespec until;
	int err = 0;

	clock_gettime(FLUSH_CLOCK, &until);
	until.tv_sec += FLUSH_S;
	while (err == 0 && (for_end ? !logger->has_ended : is_being_written(logger)))
		err = pthread_cond_timedwait(&logger->written, &logger->mutex, &until);
}

void logger_flush(struct logger *logger)
{
	pthread_mutex_lock(&logger->mutex);
	written_wait(logger, false);
	pthread_mutex_unlock(&logger->mutex);
}

bool logger_end(struct logger *logger)
{
	bool has_ended;

	if (!logger->is_running)
		return true;
	pthread_mutex_lock(&logger->mutex);
	written_wait(logger, false);
	logger->is_over = true;
	pthread_cond_signal(&logger->said);
	written_wait(logger, true);
	has_ended = logger->has_ended;
	pthread_mutex_unlock(&logger->mutex);
	if (!has_ended) {
		(void)pthread_detach(logger->thread);
		return false;
	}
	(void)pthread_join(logger->thread, NULL);
	pthread_cond_destroy(&logger->said);
	pthread_cond_destroy(&logger->written);
	pthread_mutex_destroy(&logger->mutex);
	return true;
}

/* --- another file ----------------------------------------------------------------------------- */

static bool is_fifo(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISFIFO(info.st_mode);
}

/* Lines that were said before go to the old file, if it takes them. */
static void target_set(struct logger *logger, const char *path, int fd)
{
	logger_flush(logger);
	pthread_mutex_lock(&logger->mutex);
	if (logger->next_fd > STDERR_FILENO)
		close(logger->next_fd); /* the thread has not come by since it was set */
	logger->next_fd = fd;
	if (path != logger->path)
		snprintf(logger->path, sizeof(logger->path), "%s", path);
	atomic_store(&logger->has_priority, fd == STDERR_FILENO && is_journal());
	if (!logger->is_running)
		file_change(logger);
	pthread_cond_signal(&logger->said);
	pthread_mutex_unlock(&logger->mutex);
}

bool logger_open(struct logger *logger, const char *path)
{
	const bool is_stderr = strcmp(path, "-") == 0;
	int fd;

	/* what could be opened as root may be refused to somebody else, and is the same for ever */
	if (is_stderr && strcmp(logger->path, "-") == 0)
		return true;
	fd = is_stderr ? stderr_open() : file_open(path);
	if (fd < 0 && (errno != ENXIO || !is_fifo(path))) {
		logger_say(logger, PER_LOG_ERROR, "cannot open the log %s: %s", path, strerror(errno));
		return false;
	}
	if (fd < 0)
		logger_say(logger, PER_LOG_WARN, "nobody reads the log %s, a FIFO; lines wait for a reader",
			   path);
	target_set(logger, path, fd);
	return true;
}
