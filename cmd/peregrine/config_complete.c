/* SPDX-License-Identifier: MIT */
/*
 * config_complete.c - what was left out gets its default, names of hosts become lower case, relative paths
 * absolute: what --dump-config shows. Called after loading.
 */
#include "config.h"
#include "settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool text_default(char **text, const char *fallback)
{
	return *text != NULL || config_set(text, fallback);
}

static bool bool_default(bool **flag, bool fallback)
{
	if (*flag != NULL)
		return true;
	*flag = malloc(sizeof(**flag));
	if (*flag == NULL)
		return false;
	**flag = fallback;
	return true;
}

/* NULL stays. */
static bool path_complete(char **path, const char *folder)
{
	const char *rest = *path;
	size_t bytes;
	char *full;

	if (rest == NULL || rest[0] == '/' || strcmp(rest, "-") == 0)
		return true;
	while (rest[0] == '.' && rest[1] == '/')
		rest += 2;
	if (strcmp(rest, ".") == 0 || rest[0] == '\0')
		return config_set(path, folder);
	bytes = strlen(folder) + strlen(rest) + 2;
	full = malloc(bytes);
	if (full == NULL)
		return false;
	snprintf(full, bytes, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, rest);
	free(*path);
	*path = full;
	return true;
}

static bool listen_complete(struct config *config)
{
	bool is_good = true;

	if (config->listen_count == 0) {
		free(config->listen);
		config->listen = calloc(1, sizeof(*config->listen));
		if (config->listen == NULL)
			return false;
		config->listen_count = 1;
		is_good = config_set(&config->listen[0].address, "*:3000");
	}
	for (unsigned i = 0; i < config->listen_count; i++) {
		is_good = is_good && text_default(&config->listen[i].backlog, "4096");
		is_good = is_good && text_default(&config->listen[i].unix_mode, "0666");
	}
	return is_good;
}

static bool index_complete(struct config_host *host)
{
	if (host->index_count > 0)
		return true;
	free(host->index);
	host->index = calloc(1, sizeof(*host->index));
	if (host->index == NULL)
		return false;
	host->index_count = 1;
	return config_set(&host->index[0], "index.html");
}

static void lower(char *text)
{
	for (; *text != '\0'; text++)
		*text = (char)tolower((unsigned char)*text);
}

static bool redirects_complete(struct config_host *host)
{
	bool is_good = true;

	for (unsigned i = 0; i < host->redirects_count; i++) {
		struct config_redirect *redirect = &host->redirects[i];

		if (redirect->status == 0)
			redirect->status = 301;
		is_good = is_good && bool_default(&redirect->keep_query, true);
	}
	return is_good;
}

static bool host_complete(struct config_host *host, const char *folder)
{
	bool is_good = path_complete(&host->root, folder) && index_complete(host) && redirects_complete(host);

	for (unsigned i = 0; i < host->names_count; i++)
		lower(host->names[i]);
	for (unsigned i = 0; i < host->certificates_count; i++) {
		is_good = is_good && path_complete(&host->certificates[i].cert, folder);
		is_good = is_good && path_complete(&host->certificates[i].key, folder);
	}
	is_good = is_good && bool_default(&host->precompressed, true) &&
		  path_complete(&host->client_ca, folder);
	if (host->hsts != NULL)
		is_good = is_good && text_default(&host->hsts->max_age, "365d");
	return is_good && text_default(&host->https_port, "443");
}

static bool logs_complete(struct config *config, const char *folder)
{
	if (config->log.level == NULL) {
		config->log.level = malloc(sizeof(*config->log.level));
		if (config->log.level == NULL)
			return false;
		*config->log.level = PER_LOG_WARN;
	}
	return text_default(&config->log.path, "-") && path_complete(&config->log.path, folder) &&
	       path_complete(&config->access_log.path, folder) &&
	       text_default(&config->access_log.buffer, "1MiB");
}

bool config_complete(struct config *config, const char *folder)
{
	bool is_good = settings_complete(config) && listen_complete(config) && logs_complete(config, folder);

	is_good = is_good && text_default(&config->health, "/healthz");
	is_good = is_good && bool_default(&config->tls.tickets, true) &&
		  path_complete(&config->tls.client_ca, folder);
	is_good = is_good && text_default(&config->files.default_type, "application/octet-stream");
	for (unsigned i = 0; i < config->hosts_count; i++)
		is_good = is_good && host_complete(&config->hosts[i], folder);
	return is_good;
}

enum config_client_auth config_client_auth(const struct config *config, const struct config_host *host)
{
	const enum config_client_auth auth =
		host->client_auth != CLIENT_AUTH_DEFAULT ? host->client_auth : config->tls.client_auth;

	return auth != CLIENT_AUTH_DEFAULT ? auth : CLIENT_AUTH_OFF;
}

bool config_asks_alike(const struct config *config, const struct config_host *a, const struct config_host *b)
{
	const enum config_client_auth auth = config_client_auth(config, a);
	const char *ca_a = a->client_ca != NULL ? a->client_ca : config->tls.client_ca;
	const char *ca_b = b->client_ca != NULL ? b->client_ca : config->tls.client_ca;

	if (auth != config_client_auth(config, b))
		return false;
	return auth == CLIENT_AUTH_OFF || ca_a == ca_b ||
	       (ca_a != NULL && ca_b != NULL && strcmp(ca_a, ca_b) == 0);
}
