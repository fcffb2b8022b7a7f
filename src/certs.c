/* SPDX-License-Identifier: MIT */
/*
 * certs.c - the certificates of a server: made before the first connection, given to each worker.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "server.h"
#include "tls/conf.h"
#include "tls/context.h"
#include "tls/tickets.h"

#define REASON_BYTES 512u

struct per__certs {
	struct per__tls_conf *conf;
	struct per__tls_tickets *tickets;
};

static int workers_fill(struct per_server *server, char *reason, size_t cap)
{
	struct per__certs *certs = server->tls;
	int err = 0;

	for (unsigned i = 0; i < server->conf.workers && err == 0; i++) {
		struct per__worker *worker = server->workers[i];

		err = per__tls_ctx_new(&worker->tls, certs->conf, certs->tickets, &worker->loop.now_ns,
				       reason, cap);
	}
	return err;
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
	err = per__tls_conf_new(&server->tls->conf, config->tls, reason, sizeof(reason));
	if (err == 0)
		err = per__tls_tickets_new(&server->tls->tickets, server->tls->conf->config.ticket_lifetime_s,
					   per__clock_now_ns());
	if (err == 0)
		err = workers_fill(server, reason, sizeof(reason));
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
		if (server->workers[i] != NULL)
			per__tls_ctx_drop(server->workers[i]->tls);
	}
	per__tls_tickets_free(server->tls->tickets);
	per__tls_conf_free(server->tls->conf);
	per__mem_free(server->tls);
	server->tls = NULL;
}
