/* SPDX-License-Identifier: MIT */
/*
 * tls.c - OpenSSL as a codec. Every connection of a worker reads and writes through one BIO of ours, which
 * takes ciphertext from the lent input and hands ciphertext to the line's function; there is no socket and
 * no memory BIO. Called by core/secure.c and core/handshake.c. A struct per__tls is an SSL by another name.
 */
#include "tls/internal.h"

#include "tls/context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

/*
 * --- the line
 * ------------------------------------------------------------------------------------------------
 */

static int line_write(BIO *bio, const char *data, int len)
{
	struct per__tls_line *line = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	return line->out(line->arg, (const uint8_t *)data, (size_t)len) == 0 ? len : -1;
}

static int line_read(BIO *bio, char *buf, int cap)
{
	struct per__tls_line *line = BIO_get_data(bio);
	size_t n = PER_MIN((size_t)cap, line->in_len);

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		line->is_dry = true;
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(buf, line->in, n);
	line->in += n;
	line->in_len -= n;
	return (int)n;
}

static long line_ctrl(BIO *bio, int command, long number, void *ptr)
{
	(void)bio;
	(void)number;
	(void)ptr;
	return command == BIO_CTRL_FLUSH; /* what was written is where it belongs */
}

int per__tls_line_open(struct per__tls_line *line)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "peregrine");
	BIO *bio;

	if (method == NULL)
		return PER_ENOMEM;
	BIO_meth_set_write(method, line_write);
	BIO_meth_set_read(method, line_read);
	BIO_meth_set_ctrl(method, line_ctrl);
	bio = BIO_new(method);
	if (bio == NULL) {
		BIO_meth_free(method);
		return PER_ENOMEM;
	}
	BIO_set_data(bio, line);
	BIO_set_init(bio, 1);
	line->bio = bio;
	line->method = method;
	return 0;
}

void per__tls_line_close(struct per__tls_line *line)
{
	if (line->bio == NULL)
		return;
	BIO_free(line->bio);
	BIO_meth_free(line->method);
	line->bio = line->method = NULL;
}

/*
 * --- a connection
 * --------------------------------------------------------------------------------------------
 */

struct per__tls *per__tls_attach(SSL *ssl, struct per__tls_line *line)
{

	if (ssl == NULL) {
		ERR_clear_error();
		return NULL;
	}
	/* One reference for each direction. */
	BIO_up_ref(line->bio);
	SSL_set0_rbio(ssl, line->bio);
	BIO_up_ref(line->bio);
	SSL_set0_wbio(ssl, line->bio);
	SSL_set_read_ahead(ssl, 1);
	SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_set_accept_state(ssl);
	return (struct per__tls *)ssl;
}

struct per__tls *per__tls_new(struct per__tls_ctx *ctx, struct per__tls_line *line)
{
	return per__tls_attach(per__tls_ctx_open(ctx), line);
}

void per__tls_free(struct per__tls *tls)
{
	per__tls_ctx_close(per__tls_ssl(tls));
}

/* The line of a connection, ready for a call. */
static struct per__tls_line *line_begin(const SSL *ssl)
{
	struct per__tls_line *line = BIO_get_data(SSL_get_rbio(ssl));

	line->is_dry = false;
	return line;
}

/*
 * Is it only input that is missing? Asked when a call has not succeeded. Cheaper than SSL_get_error(), and
 * does not mistake what somebody else left in the thread's queue of errors for ours.
 */
static bool is_starved(const SSL *ssl, const struct per__tls_line *line)
{
	return line->is_dry && SSL_want_read(ssl);
}

/* The thread's queue of errors is left with what this call has put there, for per__tls_reason(). */
int per__tls_handshake(struct per__tls *tls)
{
	SSL *ssl = per__tls_ssl(tls);
	const struct per__tls_line *line = line_begin(ssl);

	ERR_clear_error();
	if (SSL_do_handshake(ssl) == 1)
		return 1;
	return is_starved(ssl, line) ? 0 : PER_EPROTO;
}

void per__tls_settle(struct per__tls *tls)
{
	(void)tls;
}

int per__tls_open(struct per__tls *tls, uint8_t *buf, size_t cap, size_t *len)
{
	SSL *ssl = per__tls_ssl(tls);
	const struct per__tls_line *line = line_begin(ssl);
	size_t n;

	*len = 0;
	while (SSL_read_ex(ssl, buf + *len, cap - *len, &n) == 1) {
		*len += n;
		if (*len == cap || (line->in_len == 0 && !SSL_has_pending(ssl)))
			return 0;
	}
	if (is_starved(ssl, line))
		return 0;
	return (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0 ? PER_EGONE : PER_EPROTO;
}

bool per__tls_has_input(const struct per__tls *tls)
{
	return SSL_has_pending(per__tls_ssl(tls)) == 1;
}

int per__tls_seal(struct per__tls *tls, const uint8_t *data, size_t len)
{
	size_t n;

	PER_DEBUG_ASSERT(len > 0 && len <= PER__TLS_RECORD_MAX);
	line_begin(per__tls_ssl(tls));
	return SSL_write_ex(per__tls_ssl(tls), data, len, &n) == 1 ? 0 : PER_EPROTO;
}

void per__tls_end(struct per__tls *tls)
{
	line_begin(per__tls_ssl(tls));
	if (SSL_shutdown(per__tls_ssl(tls)) < 0)
		ERR_clear_error(); /* it is broken: nothing is lost but politeness */
}

void per__tls_rekey(struct per__tls *tls)
{
	if (SSL_version(per__tls_ssl(tls)) >= TLS1_3_VERSION)
		SSL_key_update(per__tls_ssl(tls), SSL_KEY_UPDATE_NOT_REQUESTED); /* sent by the next seal */
}

/*
 * --- what was negotiated
 * ---------------------------------------------------------------------------------
 */

bool per__tls_is_resumed(const struct per__tls *tls)
{
	return SSL_session_reused(per__tls_ssl(tls)) == 1;
}

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

void per__tls_info_read(const struct per__tls *tls, per_tls_info *out)
{
	const SSL *ssl = per__tls_ssl(tls);
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
