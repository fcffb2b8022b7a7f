/* SPDX-License-Identifier: MIT */
/*
 * engine.c - from a configuration to a per_config and a per_tls_config. Called by program.c at the start,
 * and by reload.c for what a server that runs can take.
 */
#include "engine.h"

#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- listeners -------------------------------------------------------------------------------- */

static bool listen_fill(struct engine *engine, unsigned i, const struct config_listen *listen,
			const struct activation *activation, struct logger *logger)
{
	per_listen *out = &engine->listen[i];
	int fd;

	*out = (per_listen){
		.address = listen->address,
		.flags = (listen->tls ? PER_LISTEN_TLS : 0u) | (listen->proxy ? PER_LISTEN_PROXY : 0u) |
			 (listen->v6only ? PER_LISTEN_V6ONLY : 0u),
		.backlog = (int)range_number(&range_backlog, listen->backlog),
		.unix_mode = (unsigned)range_number(&range_unix_mode, listen->unix_mode),
	};
	if (strncmp(listen->address, "systemd:", 8) != 0)
		return true;
	fd = activation_find(activation, listen->address + 8);
	if (fd < 0) {
		logger_say(logger, PER_LOG_ERROR, "%s: no such socket was passed to this process",
			   listen->address);
		return false;
	}
	snprintf(engine->fds[i], sizeof(engine->fds[i]), "fd:%d", fd);
	out->address = engine->fds[i];
	return true;
}

/* Texts as one, with commas; NULL when out of memory. */
static char *join(char *const *list, unsigned count)
{
	size_t bytes = 1, len = 0;
	char *out;

	for (unsigned i = 0; i < count; i++)
		bytes += strlen(list[i]) + 2;
	out = malloc(bytes);
	if (out == NULL)
		return NULL;
	out[0] = '\0';
	for (unsigned i = 0; i < count; i++)
		len += (size_t)snprintf(out + len, bytes - len, "%s%s", i > 0 ? ", " : "", list[i]);
	return out;
}

static bool listeners_make(struct engine *engine, const struct config *config,
			   const struct activation *activation, struct logger *logger)
{
	for (unsigned i = 0; i < config->listen_count; i++) {
		if (!listen_fill(engine, i, &config->listen[i], activation, logger))
			return false;
	}
	engine->config.listen = engine->listen;
	engine->config.listen_count = config->listen_count;
	return true;
}

static bool proxies_make(struct engine *engine, const struct config *config)
{
	if (config->proxy_trusted_count == 0)
		return true;
	engine->proxies = join(config->proxy_trusted, config->proxy_trusted_count);
	engine->config.proxy_trusted = engine->proxies;
	return engine->proxies != NULL;
}

/* --- TLS -------------------------------------------------------------------------------------- */

static bool cert_add(struct engine *engine, const struct config_host *host, unsigned k)
{
	const size_t i = engine->tls.cert_count;

	if (host->names_count > 0) {
		engine->cert_names[i] = join(host->names, host->names_count);
		if (engine->cert_names[i] == NULL)
			return false;
	}
	engine->tls.cert_count++;
	engine->certs[i] = (per_tls_cert){
		.cert_file = host->certificates[k].cert,
		.key_file = host->certificates[k].key,
		.names = engine->cert_names[i],
		.client_auth = (per_tls_client_auth)host->client_auth,
		.client_ca_file = host->client_ca,
	};
	return true;
}

/*
 * The first certificate is for clients that name nobody: that of the host without names, else of the first
 * host.
 */
static bool certs_fill(struct engine *engine, const struct config *config)
{
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < config->hosts_count; i++) {
			const struct config_host *host = &config->hosts[i];

			for (unsigned k = 0; k < host->certificates_count; k++) {
				if ((host->names_count == 0) == (pass == 0) && !cert_add(engine, host, k))
					return false;
			}
		}
	}
	return true;
}

static unsigned certificates_count(const struct config *config)
{
	unsigned count = 0;

	for (unsigned i = 0; i < config->hosts_count; i++)
		count += config->hosts[i].certificates_count;
	return count;
}

static bool tls_make(struct engine *engine, const struct config *config)
{
	const struct config_tls *tls = &config->tls;
	const size_t count = certificates_count(config);

	if (count == 0)
		return true;
	engine->tls = (per_tls_config){
		.strict_sni = tls->strict_sni,
		.tls12 = tls->tls12,
		.ciphersuites = tls->ciphersuites,
		.ciphers12 = tls->ciphers12,
		.groups = tls->groups,
		.client_auth = (per_tls_client_auth)tls->client_auth,
		.client_ca_file = tls->client_ca,
		.client_depth = (unsigned)settings_number(config, NUMBER_CLIENT_DEPTH),
		.tickets_off = !*tls->tickets,
		.ticket_count = (unsigned)settings_number(config, NUMBER_TICKET_COUNT),
		.ticket_lifetime_s = (unsigned)(settings_number(config, NUMBER_TICKET_LIFETIME) / 1000),
		.early_data_max = (unsigned)settings_number(config, NUMBER_EARLY_DATA),
		.handshake_timeout_ms = (unsigned)settings_number(config, NUMBER_HANDSHAKE_TIMEOUT),
		.handshakes_max = (unsigned)settings_number(config, NUMBER_HANDSHAKES),
	};
	engine->certs = calloc(count, sizeof(*engine->certs));
	engine->cert_names = calloc(count, sizeof(*engine->cert_names));
	if (engine->certs == NULL || engine->cert_names == NULL || !certs_fill(engine, config))
		return false;
	engine->tls.certs = engine->certs;
	engine->config.tls = &engine->tls;
	return true;
}

/* --- all of it -------------------------------------------------------------------------------- */

bool engine_make(struct engine *engine, const struct config *config, const struct activation *activation,
		 struct logger *logger)
{
	*engine = (struct engine){ .config = {
					   .backend = config->engine.backend,
					   .pin = config->engine.pin,
					   .server_name = config->server_name,
				   } };
	settings_apply(config, &engine->config);
	if (!listeners_make(engine, config, activation, logger))
		return false;
	if (proxies_make(engine, config) && tls_make(engine, config))
		return true;
	logger_say(logger, PER_LOG_ERROR, "out of memory");
	return false;
}

bool engine_make_again(struct engine *engine, const struct config *config)
{
	*engine = (struct engine){ .certs = NULL };
	settings_apply(config, &engine->config);
	return proxies_make(engine, config) && tls_make(engine, config);
}

bool engine_make_tls(struct engine *engine, const struct config *config)
{
	*engine = (struct engine){ .certs = NULL };
	return tls_make(engine, config);
}

void engine_free(struct engine *engine)
{
	for (size_t i = 0; i < engine->tls.cert_count; i++)
		free(engine->cert_names[i]);
	free(engine->cert_names);
	free(engine->certs);
	free(engine->proxies);
}

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_same_listen(const struct config *a, const struct config *b)
{
	if (a->listen_count != b->listen_count)
		return false;
	for (unsigned i = 0; i < a->listen_count; i++) {
		const struct config_listen *x = &a->listen[i], *y = &b->listen[i];

		if (!is_same(x->address, y->address) || x->tls != y->tls || x->proxy != y->proxy ||
		    x->v6only != y->v6only || !is_same(x->backlog, y->backlog) ||
		    !is_same(x->unix_mode, y->unix_mode))
			return false;
	}
	return true;
}

/* What per_tls_reload() and per_server_reload() leave as it was. */
static void compare_tls(const struct config *a, const struct config *b,
			void (*fn)(const char *what, void *user), void *user)
{
	static const struct {
		enum number number;
		const char *what;
	} fixed[] = {
		{ NUMBER_TICKET_LIFETIME, "tls.ticket_lifetime" },
		{ NUMBER_EARLY_DATA, "tls.early_data" },
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (settings_number(a, fixed[i].number) != settings_number(b, fixed[i].number))
			fn(fixed[i].what, user);
	}
	if ((certificates_count(a) == 0) != (certificates_count(b) == 0))
		fn(certificates_count(a) == 0 ? "the first certificate" : "no certificate any more", user);
}

void engine_compare(const struct config *a, const struct config *b, void (*fn)(const char *what, void *user),
		    void *user)
{
	if (!is_same_listen(a, b))
		fn("listen", user);
	if (!is_same(a->server_name, b->server_name))
		fn("server_name", user);
	if (!is_same(a->user, b->user))
		fn("user", user);
	if (!is_same(a->group, b->group))
		fn("group", user);
	if (a->engine.backend != b->engine.backend)
		fn("engine.backend", user);
	if (a->engine.pin != b->engine.pin)
		fn("engine.pin", user);
	settings_compare(a, b, fn, user);
	compare_tls(a, b, fn, user);
	if (!is_same(a->metrics.address, b->metrics.address))
		fn("metrics.address", user);
}
