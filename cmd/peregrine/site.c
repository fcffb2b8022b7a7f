/* SPDX-License-Identifier: MIT */
/*
 * site.c - which answer a request gets: the health check, or that of the host it is for. Called on worker
 * threads.
 */
#include "site.h"

#include <stdlib.h>
#include <string.h>

#define TEXT PER_S("text/plain")

static unsigned roots_count(const struct config *config)
{
	unsigned count = 0;

	for (unsigned i = 0; i < config->hosts_count; i++)
		count += config->hosts[i].root != NULL ? 1 : 0;
	return count > 0 ? count : 1;
}

static bool site_make(struct site *site, struct logger *logger)
{
	const unsigned share = roots_count(site->config);

	site->hosts = calloc(site->config->hosts_count, sizeof(*site->hosts));
	if (!names_make(&site->names, site->config, false) ||
	    !names_make(&site->tls_names, site->config, true) || site->hosts == NULL) {
		logger_say(logger, PER_LOG_ERROR, "out of memory");
		return false;
	}
	site->is_asked_alike = true;
	for (unsigned i = 0; i < site->config->hosts_count; i++) {
		site->host_count++;
		if (config_client_auth(site->config, &site->config->hosts[i]) == CLIENT_AUTH_REQUIRED)
			site->needs_clients = true;
		if (!config_asks_alike(site->config, &site->config->hosts[0], &site->config->hosts[i]))
			site->is_asked_alike = false;
		if (!host_make(&site->hosts[i], site->config, &site->config->hosts[i], share, logger))
			return false;
	}
	return true;
}

struct site *site_new(const struct config *config, const struct welcome *welcome, struct logger *logger)
{
	struct site *site = calloc(1, sizeof(*site));

	if (site == NULL) {
		logger_say(logger, PER_LOG_ERROR, "out of memory");
		return NULL;
	}
	site->config = config;
	site->welcome = welcome;
	if (config->health[0] == '/')
		site->health = per_str_from(config->health);
	if (site_make(site, logger))
		return site;
	site_free(site);
	return NULL;
}

void site_free(struct site *site)
{
	if (site == NULL)
		return;
	for (unsigned i = 0; i < site->host_count; i++)
		host_free(&site->hosts[i]);
	names_free(&site->names);
	names_free(&site->tls_names);
	free(site->hosts);
	free(site);
}

/*
 * The name in the handshake has decided who was asked for a certificate, the Host field decides what is
 * served: a host must not be reached through another one that asks otherwise (RFC 9110 section 15.5.20).
 */
static bool is_misdirected(const struct site *site, const per_req *req, const struct config_host *asked)
{
	const bool is_required = config_client_auth(site->config, asked) == CLIENT_AUTH_REQUIRED;
	const struct config_host *met;
	per_tls_info info;

	if (per_req_tls(req, &info) != 0)
		return is_required && !asked->https_redirect;
	if (is_required && info.client != PER_TLS_CLIENT_VERIFIED) /* a connection from before a reload */
		return true;
	if (site->is_asked_alike)
		return false;
	met = &site->config->hosts[names_find(&site->tls_names, info.server_name)];
	return !config_asks_alike(site->config, asked, met);
}

static int health_answer(per_req *req)
{
	const per_method method = per_req_method(req);
	int err = per_header(req, PER_S("Cache-Control"), PER_S("no-store"));

	if (err != 0)
		return err;
	if (method == PER_METHOD_GET || method == PER_METHOD_HEAD)
		return per_reply(req, 200, TEXT, PER_S("ok\n"));
	err = per_header(req, PER_S("Allow"), PER_S("GET, HEAD"));
	return err != 0 ? err : per_reply(req, 405, TEXT, PER_S("Method Not Allowed\n"));
}

int site_answer(const struct site *site, per_req *req)
{
	const unsigned host = site->host_count > 1 ? names_find(&site->names, per_req_host(req)) : 0;

	if (site->health.ptr != NULL && per_str_equal(per_req_path(req), site->health))
		return health_answer(req);
	if ((site->needs_clients || !site->is_asked_alike) &&
	    is_misdirected(site, req, site->hosts[host].config))
		return per_reply(req, 421, TEXT, PER_S("Misdirected Request\n"));
	return host_answer(&site->hosts[host], req, site->welcome);
}
