/* SPDX-License-Identifier: MIT */
/*
 * store.c - from a list of certificates to hosts: reads each file once, finds out whose names they are, and
 * joins those that stand for the same name. Called by certs.c.
 */
#include "tls/store.h"

#include "base/mem.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <string.h>

#define HOSTS_FIRST 16u
#define SECURITY_LEVEL 2 /* of OpenSSL: 112 bits, no SHA-1 */

/* While a store is made. */
struct making {
	struct per__tls_store *store;
	const struct per__tls_check *check;
	const per_tls_cert *conf; /* the certificate in hand */
	size_t index;
	uint32_t realm;
	size_t name_cnt;                        /* that it stands for */
	char first_name[PER__TLS_NAME_MAX + 1]; /* of the first certificate; empty: it has none */
};

/* --- realms ----------------------------------------------------------------------------------- */

static int realm_load(struct per__tls_realm *realm, const struct per__tls_check *check)
{
	uint8_t file[PER__TLS_DIGEST_BYTES + 1] = { 0 };
	int err = 0;

	file[PER__TLS_DIGEST_BYTES] = (uint8_t)realm->auth;
	if (realm->auth != PER_TLS_CLIENT_OFF)
		err = per__tls_certs_read(&realm->cas, realm->ca_file, (int)PER__TLS_CERTS_MAX, file, check);
	if (err == 0 && EVP_Digest(file, sizeof(file), realm->id, NULL, EVP_sha256(), NULL) != 1)
		err = PER_ENOMEM;
	return err;
}

/* The realm of the certificate in hand: one that is there, or a new one. */
static int realm_find(struct making *making, const struct per__tls_conf *conf)
{
	struct per__tls_store *store = making->store;
	bool is_off = making->conf->client_auth == PER_TLS_CLIENT_OFF;
	const char *ca_file = is_off                                 ? ""
			      : making->conf->client_ca_file != NULL ? making->conf->client_ca_file
								     : conf->config.client_ca_file;
	struct per__tls_realm *realm;

	for (making->realm = 0; making->realm < store->realm_cnt; making->realm++) {
		realm = &store->realms[making->realm];
		if (realm->auth == making->conf->client_auth && strcmp(realm->ca_file, ca_file) == 0)
			return 0;
	}
	realm = &store->realms[store->realm_cnt++];
	realm->auth = making->conf->client_auth;
	realm->ca_file = ca_file;
	return realm_load(realm, making->check);
}

/* --- hosts ------------------------------------------------------------------------------------ */

/* A host like this one: one that is there, or a new one. Returns its index, or PER__TLS_NAME_NONE. */
static uint32_t host_add(struct per__tls_store *store, const struct per__tls_host *host)
{
	/* Names of one certificate come one after the other, so what is looked for is mostly at the end. */
	for (uint32_t i = store->host_cnt; i > 0 && i + 8 > store->host_cnt; i--) {
		if (memcmp(&store->hosts[i - 1], host, sizeof(*host)) == 0)
			return i - 1;
	}
	if (store->host_cnt == store->host_cap) {
		uint32_t cap = store->host_cap > 0 ? 2 * store->host_cap : HOSTS_FIRST;
		struct per__tls_host *bigger = per__mem_alloc(cap * sizeof(*bigger));

		if (bigger == NULL)
			return PER__TLS_NAME_NONE;
		if (store->host_cnt > 0)
			memcpy(bigger, store->hosts, store->host_cnt * sizeof(*bigger));
		per__mem_free(store->hosts);
		store->hosts = bigger;
		store->host_cap = cap;
	}
	store->hosts[store->host_cnt] = *host;
	return store->host_cnt++;
}

/* A name that another certificate stands for already: joins them, unless they are of one kind. */
static int name_join(const struct making *making, const char *name, uint32_t *value)
{
	const struct per__tls_cert *cert = &making->store->certs[making->index];
	struct per__tls_host host = making->store->hosts[*value];

	if (host.certs[cert->kind] == cert)
		return 0;
	if (host.realm != making->realm)
		return per__tls_fail(
			making->check,
			"%s: another certificate for %s asks clients for certificates in another "
			"way",
			making->conf->cert_file, name);
	if (host.certs[cert->kind] != NULL) {
		per__log(making->check->log, PER_LOG_WARN,
			 "TLS: %s: not used for %s, which has another certificate with an %s key",
			 making->conf->cert_file, name, per__tls_kind_name(cert->kind));
		return 0;
	}
	host.certs[cert->kind] = cert;
	*value = host_add(making->store, &host);
	return *value != PER__TLS_NAME_NONE ? 0 : PER_ENOMEM;
}

static int name_add(struct making *making, const char *name, size_t len)
{
	struct per__tls_store *store = making->store;
	const struct per__tls_cert *cert = &store->certs[making->index];
	struct per__tls_host host = { .realm = making->realm };
	uint32_t *value = per__tls_names_put(&store->names, name, len);

	if (making->index == 0 && making->name_cnt == 0)
		memcpy(making->first_name, name, len);
	making->name_cnt++;
	if (value == NULL)
		return store->names.cnt < PER__TLS_NAMES_MAX
			       ? PER_ENOMEM
			       : per__tls_fail(making->check, "%s: more than %u names in all",
					       making->conf->cert_file, PER__TLS_NAMES_MAX);
	if (*value != PER__TLS_NAME_NONE)
		return name_join(making, name, value);
	host.certs[cert->kind] = cert;
	*value = host_add(store, &host);
	return *value != PER__TLS_NAME_NONE ? 0 : PER_ENOMEM;
}

/* --- names ------------------------------------------------------------------------------------ */

/* The names of the configuration. What is no name is an error there. */
static int names_given(struct making *making)
{
	const char *pos = making->conf->names;
	int err = 0;

	while (err == 0) {
		char name[PER__TLS_NAME_MAX + 1];
		const char *why;
		size_t len;
		int name_len;

		pos += strspn(pos, ", \t\r\n");
		len = strcspn(pos, ", \t\r\n");
		if (len == 0)
			break;
		name_len = per__tls_name_read(name, pos, len, &why);
		err = name_len >= 0 ? name_add(making, name, (size_t)name_len)
				    : per__tls_fail(making->check, "%s: '%.*s' cannot be a name of it: %s",
						    making->conf->cert_file, (int)PER_MIN(len, 64), pos, why);
		pos += len;
	}
	return err;
}

/* The names in the certificate. What is no name is passed over: no client asks for it. */
static int names_found(struct making *making)
{
	X509 *leaf = making->store->certs[making->index].leaf;
	GENERAL_NAMES *found = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	int cnt = sk_GENERAL_NAME_num(found), err = 0;

	for (int i = 0; i < cnt && err == 0; i++) {
		const GENERAL_NAME *entry = sk_GENERAL_NAME_value(found, i);
		char name[PER__TLS_NAME_MAX + 1];
		const char *why;
		int len;

		if (entry->type != GEN_DNS)
			continue;
		len = per__tls_name_read(name, (const char *)ASN1_STRING_get0_data(entry->d.dNSName),
					 (size_t)ASN1_STRING_length(entry->d.dNSName), &why);
		if (len >= 0)
			err = name_add(making, name, (size_t)len);
	}
	GENERAL_NAMES_free(found);
	ERR_clear_error();
	return err;
}

/*
 * Names that nobody knows get the host of the first certificate's first name, with all kinds of keys that it
 * has; a certificate without names stands alone.
 */
static int first_host_find(struct making *making)
{
	struct per__tls_store *store = making->store;
	const struct per__tls_cert *cert = &store->certs[0];
	struct per__tls_host host = { .realm = 0 };

	host.certs[cert->kind] = cert;
	store->first = making->first_name[0] != '\0' ? *per__tls_names_put(&store->names, making->first_name,
									   strlen(making->first_name))
						     : host_add(store, &host);
	return store->first != PER__TLS_NAME_NONE ? 0 : PER_ENOMEM;
}

static int cert_add(struct making *making, const struct per__tls_conf *conf)
{
	struct per__tls_store *store = making->store;
	int err;

	making->conf = &conf->certs[making->index];
	making->name_cnt = 0;
	err = per__tls_cert_load(&store->certs[making->index], making->conf, making->check);
	if (err != 0)
		return err;
	store->cert_cnt = making->index + 1;
	err = realm_find(making, conf);
	if (err == 0)
		err = making->conf->names != NULL ? names_given(making) : names_found(making);
	if (err == 0 && making->name_cnt == 0 && (making->index > 0 || conf->config.strict_sni))
		err = per__tls_fail(
			making->check,
			"%s: the certificate has no DNS name in its subjectAltName, and none is given: "
			"no client would get it",
			making->conf->cert_file);
	return err;
}

/* --- life ------------------------------------------------------------------------------------- */

void per__tls_level_raise(SSL_CTX *ctx)
{
	SSL_CTX_set_security_level(ctx, PER_MAX(SSL_CTX_get_security_level(ctx), SECURITY_LEVEL));
}

/* What OpenSSL itself has against a certificate would come up with the first client: asks it now. */
static int certs_try(const struct per__tls_store *store, const struct per__tls_conf *conf,
		     const struct per__tls_check *check)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int err = ctx != NULL ? 0 : PER_ENOMEM;

	if (err == 0)
		per__tls_level_raise(ctx);
	for (size_t i = 0; i < store->cert_cnt && err == 0; i++) {
		const struct per__tls_cert *cert = &store->certs[i];

		if (SSL_CTX_use_cert_and_key(ctx, cert->leaf, cert->key, cert->chain, 1) != 1)
			err = per__tls_fail(check, "%s: cannot be used: %s", conf->certs[i].cert_file,
					    ERR_reason_error_string(ERR_peek_last_error()));
	}
	SSL_CTX_free(ctx);
	return err;
}

int per__tls_store_new(struct per__tls_store **out, const struct per__tls_conf *conf,
		       const struct per__tls_check *check)
{
	struct per__tls_store *store = per__mem_alloc(sizeof(*store));
	struct making making = { .store = store, .check = check };
	int err = store != NULL ? 0 : PER_ENOMEM;

	*out = NULL;
	ERR_clear_error();
	if (store != NULL) {
		store->refs = 1;
		store->certs = per__mem_alloc(conf->config.cert_count * sizeof(*store->certs));
		store->realms = per__mem_alloc(conf->config.cert_count * sizeof(*store->realms));
		if (store->certs == NULL || store->realms == NULL)
			err = PER_ENOMEM;
	}
	for (; making.index < conf->config.cert_count && err == 0; making.index++)
		err = cert_add(&making, conf);
	if (err == 0)
		err = first_host_find(&making);
	if (err == 0)
		err = certs_try(store, conf, check);
	if (err != 0) {
		per__tls_store_drop(store);
		return err;
	}
	*out = store;
	return 0;
}

struct per__tls_store *per__tls_store_take(struct per__tls_store *store)
{
	atomic_fetch_add(&store->refs, 1);
	return store;
}

void per__tls_store_drop(struct per__tls_store *store)
{
	if (store == NULL || atomic_fetch_sub(&store->refs, 1) > 1)
		return;
	for (size_t i = 0; i < store->cert_cnt; i++)
		per__tls_cert_free(&store->certs[i]);
	for (uint32_t i = 0; i < store->realm_cnt; i++)
		sk_X509_pop_free(store->realms[i].cas, X509_free);
	per__tls_names_free(&store->names);
	per__mem_free(store->hosts);
	per__mem_free(store->realms);
	per__mem_free(store->certs);
	per__mem_free(store);
}
