/* SPDX-License-Identifier: MIT */
/*
 * policy.c - per_server_reload(): new limits for a server that runs. As with certificates (certs.c), each
 * worker is left its own in an atomic pointer.
 */
#include "base/mem.h"
#include "server.h"
#include <string.h>

/* Who shares nothing gets copies: all of them, before anybody is told. Returns 0 or PER_ENOMEM. */
static int copies_make(struct per__policy **copies, unsigned cnt, const struct per__policy *policy)
{
	for (unsigned i = 0; i < cnt; i++) {
		copies[i] = per__mem_alloc(sizeof(*policy));
		if (copies[i] == NULL)
			return PER_ENOMEM;
		*copies[i] = *policy;
	}
	return 0;
}

static void copies_leave(struct per_server *server, struct per__policy **copies)
{
	pthread_mutex_lock(&server->policy_mutex);
	for (unsigned i = 0; i < server->conf.workers; i++) {
		struct per__worker *worker = server->workers[i];

		/* what an earlier reload has left and nobody has taken was used by nobody */
		per__mem_free(atomic_exchange(&worker->policy_next, copies[i]));
		copies[i] = NULL;
		per__mailbox_poke(&worker->mailbox, per__worker_wake, worker);
	}
	pthread_mutex_unlock(&server->policy_mutex);
}

int per_server_reload_sized(per_server *server, const per_config *config, size_t config_bytes)
{
	const unsigned workers = server->conf.workers;
	per_config known = { 0 };
	struct per__policy policy, **copies;
	int err;

	if (config == NULL)
		return PER_EINVAL;
	memcpy(&known, config, PER_MIN(config_bytes, sizeof(known)));
	err = per__policy_init(&policy, &server->conf, &known);
	if (err != 0)
		return err;
	copies = per__mem_alloc(workers * sizeof(*copies));
	if (copies == NULL)
		return PER_ENOMEM;
	err = copies_make(copies, workers, &policy);
	if (err == 0)
		copies_leave(server, copies);
	for (unsigned i = 0; i < workers; i++)
		per__mem_free(copies[i]);
	per__mem_free(copies);
	return err;
}
