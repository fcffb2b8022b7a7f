/* SPDX-License-Identifier: MIT */
/*
 * listen.c - opening and closing listening sockets, and the other plain socket calls.
 * Accepts nothing, and leaves the blocking mode to each backend. Called by the core and the program.
 * Invariant: a failure leaves no descriptor open and says its reason in the log once.
 */
#include "backend/listen.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <peregrine/types.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BIND_RETRY_STEP_MS 10
#define ADDR_TEXT_BYTES 160

/* The FreeBSD kind spreads connections over the sockets; its plain kind gives them all to the last one. */
#ifdef SO_REUSEPORT_LB
#define REUSEPORT SO_REUSEPORT_LB
#else
#define REUSEPORT SO_REUSEPORT
#endif

/* What could not be done, for the log. */
struct failure {
	const char *step;
	int number; /* errno */
};

static int fail(struct failure *why, const char *step)
{
	why->step = step;
	why->number = errno;
	return -1;
}

static int error_of(int number)
{
	switch (number) {
	case EADDRINUSE:
		return PER_EADDRINUSE;
	case EACCES:
	case EPERM:
		return PER_EACCES;
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case ENAMETOOLONG:
	case ENOENT:
	case ENOTDIR:
	case EROFS:
		return PER_EADDR;
	case EMFILE:
	case ENFILE:
		return PER_EMFILE;
	case ENOMEM:
	case ENOBUFS:
		return PER_ENOMEM;
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
		return PER_EINVAL;
	default:
		return PER_ESYS;
	}
}

static int option_on(int fd, int level, int name)
{
	return setsockopt(fd, level, name, &(int){ 1 }, sizeof(int));
}

/* A stream socket, close-on-exec; -1 with errno. */
static int stream_socket(int family)
{
#ifdef SOCK_CLOEXEC
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
#else
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
#endif
}

/* --- unix sockets ----------------------------------------------------------------------------- */

/* The file of a unix socket, or NULL: another family, or an abstract name. */
static const char *unix_path(const struct per__addr *addr)
{
	const struct sockaddr_un *sun = (const struct sockaddr_un *)&addr->storage;

	if (addr->storage.ss_family != AF_UNIX || addr->len <= offsetof(struct sockaddr_un, sun_path))
		return NULL;
	return sun->sun_path[0] == '\0' ? NULL : sun->sun_path;
}

static bool is_socket_file(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Is path a socket's file on which nobody listens? Everything unclear counts as in use. */
static bool unix_is_stale(const struct per__addr *addr, const char *path)
{
	bool is_refused;
	int fd;

	if (!is_socket_file(path))
		return false;
	fd = stream_socket(AF_UNIX);
	if (fd < 0)
		return false;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK); /* a full backlog answers EAGAIN, which is somebody */
	is_refused =
		connect(fd, (const struct sockaddr *)&addr->storage, addr->len) < 0 && errno == ECONNREFUSED;
	(void)close(fd);
	return is_refused;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int bind_once(int fd, const struct per__addr *addr)
{
	const char *path = unix_path(addr);

	if (bind(fd, (const struct sockaddr *)&addr->storage, addr->len) == 0)
		return 0;
	if (errno != EADDRINUSE || path == NULL)
		return -1;
	if (!unix_is_stale(addr, path)) {
		errno = EADDRINUSE;
		return -1;
	}
	(void)unlink(path);
	return bind(fd, (const struct sockaddr *)&addr->storage, addr->len);
}

/* With SO_REUSEADDR two sockets can be bound and only the second listen() fails: both are one attempt. */
static int bind_and_listen(int fd, const struct per__addr *addr, const struct per__listen_conf *conf,
			   struct failure *why)
{
	const char *path = unix_path(addr);

	if (bind_once(fd, addr) < 0)
		return fail(why, "bind");
	/* Before listen(), so that nobody can connect while the mode is the umask's. */
	if (path != NULL && conf->unix_mode != 0 && chmod(path, (mode_t)conf->unix_mode) < 0)
		(void)fail(why, "chmod");
	else if (listen(fd, conf->backlog) < 0)
		(void)fail(why, "listen");
	else
		return 0;
	if (path != NULL)
		(void)unlink(path);
	return -1;
}

static int set_options(int fd, int family, const struct per__listen_conf *conf, struct failure *why)
{
	if (family == AF_UNIX)
		return 0;
	if (option_on(fd, SOL_SOCKET, SO_REUSEADDR) < 0)
		return fail(why, "SO_REUSEADDR");
	if (conf->reuseport && option_on(fd, SOL_SOCKET, REUSEPORT) < 0)
		return fail(why, "SO_REUSEPORT");
	if (option_on(fd, IPPROTO_TCP, TCP_NODELAY) < 0)
		return fail(why, "TCP_NODELAY");
	/* Said in both cases: the system's default (net.ipv6.bindv6only) may be either. */
	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ conf->v6only }, sizeof(int)) < 0)
		return fail(why, "IPV6_V6ONLY");
	return 0;
}

/* One attempt: a descriptor that is bound and listening, or -1 with the reason. */
static int open_once(const struct per__addr *addr, const struct per__listen_conf *conf, struct failure *why)
{
	int family = addr->storage.ss_family;
	int fd = stream_socket(family);

	if (fd < 0)
		return fail(why, "socket");
	if (set_options(fd, family, conf, why) == 0 && bind_and_listen(fd, addr, conf, why) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static int open_retrying(const struct per__addr *addr, const struct per__listen_conf *conf,
			 struct failure *why)
{
	struct timespec step = { .tv_nsec = BIND_RETRY_STEP_MS * 1000000L };
	int fd = open_once(addr, conf, why);

	for (int waited = 0; fd < 0 && why->number == EADDRINUSE && waited < PER__BIND_RETRY_MS;
	     waited += BIND_RETRY_STEP_MS) {
		(void)nanosleep(&step, NULL);
		fd = open_once(addr, conf, why);
	}
	return fd;
}

static bool is_without_ipv6(const struct failure *why)
{
	return why->number == EAFNOSUPPORT || why->number == EADDRNOTAVAIL || why->number == EPROTONOSUPPORT;
}

static void become_ipv4_wildcard(struct per__addr *addr)
{
	uint16_t port = per__addr_port(addr);
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };

	memset(&addr->storage, 0, sizeof(addr->storage));
	memcpy(&addr->storage, &sin, sizeof(sin));
	addr->len = sizeof(sin);
	per__addr_set_port(addr, port);
}

/* --- inherited -------------------------------------------------------------------------------- */

/* Takes the address of a socket as its own; true when it is one we can serve. */
static bool read_own_address(int fd, struct per__addr *addr)
{
	socklen_t len = sizeof(addr->storage);
	int family;

	memset(&addr->storage, 0, sizeof(addr->storage));
	if (getsockname(fd, (struct sockaddr *)&addr->storage, &len) < 0)
		return false;
	addr->len = len;
	family = addr->storage.ss_family;
	return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

static bool is_listening_stream(int fd)
{
	int type = 0, is_accepting = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return false;
	len = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_accepting, &len) < 0)
		return false;
	return type == SOCK_STREAM && is_accepting != 0;
}

static int open_inherited(struct per__addr *addr, struct failure *why)
{
	int fd = fcntl(addr->inherited_fd, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return fail(why, "inherited descriptor");
	if (!is_listening_stream(fd) || !read_own_address(fd, addr)) {
		(void)close(fd);
		errno = EINVAL;
		return fail(why, "inherited descriptor is not a listening stream socket");
	}
	if (addr->storage.ss_family != AF_UNIX)
		(void)option_on(fd, IPPROTO_TCP, TCP_NODELAY);
	return fd;
}

/* --- what others call ------------------------------------------------------------------------- */

int per__listen_open(struct per__addr *addr, const struct per__listen_conf *conf, const struct per__log *log)
{
	char text[ADDR_TEXT_BYTES];
	struct failure why = { "", 0 };
	int fd;

	if (addr->inherited_fd >= 0) {
		fd = open_inherited(addr, &why);
		if (fd < 0)
			per__log(log, PER_LOG_ERROR, "cannot listen on fd:%d: %s: %s", addr->inherited_fd,
				 why.step, strerror(why.number));
		return fd < 0 ? error_of(why.number) : fd;
	}
	fd = open_retrying(addr, conf, &why);
	if (fd < 0 && addr->is_wildcard && !conf->v6only && addr->storage.ss_family == AF_INET6 &&
	    is_without_ipv6(&why)) {
		become_ipv4_wildcard(addr);
		fd = open_retrying(addr, conf, &why);
	}
	if (fd >= 0) {
		if (addr->storage.ss_family != AF_UNIX)
			(void)read_own_address(fd, addr);
		return fd;
	}
	(void)per__addr_format(addr, text, sizeof(text));
	per__log(log, PER_LOG_ERROR, "cannot listen on %s: %s: %s", text, why.step, strerror(why.number));
	return error_of(why.number);
}

void per__listen_close(int fd, const struct per__addr *addr, bool is_last)
{
	const char *path = addr->inherited_fd >= 0 ? NULL : unix_path(addr);

	/* Before the close: while somebody listens, no other server takes the file for a stale one. */
	if (is_last && path != NULL && is_socket_file(path))
		(void)unlink(path);
	(void)close(fd);
}

int per__sock_peer(int fd, struct per__peer *out)
{
	struct sockaddr_storage storage;
	socklen_t len = sizeof(storage);

	memset(out, 0, sizeof(*out));
	if (getpeername(fd, (struct sockaddr *)&storage, &len) < 0)
		return errno == ENOTCONN ? PER_EGONE : error_of(errno);
	per__peer_from_sockaddr(out, (const struct sockaddr *)&storage, len);
	return 0;
}

uint64_t per__fd_limit_raise(void)
{
	struct rlimit limit, wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	wanted = limit;
	wanted.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return wanted.rlim_cur;
#ifdef __APPLE__
	/* A hard limit without bound is announced but not granted there. */
	wanted.rlim_cur = PER_MIN((rlim_t)10240, limit.rlim_max);
	if (wanted.rlim_cur > limit.rlim_cur && setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return wanted.rlim_cur;
#endif
	return limit.rlim_cur;
}

uint64_t per__sock_unsent(int fd)
{
#ifdef TIOCOUTQ
	int bytes = 0;

	if (fd >= 0 && ioctl(fd, TIOCOUTQ, &bytes) == 0 && bytes > 0)
		return (uint64_t)bytes;
#endif
	return 0;
}
