/* SPDX-License-Identifier: MIT */
/*
 * resp.h - what h1.c needs of the response writer beside the public calls.
 */
#ifndef PER_HTTP_RESP_H
#define PER_HTTP_RESP_H

#include "http/req.h"

/** "HTTP/1.1 404 Not Found\r\n" for a status that has a reason phrase; absent for others. */
per_str per__status_line(int status);

/**
 * Queues an answer of the library's own: status, a line of text, and "Connection: close". For broken
 * requests.
 */
int per__resp_error(struct per__conn *conn, int status);

/** The same for somebody who speaks HTTP without TLS where TLS is spoken. */
int per__resp_not_tls(struct per__conn *conn);

/** Queues "100 Continue". */
int per__resp_continue(struct per__conn *conn);

/*
 * --- for services: fields that are text already, "name: value CRLF" any number of times, known to be valid,
 * without Content-Length, Date and Connection
 */

#define PER__RESP_LINES_MAX 4u

/** As per_reply(), with fields that are text already: cnt pieces of it. */
int per__resp_lines(struct per_req *req, int status, const per_str *lines, unsigned cnt, per_str body);

/** As per_begin(), with fields that are text already. */
int per__resp_begin(struct per_req *req, int status, const per_str *lines, unsigned cnt, int64_t length);

/* An answer with 200 that needs only its first lines. */
struct per__whole {
	const char *ptr; /* field lines with Content-Length and the empty line; right behind it the body */
	size_t head_len;
	size_t body_len;
	per_release_fn release; /* called once, at once when the bytes were copied */
	void *arg;
};

/** Answers with 200 and such bytes, which are copied, or lent when there are many. As per_reply_ref(). */
int per__resp_whole(struct per_req *req, const struct per__whole *whole);

/**
 * Room for bytes of a body whose length is known, to be written in place: about 60 KiB in one piece if memory
 * allows. Then per__resp_commit() what was written; nothing else may be queued in between.
 *
 * room     receives the bytes there are
 * returns  0 or as per_write(); PER_EAGAIN: on_writable will be called
 */
int per__resp_reserve(struct per_req *req, uint8_t **pos, size_t *room);
void per__resp_commit(struct per_req *req, size_t bytes);

/** May per__resp_file() be called: is it no TLS, and can the backend and the thread? */
bool per__resp_can_send_file(const struct per_req *req);

/** What per__resp_file() with so many bytes would say now: 0, PER_EAGAIN (on_writable will be called), ... */
int per__resp_check(struct per_req *req, size_t len);

/**
 * As per_write_ref(), with a part of a file in place of bytes: what it is now, and in the system's
 * memory. A file that is shorter by the time it is sent cuts the connection.
 */
int per__resp_file(struct per_req *req, int fd, uint64_t off, uint64_t len, per_release_fn release,
		   void *arg);

/** Runs fn outside of a hook, on the worker's thread: for an answer that goes on. */
void per__resp_resume(struct per_req *req, void (*fn)(struct per_req *req));

#endif
