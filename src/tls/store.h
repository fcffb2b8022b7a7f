/* SPDX-License-Identifier: MIT */
/*
 * store.h - all certificates of a configuration, checked, and which of them a host name gets. Made by the
 * thread that starts or reloads a server; from then on nobody changes it, and all workers read it.
 *
 * A host is what a name leads to: one certificate of each kind of key, and a realm. A realm is how clients
 * are asked for certificates. The first host is for names that nobody knows.
 */
#ifndef PER_TLS_STORE_H
#define PER_TLS_STORE_H

#include "tls/cert.h"
#include "tls/conf.h"
#include "tls/names.h"

#define PER__TLS_DIGEST_BYTES 32u

struct per__tls_host {
	const struct per__tls_cert *certs[PER__TLS_KINDS]; /* NULL: none of that kind */
	size_t realm;                                      /* its index */
};

struct per__tls_realm {
	per_tls_client_auth auth;
	const char *ca_file;               /* the configuration's; for making only */
	struct stack_st_X509 *cas;         /* NULL: nobody is asked */
	uint8_t id[PER__TLS_DIGEST_BYTES]; /* of auth and the contents of the file */
};

struct per__tls_store {
	_Atomic uint32_t refs;
	struct per__tls_cert *certs;
	size_t cert_cnt;
	struct per__tls_realm *realms;
	uint32_t realm_cnt;
	struct per__tls_host *hosts;
	uint32_t host_cnt, host_cap;
	uint32_t first;              /* the host for names that nobody knows */
	struct per__tls_names names; /* to indexes of hosts */
};

/**
 * Reads and checks all files.
 *
 * out      a store with one reference
 * returns  0, PER_EINVAL with the reason, or PER_ENOMEM
 */
int per__tls_store_new(struct per__tls_store **out, const struct per__tls_conf *conf,
		       const struct per__tls_check *check);

/** Sets the least strength that keys, signatures and ciphers need, unless the system asks for more. */
void per__tls_level_raise(SSL_CTX *ctx);

struct per__tls_store *per__tls_store_take(struct per__tls_store *store);
/** Frees it with the last reference. NULL is allowed. Any thread. */
void per__tls_store_drop(struct per__tls_store *store);

#endif
