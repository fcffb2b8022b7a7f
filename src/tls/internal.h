/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of this folder share, with OpenSSL's types in it. Included by nothing else but
 * tests.
 */
#ifndef PER_TLS_INTERNAL_H
#define PER_TLS_INTERNAL_H

#include "tls/tls.h"
#include <openssl/ssl.h>

/** Makes a connection's SSL (NULL: fails) read from and write to a line. */
struct per__tls *per__tls_attach(SSL *ssl, struct per__tls_line *line);

/** The two are the same object. */
static inline SSL *per__tls_ssl(const struct per__tls *tls)
{
	return (SSL *)(uintptr_t)tls;
}

#endif
