/* SPDX-License-Identifier: MIT */
/*
 * conf.c - copies and checks a per_tls_config. Opens no file and knows nothing of OpenSSL. Called when a
 * server is made and when it reloads.
 */
#include "tls/conf.h"

#include "base/mem.h"
#include <stdio.h>

#define GROUPS_DEFAULT "X25519:P-256:P-384"
#define CIPHERS12_DEFAULT "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK"
#define CLIENT_DEPTH_DEFAULT 4u
#define CLIENT_DEPTH_MAX 32u
#define TICKETS_DEFAULT 1u /* each costs a twelfth of a full handshake, and 300 bytes */
#define LIFETIME_S_DEFAULT 43200u

static bool copy(const char **str)
{
	const char *from = *str;

	*str = per__mem_strdup(from);
	return from == NULL || *str != NULL;
}

static int config_copy(struct per__tls_conf *conf)
{
	per_tls_config *config = &conf->config;
	bool is_copied = copy(&config->ciphersuites);

	is_copied = copy(&config->ciphers12) && is_copied;
	is_copied = copy(&config->groups) && is_copied;
	is_copied = copy(&config->client_ca_file) && is_copied;
	return is_copied ? 0 : PER_ENOMEM;
}

static int certs_copy(struct per__tls_conf *conf, const per_tls_cert *from, size_t cnt)
{
	conf->certs = per__mem_alloc(cnt * sizeof(*conf->certs));
	conf->config.certs = conf->certs;
	if (conf->certs == NULL)
		return PER_ENOMEM;
	for (size_t i = 0; i < cnt; i++) {
		per_tls_cert *cert = &conf->certs[i];
		bool is_copied;

		*cert = from[i];
		conf->config.cert_count = i + 1;
		is_copied = copy(&cert->cert_file);
		is_copied = copy(&cert->key_file) && is_copied;
		is_copied = copy(&cert->names) && is_copied;
		is_copied = copy(&cert->client_ca_file) && is_copied;
		if (!is_copied)
			return PER_ENOMEM;
	}
	return 0;
}

static void text_default(const char **str, const char *fallback)
{
	if (*str == NULL)
		*str = fallback;
}

static void number_default(unsigned *number, unsigned fallback)
{
	if (*number == 0)
		*number = fallback;
}

/* Before the copies are made: they copy the defaults too. */
static void config_default(per_tls_config *config)
{
	text_default(&config->groups, GROUPS_DEFAULT);
	text_default(&config->ciphers12, CIPHERS12_DEFAULT);
	number_default(&config->client_depth, CLIENT_DEPTH_DEFAULT);
	number_default(&config->ticket_count, TICKETS_DEFAULT);
	number_default(&config->ticket_lifetime_s, LIFETIME_S_DEFAULT);
	if (config->client_auth == PER_TLS_CLIENT_DEFAULT)
		config->client_auth = PER_TLS_CLIENT_OFF;
}

static int config_check(const per_tls_config *config, char *reason, size_t cap)
{
	if (config->certs == NULL || config->cert_count == 0)
		(void)snprintf(reason, cap, "there is no certificate");
	else if (config->cert_count > PER__TLS_CERTS_MAX)
		(void)snprintf(reason, cap, "%zu certificates; at most %u are possible", config->cert_count,
			       PER__TLS_CERTS_MAX);
	else if ((unsigned)config->client_auth > PER_TLS_CLIENT_REQUIRED)
		(void)snprintf(reason, cap, "client_auth is %d, which means nothing",
			       (int)config->client_auth);
	else if (config->client_depth > CLIENT_DEPTH_MAX)
		(void)snprintf(reason, cap, "client_depth is %u; it has to be from 1 to %u",
			       config->client_depth, CLIENT_DEPTH_MAX);
	else if (config->ticket_count > PER__TLS_TICKETS_MAX)
		(void)snprintf(reason, cap, "ticket_count is %u; it has to be from 1 to %u",
			       config->ticket_count, PER__TLS_TICKETS_MAX);
	else if (config->ticket_lifetime_s > PER__TLS_LIFETIME_S_MAX)
		(void)snprintf(reason, cap, "ticket_lifetime_s is %u; it has to be from 1 to %u",
			       config->ticket_lifetime_s, PER__TLS_LIFETIME_S_MAX);
	else
		return 0;
	return PER_EINVAL;
}

/* Fills in what a certificate takes from the whole. */
static int cert_finish(const struct per__tls_conf *conf, per_tls_cert *cert, size_t index, char *reason,
		       size_t cap)
{
	const char *ca = cert->client_ca_file != NULL ? cert->client_ca_file : conf->config.client_ca_file;

	if (cert->cert_file == NULL || cert->cert_file[0] == '\0') {
		(void)snprintf(reason, cap, "certificate %zu has no cert_file", index + 1);
		return PER_EINVAL;
	}
	if (cert->client_auth == PER_TLS_CLIENT_DEFAULT)
		cert->client_auth = conf->config.client_auth;
	if ((unsigned)cert->client_auth > PER_TLS_CLIENT_REQUIRED) {
		(void)snprintf(reason, cap, "%s: client_auth is %d, which means nothing", cert->cert_file,
			       (int)cert->client_auth);
		return PER_EINVAL;
	}
	if (cert->client_auth != PER_TLS_CLIENT_OFF && ca == NULL) {
		(void)snprintf(reason, cap,
			       "%s: clients are asked for certificates, but there is no client_ca_file",
			       cert->cert_file);
		return PER_EINVAL;
	}
	return 0;
}

int per__tls_conf_new(struct per__tls_conf **out, const per_tls_config *config, char *reason, size_t cap)
{
	struct per__tls_conf *conf = per__mem_alloc(sizeof(*conf));
	int err;

	*out = NULL;
	(void)snprintf(reason, cap, "%s", per_strerror(PER_ENOMEM));
	if (conf == NULL)
		return PER_ENOMEM;
	conf->config = *config;
	conf->config.certs = NULL;
	conf->config.cert_count = 0;
	config_default(&conf->config);
	err = config_copy(conf); /* from here on all pointers are ours */
	if (err == 0) {
		per_tls_config whole = conf->config;

		whole.certs = config->certs;
		whole.cert_count = config->cert_count;
		err = config_check(&whole, reason, cap);
	}
	if (err == 0)
		err = certs_copy(conf, config->certs, config->cert_count);
	for (size_t i = 0; i < conf->config.cert_count && err == 0; i++)
		err = cert_finish(conf, &conf->certs[i], i, reason, cap);
	if (err != 0) {
		per__tls_conf_free(conf);
		return err;
	}
	*out = conf;
	return 0;
}

void per__tls_conf_free(struct per__tls_conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf->config.cert_count; i++) {
		per__mem_free((char *)conf->certs[i].cert_file);
		per__mem_free((char *)conf->certs[i].key_file);
		per__mem_free((char *)conf->certs[i].names);
		per__mem_free((char *)conf->certs[i].client_ca_file);
	}
	per__mem_free(conf->certs);
	per__mem_free((char *)conf->config.ciphersuites);
	per__mem_free((char *)conf->config.ciphers12);
	per__mem_free((char *)conf->config.groups);
	per__mem_free((char *)conf->config.client_ca_file);
	per__mem_free(conf);
}
