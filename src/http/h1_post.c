/* SPDX-License-Identifier: MIT */
/*
 * h1_post.c - functions that run for an exchange although nothing has arrived for it: those that other
 * threads have posted, and services that go on with an answer. On the worker's thread, outside of hooks.
 */
#include "http/h1.h"
#include "http/resp.h"

/* For the time of a function: what it ends is finished by h1.c when the turn ends. */
void per__resp_resume(struct per_req *req, void (*fn)(struct per_req *req))
{
	req->flags |= PER__REQ_IN_HOOK;
	fn(req);
	req->flags &= (uint16_t)~PER__REQ_IN_HOOK;
	if (per__req_is_open(req))
		per__conn_mark_dirty(req->conn);
}

void per__h1_run_post(struct per__worker *worker, const struct per__mail *mail)
{
	struct per_req *req = NULL;

	per__count(&worker->counters.posts, 1);
	if (mail->ref.slot < worker->reqs.touched)
		req = per__slab_at(&worker->reqs, mail->ref.slot);
	if (req == NULL || req->generation != mail->ref.generation || !per__req_is_open(req) ||
	    req->resp == PER__RESP_ENDED) {
		mail->fn(NULL, mail->arg);
		return;
	}
	req->flags |= PER__REQ_IN_HOOK;
	mail->fn(req, mail->arg);
	req->flags &= (uint16_t)~PER__REQ_IN_HOOK;
	if (per__req_is_open(req))
		per__conn_mark_dirty(req->conn);
}
