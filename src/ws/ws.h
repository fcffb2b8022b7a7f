/* SPDX-License-Identifier: MIT */
/*
 * ws.h - one WebSocket connection: what it keeps beside struct per__conn. Made by accept.c, read by in.c,
 * written by out.c, its life in ws.c.
 *
 *   open -> closing (our close frame is queued) -> closed
 *     \------------------------------------------/   (the peer's close frame, or a failure)
 */
#ifndef PER_WS_WS_H
#define PER_WS_WS_H

#include "core/conn.h"
#include "core/worker.h"
#include "ws/deflate.h"
#include "ws/frame.h"
#include "ws/handshake.h"
#include "ws/utf8.h"
#include <peregrine/ws.h>

struct per__subscription;
struct per__publication;

enum per__ws_state {
	PER__WS_OPEN,
	PER__WS_CLOSING, /* our close frame is queued, the peer's is to come */
	PER__WS_CLOSED,  /* the connection ends when the queue is sent */
};

enum {
	PER__WS_IN_FRAME = 1 << 0,    /* payload of ws->frame is to come */
	PER__WS_IN_MESSAGE = 1 << 1,  /* the last data frame had no FIN */
	PER__WS_DEFLATED = 1 << 2,    /* the message in progress is compressed */
	PER__WS_IS_TEXT = 1 << 3,     /* it is text */
	PER__WS_PINGED = 1 << 4,      /* nothing has come since our ping */
	PER__WS_PAUSED = 1 << 5,      /* by the application */
	PER__WS_FULL = 1 << 6,        /* output is above the limit: input waits, on_drain is due */
	PER__WS_TOLD_OPEN = 1 << 7,   /* on_close is due */
	PER__WS_REASON = 1 << 8,      /* msg holds the reason of a close */
	PER__WS_LATEST_TEXT = 1 << 9, /* type of the message that waits */
};

struct per_ws {
	struct per__conn *conn;
	uint64_t generation; /* bumped when it is over; kept while the slot is free */

	const per_ws_config *config;
	void *data;
	uint16_t flags; /* PER__WS_* */
	uint8_t state;  /* enum per__ws_state */
	uint16_t close_code;
	struct per__deflate_params params;

	struct per__ws_frame frame; /* the frame in progress */
	uint64_t frame_left;        /* bytes of its payload still to come */
	uint64_t msg_seen;          /* bytes of the message in progress, inflated */
	uint8_t *msg;               /* what was collected of it: a block, or NULL */
	size_t msg_len, msg_cap;
	uint32_t fragments;
	per__utf8_state utf8;
	uint64_t in_mark; /* bytes received when the idle timer was set */
	int64_t due_ns;   /* when it is over; 0: it begins when all output is with the kernel */

	struct per__inflater *inflater;
	struct per__deflater *deflater;
	uint8_t *latest; /* the message that waits (PER_WS_POLICY_LATEST): a block, or NULL */
	size_t latest_len;
	struct per__subscription *subscriptions;
};

_Static_assert(sizeof(struct per_ws) <= 256, "an idle WebSocket costs at most 512 bytes");

extern const struct per__proto per__proto_ws;

/* Settings with their defaults applied. */
size_t per__ws_message_max(const struct per_ws *ws);
size_t per__ws_queue_max(const struct per_ws *ws);

/** Queues a control frame of at most 125 bytes. Returns 0, PER_ENOMEM, PER_EGONE. */
int per__ws_control(struct per_ws *ws, uint8_t opcode, const void *data, size_t len);

/**
 * Ends the connection with a close frame of that code (RFC 6455 section 7.1.7), because the peer broke a
 * rule or a limit.
 */
void per__ws_fail(struct per_ws *ws, unsigned code);

/** The peer's close frame: answers it, if that is still due, and ends the connection. */
void per__ws_peer_closed(struct per_ws *ws, const uint8_t *payload, size_t len);

/** Queues a published message, whole frame lent. Called by pubsub.c. */
void per__ws_send_shared(struct per_ws *ws, struct per__publication *pub);

/** What arrived: frames to messages. The on_data of the protocol. */
size_t per__ws_on_data(struct per__conn *conn, uint8_t *data, size_t len);

/** Queues the message that waits, if there is one. */
void per__ws_latest_send(struct per_ws *ws);

/** The queue has shrunk: sends what waits, tells the application. */
void per__ws_drained(struct per_ws *ws);

/** Makes the contexts of permessage-deflate when they are first needed. NULL above the budget. */
struct per__deflater *per__ws_deflater(struct per_ws *ws);
struct per__inflater *per__ws_inflater(struct per_ws *ws);

/** Runs a function posted to a WebSocket; NULL when it has ended. */
void per__ws_run_post(struct per__worker *worker, const struct per__mail *mail);

static inline bool per__ws_is_open(const struct per_ws *ws)
{
	return ws->state == PER__WS_OPEN && per__conn_is_open(ws->conn);
}

#endif
