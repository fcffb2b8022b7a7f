/* SPDX-License-Identifier: MIT */
/*
 * access_out.c - the file of an access log. Called by the log's thread, and by per_access_log_open() before
 * there is one. SIGPIPE is blocked in that thread.
 */
#include "services/access_out.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* A descriptor, or a negative errno. -ENXIO: nobody reads from that FIFO, or it is a socket. */
static int path_open(const struct per__access_out *out)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd;

	do {
		fd = open(out->path, flags, (mode_t)out->file_mode);
	} while (fd < 0 && errno == EINTR);
	return fd >= 0 ? fd : -errno;
}

static bool is_fifo(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISFIFO(info.st_mode);
}

/* Takes a descriptor and what it is over. Returns 0 or an errno. */
static int fd_adopt(struct per__access_out *out, int fd)
{
	struct stat info;

	if (fstat(fd, &info) != 0)
		return errno;
	out->fd = fd;
	out->is_regular = S_ISREG(info.st_mode);
	if (out->dev != info.st_dev || out->ino != info.st_ino)
		out->needs_newline = false;
	out->dev = info.st_dev;
	out->ino = info.st_ino;
	return 0;
}

/*
 * A pipe on the standard output is opened once more, as it cannot be told not to wait without telling all
 * who have it; and somebody else may write to it between a poll(2) and a write(2).
 */
static int stdout_open(void)
{
	struct stat info;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &info) == 0 && S_ISFIFO(info.st_mode))
		fd = open("/proc/self/fd/1", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 ? fd : STDOUT_FILENO;
}

int per__access_out_open(struct per__access_out *out)
{
	int fd, err;

	out->fd = -1;
	out->is_stdout = strcmp(out->path, "-") == 0;
	if (out->is_stdout)
		return fd_adopt(out, stdout_open());
	fd = path_open(out);
	if (fd < 0)
		return fd == -ENXIO && is_fifo(out->path) ? 0 : -fd;
	err = fd_adopt(out, fd);
	if (err != 0)
		close(fd);
	return err;
}

void per__access_out_close(struct per__access_out *out)
{
	if (out->fd >= 0 && !(out->is_stdout && out->fd == STDOUT_FILENO))
		close(out->fd);
	out->fd = -1;
}

int per__access_out_reopen(struct per__access_out *out)
{
	int old = out->fd;
	int err;

	if (out->is_stdout)
		return 0;
	err = per__access_out_open(out);
	if (err != 0)
		out->fd = old;
	else if (old >= 0)
		close(old);
	return err;
}

size_t per__access_out_max(const struct per__access_out *out)
{
	return out->is_regular ? SIZE_MAX : PIPE_BUF;
}

/* Would a write of up to PIPE_BUF bytes be taken at once? */
static bool is_writable(int fd)
{
	struct pollfd waiting = { .fd = fd, .events = POLLOUT };

	return poll(&waiting, 1, 0) != 0; /* an error is found by the write */
}

enum per__access_result per__access_out_write(struct per__access_out *out, struct iovec iov[2],
					      size_t *written)
{
	ssize_t n;
	int err;

	*written = 0;
	if (out->fd < 0) {
		err = per__access_out_open(out);
		errno = err;
		if (out->fd < 0)
			return err == 0 ? PER__ACCESS_FULL : PER__ACCESS_FAILED;
	}
	if (!out->is_regular && !is_writable(out->fd))
		return PER__ACCESS_FULL;
	if (out->needs_newline) {
		if (write(out->fd, "\n", 1) != 1)
			return errno == EAGAIN ? PER__ACCESS_FULL : PER__ACCESS_FAILED;
		out->needs_newline = false;
	}
	do {
		n = writev(out->fd, iov, iov[1].iov_len > 0 ? 2 : 1);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? PER__ACCESS_FULL : PER__ACCESS_FAILED;
	*written = (size_t)n;
	return PER__ACCESS_WRITTEN;
}
