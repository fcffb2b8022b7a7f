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
	per_tls_cert_info *infos; /* conf->config.cert_count of them */
};

/* What a configuration becomes. */
struct built {
	struct per__tls_ctx **contexts; /* one for each worker */
	per_tls_cert_info *infos;       /* one for each certificate */
};

/* --- building --------------------------------------------------------------------------------- */

static void built_drop(struct per_server *server, struct built *built)
{
	for (unsigned i = 0; i < server->conf.workers && built->contexts != NULL; i++)
		per__tls_ctx_drop(built->contexts[i]);
	per__mem_free(built->contexts);
	per__mem_free(built->infos);
}

/* Nothing is left behind after an error. */
static int build(struct per_server *server, const struct per__tls_conf *conf,
		 const struct per__tls_check *check, struct built *out)
{
	const per_tls_config *config = &conf->config;
	struct per__tls_store *store = NULL;
	int err = PER_ENOMEM;

	out->contexts = per__mem_alloc(server->conf.workers * sizeof(struct per__tls_ctx *));
	out->infos = per__mem_alloc(config->cert_count * sizeof(*out->infos));
	if (out->contexts != NULL && out->infos != NULL)
		err = per__tls_store_new(&store, conf, check);
	for (unsigned i = 0; i < server->conf.workers && err == 0; i++)
		err = per__tls_ctx_new(&out->contexts[i], conf, store, server->tls->tickets,
				       &server->workers[i]->loop.now_ns, check->reason, check->cap);
	for (size_t i = 0; i < config->cert_count && err == 0; i++)
		per__tls_cert_describe(&store->certs[i], &config->certs[i], &out->infos[i]);
	per__tls_store_drop(store); /* the contexts hold it */
	if (err != 0)
		built_drop(server, out);
	return err;
}

/* --- beginning and end ------------------------------------------------------------------------ */

static int certs_make(struct per_server *server, const per_tls_config *config, char *reason, size_t cap)
{
	struct per__certs *certs = server->tls;
	const struct per__tls_check check = {
		.log = &server->conf.log, .wall_s = per__clock_wall_s(), .reason = reason, .cap = cap
	};
	struct built built;
	int err = per__tls_conf_new(&certs->conf, config, reason, cap);

	if (err == 0)
		err = per__tls_tickets_new(&certs->tickets, certs->conf->config.ticket_lifetime_s,
					   per__clock_now_ns());
	if (err == 0)
		err = build(server, certs->conf, &check, &built);
	if (err != 0)
		return err;
	for (unsigned i = 0; i < server->conf.workers; i++)
		server->workers[i]->tls = built.contexts[i];
	per__mem_free(built.contexts);
	certs->infos = built.infos;
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
	per__mem_free(server->tls->infos);
	pthread_mutex_destroy(&server->tls->mutex);
	per__mem_free(server->tls);
	server->tls = NULL;
}

/* --- replacing -------------------------------------------------------------------------------- */

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
	struct built built;
	int err = conf_renew(&conf, certs->conf, config, check);

	if (err != 0)
		return err;
	err = build(server, conf, check, &built);
	if (err != 0) {
		per__tls_conf_free(conf);
		return err;
	}
	for (unsigned i = 0; i < server->conf.workers; i++) {
		struct per__worker *worker = server->workers[i];

		/* what an earlier reload has left and nobody has taken was used by nobody */
		per__tls_ctx_drop(atomic_exchange(&worker->tls_next, built.contexts[i]));
		per__mailbox_poke(&worker->mailbox, per__worker_wake, worker);
	}
	per__mem_free(built.contexts);
	per__mem_free(certs->infos);
	per__tls_conf_free(certs->conf);
	certs->conf = conf;
	certs->infos = built.infos;
	return 0;
}

/* Gives the caller the reason, in words in any case. */
static int reason_tell(int err, const char *text, char *reason, size_t cap)
{
	const char *words = err != 0 && text[0] == '\0' ? per_strerror(err) : text;

	if (reason != NULL && cap > 0)
		(void)snprintf(reason, cap, "%s", err != 0 ? words : "");
	return err;
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
	return reason_tell(err, text, reason, cap);
}

/* --- asking ----------------------------------------------------------------------------------- */

int per_tls_check(const per_tls_config *config, char *reason, size_t cap)
{
	char text[REASON_BYTES] = "";
	const struct per__log silent = { 0 };
	const struct per__tls_check check = { .log = &silent,
					      .wall_s = per__clock_wall_s(),
					      .is_strict = true,
					      .reason = text,
					      .cap = sizeof(text) };
	struct per__tls_conf *conf = NULL;
	struct per__tls_tickets *tickets = NULL;
	struct per__tls_store *store = NULL;
	struct per__tls_ctx *context = NULL;
	int64_t now_ns = per__clock_now_ns();
	int err = config != NULL ? per__tls_conf_new(&conf, config, text, sizeof(text)) : PER_EINVAL;

	if (err == 0)
		err = per__tls_tickets_new(&tickets, conf->config.ticket_lifetime_s, now_ns);
	if (err == 0)
		err = per__tls_store_new(&store, conf, &check);
	if (err == 0)
		err = per__tls_ctx_new(&context, conf, store, tickets, &now_ns, text, sizeof(text));
	per__tls_ctx_drop(context);
	per__tls_store_drop(store);
	per__tls_tickets_free(tickets);
	per__tls_conf_free(conf);
	return reason_tell(err, text, reason, cap);
}

int per_tls_cert_at(per_server *server, size_t index, per_tls_cert_info *out)
{
	int err = PER_EINVAL;

	if (server->tls == NULL)
		return PER_EINVAL;
	pthread_mutex_lock(&server->tls->mutex);
	if (index < server->tls->conf->config.cert_count) {
		*out = server->tls->infos[index];
		err = 0;
	}
	pthread_mutex_unlock(&server->tls->mutex);
	return err;
}
