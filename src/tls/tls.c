/* SPDX-License-Identifier: MIT */
/*
 * tls.c - OpenSSL as a codec. Handshakes of a worker read and write through one BIO of ours, which takes
 * ciphertext from the lent input and hands ciphertext to the line's function; there is no socket and no
 * memory BIO. When a handshake of TLS 1.3 is complete, its SSL is freed, and its records are made in
 * direct.c. Called by core/secure.c and core/handshake.c.
 */
#include "tls/internal.h"

#include "tls/context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

/* The cipher suites of TLS 1.3 whose records are made here; with the others the SSL stays. */
static const struct {
	uint32_t id; /* SSL_CIPHER_get_id() */
	const char *cipher;
	const char *md;
	size_t secret_len;
} suites[] = {
	{ TLS1_3_CK_AES_128_GCM_SHA256, "AES-128-GCM", "SHA256", 32 },
	{ TLS1_3_CK_AES_256_GCM_SHA384, "AES-256-GCM", "SHA384", 48 },
	{ TLS1_3_CK_CHACHA20_POLY1305_SHA256, "ChaCha20-Poly1305", "SHA256", 32 },
};

/* --- secrets ---------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads a secret in hexadecimal; it has to be as long as the hash of a cipher suite. */
static bool secret_read(const char *text, uint8_t secret[PER__SECRET_MAX])
{
	size_t len = 0;

	while (len < PER__SECRET_MAX && hex_digit(text[2 * len]) >= 0 && hex_digit(text[2 * len + 1]) >= 0) {
		secret[len] = (uint8_t)(hex_digit(text[2 * len]) * 16 + hex_digit(text[2 * len + 1]));
		len++;
	}
	return text[2 * len] == '\0' && (len == 32 || len == 48);
}

/*
 * OpenSSL tells its secrets in the lines of NSS's key log: a label, the client's random in hexadecimal, the
 * secret. They go into the connection's memory and nowhere else.
 */
static void secret_arrived(const SSL *ssl, const char *line)
{
	static const char *const labels[] = { "CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 " };
	struct per__tls *tls = SSL_get_app_data(ssl);

	for (unsigned i = 0; i < PER_ARRAY_LEN(labels) && tls != NULL; i++) {
		const char *secret = strrchr(line, ' ');
		struct per__record_key *key = i == 0 ? &tls->direct.records.open : &tls->direct.records.seal;

		if (strncmp(line, labels[i], strlen(labels[i])) == 0 && secret != NULL &&
		    secret_read(secret + 1, key->secret))
			tls->secrets |= (uint8_t)(1u << i);
	}
}

/*
 * Writing a line costs OpenSSL some microseconds, so it is asked only for those that come behind the server's
 * flight: the secrets of the handshake itself, which come before, are not needed.
 */
static void secrets_listen(const struct per__tls *tls, bool is_listening)
{
	SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(tls->ssl), is_listening ? secret_arrived : NULL);
}

/* OpenSSL writes whole records, one or more at once; should it not, they cannot be counted. */
static void records_count(struct per__tls_line *line, const uint8_t *data, size_t len)
{
	size_t pos = 0;

	for (; pos + PER__RECORD_HEAD <= len; line->records_out++)
		pos += PER__RECORD_HEAD + (size_t)data[pos + 3] * 256 + data[pos + 4];
	if (pos != len)
		line->is_torn = true;
}

static int line_write(BIO *bio, const char *data, int len)
{
	struct per__tls_line *line = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	records_count(line, (const uint8_t *)data, (size_t)len);
	if (line->shaking != NULL && !line->shaking->has_answered) {
		line->shaking->has_answered = true;
		secrets_listen(line->shaking, true);
	}
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

/* Fetched once, as each implicit fetch takes a lock. One that is not to be had is left to the SSL. */
static void suites_fetch(struct per__tls_line *line)
{
	for (unsigned i = 0; i < PER_ARRAY_LEN(suites); i++) {
		line->suites[i].cipher = EVP_CIPHER_fetch(NULL, suites[i].cipher, NULL);
		line->suites[i].secret_len = suites[i].secret_len;
		line->suites[i].hmac = per__record_hmac_new(suites[i].md);
	}
	ERR_clear_error();
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
	suites_fetch(line);
	return 0;
}

void per__tls_line_close(struct per__tls_line *line)
{
	if (line->bio == NULL)
		return;
	BIO_free(line->bio);
	BIO_meth_free(line->method);
	for (unsigned i = 0; i < PER_ARRAY_LEN(suites); i++) {
		EVP_CIPHER_free(line->suites[i].cipher);
		EVP_MAC_CTX_free(line->suites[i].hmac);
	}
	line->bio = line->method = NULL;
}

/* --- a connection ----------------------------------------------------------------------------- */

struct per__tls *per__tls_attach(SSL *ssl, struct per__tls_line *line)
{
	struct per__tls *tls = ssl != NULL ? OPENSSL_zalloc(sizeof(*tls)) : NULL;

	if (tls == NULL) {
		per__tls_ctx_close(ssl);
		ERR_clear_error();
		return NULL;
	}
	tls->ssl = ssl;
	tls->line = line;
	/* One reference for each direction. */
	BIO_up_ref(line->bio);
	SSL_set0_rbio(ssl, line->bio);
	BIO_up_ref(line->bio);
	SSL_set0_wbio(ssl, line->bio);
	SSL_set_app_data(ssl, tls);
	SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_set_accept_state(ssl);
	tls->early = SSL_get_max_early_data(ssl) > 0 ? PER__EARLY_ASKED : PER__EARLY_NOT;
	return tls;
}

struct per__tls *per__tls_new(struct per__tls_ctx *ctx, struct per__tls_line *line)
{
	return per__tls_attach(per__tls_ctx_open(ctx), line);
}

void per__tls_free(struct per__tls *tls)
{
	per__tls_kept_free(tls->kept);
	per__direct_end(&tls->direct);
	per__tls_ctx_close(tls->ssl);
	OPENSSL_free(tls);
}

/* The line, ready for a call. */
static struct per__tls_line *line_begin(const struct per__tls *tls)
{
	tls->line->is_dry = tls->line->is_torn = false;
	tls->line->records_out = 0;
	return tls->line;
}

/* The thread's queue of errors is left with what this call has put there, for per__tls_reason(). */
int per__tls_handshake(struct per__tls *tls)
{
	struct per__tls_line *line = line_begin(tls);
	int result = 0;

	ERR_clear_error();
	line->shaking = tls;
	secrets_listen(tls, tls->has_answered);
	if (PER_UNLIKELY(tls->early == PER__EARLY_ASKED))
		result = per__early_begin(tls);
	if (PER_LIKELY(result == 0))
		result = SSL_do_handshake(tls->ssl) == 1 ? 1 : per__tls_is_starved(tls) ? 0 : PER_EPROTO;
	secrets_listen(tls, false);
	line->shaking = NULL;
	return result == PER_EAGAIN ? 0 : result;
}

/* --- from an SSL to records of our own -------------------------------------------------------- */

static const struct per__tls_suite *suite_of(const struct per__tls *tls)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(tls->ssl);

	for (unsigned i = 0; i < PER_ARRAY_LEN(suites) && cipher != NULL; i++) {
		if (SSL_CIPHER_get_id(cipher) == suites[i].id)
			return tls->line->suites[i].cipher != NULL && tls->line->suites[i].hmac != NULL
				       ? &tls->line->suites[i]
				       : NULL;
	}
	return NULL;
}

/*
 * The SSL has not read a byte too many, since it does not read ahead in a handshake. The records that the
 * last call has put out, the tickets, are the first ones under the new key.
 */
static bool take_over(struct per__tls *tls)
{
	const struct per__tls_suite *suite = suite_of(tls);
	const SSL_SESSION *session = SSL_get0_session(tls->ssl);

	if (suite == NULL || tls->secrets != 3 || SSL_version(tls->ssl) != TLS1_3_VERSION ||
	    tls->line->is_torn || SSL_has_pending(tls->ssl) ||
	    SSL_get_early_data_status(tls->ssl) == SSL_EARLY_DATA_ACCEPTED || session == NULL ||
	    SSL_SESSION_get_max_fragment_length(session) != TLSEXT_max_fragment_length_DISABLED)
		return false;
	tls->direct.records.seal.seq = tls->line->records_out;
	if (per__records_begin(&tls->direct.records, suite->cipher, suite->hmac, suite->secret_len))
		return true;
	per__direct_end(&tls->direct);
	ERR_clear_error();
	return false;
}

void per__tls_settle(struct per__tls *tls)
{
	tls->kept = per__tls_kept_new(tls->ssl);
	if (tls->kept != NULL && take_over(tls)) {
		per__tls_ctx_close(tls->ssl);
		tls->ssl = NULL;
	} else {
		SSL_set_read_ahead(tls->ssl, 1);
	}
}

/* --- content ---------------------------------------------------------------------------------- */

/* As many records as fit: each call of the protocol costs more than the copy. */
static int ssl_open(const struct per__tls *tls, uint8_t *buf, size_t cap, size_t *len)
{
	size_t n;

	while (SSL_read_ex(tls->ssl, buf + *len, cap - *len, &n) == 1) {
		*len += n;
		if (*len == cap || (tls->line->in_len == 0 && !SSL_has_pending(tls->ssl)))
			return 0;
	}
	if (per__tls_is_starved(tls))
		return 0;
	return (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN) != 0 ? PER_EGONE : PER_EPROTO;
}

int per__tls_open(struct per__tls *tls, uint8_t *buf, size_t cap, uint8_t **data, size_t *len)
{
	struct per__tls_line *line = line_begin(tls);
	int result = 0;

	*len = 0;
	*data = buf;
	if (PER_UNLIKELY(tls->ssl != NULL)) {
		if (PER_UNLIKELY(tls->early != PER__EARLY_NOT))
			result = per__early_open(tls, buf, cap, len);
		return tls->early == PER__EARLY_NOT && result == 0 ? ssl_open(tls, buf, cap, len) : result;
	}
	return per__direct_open(&tls->direct, line, data, len);
}

int per__tls_seal(struct per__tls *tls, const uint8_t *data, size_t len, uint8_t *dst)
{
	size_t n;

	PER_DEBUG_ASSERT(len > 0 && len <= PER__TLS_RECORD_MAX);
	line_begin(tls);
	if (PER_UNLIKELY(tls->early != PER__EARLY_NOT)) /* behind the server's flight, before the client's */
		return SSL_write_early_data(tls->ssl, data, len, &n) == 1 ? 0 : PER_EPROTO;
	if (PER_UNLIKELY(tls->ssl != NULL))
		return SSL_write_ex(tls->ssl, data, len, &n) == 1 ? 0 : PER_EPROTO;
	tls->direct.idle_cnt = 0; /* who is served may change keys in between */
	n = tls->direct.is_broken ? 0
				  : per__record_seal(&tls->direct.records, PER__RECORD_DATA, data, len, dst);
	return n > 0 ? (int)n : PER_EPROTO;
}

bool per__tls_is_early(const struct per__tls *tls)
{
	return tls->early != PER__EARLY_NOT;
}

void per__tls_end(struct per__tls *tls)
{
	struct per__tls_line *line = line_begin(tls);

	if (tls->ssl == NULL)
		per__direct_close(&tls->direct, line);
	else if (SSL_shutdown(tls->ssl) < 0)
		ERR_clear_error(); /* it is broken: nothing is lost but politeness */
}

void per__tls_rekey(struct per__tls *tls)
{
	struct per__tls_line *line = line_begin(tls);

	if (tls->ssl == NULL)
		per__direct_rekey(&tls->direct, line);
	else if (SSL_version(tls->ssl) >= TLS1_3_VERSION)
		SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED); /* sent by the next seal */
}
