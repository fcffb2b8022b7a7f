/* SPDX-License-Identifier: MIT */
/*
 * static.c - files of a directory as answers. A first form: reads each file whole, keeps nothing.
 */
#include "base/log.h"
#include "base/mem.h"
#include "http/req.h"
#include <peregrine/static.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096u

struct per_static {
	int root;
	struct per__log log;
};

int per_static_new_sized(per_static **out, const per_static_config *config, size_t config_bytes)
{
	per_static_config known = { 0 };
	per_static *files;

	if (out == NULL)
		return PER_EINVAL;
	*out = NULL;
	if (config == NULL || config->root == NULL)
		return PER_EINVAL;
	memcpy(&known, config, PER_MIN(config_bytes, sizeof(known)));
	files = per__mem_alloc(sizeof(*files));
	if (files == NULL)
		return PER_ENOMEM;
	files->root = open(known.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (files->root < 0) {
		per__mem_free(files);
		return PER_EINVAL;
	}
	*out = files;
	return 0;
}

void per_static_free(per_static *files)
{
	if (files == NULL)
		return;
	close(files->root);
	per__mem_free(files);
}

/* Decodes path into name; "" and "." segments and what begins with a dot are refused. */
static bool name_from(char *name, per_str path)
{
	int64_t n = per_percent_decode(name, PATH_BYTES_MAX - sizeof("index.html"), path, false);

	if (n < 1 || name[0] != '/' || memchr(name, 0, (size_t)n) != NULL)
		return false;
	name[n] = '\0';
	if (strstr(name, "//") != NULL || strstr(name, "/.") != NULL)
		return false;
	if (name[n - 1] == '/')
		memcpy(name + n, "index.html", sizeof("index.html"));
	return true;
}

static void body_free(void *arg)
{
	per__mem_free(arg);
}

static int file_reply(per_req *req, int fd, size_t bytes)
{
	char *body = per__mem_alloc(bytes);
	ssize_t n = body != NULL ? pread(fd, body, bytes, 0) : -1;

	if (n < 0) {
		per__mem_free(body);
		return PER_ENOMEM;
	}
	return per_reply_ref(req, 200, PER_S("text/html"), per_str_make(body, (size_t)n), body_free, body);
}

int per_static_reply_path(per_static *files, per_req *req, per_str path)
{
	char name[PATH_BYTES_MAX];
	struct stat stat;
	int fd, err;

	if (!name_from(name, path))
		return per_static_reply_error(files, req, 404);
	fd = openat(files->root, name + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return per_static_reply_error(files, req, 404);
	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		err = file_reply(req, fd, (size_t)stat.st_size);
	else
		err = per_static_reply_error(files, req, 404);
	close(fd);
	return err;
}

int per_static_reply(per_static *files, per_req *req)
{
	return per_static_reply_path(files, req, per_req_path(req));
}

int per_static_reply_error(per_static *files, per_req *req, int status)
{
	(void)files;
	return per_reply(req, status, PER_S("text/plain"), per_reason(status));
}

int per_static_stats_sized(per_static *files, per_static_stats *out, size_t stats_bytes)
{
	(void)files;
	if (out == NULL)
		return PER_EINVAL;
	memset(out, 0, stats_bytes);
	return 0;
}
