/* SPDX-License-Identifier: MIT */
/*
 * direct.h - an established connection of TLS 1.3 without OpenSSL's SSL: records are opened where they
 * were received and sealed where they are sent from. What its peer may still say, KeyUpdate and alerts,
 * is answered here. Handshakes, and connections of TLS 1.2, stay OpenSSL's. Called by tls.c.
 *
 *   whole record in the lent input -> opened in place
 *   record in pieces               -> collected in partial, opened there
 */
#ifndef PER_TLS_DIRECT_H
#define PER_TLS_DIRECT_H

#include "tls/record.h"
#include "tls/tls.h"

/*
 * So many records without content may come in a row: empty ones, KeyUpdates, alerts that mean nothing. Each
 * costs its sender less than us, a KeyUpdate two new keys.
 */
#define PER__IDLE_RECORDS_MAX 32u

/* KeyUpdate (RFC 8446 section 4.6.3): type, three bytes of length, request_update. */
#define PER__KEY_UPDATE_BYTES 5u

struct per__direct {
	struct per__records records;
	uint8_t *partial;     /* a record that has not come whole, or the one that was opened last; or NULL */
	uint32_t partial_len; /* bytes of it that are there */
	bool is_partial_used; /* it was opened: freed by the next call */
	bool is_broken;
	bool is_ended;       /* the peer has sent close_notify */
	uint8_t idle_cnt;    /* records without content since content was opened or sealed */
	uint8_t message_len; /* bytes of a KeyUpdate that comes in several records */
	uint8_t message[PER__KEY_UPDATE_BYTES];
};

/** Frees, and wipes the keys. Safe on a zeroed one. */
void per__direct_end(struct per__direct *direct);

/**
 * Opens records until there is content, or no whole record is left in line->in.
 *
 * data, len  receive the content, valid and writable until the next call; len 0: give more input. To be
 *            called until then, or a buffer stays behind
 * returns    0, PER_EGONE behind close_notify, PER_EPROTO after a violation: the alert was put out
 */
int per__direct_open(struct per__direct *direct, struct per__tls_line *line, uint8_t **data, size_t *len);

/** Puts out close_notify. */
void per__direct_close(struct per__direct *direct, struct per__tls_line *line);

/** Puts out a KeyUpdate that asks for none, and seals with the next key from here on. */
void per__direct_rekey(struct per__direct *direct, struct per__tls_line *line);

#endif
