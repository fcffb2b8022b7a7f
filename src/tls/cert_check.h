/* SPDX-License-Identifier: MIT */
/*
 * cert_check.h - whether a certificate, the ones behind it and a key can serve: order, dates, strength,
 * purpose. Reads no file; file names are for the words only.
 */
#ifndef PER_TLS_CERT_CHECK_H
#define PER_TLS_CERT_CHECK_H

#include "tls/cert.h"

/**
 * Looks at the certificates of one file, the server's first, and at the key.
 *
 * returns  0 (with warnings in the log), or PER_EINVAL with the reason
 */
int per__tls_certs_check(struct stack_st_X509 *certs, EVP_PKEY *key, const char *cert_file,
			 const char *key_file, const struct per__tls_check *check);

#endif
