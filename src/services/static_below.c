/* SPDX-License-Identifier: MIT */
/*
 * static_below.c - opening files below a root. With openat2() the kernel keeps to the root; without it
 * this file does, one segment at a time: each is opened relative to a descriptor and without following
 * links, so there is no moment in which a name means something else than what was checked.
 */
#include "services/static_below.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#define FLAGS_FILE (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define PATH_BYTES_MAX 4096u
#define DEPTH_MAX 64u
#define LINKS_MAX 40u /* as the kernel's own limit */
#define RACES_MAX 16u /* how often a rename of a directory above may disturb */

/*
 * What a directory on the way is opened with: the right to search it is enough where the system can say
 * so.
 */
#if defined(O_PATH)
#define FLAGS_WAY (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#elif defined(O_SEARCH)
#define FLAGS_WAY (O_SEARCH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#else
#define FLAGS_WAY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#endif

static int file_flags(unsigned flags)
{
	return FLAGS_FILE | ((flags & PER__BELOW_DIRECTORY) != 0 ? O_DIRECTORY : 0);
}

/* --- by openat2 ------------------------------------------------------------------------------- */

#ifdef __linux__

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* The structure and bits of openat2(2), which are newer than some headers. */
struct how {
	uint64_t flags, mode, resolve;
};
#define HOW_NO_MAGICLINKS 0x02u
#define HOW_NO_SYMLINKS 0x04u
#define HOW_BENEATH 0x08u
#define HOW_CACHED 0x20u

static int openat2_call(int root, const char *path, uint64_t flags, uint64_t resolve)
{
	struct how how = { .flags = flags, .resolve = resolve };
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd >= 0 ? (int)fd : -errno;
}

bool per__below_probe(int root)
{
	int fd = openat2_call(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, HOW_BENEATH | HOW_NO_MAGICLINKS);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static int kernel_open(const struct per__below *below, const char *path, unsigned flags)
{
	uint64_t resolve = below->links == PER_STATIC_LINKS_ANYWHERE ? 0 : HOW_BENEATH | HOW_NO_MAGICLINKS;
	bool waits = (flags & PER__BELOW_NOWAIT) == 0;
	int fd = -EAGAIN;

	if (below->links == PER_STATIC_LINKS_NEVER)
		resolve |= HOW_NO_SYMLINKS;
	if (!waits)
		resolve |= HOW_CACHED;
	for (unsigned i = 0; i < RACES_MAX && fd == -EAGAIN && (i == 0 || waits); i++)
		fd = openat2_call(below->root, path[0] != '\0' ? path : ".", (uint64_t)file_flags(flags),
				  resolve);
	if (fd == -EINVAL && !waits) /* a kernel that cannot promise not to wait */
		return -EAGAIN;
	return fd == -EAGAIN && waits ? -EIO : fd;
}

#else

bool per__below_probe(int root)
{
	(void)root;
	return false;
}

static int kernel_open(const struct per__below *below, const char *path, unsigned flags)
{
	(void)below;
	(void)path;
	(void)flags;
	return -ENOSYS;
}

#endif

/* --- by hand ---------------------------------------------------------------------------------- */

/* A walk down from the root: the directories on the way, and what is still to be walked. */
struct walk {
	int fds[DEPTH_MAX]; /* fds[0] is the root's and stays open */
	unsigned depth;     /* of the directory we are in; 0: the root */
	unsigned links;     /* followed so far */
	char *rest;         /* what is left, in text */
	char text[PATH_BYTES_MAX];
};

static int walk_begin(struct walk *walk, int root, const char *path)
{
	size_t len = strlen(path);

	walk->fds[0] = root;
	walk->depth = 0; /* first: walk_end() looks at it also after an error */
	if (len >= sizeof(walk->text))
		return -ENAMETOOLONG;
	walk->links = 0;
	walk->rest = walk->text + sizeof(walk->text) - len - 1; /* links grow in front of it */
	memcpy(walk->rest, path, len + 1);
	return 0;
}

static void walk_up(struct walk *walk)
{
	close(walk->fds[walk->depth--]);
}

static void walk_end(struct walk *walk)
{
	while (walk->depth > 0)
		walk_up(walk);
}

static int walk_down(struct walk *walk, int fd)
{
	if (walk->depth + 1 == DEPTH_MAX) {
		close(fd);
		return -ENAMETOOLONG;
	}
	walk->fds[++walk->depth] = fd;
	return 0;
}

/* Takes the next segment off the rest; NULL when there is none. */
static char *segment_next(struct walk *walk)
{
	char *segment = walk->rest + strspn(walk->rest, "/");
	size_t len = strcspn(segment, "/");

	walk->rest = segment + len;
	if (*walk->rest == '/')
		*walk->rest++ = '\0';
	return len > 0 ? segment : NULL;
}

/*
 * The segment, which could not be opened because of err, may be a link: what it says comes before the
 * rest.
 */
static int link_follow(struct walk *walk, const char *segment, per_static_links links, int err)
{
	char target[PATH_BYTES_MAX];
	ssize_t n = readlinkat(walk->fds[walk->depth], segment, target, sizeof(target));
	size_t len = (size_t)n;

	if (n < 0)
		return errno == EINVAL ? -err : -errno; /* no link at all */
	if (links == PER_STATIC_LINKS_NEVER || ++walk->links > LINKS_MAX)
		return -ELOOP;
	if (n == 0 || target[0] == '/')
		return -EXDEV;
	if (len + 1 > (size_t)(walk->rest - walk->text))
		return -ENAMETOOLONG;
	*--walk->rest = '/';
	walk->rest -= len;
	memcpy(walk->rest, target, len);
	return 0;
}

static int up_or_out(struct walk *walk)
{
	if (walk->depth == 0)
		return -EXDEV;
	walk_up(walk);
	return 0;
}

/* Goes one segment on. Returns 0, a negative errno, or 1 with the file opened. */
static int walk_step(struct walk *walk, const struct per__below *below, char *segment, unsigned flags,
		     int *out)
{
	bool is_last = walk->rest[strspn(walk->rest, "/")] == '\0';
	int fd;

	if (strcmp(segment, ".") == 0)
		return 0;
	if (strcmp(segment, "..") == 0) /* only a link can say so */
		return up_or_out(walk);
	fd = openat(walk->fds[walk->depth], segment, is_last ? file_flags(flags) | O_NOFOLLOW : FLAGS_WAY);
	if (fd >= 0 && is_last) {
		*out = fd;
		return 1;
	}
	if (fd >= 0)
		return walk_down(walk, fd);
	if (errno == ELOOP || errno == ENOTDIR || errno == EMLINK) /* which of them is the system's choice */
		return link_follow(walk, segment, below->links, errno);
	return -errno;
}

static int hand_open(const struct per__below *below, const char *path, unsigned flags)
{
	struct walk walk;
	char *segment;
	int fd = -1;
	int result = walk_begin(&walk, below->root, path);

	while (result == 0) {
		segment = segment_next(&walk);
		if (segment == NULL) { /* it leads to the directory we are in */
			fd = openat(walk.fds[walk.depth], ".", file_flags(flags));
			result = fd >= 0 ? 1 : -errno;
			break;
		}
		result = walk_step(&walk, below, segment, flags, &fd);
	}
	walk_end(&walk);
	return result == 1 ? fd : result;
}

/* --- both ------------------------------------------------------------------------------------- */

int per__below_open(const struct per__below *below, const char *path, unsigned flags)
{
	int fd;

	if (below->has_openat2)
		return kernel_open(below, path, flags);
	if ((flags & PER__BELOW_NOWAIT) != 0)
		return -EAGAIN; /* nothing here could tell */
	if (below->links != PER_STATIC_LINKS_ANYWHERE)
		return hand_open(below, path, flags);
	fd = openat(below->root, path[0] != '\0' ? path : ".", file_flags(flags));
	return fd >= 0 ? fd : -errno;
}

int per__below_stat(const struct per__below *below, const char *path, struct stat *out)
{
	return fstatat(below->root, path[0] != '\0' ? path : ".", out, 0) == 0 ? 0 : -errno;
}
