/* SPDX-License-Identifier: MIT */
/*
 * context.h - the budget of a worker for compression contexts. What a handshake agrees to inflate is set
 * aside at once; compressing uses what is left, and messages go out as they are when nothing is.
 */
#ifndef PER_WS_CONTEXT_H
#define PER_WS_CONTEXT_H

#include "ws/deflate.h"
#include <peregrine/ws.h>

struct per__worker;
struct per_ws;

struct per__contexts {
	struct per__deflate_memory for_inflate, for_deflate;
	size_t inflate_bytes; /* set aside */
	size_t deflate_bytes; /* in use */
	size_t bytes_max;
};

void per__contexts_init(struct per__contexts *contexts, struct per__worker *worker);

/**
 * Sets memory aside for inflating with that window. Returns false when the budget has no room: decline
 * compression.
 */
bool per__contexts_reserve(struct per__worker *worker, const per_ws_config *config, uint8_t client_bits);
void per__contexts_unreserve(struct per__worker *worker, uint8_t client_bits);

/** Frees the contexts of a connection, and what was set aside for it. */
void per__ws_contexts_free(struct per_ws *ws);

#endif
