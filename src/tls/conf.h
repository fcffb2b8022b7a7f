/* SPDX-License-Identifier: MIT */
/*
 * conf.h - a per_tls_config of the library's own: every string copied, defaults filled in, numbers checked.
 * Never changes once made. The files it names are read by cert.c.
 */
#ifndef PER_TLS_CONF_H
#define PER_TLS_CONF_H

#include "base/base.h"
#include <peregrine/tls.h>

#define PER__TLS_CERTS_MAX 10000u
#define PER__TLS_TICKETS_MAX 8u
#define PER__TLS_LIFETIME_S_MAX 604800u /* RFC 8446 section 4.6.1 */

struct per__tls_conf {
	per_tls_config config; /* its pointers lead to copies; no enumeration in it is DEFAULT */
	per_tls_cert *certs;   /* config.certs, as they may be written while they are made */
};

/**
 * Copies and checks a configuration.
 *
 * reason, cap  receives what is wrong, in words
 * returns      0, PER_EINVAL or PER_ENOMEM
 */
int per__tls_conf_new(struct per__tls_conf **out, const per_tls_config *config, char *reason, size_t cap);

/** NULL is allowed. */
void per__tls_conf_free(struct per__tls_conf *conf);

#endif
