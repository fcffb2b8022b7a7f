/* SPDX-License-Identifier: MIT */
/*
 * direct.c - what comes in on an established connection of TLS 1.3, record by record. An SSL would copy
 * each of them into a buffer of its own and out again, and keeps four times as much memory as the keys
 * need. Called by tls.c. Invariant: a byte of line->in is used once: it is in place, or was moved to
 * partial.
 */
#include "tls/direct.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#define RECORD_BYTES_MAX (PER__RECORD_HEAD + PER__RECORD_CIPHER_MAX)

#define KEY_UPDATE 24 /* HandshakeType */

static void partial_free(struct per__direct *direct)
{
	OPENSSL_free(direct->partial);
	direct->partial = NULL;
	direct->partial_len = 0;
	direct->is_partial_used = false;
}

void per__direct_end(struct per__direct *direct)
{
	partial_free(direct);
	per__records_end(&direct->records);
}

/* --- messages of TLS itself ------------------------------------------------------------------- */

/* Seals a short message and puts it out. */
static bool message_send(struct per__direct *direct, struct per__tls_line *line, uint8_t type,
			 const uint8_t *data, size_t len)
{
	uint8_t record[64];
	size_t n = per__record_seal(&direct->records, type, data, len, record);

	return n > 0 && line->out(line->arg, record, n) == 0;
}

/* What the log says: OpenSSL's words for the same. */
static int reason_of(int alert)
{
	switch (alert) {
	case PER__ALERT_BAD_RECORD_MAC:
		return SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC;
	case PER__ALERT_RECORD_OVERFLOW:
		return SSL_R_ENCRYPTED_LENGTH_TOO_LONG;
	case PER__ALERT_DECODE_ERROR:
		return SSL_R_LENGTH_TOO_SHORT;
	case PER__ALERT_ILLEGAL_PARAMETER:
		return SSL_R_BAD_KEY_UPDATE;
	case PER__ALERT_UNEXPECTED_MESSAGE:
		return SSL_R_UNEXPECTED_MESSAGE;
	default:
		return ERR_R_INTERNAL_ERROR;
	}
}

/* The peer has broken the protocol, or we cannot go on: a fatal alert. */
static int broken(struct per__direct *direct, struct per__tls_line *line, int alert)
{
	const uint8_t message[2] = { 2, (uint8_t)alert };

	direct->is_broken = true;
	(void)message_send(direct, line, PER__RECORD_ALERT, message, sizeof(message));
	ERR_clear_error();
	ERR_raise(ERR_LIB_SSL, reason_of(alert));
	return PER_EPROTO;
}

void per__direct_close(struct per__direct *direct, struct per__tls_line *line)
{
	const uint8_t message[2] = { 1, PER__ALERT_CLOSE_NOTIFY };

	if (!direct->is_broken)
		(void)message_send(direct, line, PER__RECORD_ALERT, message, sizeof(message));
}

static bool rekey(struct per__direct *direct, struct per__tls_line *line)
{
	const uint8_t message[PER__KEY_UPDATE_BYTES] = { KEY_UPDATE, 0, 0, 1, 0 };

	return message_send(direct, line, PER__RECORD_HANDSHAKE, message, sizeof(message)) &&
	       per__record_key_update(&direct->records, &direct->records.seal);
}

void per__direct_rekey(struct per__direct *direct, struct per__tls_line *line)
{
	if (!direct->is_broken && !rekey(direct, line))
		direct->is_broken = true;
}

/*
 * Behind the handshake a client may send one kind of message. It may come in pieces, none of them empty, and
 * ends at its record's end (RFC 8446 section 5.1).
 */
static int handshake_arrived(struct per__direct *direct, struct per__tls_line *line, const uint8_t *data,
			     size_t len)
{
	const uint8_t head[4] = { KEY_UPDATE, 0, 0, 1 };
	uint8_t *message = direct->message;

	if (len == 0 || len > PER__KEY_UPDATE_BYTES - (size_t)direct->message_len)
		return broken(direct, line, PER__ALERT_UNEXPECTED_MESSAGE);
	memcpy(message + direct->message_len, data, len);
	direct->message_len += (uint8_t)len;
	if (memcmp(message, head, PER_MIN((size_t)direct->message_len, sizeof(head))) != 0)
		return broken(direct, line, PER__ALERT_UNEXPECTED_MESSAGE);
	if (direct->message_len < PER__KEY_UPDATE_BYTES)
		return 0;
	direct->message_len = 0;
	if (message[4] > 1)
		return broken(direct, line, PER__ALERT_ILLEGAL_PARAMETER);
	if (!per__record_key_update(&direct->records, &direct->records.open))
		return broken(direct, line, PER__ALERT_INTERNAL_ERROR);
	if (message[4] == 1 && !rekey(direct, line))
		return broken(direct, line, PER__ALERT_INTERNAL_ERROR);
	return 0;
}

/*
 * RFC 8446 section 6: but for two, all alerts are fatal whatever their level says. None may be empty (section
 * 5.4).
 */
static int alert_arrived(struct per__direct *direct, struct per__tls_line *line, const uint8_t *data,
			 size_t len)
{
	if (len != 2)
		return broken(direct, line,
			      len == 0 ? PER__ALERT_UNEXPECTED_MESSAGE : PER__ALERT_DECODE_ERROR);
	if (data[1] == PER__ALERT_CLOSE_NOTIFY) {
		direct->is_ended = true;
		return PER_EGONE;
	}
	if (data[1] == PER__ALERT_USER_CANCELED)
		return 0;
	direct->is_broken = true;
	ERR_clear_error();
	ERR_raise(ERR_LIB_SSL, SSL_AD_REASON_OFFSET + data[1]);
	return PER_EPROTO;
}

/* --- records ---------------------------------------------------------------------------------- */

/* Reads a header. What can be no record is not waited for. Returns 0 or an alert. */
static inline int head_read(const uint8_t *head, size_t *bytes)
{
	*bytes = PER__RECORD_HEAD + (size_t)head[3] * 256 + head[4];
	if (PER_UNLIKELY(head[0] != PER__RECORD_DATA))
		return PER__ALERT_UNEXPECTED_MESSAGE;
	return PER_LIKELY(*bytes <= RECORD_BYTES_MAX) ? 0 : PER__ALERT_RECORD_OVERFLOW;
}

/* Moves input to partial until it has bytes of them. Returns whether it has. */
static bool partial_fill(struct per__direct *direct, struct per__tls_line *line, size_t bytes)
{
	size_t n = PER_MIN(bytes - PER_MIN(bytes, (size_t)direct->partial_len), line->in_len);

	memcpy(direct->partial + direct->partial_len, line->in, n);
	direct->partial_len += (uint32_t)n;
	line->in += n;
	line->in_len -= n;
	return direct->partial_len >= bytes;
}

/*
 * The next whole record, in place or collected.
 *
 * returns  0 with *record NULL when it is not there yet; 0 with the record; or an alert
 */
static int record_next(struct per__direct *direct, struct per__tls_line *line, uint8_t **record,
		       size_t *bytes)
{
	int alert;

	*record = NULL;
	if (PER_LIKELY(direct->partial == NULL)) {
		if (line->in_len >= PER__RECORD_HEAD) {
			alert = head_read(line->in, bytes);
			if (PER_UNLIKELY(alert != 0))
				return alert;
			if (line->in_len >= *bytes) {
				*record = line->in;
				line->in += *bytes;
				line->in_len -= *bytes;
				return 0;
			}
		}
		if (line->in_len == 0)
			return 0;
		direct->partial = OPENSSL_malloc(RECORD_BYTES_MAX);
		if (direct->partial == NULL)
			return PER__ALERT_INTERNAL_ERROR;
	}
	if (!partial_fill(direct, line, PER__RECORD_HEAD))
		return 0;
	alert = head_read(direct->partial, bytes);
	if (PER_UNLIKELY(alert != 0))
		return alert;
	if (partial_fill(direct, line, *bytes)) {
		direct->is_partial_used = true;
		*record = direct->partial;
	}
	return 0;
}

int per__direct_open(struct per__direct *direct, struct per__tls_line *line, uint8_t **data, size_t *len)
{
	*len = 0;
	if (direct->is_partial_used)
		partial_free(direct);
	while (!direct->is_broken && !direct->is_ended) {
		uint8_t *record;
		uint8_t type;
		size_t bytes, content_len;
		int result = record_next(direct, line, &record, &bytes);

		if (result == 0 && record == NULL)
			return 0;
		if (result == 0)
			result = per__record_open(&direct->records, record, bytes, &type, &content_len);
		if (PER_UNLIKELY(result != 0))
			return broken(direct, line, result);
		*data = record + PER__RECORD_HEAD;
		if (PER_UNLIKELY(direct->message_len > 0 && type != PER__RECORD_HANDSHAKE)) {
			result = broken(direct, line, PER__ALERT_UNEXPECTED_MESSAGE);
		} else if (PER_LIKELY(type == PER__RECORD_DATA)) {
			*len = content_len;
			if (PER_LIKELY(content_len > 0)) {
				direct->idle_cnt = 0;
				return 0;
			}
		} else if (type == PER__RECORD_ALERT) {
			result = alert_arrived(direct, line, *data, content_len);
		} else if (type == PER__RECORD_HANDSHAKE) {
			result = handshake_arrived(direct, line, *data, content_len);
		} else {
			result = broken(direct, line, PER__ALERT_UNEXPECTED_MESSAGE);
		}
		if (result == 0 && ++direct->idle_cnt > PER__IDLE_RECORDS_MAX)
			result = broken(direct, line, PER__ALERT_UNEXPECTED_MESSAGE);
		if (result != 0)
			return result;
		if (direct->is_partial_used)
			partial_free(direct);
	}
	return direct->is_broken ? PER_EPROTO : PER_EGONE;
}
