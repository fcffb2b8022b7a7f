/* SPDX-License-Identifier: MIT */
/*
 * h1.h - the protocol HTTP/1.x: from bytes to hooks, and what ends an exchange or its connection.
 */
#ifndef PER_HTTP_H1_H
#define PER_HTTP_H1_H

#include "core/conn.h"
#include "core/mailbox.h"
#include "http/h1_parse.h"

/* What all workers share: worker->upper.proto_conf. */
struct per__h1_conf {
	per__h1_parse_fn parse;
};

extern const struct per__proto per__proto_h1;

/** Fills the shared part: the fastest parser of this CPU. */
void per__h1_conf_init(struct per__h1_conf *h1);

/**
 * The response of an exchange is complete: finishes it, now or when the hook that is running has returned.
 */
void per__h1_resp_ended(struct per_req *req);

/** Runs a function that was posted for an exchange, with NULL when that has ended. */
void per__h1_run_post(struct per__worker *worker, const struct per__mail *mail);

/**
 * Answers a request with 101, "Connection: Upgrade" and the fields added so far; the connection then goes
 * over to proto.
 *
 * state    becomes conn->proto_state; once this has returned 0, proto's on_close is called for it in any case
 * returns  0; PER_ENOMEM; PER_EGONE; PER_ESTATE
 * source   RFC 9110 section 7.8
 */
int per__h1_upgrade(struct per_req *req, const struct per__proto *proto, void *state);

#endif
