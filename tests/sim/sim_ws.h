/* SPDX-License-Identifier: MIT */
/*
 * sim_ws.h - WebSockets on the simulated backend: a server whose application echoes, obeys commands and
 * publishes, and clients that know what has to come back. Called by tests/sim/sim_ws_*test.c.
 * A client compares every frame with what is due the moment it arrives; a failure prints PER_SEED=0x... and
 * ends the process.
 */
#ifndef PER_TESTS_SIM_SIM_WS_H
#define PER_TESTS_SIM_SIM_WS_H

#include "sim/sim_http.h"
#include "ws/handshake.h"

#include <zlib.h>

#define SIM_WS_CLIENTS_MAX 64u
#define SIM_WS_MS_NS INT64_C(1000000)
#define SIM_WS_NUMBERED_BYTES 1000u /* of a message with a number */
#define SIM_WS_LOST 1006            /* the code of a connection that ended without a close frame */

enum { SIM_WS_TEXT = 1, SIM_WS_BINARY = 2, SIM_WS_CLOSE = 8, SIM_WS_PING = 9, SIM_WS_PONG = 10 };

/* Bytes that grow. */
struct sim_ws_bytes {
	uint8_t *data;
	size_t len, cap;
};

struct sim_ws;

/* One client, its connection, and what the server's side said about it. */
struct sim_ws_client {
	struct sim_ws *world;
	struct per__sim_peer *peer;
	unsigned index; /* in its world; part of the target that it asks for */

	struct sim_ws_bytes out;  /* made and not yet sent */
	struct sim_ws_bytes want; /* frames that are due: opcode, length in four bytes, payload */
	size_t want_pos;          /* those before it have come */
	bool wants_anything;      /* frames go to on_frame instead of being compared */
	void (*on_frame)(struct sim_ws_client *client, unsigned opcode, const uint8_t *data, size_t len);

	char accept[PER__WS_ACCEPT_LEN]; /* the value that the answer has to have */
	char extensions[160];            /* likewise; empty: none */
	struct per__deflate_params params;
	z_stream deflater, inflater;

	bool is_upgraded, is_refused; /* refused: with another answer than 101, and everything behind it */
	bool saw_close, sent_close, sent_fin;
	bool may_be_declined; /* the extension; then nothing is compressed from there on */
	bool keeps_silent;    /* does not answer close frames */
	bool keeps_pings;     /* does not answer pings */
	uint32_t pings, frames;
	int64_t frame_ns; /* when the last one was read */
	unsigned close_code;
	size_t close_reason_len;
	char close_reason[124];

	per_ws *ws; /* from here on: the server's side; NULL before and after */
	per_ref ref;
	uint32_t opened, closed, messages, pongs, drains;
	bool is_paused, will_resume;
	int code; /* as on_close had it */
	size_t reason_len;
	char reason[124];
	struct sim_ws_bytes piece; /* a message that comes in pieces */
	uint64_t message_turn;     /* when the last one came */
	int64_t open_ns, close_ns;
	struct sim_ws_bytes
		taken;      /* the numbers, eight bytes each, of messages that were not above the limit */
	uint32_t again;     /* sends that met PER_EAGAIN */
	int send_error;     /* of the last one */
	uint32_t open_mark; /* world->published when it opened */
};

/* Server, application and clients. */
struct sim_ws {
	struct sim_http http; /* first */
	per_ws_config config;
	int64_t accept_ns;     /* requests are accepted that much later, by a post; 0: at once */
	bool in_pieces;        /* messages come through on_piece */
	uint32_t pause_chance; /* parts per million, in each hook */
	const char *topic;     /* everybody subscribes to it in on_open; NULL: nobody does */
	size_t memory_bytes;   /* of the server's budget; 0: plenty */
	uint32_t published;    /* messages that the test has published */
	uint32_t later;        /* orders whose time is to come */
	struct sim_ws_later *later_first;
	size_t queued_over_most; /* bytes above queue_bytes, the most that was seen after a message */
	uint32_t client_cnt;
	struct sim_ws_client *clients[SIM_WS_CLIENTS_MAX];
};

/* --- the world -------------------------------------------------------------------------------- */

/**
 * Begins a world and a server.
 *
 * config  copied; its handler is replaced; may be changed in world->config while there is no client
 * memory  bytes of the server's budget; 0: plenty
 */
void sim_ws_begin(struct sim_ws *world, uint64_t seed, const per_ws_config *config, size_t memory);
/** Ends everything, and checks that nothing is left: connections, blocks, contexts, topics, publications. */
void sim_ws_end(struct sim_ws *world);
void sim_ws_check_empty(struct sim_ws *world);
/** One turn of the server, then all clients read. */
void sim_ws_turn(struct sim_ws *world);
#define SIM_WS_RUN_UNTIL(world, claim)                                                                 \
	for (uint32_t sim_ws_turns = 0; !(claim); sim_ws_turns++) {                                    \
		if (sim_ws_turns > 3000000 || (world)->http.is_stopped)                                \
			sim_http_fail(&(world)->http, "%s:%d: never happened: %s", __FILE__, __LINE__, \
				      #claim);                                                         \
		sim_ws_turn(world);                                                                    \
	}
#define SIM_WS_CHECK(world, claim) SIM_HTTP_CHECK(&(world)->http, claim)

/** Every client's connection is gone, on both sides. */
bool sim_ws_all_over(struct sim_ws *world);

/** Asks the server's side of a client for something, from outside of its hooks, after ns: a post. */
enum sim_ws_order {
	SIM_WS_ORDER_RESUME,
	SIM_WS_ORDER_CLOSE, /* argument: the code */
	SIM_WS_ORDER_ABORT,
	SIM_WS_ORDER_SEND, /* argument: the number that the message begins with; negative: nothing is in it */
	SIM_WS_ORDER_PAUSE,
	SIM_WS_ORDER_ACCEPT, /* sim_ws.c's own: a deferred request */
};
void sim_ws_order(struct sim_ws_client *client, int64_t ns, enum sim_ws_order order, int64_t argument);

/* --- clients ---------------------------------------------------------------------------------- */

/**
 * Makes a client that connects, and writes its request to client->out.
 *
 * offer  of extensions; NULL: none
 */
struct sim_ws_client *sim_ws_client_new(struct sim_ws *world, const char *offer);
/** Only when its connection is gone. */
void sim_ws_client_free(struct sim_ws_client *client);

/** Appends one frame, masked with four random bytes. Expects nothing. */
void sim_ws_frame(struct sim_ws_client *client, unsigned first_byte, const void *data, size_t len);
/** What the server has to send next, behind everything that was wanted before. */
void sim_ws_want(struct sim_ws_client *client, unsigned opcode, const void *data, size_t len);
/**
 * Appends a message of a number of frames, compressed if that was agreed on, and expects its echo.
 *
 * pings  parts per million: a ping between two frames; its pong is expected
 */
void sim_ws_message(struct sim_ws_client *client, unsigned opcode, const void *data, size_t len,
		    size_t frames, uint32_t pings);
/** Appends a ping and expects the pong; a pong; a close frame (code 0: empty). */
void sim_ws_ping(struct sim_ws_client *client, const void *data, size_t len);
void sim_ws_close(struct sim_ws_client *client, unsigned code, const char *reason);
/** A message that makes the application close with that code: expects nothing. */
void sim_ws_command(struct sim_ws_client *client, const char *command);

/** A valid payload of that many bytes at most: text or noise, some of it easy to compress. */
size_t sim_ws_payload(struct per__sim *sim, unsigned opcode, uint8_t *data, size_t len);

/** Sends client->out at once, or in random parts at random times of at most 20 us each. */
void sim_ws_send(struct sim_ws_client *client);
void sim_ws_send_cut(struct sim_ws_client *client);
/** FIN; may be called more than once. */
void sim_ws_fin(struct sim_ws_client *client);

/** Reads what has come. */
void sim_ws_client_read(struct sim_ws_client *client);
bool sim_ws_client_is_over(struct sim_ws_client *client);
/** Everything that was due has come. */
bool sim_ws_client_has_all(const struct sim_ws_client *client);

void sim_ws_append(struct sim_ws_bytes *bytes, const void *data, size_t len);

#endif
