/* SPDX-License-Identifier: MIT */
/*
 * context.c - the SSL_CTX of one worker, set up for servers. Sees no connection's bytes; those are tls.c's.
 */
#include "tls/context.h"

#include "base/mem.h"
#include "tls/conf.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

struct per__tls_ctx {
	uint32_t refs; /* the worker, and each SSL */
	SSL_CTX *first;
	struct per__tls_tickets *tickets;
	const int64_t *now_ns;
};

/* Server preference; the first that the client has too (RFC 7301 section 3.2). */
static const unsigned char alpn_known[] = "\x08http/1.1";

static int alpn_choose(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		       unsigned int in_len, void *arg)
{
	unsigned char *found;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&found, out_len, alpn_known, sizeof(alpn_known) - 1, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

static int ctx_set_up(SSL_CTX *ctx, const per_tls_config *config, char *reason, size_t cap)
{
	const char *wrong = NULL;

	SSL_CTX_set_min_proto_version(ctx, config->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_PRIORITIZE_CHACHA |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(ctx, alpn_choose, NULL);
	if (config->ciphersuites != NULL && SSL_CTX_set_ciphersuites(ctx, config->ciphersuites) != 1)
		wrong = "ciphersuites";
	else if (SSL_CTX_set_cipher_list(ctx, config->ciphers12) != 1)
		wrong = "ciphers12";
	else if (SSL_CTX_set1_groups_list(ctx, config->groups) != 1)
		wrong = "groups";
	if (wrong == NULL)
		return 0;
	(void)snprintf(reason, cap, "%s holds nothing that this OpenSSL knows", wrong);
	return PER_EINVAL;
}

static int ctx_fill(SSL_CTX *ctx, const per_tls_cert *cert, char *reason, size_t cap)
{
	const char *key_file = cert->key_file != NULL ? cert->key_file : cert->cert_file;
	const char *file = cert->cert_file;

	if (SSL_CTX_use_certificate_chain_file(ctx, cert->cert_file) == 1) {
		file = key_file;
		if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) == 1)
			return 0;
	}
	(void)snprintf(reason, cap, "%s: %s", file, ERR_reason_error_string(ERR_peek_error()));
	return PER_EINVAL;
}

int per__tls_ctx_new(struct per__tls_ctx **out, const struct per__tls_conf *conf,
		     struct per__tls_tickets *tickets, const int64_t *now_ns, char *reason, size_t cap)
{
	struct per__tls_ctx *ctx = per__mem_alloc(sizeof(*ctx));
	int err = PER_ENOMEM;

	*out = NULL;
	(void)snprintf(reason, cap, "%s", per_strerror(PER_ENOMEM));
	if (ctx == NULL)
		return PER_ENOMEM;
	ERR_clear_error();
	ctx->refs = 1;
	ctx->tickets = tickets;
	ctx->now_ns = now_ns;
	ctx->first = SSL_CTX_new(TLS_server_method());
	if (ctx->first != NULL)
		SSL_CTX_set_app_data(ctx->first, ctx);
	if (ctx->first != NULL)
		err = ctx_set_up(ctx->first, &conf->config, reason, cap);
	if (err == 0)
		err = ctx_fill(ctx->first, &conf->certs[0], reason, cap);
	ERR_clear_error();
	if (err != 0) {
		per__tls_ctx_drop(ctx);
		return err;
	}
	*out = ctx;
	return 0;
}

void per__tls_ctx_drop(struct per__tls_ctx *ctx)
{
	if (ctx == NULL || --ctx->refs > 0)
		return;
	SSL_CTX_free(ctx->first);
	per__mem_free(ctx);
}

SSL *per__tls_ctx_open(struct per__tls_ctx *ctx)
{
	SSL *ssl = SSL_new(ctx->first);

	if (ssl == NULL)
		return NULL;
	SSL_set_accept_state(ssl);
	ctx->refs++;
	return ssl;
}

void per__tls_ctx_close(SSL *ssl)
{
	struct per__tls_ctx *ctx;

	if (ssl == NULL)
		return;
	ctx = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	SSL_free(ssl);
	per__tls_ctx_drop(ctx);
}
