/* SPDX-License-Identifier: MIT */
/*
 * config_check_tls.c - are certificates and keys what they should be: for --check. A server that starts, or
 * reloads, finds it out by itself.
 */
#include "config_check.h"
#include "engine.h"

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
		complain(complaints, "tls", "%.400s", reason[0] != '\0' ? reason : per_strerror(err));
	return false;
}
