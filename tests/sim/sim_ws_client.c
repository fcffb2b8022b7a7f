/* SPDX-License-Identifier: MIT */
/*
 * sim_ws_client.c - a small WebSocket client in memory: makes frames, reads frames, compresses with zlib.
 * Shares no code with src/ws but the handshake's values; compares what comes with what is due, frame by
 * frame.
 */
#include "sim/sim_ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define WANT_HEAD 5u
#define PAYLOAD_MAX ((size_t)1 << 20)

void sim_ws_append(struct sim_ws_bytes *bytes, const void *data, size_t len)
{
	if (bytes->cap - bytes->len < len) {
		bytes->cap = PER_MAX(bytes->cap * 2, bytes->len + len);
		bytes->data = realloc(bytes->data, bytes->cap);
		if (bytes->data == NULL)
			abort();
	}
	if (len > 0)
		memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
}

/* --- the life of a client --------------------------------------------------------------------- */

/* What the server has to agree on: worked out with the codec that has tests of its own. */
static void agree(struct sim_ws_client *client, const char *offer)
{
	const per_ws_config *config = &client->world->config;
	struct per__deflate_wish wish = {
		.server_bits = (uint8_t)(config->server_window_bits != 0 ? config->server_window_bits : 15),
		.client_bits = (uint8_t)(config->client_window_bits != 0 ? config->client_window_bits : 15),
		.server_no_takeover = config->server_no_context_takeover,
		.client_no_takeover = config->client_no_context_takeover,
	};
	size_t len;

	if (offer == NULL || !config->deflate)
		return;
	len = per__deflate_negotiate(&client->params, &wish, per_str_from(offer), client->extensions,
				     sizeof(client->extensions) - 1);
	client->extensions[len] = '\0';
	if (!client->params.is_on)
		return;
	SIM_WS_CHECK(client->world, deflateInit2(&client->deflater, 1, Z_DEFLATED,
						 -(int)PER_MAX(client->params.client_bits, 9), 8,
						 Z_DEFAULT_STRATEGY) == Z_OK);
	SIM_WS_CHECK(client->world,
		     inflateInit2(&client->inflater, -(int)PER_MAX(client->params.server_bits, 9)) == Z_OK);
}

/* No compression, or none any more. */
static void decline(struct sim_ws_client *client)
{
	if (client->params.is_on) {
		deflateEnd(&client->deflater);
		inflateEnd(&client->inflater);
	}
	client->params.is_on = false;
}

struct sim_ws_client *sim_ws_client_new(struct sim_ws *world, const char *offer)
{
	struct sim_ws_client *client = calloc(1, sizeof(*client));
	char request[400];
	int len;

	SIM_WS_CHECK(world, client != NULL && world->client_cnt < SIM_WS_CLIENTS_MAX);
	client->world = world;
	client->index = world->client_cnt++;
	world->clients[client->index] = client;
	per__ws_accept_value(client->accept, PER_S(KEY));
	agree(client, offer);
	len = snprintf(request, sizeof(request),
		       "GET /%u HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n%s%s%s\r\n",
		       client->index, offer != NULL ? "Sec-WebSocket-Extensions: " : "",
		       offer != NULL ? offer : "", offer != NULL ? "\r\n" : "");
	sim_ws_append(&client->out, request, (size_t)len);
	client->peer = sim_connect(world->http.sim, 0);
	return client;
}

void sim_ws_client_free(struct sim_ws_client *client)
{
	struct sim_ws *world = client->world;

	SIM_WS_CHECK(world, client->opened == client->closed);
	SIM_WS_CHECK(world, client->index + 1 == world->client_cnt);
	world->client_cnt--;
	sim_peer_free(client->peer);
	decline(client);
	free(client->out.data);
	free(client->want.data);
	free(client->piece.data);
	free(client->taken.data);
	free(client);
}

bool sim_ws_client_is_over(struct sim_ws_client *client)
{
	return sim_peer_is_over(client->peer) && !sim_peer_is_attached(client->peer);
}

bool sim_ws_client_has_all(const struct sim_ws_client *client)
{
	return client->want_pos == client->want.len;
}

/* --- making ----------------------------------------------------------------------------------- */

void sim_ws_frame(struct sim_ws_client *client, unsigned first_byte, const void *data, size_t len)
{
	uint32_t mask = (uint32_t)sim_random(client->world->http.sim);
	size_t ext = len < 126 ? 0 : len <= 65535 ? 2 : 8;
	uint8_t head[14] = { (uint8_t)first_byte };
	uint8_t *payload;

	head[1] = (uint8_t)(0x80 | (ext == 0 ? len : ext == 2 ? 126 : 127));
	for (size_t i = 0; i < ext; i++)
		head[2 + i] = (uint8_t)(len >> 8 * (ext - 1 - i));
	memcpy(head + 2 + ext, &mask, 4);
	sim_ws_append(&client->out, head, 2 + ext + 4);
	sim_ws_append(&client->out, data, len);
	payload = client->out.data + client->out.len - len;
	for (size_t i = 0; i < len; i++)
		payload[i] ^= head[2 + ext + i % 4];
}

void sim_ws_want(struct sim_ws_client *client, unsigned opcode, const void *data, size_t len)
{
	uint8_t head[WANT_HEAD] = { (uint8_t)opcode, (uint8_t)(len >> 24), (uint8_t)(len >> 16),
				    (uint8_t)(len >> 8), (uint8_t)len };

	sim_ws_append(&client->want, head, sizeof(head));
	sim_ws_append(&client->want, data, len);
}

/* Compresses as RFC 7692 section 7.2.1 says. Valid until the next one. */
static const uint8_t *compress_message(struct sim_ws_client *client, const void *data, size_t len,
				       size_t *out_len)
{
	static uint8_t out[PAYLOAD_MAX];
	z_stream *stream = &client->deflater;

	if (client->params.client_no_takeover)
		deflateReset(stream);
	stream->next_in = (Bytef *)(uintptr_t)data;
	stream->avail_in = (uInt)len;
	stream->next_out = out;
	stream->avail_out = PAYLOAD_MAX;
	SIM_WS_CHECK(client->world, deflate(stream, Z_SYNC_FLUSH) == Z_OK && stream->avail_out > 0);
	*out_len = PAYLOAD_MAX - stream->avail_out;
	SIM_WS_CHECK(client->world, *out_len >= 5);
	*out_len -= 4;
	return out;
}

void sim_ws_message(struct sim_ws_client *client, unsigned opcode, const void *data, size_t len,
		    size_t frames, uint32_t pings)
{
	struct per__sim *sim = client->world->http.sim;
	bool is_compressed = client->params.is_on && len > 0 && !sim_chance(sim, SIM_MILLION / 5);
	size_t left = len;
	const uint8_t *rest = is_compressed ? compress_message(client, data, len, &left) : data;
	unsigned first = opcode | (is_compressed ? 0x40u : 0);

	for (size_t i = 0; i < frames; i++) {
		bool is_last = i + 1 == frames;
		size_t part = is_last ? left : (size_t)sim_random_below(sim, left + 1);

		sim_ws_frame(client, (i == 0 ? first : 0) | (is_last ? 0x80u : 0), rest, part);
		rest = part > 0 ? rest + part : rest;
		left -= part;
		if (!is_last && sim_chance(sim, pings))
			sim_ws_ping(client, "between", (size_t)sim_random_below(sim, 8));
	}
	sim_ws_want(client, opcode, data, len);
}

void sim_ws_ping(struct sim_ws_client *client, const void *data, size_t len)
{
	sim_ws_frame(client, 0x80 | SIM_WS_PING, data, len);
	sim_ws_want(client, SIM_WS_PONG, data, len);
}

void sim_ws_close(struct sim_ws_client *client, unsigned code, const char *reason)
{
	uint8_t payload[125] = { (uint8_t)(code >> 8), (uint8_t)code };
	size_t len = strlen(reason);

	memcpy(payload + 2, reason, len);
	sim_ws_frame(client, 0x80 | SIM_WS_CLOSE, payload, code != 0 ? 2 + len : 0);
	client->sent_close = true;
}

void sim_ws_command(struct sim_ws_client *client, const char *command)
{
	sim_ws_frame(client, 0x80 | SIM_WS_TEXT, command, strlen(command));
}

static size_t text_put(struct per__sim *sim, uint8_t *data, size_t room)
{
	static const char *const letters[] = {
		"a", "e", " ", "\n", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xa6", "\xed\x9f\xbf"
	};
	const char *letter = letters[sim_random_below(sim, PER_ARRAY_LEN(letters))];
	size_t len = strlen(letter);

	if (len > room)
		return 0;
	memcpy(data, letter, len);
	return len;
}

size_t sim_ws_payload(struct per__sim *sim, unsigned opcode, uint8_t *data, size_t len)
{
	bool is_easy = sim_chance(sim, SIM_MILLION / 2);
	size_t pos = 0, part = 1, begin = PER_MIN(len, (size_t)300);

	while (pos < begin && part > 0) {
		part = opcode == SIM_WS_TEXT ? text_put(sim, data + pos, begin - pos) : 1;
		if (opcode != SIM_WS_TEXT)
			data[pos] = (uint8_t)sim_random(sim);
		pos += part;
	}
	if (pos > 0 && data[0] == '!')
		data[0] = '?';
	if (opcode == SIM_WS_TEXT || is_easy) { /* what there is, again and again: whole letters */
		for (size_t unit = pos; unit > 0 && pos + unit <= len; pos += unit)
			memcpy(data + pos, data, unit);
		return pos;
	}
	for (uint64_t word = sim_random(sim); pos < len; pos++) {
		data[pos] = (uint8_t)(word >> 33);
		word = word * 6364136223846793005u + 1442695040888963407u;
	}
	return pos;
}

/* --- sending ---------------------------------------------------------------------------------- */

void sim_ws_send(struct sim_ws_client *client)
{
	sim_peer_send(client->peer, client->out.data, client->out.len);
	client->out.len = 0;
}

void sim_ws_send_cut(struct sim_ws_client *client)
{
	static const size_t piece[] = { 1, 10, 200, 5000, 50000 };
	struct per__sim *sim = client->world->http.sim;
	size_t most = piece[sim_random_below(sim, PER_ARRAY_LEN(piece))];
	const uint8_t *data = client->out.data;
	size_t left = client->out.len;
	int64_t at = 0;

	if (left > 3000)
		most = PER_MAX(most, left / 100);
	while (left > 0) {
		size_t part = 1 + (size_t)sim_random_below(sim, PER_MIN(left, most));

		if (sim_chance(sim, SIM_MILLION / 2))
			at += (int64_t)sim_random_below(sim, 20000);
		sim_peer_send_after(client->peer, at, data, part);
		data += part;
		left -= part;
	}
	client->out.len = 0;
}

void sim_ws_fin(struct sim_ws_client *client)
{
	if (!client->sent_fin)
		sim_peer_close_write(client->peer);
	client->sent_fin = true;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool has_field(const char *head, const char *name, const char *value)
{
	char line[300];

	snprintf(line, sizeof(line), "\r\n%s: %s\r\n", name, value);
	return strstr(head, line) != NULL;
}

/* Returns the length of the answer's head; 0: it is not there yet. */
static size_t answer_read(struct sim_ws_client *client, const uint8_t *data, size_t len)
{
	char head[1000] = { 0 }, accept[PER__WS_ACCEPT_LEN + 1] = { 0 };
	const char *end;

	memcpy(head, data, PER_MIN(len, sizeof(head) - 1));
	end = strstr(head, "\r\n\r\n");
	if (end == NULL)
		return 0;
	head[end + 4 - head] = '\0';
	memcpy(accept, client->accept, PER__WS_ACCEPT_LEN);
	if (strncmp(head, "HTTP/1.1 101 ", 13) != 0) {
		client->is_refused = true;
		return len;
	}
	SIM_WS_CHECK(client->world, has_field(head, "Sec-WebSocket-Accept", accept));
	if (client->may_be_declined && strstr(head, "Extensions") == NULL)
		decline(client);
	if (client->params.is_on)
		SIM_WS_CHECK(client->world, has_field(head, "Sec-WebSocket-Extensions", client->extensions));
	else
		SIM_WS_CHECK(client->world, strstr(head, "Extensions") == NULL);
	client->is_upgraded = true;
	return (size_t)(end + 4 - head);
}

/* Inflates a message as RFC 7692 section 7.2.2 says. Valid until the next one. */
static const uint8_t *inflate_message(struct sim_ws_client *client, const uint8_t *data, size_t len,
				      size_t *out_len)
{
	static const uint8_t tail[4] = { 0, 0, 0xff, 0xff };
	static uint8_t out[PAYLOAD_MAX];
	z_stream *stream = &client->inflater;

	if (client->params.server_no_takeover)
		inflateReset(stream);
	stream->next_out = out;
	stream->avail_out = PAYLOAD_MAX;
	for (int i = 0; i < 2; i++) {
		int result;

		stream->next_in = (Bytef *)(uintptr_t)(i == 0 ? data : tail);
		stream->avail_in = i == 0 ? (uInt)len : 4;
		result = inflate(stream, Z_SYNC_FLUSH);
		SIM_WS_CHECK(client->world, result == Z_OK || result == Z_BUF_ERROR);
		SIM_WS_CHECK(client->world, stream->avail_in == 0);
	}
	*out_len = PAYLOAD_MAX - stream->avail_out;
	return out;
}

/* The frame has to be the next that is due. */
static void frame_compare(struct sim_ws_client *client, unsigned opcode, const uint8_t *data, size_t len)
{
	const uint8_t *want = client->want.data + client->want_pos;
	size_t want_len;

	if (sim_ws_client_has_all(client))
		sim_http_fail(&client->world->http, "client %u: a frame of opcode %u that is not due",
			      client->index, opcode);
	want_len = (size_t)want[1] << 24 | (size_t)want[2] << 16 | (size_t)want[3] << 8 | want[4];
	if (opcode != want[0] || len != want_len || (len > 0 && memcmp(data, want + WANT_HEAD, len) != 0))
		sim_http_fail(
			&client->world->http,
			"client %u: opcode %u of %zu bytes came, opcode %u of %zu bytes was due, or others",
			client->index, opcode, len, want[0], want_len);
	client->want_pos += WANT_HEAD + want_len;
}

static void close_arrived(struct sim_ws_client *client, const uint8_t *data, size_t len)
{
	struct sim_ws *world = client->world;

	SIM_WS_CHECK(world, len != 1 && len <= 125);
	client->saw_close = true;
	client->close_code = len >= 2 ? (unsigned)data[0] << 8 | data[1] : 0;
	client->close_reason_len = len >= 2 ? len - 2 : 0;
	if (len > 2)
		memcpy(client->close_reason, data + 2, len - 2);
	if (client->keeps_silent)
		return;
	if (!client->sent_close && !client->sent_fin) {
		client->out.len = 0;
		sim_ws_close(client, client->close_code, "");
		sim_ws_send(client);
	}
	sim_ws_fin(client);
}

static void frame_arrived(struct sim_ws_client *client, uint8_t first, const uint8_t *data, size_t len)
{
	unsigned opcode = first & 0x0fu;

	SIM_WS_CHECK(client->world, !client->saw_close);     /* nothing comes behind a close frame */
	SIM_WS_CHECK(client->world, (first & 0xb0) == 0x80); /* whole messages, no reserved bits */
	client->frames++;
	client->frame_ns = sim_now_ns(client->world->http.sim);
	if ((first & 0x40) != 0) {
		SIM_WS_CHECK(client->world, client->params.is_on && opcode < SIM_WS_CLOSE);
		data = inflate_message(client, data, len, &len);
	}
	if (opcode == SIM_WS_CLOSE) {
		close_arrived(client, data, len);
	} else if (opcode == SIM_WS_PING) {
		client->pings++;
		if (!client->keeps_pings && !client->sent_fin && !client->sent_close) {
			sim_ws_frame(client, 0x80 | SIM_WS_PONG, data, len);
			sim_ws_send(client);
		}
	} else if (client->wants_anything) {
		if (client->on_frame != NULL)
			client->on_frame(client, opcode, data, len);
	} else {
		frame_compare(client, opcode, data, len);
	}
}

/* Returns the length of the whole frame at data; 0: it is not there yet. */
static size_t frame_read(struct sim_ws_client *client, const uint8_t *data, size_t len)
{
	size_t ext, head, payload;

	if (len < 2)
		return 0;
	SIM_WS_CHECK(client->world, (data[1] & 0x80) == 0);
	ext = data[1] == 126 ? 2 : data[1] == 127 ? 8 : 0;
	head = 2 + ext;
	if (len < head)
		return 0;
	payload = ext == 0 ? data[1] : 0;
	for (size_t i = 0; i < ext; i++)
		payload = payload << 8 | data[2 + i];
	SIM_WS_CHECK(client->world, payload < PAYLOAD_MAX);
	SIM_WS_CHECK(client->world, payload >= (ext == 8   ? 65536u
						: ext == 2 ? 126u
							   : 0)); /* the shortest form */
	if (len - head < payload)
		return 0;
	frame_arrived(client, data[0], data + head, payload);
	return head + payload;
}

void sim_ws_client_read(struct sim_ws_client *client)
{
	size_t len, used = 0, step;
	const uint8_t *data = sim_peer_received(client->peer, &len);

	if (client->is_refused)
		used = len;
	while (used < len) {
		step = client->is_upgraded ? frame_read(client, data + used, len - used)
					   : answer_read(client, data + used, len - used);
		if (step == 0)
			break;
		used += step;
	}
	sim_peer_consume(client->peer, used);
}
