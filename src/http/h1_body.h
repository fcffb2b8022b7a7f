/* SPDX-License-Identifier: MIT */
/*
 * h1_body.h - the memory of a request that is larger or lives longer than the input it came in: body,
 * trailers, head. Called by h1.c only.
 */
#ifndef PER_HTTP_H1_BODY_H
#define PER_HTTP_H1_BODY_H

#include "http/req.h"

/**
 * Adds content to a buffered body; in place as long as it all lies in one input buffer. Returns 0 or
 * PER_ENOMEM.
 */
int per__h1_body_collect(struct per_req *req, uint8_t *data, size_t len);

/** Copies head and body out of the input buffer, which is about to go. Returns 0 or PER_ENOMEM. */
int per__h1_req_own(struct per_req *req);

/**
 * The exchange outlives its input although it cannot go on, until the connection is closed: keeps what on_log
 * and on_done may read, or forgets it when there is no memory.
 */
void per__h1_req_keep(struct per_req *req);

/** How many of len bytes belong to a head that is not complete: as many as it was read, or as it may have. */
static inline uint32_t per__h1_head_cut(const struct per_req *req, size_t len)
{
	const uint32_t max = PER_MAX(req->conn->worker->policy.head_bytes_max, (uint32_t)req->head.pos);

	return (uint32_t)PER_MIN(len, (size_t)max);
}

/** Of a head that never became complete: what has come of it becomes readable. */
void per__h1_head_expose(struct per_req *req);

/**
 * Takes input of the trailer section.
 *
 * used     receives the bytes used up
 * returns  1: complete; 0: more is to come; PER_ENOMEM; -400; -431
 */
int per__h1_trailers_feed(struct per_req *req, const struct per__h1_limits *limits, const uint8_t *data,
			  size_t len, size_t *used);

#endif
