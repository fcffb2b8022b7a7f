/* SPDX-License-Identifier: MIT */
/*
 * info.c - what a handshake has negotiated, kept when its SSL is gone; why one has failed, in words.
 * Called by tls.c and the core.
 */
#include "tls/internal.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

void per__tls_reason(char *buf, size_t cap)
{
	unsigned long error = ERR_get_error();
	const char *words = error != 0 ? ERR_reason_error_string(error) : NULL;

	snprintf(buf, cap, "%s", words != NULL ? words : "the peer left");
	ERR_clear_error();
}

static per_str text(const char *ptr, size_t len)
{
	return ptr != NULL && len > 0 ? per_str_make(ptr, len) : (per_str){ NULL, 0 };
}

/* RFC 2253 with UTF-8 as it is; control characters are escaped. */
static void subject_read(const X509 *cert, char *buf, size_t cap)
{
	BIO *mem = BIO_new(BIO_s_mem());
	int len;

	if (mem != NULL && X509_NAME_print_ex(mem, X509_get_subject_name(cert), 0,
					      XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
		len = BIO_read(mem, buf, (int)cap - 1);
		buf[PER_MAX(len, 0)] = '\0';
	}
	BIO_free(mem);
}

static void client_read(const SSL *ssl, per_tls_info *out)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	long verdict = SSL_get_verify_result(ssl);

	if (cert == NULL)
		return;
	out->client = verdict == X509_V_OK ? PER_TLS_CLIENT_VERIFIED : PER_TLS_CLIENT_FAILED;
	subject_read(cert, out->client_subject, sizeof(out->client_subject));
	if (verdict != X509_V_OK)
		snprintf(out->client_reason, sizeof(out->client_reason), "%s",
			 X509_verify_cert_error_string(verdict));
}

static void info_read(const SSL *ssl, per_tls_info *out)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *alpn = NULL;
	unsigned alpn_len = 0;

	SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
	*out = (per_tls_info){
		.version = SSL_get_version(ssl),
		.cipher = SSL_get_cipher_name(ssl),
		.server_name = text(name, name != NULL ? strlen(name) : 0),
		.alpn = text((const char *)alpn, alpn_len),
		.is_resumed = SSL_session_reused(ssl) == 1,
	};
	client_read(ssl, out);
	ERR_clear_error();
}

struct per__tls_kept *per__tls_kept_new(const SSL *ssl)
{
	per_tls_info info;
	struct per__tls_kept *kept;

	info_read(ssl, &info);
	kept = OPENSSL_zalloc(sizeof(*kept) + info.server_name.len + info.alpn.len);
	if (kept == NULL)
		return NULL;
	kept->version = info.version;
	kept->cipher = info.cipher;
	kept->is_resumed = info.is_resumed;
	kept->name_len = info.server_name.len;
	kept->alpn_len = info.alpn.len;
	if (kept->name_len > 0)
		memcpy(kept->text, info.server_name.ptr, kept->name_len);
	if (kept->alpn_len > 0)
		memcpy(kept->text + kept->name_len, info.alpn.ptr, kept->alpn_len);
	if (info.client != PER_TLS_CLIENT_NONE)
		kept->client = OPENSSL_memdup(&info, sizeof(info));
	if (info.client == PER_TLS_CLIENT_NONE || kept->client != NULL)
		return kept;
	OPENSSL_free(kept);
	return NULL;
}

void per__tls_kept_free(struct per__tls_kept *kept)
{
	if (kept != NULL)
		OPENSSL_free(kept->client);
	OPENSSL_free(kept);
}

bool per__tls_is_resumed(const struct per__tls *tls)
{
	return tls->kept != NULL && tls->kept->is_resumed;
}

void per__tls_info_read(const struct per__tls *tls, per_tls_info *out)
{
	const struct per__tls_kept *kept = tls->kept;

	*out = (per_tls_info){ 0 };
	if (kept == NULL)
		return; /* no memory for it, or no handshake yet */
	if (kept->client != NULL)
		*out = *kept->client;
	out->version = kept->version;
	out->cipher = kept->cipher;
	out->server_name = text(kept->text, kept->name_len);
	out->alpn = text(kept->text + kept->name_len, kept->alpn_len);
	out->is_resumed = kept->is_resumed;
}
