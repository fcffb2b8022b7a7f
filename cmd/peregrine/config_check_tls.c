/* SPDX-License-Identifier: MIT */
/*
 * config_check_tls.c - are certificates and keys what they should be: for --check. A server that starts, or
 * reloads, finds it out by itself.
 */
#include "config_check.h"
#include "engine.h"

#include <string.h>

#define REASON_BYTES_MAX 1024u

/* One certificate alone. */
static void check_one(const struct config *config, unsigned i, unsigned k, struct complaints *complaints)
{
	const struct config_certificate *certificate = &config->hosts[i].certificates[k];
	const per_tls_cert cert = { .cert_file = certificate->cert, .key_file = certificate->key };
	const per_tls_config alone = { .certs = &cert, .cert_count = 1 };
	char reason[REASON_BYTES_MAX] = "";
	char path[CHECK_PATH_MAX];

	check_path(path, "hosts[%u].certificates[%u]", i, k);
	if (per_tls_check(&alone, reason, sizeof(reason)) != 0)
		complain(complaints, path, "%.400s", reason);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What the library says about all of them together begins with the name of a setting, or of a file. */
static void complain_about_all(const struct config *config, const char *reason, struct complaints *complaints)
{
	static const char *const keys[] = { "ciphersuites: ", "ciphers12: ", "groups: " };
	char path[CHECK_PATH_MAX] = "tls";

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (begins(reason, keys[i])) {
			check_path(path, "tls.%.*s", (int)strlen(keys[i]) - 2, keys[i]);
			reason += strlen(keys[i]);
			break;
		}
	}
	if (config->tls.client_ca != NULL && begins(reason, config->tls.client_ca))
		check_path(path, "tls.client_ca");
	for (unsigned i = 0; i < config->hosts_count; i++) {
		if (config->hosts[i].client_ca != NULL && begins(reason, config->hosts[i].client_ca))
			check_path(path, "hosts[%u].client_ca", i);
	}
	complain(complaints, path, "%.400s", reason);
}

bool config_check_tls(const struct config *config, struct complaints *complaints)
{
	const unsigned before = complaints->count;
	char reason[REASON_BYTES_MAX] = "";
	struct engine engine;
	int err = PER_ENOMEM;

	if (engine_make_tls(&engine, config))
		err = engine.config.tls != NULL ? per_tls_check(engine.config.tls, reason, sizeof(reason))
						: 0;
	engine_free(&engine);
	if (err == 0)
		return true;
	/* which one is it? */
	for (unsigned i = 0; i < config->hosts_count; i++) {
		for (unsigned k = 0; k < config->hosts[i].certificates_count; k++)
			check_one(config, i, k, complaints);
	}
	if (complaints->count == before)
		complain_about_all(config, reason[0] != '\0' ? reason : per_strerror(err), complaints);
	return false;
}
