/* SPDX-License-Identifier: MIT */
/*
 * ws.h - WebSocket (RFC 6455) with permessage-deflate (RFC 7692) and publish/subscribe.
 *
 * A connection becomes a WebSocket in a request hook, by per_ws_accept(). From then on it lives on the
 * worker that accepted it; its hooks are called there, one at a time. Functions that take a per_ws belong
 * to that thread; those that take a per_server may be called from any thread.
 */
#ifndef PEREGRINE_WS_H
#define PEREGRINE_WS_H

#include <peregrine/response.h>
#include <peregrine/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One WebSocket connection. Lent to the hooks: valid from on_open until on_close has returned. */
typedef struct per_ws per_ws;

/** Kinds of messages; the numbers are the opcodes (RFC 6455 section 5.2). */
typedef enum per_ws_type {
	PER_WS_TEXT = 1, /* UTF-8, checked as it arrives; what is sent is not checked */
	PER_WS_BINARY = 2,
} per_ws_type;

/** What happens to a message when the peer reads too slowly: above queue_bytes. */
typedef enum per_ws_policy {
	PER_WS_POLICY_CLOSE = 0, /* the connection is closed (1008) */
	PER_WS_POLICY_DROP = 1,  /* the new message is dropped */
	PER_WS_POLICY_LATEST =
		2, /* the newest message waits and replaces the one that waited; for states, not events */
} per_ws_policy;

/** What the application does with messages. All hooks are optional. They must not block. */
typedef struct per_ws_handler {
	/* The handshake is answered: messages may be sent from here on. */
	void (*on_open)(per_ws *ws, void *user);

	/*
	 * A whole message, up to message_bytes_max. data is valid until the hook returns, and may be
	 * changed in place.
	 */
	void (*on_message)(per_ws *ws, per_ws_type type, void *data, size_t len, void *user);

	/*
	 * If set, messages come in pieces as they arrive, instead of through on_message: message_bytes_max
	 * still holds for the sum. is_last ends the message; the last piece may be empty.
	 */
	void (*on_piece)(per_ws *ws, per_ws_type type, void *data, size_t len, bool is_last, void *user);

	/*
	 * What was queued has shrunk to half of queue_bytes or less, after a send that met PER_EAGAIN or
	 * was dropped.
	 */
	void (*on_drain)(per_ws *ws, void *user);

	/* A pong has arrived; its payload is 0 to 125 bytes. */
	void (*on_pong)(per_ws *ws, const void *data, size_t len, void *user);

	/*
	 * The connection is over; ws is not valid after this returns. Called exactly once for each on_open.
	 * code is the peer's close code, 1005 when it sent none, 1006 when it left without a close frame,
	 * or the code that this side closed with.
	 */
	void (*on_close)(per_ws *ws, int code, per_str reason, void *user);

	void *user; /* passed to every hook */
	void (*reserved[8])(void);
} per_ws_handler;

/**
 * How a kind of WebSocket behaves. Zero means the default. Borrowed: must stay valid and unchanged while
 * connections use it. Nothing here is refused: docs/configuration.md says what values out of range do.
 */
typedef struct per_ws_config {
	per_ws_handler handler;

	size_t message_bytes_max;  /* one message, inflated, else 1009; default 16 MiB */
	uint32_t fragments_max;    /* frames of one message, else 1008; default 1,048,576 */
	size_t queue_bytes;        /* not yet with the kernel, per connection; default 1 MiB */
	per_ws_policy policy;      /* above queue_bytes */
	unsigned idle_timeout_ms;  /* nothing received for so long: a ping is sent; default 30,000 */
	unsigned pong_timeout_ms;  /* and nothing received for so long after it: closed; default 20,000 */
	unsigned close_timeout_ms; /* how long to wait for the peer's close frame; default 5,000 */

	bool deflate;                    /* offer permessage-deflate to clients that ask for it */
	int deflate_level;               /* 1 to 9; default 1 */
	unsigned server_window_bits;     /* 9 to 15; default 15; a client may ask for less */
	unsigned client_window_bits;     /* 9 to 15; default 15; used when the client lets us choose */
	bool server_no_context_takeover; /* compress each message by itself: less memory, larger messages */
	bool client_no_context_takeover; /* ask the client to do so */
	size_t deflate_min_bytes;        /* shorter messages are sent as they are; default 64 */
	/*
	 * Contexts of all connections of one worker; default 64 MiB. What a client may send compressed is
	 * set aside in the handshake, which does without compression when there is no room; above the
	 * budget messages go out as they are.
	 */
	size_t deflate_memory_bytes;
	void *reserved[8];
} per_ws_config;

/**
 * Does the request ask for a WebSocket: GET, HTTP/1.1, Upgrade: websocket, Connection: upgrade (RFC 6455
 * section 4.2.1)?
 */
PER_API bool per_ws_is_upgrade(const per_req *req);

/** Does the client offer this subprotocol (compared with case, RFC 6455 section 4.1)? */
PER_API bool per_ws_offers_protocol(const per_req *req, per_str protocol);

/**
 * Answers a complete request (in on_request, or later) with 101 and makes its connection a WebSocket; fields
 * added with per_header() are sent along. If the request is no valid opening handshake it is answered with
 * 400, or with 426 and Sec-WebSocket-Version for another version.
 *
 * config    borrowed while the connection lives
 * protocol  the subprotocol chosen, one that the client offers; absent or empty: none
 * data      the application's pointer, per_ws_data()
 * returns   0: the request is answered with 101, on_open follows; PER_EPROTO: it was answered with the
 *           error; PER_EINVAL without a config, or for a protocol that was not offered; PER_ESTATE when
 *           already answered, or before the request is complete; PER_ENOMEM; PER_ETOOBIG; PER_EGONE
 * source    RFC 6455 section 4.2
 */
PER_API int per_ws_accept(per_req *req, const per_ws_config *config, per_str protocol, void *data);

/**
 * Sends a message. Everything that is sent in one turn of the worker leaves together.
 *
 * data, len  copied before return; len at most 512 MiB
 * returns    0: queued. PER_EAGAIN: above queue_bytes; the message that reached the limit was queued, a later
 *            one kept or dropped as the policy says; on_drain will be called. PER_ESTATE after a close, also
 *            the one that PER_WS_POLICY_CLOSE has just begun; PER_EINVAL; PER_EGONE; PER_ENOMEM
 */
PER_API int per_ws_send(per_ws *ws, per_ws_type type, const void *data, size_t len);

/**
 * Sends a ping. Pings on idle connections are sent without being asked for.
 *
 * data, len  copied before return; 0 to 125 bytes
 * returns    0; PER_EINVAL; PER_ESTATE after a close; PER_ENOMEM; PER_EGONE
 */
PER_API int per_ws_ping(per_ws *ws, const void *data, size_t len);

/**
 * Begins the closing handshake. Messages queued before are sent first; none can be sent after, and what still
 * arrives is not handed on.
 *
 * code     1000 to 1003, 1007 to 1014, or 3000 to 4999; 0: a close frame without a code
 * reason   at most 123 bytes of UTF-8, none without a code; copied
 * returns  0; PER_EINVAL; PER_ESTATE when already closing or gone; PER_ENOMEM
 * source   RFC 6455 sections 5.5.1 and 7.4
 */
PER_API int per_ws_close(per_ws *ws, int code, per_str reason);

/** Cuts the connection without a closing handshake. on_close comes later, with 1006 if no close had begun. */
PER_API void per_ws_abort(per_ws *ws);

/**
 * No message until resumed; the peer is slowed down. Control frames wait as well, pongs among them, so that a
 * paused connection is not cut for its silence. A reset by the peer is told meanwhile (on_close, 1006).
 * per_ws_close() ends a pause; after it nothing can be paused.
 */
PER_API void per_ws_pause(per_ws *ws);
PER_API void per_ws_resume(per_ws *ws);

/** Bytes queued and not yet with the kernel. */
PER_API size_t per_ws_queued(const per_ws *ws);

/** The application's pointer: what per_ws_accept() was given, until it is set anew. */
PER_API void per_ws_set_data(per_ws *ws, void *data);
PER_API void *per_ws_data(const per_ws *ws);

/** The pointer of the worker that owns ws, from worker_init, and the server. */
PER_API void *per_ws_worker_state(const per_ws *ws);
PER_API per_server *per_ws_server(const per_ws *ws);

/* --- from any thread -------------------------------------------------------------------------- */

/** Names the connection without holding it, for per_ws_post() and per_ws_send_to(). */
PER_API per_ref per_ws_ref(const per_ws *ws);

/** Run on the worker that owns the connection; ws is NULL when it has ended. */
typedef void (*per_ws_post_fn)(per_ws *ws, void *arg);

/** As per_post(), for a WebSocket: the same errors, the same promise that fn is called exactly once. */
PER_API int per_ws_post(per_server *server, per_ref ref, per_ws_post_fn fn, void *arg);

/**
 * Sends a message from any thread, through the worker that owns the connection. What per_ws_send() answers
 * there is not told; a connection that has ended by then gets nothing.
 *
 * data, len  copied before return, to the heap
 * returns    0; PER_EAGAIN when the worker's queue is full; PER_EINVAL for a reference that names no worker;
 *            PER_EGONE when the worker has ended; PER_ENOMEM
 * threads    any, while the server object exists
 */
PER_API int per_ws_send_to(per_server *server, per_ref ref, per_ws_type type, const void *data, size_t len);

/**
 * Joins or leaves a topic: any name of 1 to 255 bytes, copied. Leaving happens by itself at the end of the
 * connection.
 *
 * returns  0 (also when nothing changes); PER_EINVAL; PER_ENOMEM: a worker has room for as many topics as
 *          connections, and for four memberships per connection
 * threads  the worker that owns ws
 */
PER_API int per_ws_subscribe(per_ws *ws, per_str topic);
PER_API int per_ws_unsubscribe(per_ws *ws, per_str topic);

/**
 * Sends a message to every subscriber of a topic, on all workers. The frame is built (and compressed) once.
 * Messages of one publishing thread arrive at each subscriber in order; a slow subscriber meets its policy
 * and delays nobody.
 *
 * data, len  copied before return, to the heap; len at most 64 MiB
 * returns    0; PER_EAGAIN when more than 256 MiB are being published at once, or the heap is used up;
 *            PER_EINVAL
 * threads    any, while the server object exists
 */
PER_API int per_ws_publish(per_server *server, per_str topic, per_ws_type type, const void *data, size_t len);

#ifdef __cplusplus
}
#endif

#endif
