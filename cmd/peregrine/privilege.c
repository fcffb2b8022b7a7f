/* SPDX-License-Identifier: MIT */
/*
 * privilege.c - from root to somebody else, once: groups, then the group, then the user, and a proof that
 * there is no way back. Called by program.c when sockets are bound and keys are read, before logs are
 * opened and workers run.
 */
#include "privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#define CONNECTIONS_DEFAULT 65536u
#define FDS_RESERVED 1024u    /* descriptors that are no connections: rings, listeners, open files, pipes */
#define FDS_RESERVED_SHARE 4u /* but at most this part of a small limit */

static bool fail(struct logger *logger, const char *what)
{
	logger_say(logger, PER_LOG_ERROR, "cannot give up being root: %s: %s", what, strerror(errno));
	return false;
}

static bool become(const struct passwd *who, gid_t group, struct logger *logger)
{
	if (initgroups(who->pw_name, group) != 0)
		return fail(logger, "initgroups");
	if (setgid(group) != 0)
		return fail(logger, "setgid");
	if (setuid(who->pw_uid) != 0)
		return fail(logger, "setuid");
	if (who->pw_uid != 0 &&
	    (setuid(0) == 0 || seteuid(0) == 0 || getuid() != who->pw_uid || geteuid() != who->pw_uid)) {
		errno = EPERM;
		return fail(logger, "there is a way back");
	}
	return true;
}

bool privilege_drop(const struct config *config, struct logger *logger)
{
	const struct passwd *who;
	const struct group *group = NULL;
	gid_t gid;

#ifdef __linux__
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#endif
	if (config->user == NULL)
		return true;
	who = getpwnam(config->user);
	if (config->group != NULL)
		group = getgrnam(config->group);
	if (who == NULL || (config->group != NULL && group == NULL)) {
		logger_say(logger, PER_LOG_ERROR, "no such user or group: %s",
			   who == NULL ? config->user : config->group);
		return false;
	}
	gid = group != NULL ? group->gr_gid : who->pw_gid;
	if (geteuid() == 0)
		return become(who, gid, logger);
	if (geteuid() == who->pw_uid)
		return true;
	logger_say(logger, PER_LOG_ERROR, "only root can become %s", config->user);
	return false;
}

unsigned privilege_descriptors(void)
{
	struct rlimit limit;
	rlim_t reserved;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		const struct rlimit raised = { limit.rlim_max, limit.rlim_max };

		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	reserved = limit.rlim_cur / FDS_RESERVED_SHARE < FDS_RESERVED ? limit.rlim_cur / FDS_RESERVED_SHARE
								      : FDS_RESERVED;
	if (limit.rlim_cur >= CONNECTIONS_DEFAULT + reserved)
		return 0;
	return (unsigned)(limit.rlim_cur - reserved);
}
