/* SPDX-License-Identifier: MIT */
/*
 * tls_direct_fuzz.c - records of an established connection. Input: a byte that chooses the cut, then
 * messages: type, what is done to the record (nothing, a flipped bit, cut short, sent twice), a length,
 * content. Messages that were left alone must come out in order, up to the first that was not, or the last
 * of too many without content; after that nothing may.
 */
#include "tls/direct.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define WIRE_BYTES 65536u

struct peer {
	struct per__direct direct;
	struct per__tls_line line;
	EVP_MAC_CTX *hmac;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

static int drop(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)data;
	return len > WIRE_BYTES ? PER_ENOMEM : 0;
}

static void peer_begin(struct peer *peer, uint8_t open, uint8_t seal)
{
	memset(peer, 0, sizeof(*peer));
	memset(peer->direct.records.open.secret, open, PER__SECRET_MAX);
	memset(peer->direct.records.seal.secret, seal, PER__SECRET_MAX);
	peer->hmac = per__record_hmac_new("SHA256");
	require(peer->hmac != NULL &&
		per__records_begin(&peer->direct.records, EVP_chacha20_poly1305(), peer->hmac, 32));
	peer->line.out = drop;
}

static void peer_end(struct peer *peer)
{
	per__direct_end(&peer->direct);
	EVP_MAC_CTX_free(peer->hmac);
	ERR_clear_error();
}

/* What the client puts on the wire, and the content that the server has to see of it. */
struct script {
	uint8_t wire[WIRE_BYTES], content[WIRE_BYTES];
	size_t wire_len, content_len;
	unsigned idle_cnt; /* records without content since the last with some */
	size_t held_len;   /* of a KeyUpdate in pieces */
	uint8_t held[PER__KEY_UPDATE_BYTES];
	bool is_over; /* what comes from here on must not come out */
};

/* A piece of a KeyUpdate, or all of it. False: it is none. */
static bool handshake_add(struct script *script, struct peer *client, const uint8_t *text, size_t len)
{
	static const uint8_t head[] = { 24, 0, 0, 1 };

	if (len == 0 || len > sizeof(script->held) - script->held_len)
		return false;
	memcpy(script->held + script->held_len, text, len);
	script->held_len += len;
	if (memcmp(script->held, head, PER_MIN(script->held_len, sizeof(head))) != 0)
		return false;
	if (script->held_len < sizeof(script->held))
		return true;
	script->held_len = 0;
	if (script->held[4] <= 1)
		require(per__record_key_update(&client->direct.records, &client->direct.records.seal));
	return script->held[4] <= 1;
}

static void message_add(struct script *script, struct peer *client, const uint8_t *head, const uint8_t *text,
			size_t len)
{
	static const uint8_t types[] = { 23, 23, 23, 21, 22, 20, 0, 99 };
	uint8_t type = types[head[0] % sizeof(types)];
	const unsigned deed = head[0] >> 6;
	uint8_t *record = script->wire + script->wire_len;
	size_t n = per__record_seal(&client->direct.records, type, text, len, record);
	bool is_idle = false;

	require(n == len + 22);
	while (type == 0 && len > 0) /* padding: what stands before it is the type */
		type = text[--len];
	if (script->held_len > 0 && type != 22)
		script->is_over = true;
	if (!script->is_over && type == 23 && deed == 0) {
		memcpy(script->content + script->content_len, text, len);
		script->content_len += len;
		is_idle = len == 0;
	} else if (type == 22 && deed == 0 && handshake_add(script, client, text, len)) {
		is_idle = true;
	} else if (type == 21 && deed == 0 && len == 2 && text[1] == PER__ALERT_USER_CANCELED) {
		is_idle = true;
	} else {
		/* A copy's first half is good, and so is a cut record's absence of anything behind it. */
		if (!script->is_over && type == 23 && deed == 2) {
			memcpy(script->content + script->content_len, text, len);
			script->content_len += len;
		}
		script->is_over = true;
	}
	script->idle_cnt = is_idle ? script->idle_cnt + 1 : 0;
	if (script->idle_cnt > PER__IDLE_RECORDS_MAX)
		script->is_over = true;
	if (deed == 1)
		record[head[1] % n] ^= (uint8_t)(1u << head[1] % 8);
	if (deed == 2) {
		memcpy(record + n, record, n);
		n *= 2;
	}
	if (deed == 3) /* so much that the next record does not mend it */
		n = head[1] % (n - PER__RECORD_TAG);
	script->wire_len += n;
}

static void script_make(struct script *script, const uint8_t *data, size_t size)
{
	struct peer client;

	memset(script, 0, sizeof(*script));
	peer_begin(&client, 2, 1);
	while (size >= 3 && script->wire_len < WIRE_BYTES - 2 * (255 + 22)) {
		const size_t len = PER_MIN((size_t)data[2], size - 3);

		message_add(script, &client, data, data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	peer_end(&client);
}

/* The server opens what there is, in pieces of that many bytes and of the exact size. */
static void script_check(const struct script *script, size_t step)
{
	struct peer server;
	size_t seen = 0;
	int result = 0;

	peer_begin(&server, 1, 2);
	for (size_t pos = 0; pos < script->wire_len && result == 0; pos += step) {
		const size_t n = PER_MIN(step, script->wire_len - pos);
		uint8_t *piece = malloc(n), *data;
		size_t len;

		require(piece != NULL);
		memcpy(piece, script->wire + pos, n);
		server.line.in = piece;
		server.line.in_len = n;
		do {
			result = per__direct_open(&server.direct, &server.line, &data, &len);
			require(seen + len <= script->content_len);
			require(len == 0 || memcmp(script->content + seen, data, len) == 0);
			seen += len;
		} while (result == 0 && len > 0);
		free(piece);
	}
	require(script->is_over || result == 0);
	require(script->is_over || seen == script->content_len);
	peer_end(&server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct script script;

	if (size < 1)
		return 0;
	script_make(&script, data + 1, size - 1);
	script_check(&script, WIRE_BYTES);
	script_check(&script, 1 + (size_t)data[0]);
	return 0;
}
