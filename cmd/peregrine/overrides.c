/* SPDX-License-Identifier: MIT */
/*
 * overrides.c - from the command line to a configuration: the file that it names, or a small built-in one,
 * with what the options say laid over it. Called at the start and at every reload.
 */
#include "options.h"
#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_BYTES_MAX 400u

/* What is served without --config. */
static const char bare_text[] = "hosts:\n  - root: .\n    autoindex: true\n";
static const char welcome_text[] = "hosts:\n  - welcome: true\n";

/* Does it fit into a port? The address is checked with the others, but in other words. */
static bool port_check(const char *port, struct complaints *complaints)
{
	uint64_t number;

	if (unit_parse(UNIT_COUNT, port, &number) && number <= UINT16_MAX)
		return true;
	complain(complaints, "listen", "\"%.100s\": expected 0 to 65535", port);
	return false;
}

/* A path of the command line begins where the program was started, not beside the file. */
static bool path_set(char **text, const char *path)
{
	char folder[PATH_MAX];
	char full[2 * PATH_MAX];

	if (path[0] == '/' || strcmp(path, "-") == 0)
		return config_set(text, path);
	if (realpath(".", folder) == NULL)
		return false;
	snprintf(full, sizeof(full), "%s/%.4000s", strcmp(folder, "/") == 0 ? "" : folder, path);
	return config_set(text, full);
}

static bool listen_set(struct config *config, const char *const *addresses, unsigned count, bool is_tls)
{
	struct config_listen *listen = calloc(count, sizeof(*listen));

	if (listen == NULL)
		return false;
	for (unsigned i = 0; i < config->listen_count; i++) {
		free(config->listen[i].address);
		free(config->listen[i].backlog);
		free(config->listen[i].unix_mode);
	}
	free(config->listen);
	config->listen = listen;
	config->listen_count = count;
	for (unsigned i = 0; i < count; i++) {
		listen[i].tls = is_tls;
		if (!config_set(&listen[i].address, addresses[i]))
			return false;
	}
	return true;
}

/* Host and port as one address. */
static bool listen_compose(const struct options *options, struct config *config,
			   struct complaints *complaints)
{
	const char *host = options->host != NULL ? options->host : "*";
	const bool is_bare_v6 = strchr(host, ':') != NULL && host[0] != '[';
	const char *port = options->port != NULL ? options->port : "3000";
	char address[ADDRESS_BYTES_MAX];
	const char *list[1] = { address };

	if (!port_check(port, complaints))
		return true;
	snprintf(address, sizeof(address), is_bare_v6 ? "[%.300s]:%s" : "%.300s:%s", host, port);
	return listen_set(config, list, 1, options->tls_cert != NULL);
}

/* Every socket that systemd has passed, when nothing says which. */
static bool listen_take(const struct activation *activation, struct config *config, bool is_tls)
{
	char texts[ACTIVATION_MAX][32];
	const char *list[ACTIVATION_MAX];

	for (unsigned i = 0; i < activation->count; i++) {
		snprintf(texts[i], sizeof(texts[i]), "systemd:%u", i);
		list[i] = texts[i];
	}
	return listen_set(config, list, activation->count, is_tls);
}

static bool override_listen(const struct options *options, const struct activation *activation,
			    struct config *config, struct complaints *complaints)
{
	if (options->listen_count > 0)
		return listen_set(config, options->listen, options->listen_count, options->tls_cert != NULL);
	if (options->host != NULL || options->port != NULL)
		return listen_compose(options, config, complaints);
	if (config->listen_count > 0)
		return true;
	if (activation->count > 0)
		return listen_take(activation, config, options->tls_cert != NULL);
	return options->config != NULL || listen_compose(options, config, complaints);
}

static bool override_backend(const char *name, struct config *config, struct complaints *complaints)
{
	static const char *const names[] = { "auto", "io_uring", "epoll", "kqueue" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			config->engine.backend = (per_backend)i;
			return true;
		}
	}
	complain(complaints, "engine.backend", "\"%.100s\": expected auto, io_uring, epoll or kqueue", name);
	return true;
}

/* USER or USER:GROUP. */
static bool override_user(const char *text, struct config *config)
{
	const char *colon = strchr(text, ':');
	char user[256];

	if (colon == NULL) {
		free(config->group);
		config->group = NULL;
		return config_set(&config->user, text);
	}
	snprintf(user, sizeof(user), "%.*s", (int)(colon - text), text);
	return config_set(&config->user, user) && config_set(&config->group, colon + 1);
}

/* Is there a key beside the certificate? Yes also where the file cannot be read: that is said elsewhere. */
static bool has_key(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[256];
	bool has_key = file == NULL;

	while (!has_key && fgets(line, sizeof(line), file) != NULL)
		has_key = strstr(line, "PRIVATE KEY-----") != NULL;
	if (file != NULL)
		fclose(file);
	return has_key;
}

static bool override_certificate(const struct options *options, struct config_host *host)
{
	host->certificates = calloc(1, sizeof(*host->certificates));
	if (host->certificates == NULL)
		return false;
	host->certificates_count = 1;
	return path_set(&host->certificates[0].cert, options->tls_cert) &&
	       path_set(&host->certificates[0].key,
			options->tls_key != NULL ? options->tls_key : options->tls_cert);
}

static bool override_log(const struct options *options, struct config *config)
{
	if (!options->is_quiet && !options->is_verbose)
		return true;
	if (config->log.level == NULL)
		config->log.level = malloc(sizeof(*config->log.level));
	if (config->log.level == NULL)
		return false;
	*config->log.level = options->is_quiet ? PER_LOG_ERROR : PER_LOG_INFO;
	return true;
}

static void blame(const struct options *options, struct complaints *complaints)
{
	const struct {
		const char *value, *path, *option;
	} given[] = {
		{ options->root, "hosts[0].root", "DIRECTORY" },
		{ options->tls_key, "hosts[0].certificates[0].key", "--tls-key" },
		{ options->tls_cert, "hosts[0].certificates", "--tls-cert" },
		{ options->backend, "engine.backend", "--backend" },
		{ options->workers, "engine.workers", "--workers" },
		{ options->accept_threads, "engine.accept_threads", "--accept-threads" },
		{ options->access_log, "access_log.path", "--access-log" },
		{ options->metrics, "metrics.address", "--metrics" },
		{ options->user, "user", "--user" },
		{ options->user, "group", "--user" },
		{ options->listen[0], "listen", "--listen" },
		{ options->host, "listen", options->port != NULL ? "--host, --port" : "--host" },
		{ options->port, "listen", "--port" },
	};

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		if (given[i].value != NULL)
			complaints_blame(complaints, given[i].path, given[i].option);
	}
}

/* Returns false when out of memory. */
static bool override(const struct options *options, const struct activation *activation,
		     struct config *config, struct complaints *complaints)
{
	bool is_good =
		override_listen(options, activation, config, complaints) && override_log(options, config);

	if (options->root != NULL)
		is_good = is_good && path_set(&config->hosts[0].root, options->root);
	if (options->tls_cert != NULL && options->tls_key == NULL && !has_key(options->tls_cert))
		complain(complaints, "hosts[0].certificates",
			 "\"%.200s\": holds no key; give it with --tls-key", options->tls_cert);
	if (options->tls_cert != NULL)
		is_good = is_good && override_certificate(options, &config->hosts[0]);
	if (options->backend != NULL)
		is_good = is_good && override_backend(options->backend, config, complaints);
	if (options->workers != NULL)
		is_good = is_good && config_set(&config->engine.workers, options->workers);
	if (options->accept_threads != NULL)
		is_good = is_good && config_set(&config->engine.accept_threads, options->accept_threads);
	if (options->access_log != NULL)
		is_good = is_good && path_set(&config->access_log.path, options->access_log);
	if (options->metrics != NULL)
		is_good = is_good && config_set(&config->metrics.address, options->metrics);
	if (options->user != NULL)
		is_good = is_good && override_user(options->user, config);
	config->engine.pin = config->engine.pin || options->is_pinned;
	return is_good;
}

/* Where relative paths begin: beside the file, or where the program was started. */
static bool folder_find(const char *file, char folder[PATH_MAX])
{
	char *slash;

	if (realpath(file != NULL ? file : ".", folder) == NULL)
		return false;
	if (file == NULL)
		return true;
	slash = strrchr(folder, '/');
	slash[slash == folder ? 1 : 0] = '\0';
	return true;
}

struct config *options_config(const struct options *options, const struct activation *activation,
			      struct complaints *complaints)
{
	const char *text = options->config != NULL ? NULL : options->is_welcome ? welcome_text : bare_text;
	struct config *config =
		config_load(options->config != NULL ? options->config : "peregrine", text, complaints);
	char folder[PATH_MAX];

	if (config == NULL)
		return NULL;
	if (text != NULL)
		complaints_end(complaints); /* nobody has seen that text, nor its lines */
	blame(options, complaints);
	if (!folder_find(options->config, folder)) {
		complain_at(complaints, 0, "", "cannot find its folder: %s", strerror(errno));
	} else if (!override(options, activation, config, complaints) || !config_complete(config, folder)) {
		complain_at(complaints, 0, "", "out of memory");
	} else if (config_check(config, complaints) && complaints->count == 0 &&
		   (options->action != ACTION_CHECK || config_check_tls(config, complaints))) {
		return config;
	}
	config_free(config);
	return NULL;
}
