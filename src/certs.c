/* SPDX-License-Identifier: MIT */
/*
 * certs.c - the certificates of a server: made before the first connection, replaced by per_tls_reload().
 * A reload builds everything on the caller's thread, then leaves each worker its own part: in tls_next, an
 * atomic pointer, which always has room, and needs no worker to have started or to go on.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "server.h"
#include "tls/conf.h"
#include "tls/context.h"
#include "tls/store.h"
#include "tls/tickets.h"
#include <pthread.h>
#include <stdio.h>

#define REASON_BYTES 512u

struct per__certs {
	pthread_mutex_t mutex; /* one reload at a time; guards conf */
	struct per__tls_conf *conf;
	struct per__tls_tickets *tickets;
};

/*
 * --- building
 * ---------------------------------------------------------------------------------------------
 */

static void contexts_drop(struct per_server *server, struct per__tls_ctx **contexts)
{
	for (unsigned i = 0; i < server->conf.workers; i++)
		per__tls_ctx_drop(contexts[i]);
	per__mem_free(contexts);
}

/* A context for each worker, in an array. Nothing is left behind after an error. */
static int contexts_build(struct per_server *server, const struct per__tls_conf *conf,
			  const struct per__tls_check *check, struct per__tls_ctx ***out)
{
	struct per__tls_ctx **contexts = per__mem_alloc(server->conf.workers * sizeof(*contexts));
	struct per__tls_store *store = NULL;
	int err = contexts != NULL ? per__tls_store_new(&store, conf, check) : PER_ENOMEM;

	for (unsigned i = 0; i < server->conf.workers && err == 0; i++)
		err = per__tls_ctx_new(&contexts[i], conf, store, server->tls->tickets,
				       &server->workers[i]->loop.now_ns, check->reason, check->cap);
	per__tls_store_drop(store); /* the contexts hold it */
	if (err != 0 && contexts != NULL)
		contexts_drop(server, contexts);
	*out = err == 0 ? contexts : NULL;
	return err;
}

/*
 * --- beginning and end
 * ------------------------------------------------------------------------------------
 */

static int certs_make(struct per_server *server, const per_tls_config *config, char *reason, size_t cap)
{
	struct per__certs *certs = server->tls;
	const struct per__tls_check check = {
		.log = &server->conf.log, .wall_s = per__clock_wall_s(), .reason = reason, .cap = cap
	};
	struct per__tls_ctx **contexts;
	int err = per__tls_conf_new(&certs->conf, config, reason, cap);

	if (err == 0)
		err = per__tls_tickets_new(&certs->tickets, certs->conf->config.ticket_lifetime_s,
					   per__clock_now_ns());
	if (err == 0)
		err = contexts_build(server, certs->conf, &check, &contexts);
	if (err != 0)
		return err;
	for (unsigned i = 0; i < server->conf.workers; i++)
		server->workers[i]->tls = contexts[i];
	per__mem_free(contexts);
	return 0;
}

int per__certs_open(struct per_server *server, const per_config *config)
{
	char reason[REASON_BYTES] = "";
	int err;

	if (config->tls == NULL)
		return 0;
	server->tls = per__mem_alloc(sizeof(*server->tls));
	if (server->tls == NULL)
		return PER_ENOMEM;
	pthread_mutex_init(&server->tls->mutex, NULL);
	err = certs_make(server, config->tls, reason, sizeof(reason));
	if (err != 0)
		per__log(&server->conf.log, PER_LOG_ERROR, "TLS: %s",
			 reason[0] != '\0' ? reason : per_strerror(err));
	return err;
}

void per__certs_close(struct per_server *server)
{
	if (server->tls == NULL)
		return;
	for (unsigned i = 0; i < server->conf.workers && server->workers != NULL; i++) {
		if (server->workers[i] == NULL)
			continue;
		per__tls_ctx_drop(server->workers[i]->tls);
		per__tls_ctx_drop(atomic_load(&server->workers[i]->tls_next));
	}
	per__tls_tickets_free(server->tls->tickets);
	per__tls_conf_free(server->tls->conf);
	pthread_mutex_destroy(&server->tls->mutex);
	per__mem_free(server->tls);
	server->tls = NULL;
}

/*
 * --- replacing
 * --------------------------------------------------------------------------------------------
 */

void per__certs_take(struct per__worker *worker)
{
	struct per__tls_ctx *next;

	if (PER_LIKELY(atomic_load_explicit(&worker->tls_next, memory_order_relaxed) == NULL))
		return;
	next = atomic_exchange(&worker->tls_next, NULL);
	if (next == NULL)
		return;
	per__tls_ctx_drop(worker->tls);
	worker->tls = next;
}

/* What a running server cannot change stays. */
static int conf_renew(struct per__tls_conf **out, const struct per__tls_conf *old,
		      const per_tls_config *config, const struct per__tls_check *check)
{
	per_tls_config wanted = config != NULL ? *config : old->config;

	wanted.early_data_max = old->config.early_data_max;
	wanted.ticket_lifetime_s = old->config.ticket_lifetime_s;
	wanted.handshake_timeout_ms = old->config.handshake_timeout_ms;
	wanted.handshakes_max = old->config.handshakes_max;
	return per__tls_conf_new(out, &wanted, check->reason, check->cap);
}

/* Under the mutex. */
static int certs_replace(struct per_server *server, const per_tls_config *config,
			 const struct per__tls_check *check)
{
	struct per__certs *certs = server->tls;
	struct per__tls_conf *conf;
	struct per__tls_ctx **contexts;
	int err = conf_renew(&conf, certs->conf, config, check);

	if (err != 0)
		return err;
	err = contexts_build(server, conf, check, &contexts);
	if (err != 0) {
		per__tls_conf_free(conf);
		return err;
	}
	for (unsigned i = 0; i < server->conf.workers; i++) {
		struct per__worker *worker = server->workers[i];

		/* what an earlier reload has left and nobody has taken was used by nobody */
		per__tls_ctx_drop(atomic_exchange(&worker->tls_next, contexts[i]));
		per__mailbox_poke(&worker->mailbox, per__worker_wake, worker);
	}
	per__mem_free(contexts);
	per__tls_conf_free(certs->conf);
	certs->conf = conf;
	return 0;
}

int per_tls_reload(per_server *server, const per_tls_config *config, char *reason, size_t cap)
{
	char text[REASON_BYTES] = "";
	const struct per__tls_check check = { .log = &server->conf.log,
					      .wall_s = per__clock_wall_s(),
					      .is_strict = true,
					      .reason = text,
					      .cap = sizeof(text) };
	int err = PER_ESTATE;

	if (server->tls != NULL) {
		pthread_mutex_lock(&server->tls->mutex);
		err = certs_replace(server, config, &check);
		pthread_mutex_unlock(&server->tls->mutex);
	}
	if (err != 0 && text[0] == '\0')
		(void)snprintf(text, sizeof(text), "%s", per_strerror(err));
	if (reason != NULL && cap > 0)
		(void)snprintf(reason, cap, "%s", err != 0 ? text : "");
	return err;
}
