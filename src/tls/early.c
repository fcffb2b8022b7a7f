/* SPDX-License-Identifier: MIT */
/*
 * early.c - 0-RTT: what a client that resumes sends before the handshake is complete, and what is answered
 * meanwhile (RFC 8446 section 2.3). Such a connection stays with its SSL. Called by tls.c, only where a
 * configuration allows it. Invariant: content is given out as early only while the handshake is incomplete.
 */
#include "tls/internal.h"

static int failed(const struct per__tls *tls)
{
	return per__tls_is_starved(tls) ? PER_EAGAIN : PER_EPROTO;
}

/* Reads one byte: when there is one, the server's flight is out, and the rest waits for per__early_open(). */
int per__early_begin(struct per__tls *tls)
{
	size_t n;

	switch (SSL_read_early_data(tls->ssl, &tls->early_byte, 1, &n)) {
	case SSL_READ_EARLY_DATA_SUCCESS:
		tls->early = PER__EARLY_READING;
		tls->has_early_byte = n == 1;
		return 1;
	case SSL_READ_EARLY_DATA_FINISH:
		tls->early = PER__EARLY_NOT;
		return 0;
	default:
		return failed(tls);
	}
}

/* As much as fits. Returns PER_EAGAIN when there may be more later. */
static int early_read(struct per__tls *tls, uint8_t *buf, size_t cap, size_t *len)
{
	size_t n;

	while (*len < cap) {
		switch (SSL_read_early_data(tls->ssl, buf + *len, cap - *len, &n)) {
		case SSL_READ_EARLY_DATA_SUCCESS:
			*len += n;
			break;
		case SSL_READ_EARLY_DATA_FINISH:
			tls->early = PER__EARLY_READ;
			return 0;
		default:
			return failed(tls);
		}
	}
	return 0;
}

int per__early_open(struct per__tls *tls, uint8_t *buf, size_t cap, size_t *len)
{
	int result = 0;

	if (tls->has_early_byte) {
		tls->has_early_byte = false;
		buf[(*len)++] = tls->early_byte;
	}
	if (tls->early == PER__EARLY_READING)
		result = early_read(tls, buf, cap, len);
	if (result == 0 && *len == 0) {
		if (SSL_do_handshake(tls->ssl) == 1)
			tls->early = PER__EARLY_NOT;
		else
			result = failed(tls);
	}
	return result == PER_EAGAIN ? 0 : result;
}
