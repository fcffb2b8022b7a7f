/* SPDX-License-Identifier: MIT */
/*
 * response.h - answering a request. The library adds Content-Length or Transfer-Encoding, Date and
 * Connection, leaves the body out where there must be none (HEAD, 204, 304), and refuses fields that would
 * break the message.
 *
 * All functions belong to the worker thread that owns req, except per_post(). After the answer is complete
 * (per_reply*, per_end) req may be gone: do not touch it again unless on_done is still to come.
 */
#ifndef PEREGRINE_RESPONSE_H
#define PEREGRINE_RESPONSE_H

#include <peregrine/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Called exactly once when bytes lent by reference are no longer needed, also after an error. On the owning
 * worker.
 */
typedef void (*per_release_fn)(void *arg);

/** The length is not known: the body is sent chunked (HTTP/1.1) or ended by the close (HTTP/1.0). */
#define PER_LENGTH_UNKNOWN ((int64_t)-1)

/**
 * Adds a field to the answer that has not begun yet. The same name may be added again.
 *
 * name     a token (RFC 9110 section 5.6.2)
 * value    no control character but tab, no whitespace at its ends; copied
 * returns  0; PER_EINVAL for a bad name or value, for Content-Length, Transfer-Encoding and Date, which are
 *          the library's, and for Connection ("close" is understood and closes, "keep-alive" is ignored);
 *          PER_ETOOBIG above 64 KiB for all fields together; PER_ESTATE when the answer has begun;
 *          PER_ENOMEM; PER_EGONE
 */
PER_API int per_header(per_req *req, per_str name, per_str value);

/**
 * Answers with a body that is copied.
 *
 * status        200 to 599
 * content_type  value of Content-Type; absent or empty: no such field
 * body          copied before return, whatever its size (the copy of a large one counts against the memory
 *               budget)
 * returns       0; PER_EINVAL for the status or the type; PER_ESTATE when already answered; PER_ENOMEM;
 *               PER_EGONE
 */
PER_API int per_reply(per_req *req, int status, per_str content_type, per_str body);

/**
 * Answers with a body that is lent: sent from where it is, without a copy.
 *
 * body     must stay unchanged until release is called
 * release  called exactly once, also when this function fails; NULL for memory that lives for ever
 * returns  as per_reply()
 */
PER_API int per_reply_ref(per_req *req, int status, per_str content_type, per_str body,
			  per_release_fn release, void *arg);

/**
 * Answers with an error in words, in the form that the client reads (Accept): a page for a browser, an object
 * with status and reason for a program that prefers JSON, else a line of text. Fields that were added with
 * per_header() before are sent too.
 *
 * status   400 to 599
 * returns  as per_reply()
 * source   RFC 9110 sections 12.5.1 and 15
 */
PER_API int per_reply_error(per_req *req, int status);

/**
 * Begins a streamed answer. Then per_write() any number of times and per_end() once, now, from on_writable,
 * or from a function that was posted. Content-Type is added with per_header().
 *
 * length   bytes of the body, or PER_LENGTH_UNKNOWN
 * returns  0; PER_EINVAL; PER_ESTATE when already answered; PER_ENOMEM; PER_EGONE
 */
PER_API int per_begin(per_req *req, int status, int64_t length);

/**
 * Queues bytes of a streamed body.
 *
 * data, len  copied before return; len in bytes
 * returns    0: all queued. PER_EAGAIN: none queued, the connection is above its high-water mark;
 *            on_writable will be called. PER_ETOOBIG: more than the announced length, or 512 MiB at once.
 *            PER_ESTATE: not begun, or ended. PER_EGONE. PER_ENOMEM: above the memory budget, none queued.
 * source     RFC 9112 section 7.1 when no length was announced
 */
PER_API int per_write(per_req *req, const void *data, size_t len);

/**
 * As per_write(), without a copy: data is lent until release is called. That happens exactly once, also after
 * an error: after PER_EAGAIN it has been called already, and the next try needs a new loan. A failure in the
 * middle of a chunk cuts the connection.
 */
PER_API int per_write_ref(per_req *req, const void *data, size_t len, per_release_fn release, void *arg);

/**
 * Adds a trailer field to an answer of unknown length, between per_begin() and per_end(). Dropped for
 * HTTP/1.0.
 *
 * returns  as per_header(); PER_EINVAL also for fields that belong into a head (RFC 9110 section 6.5.1);
 *          PER_ESTATE when the answer has not begun, has ended, or has announced its length
 */
PER_API int per_trailer(per_req *req, per_str name, per_str value);

/**
 * Ends a streamed answer. Ending short of the announced length closes the connection, so that the peer
 * notices; on_done then tells PER_EPROTO.
 *
 * returns  0; PER_ESTATE when not begun or already ended; PER_EGONE
 */
PER_API int per_end(per_req *req);

/**
 * Sends an interim answer (RFC 9110 section 15.2) with the fields added by per_header() so far, which are
 * used up. Nothing is sent to an HTTP/1.0 client.
 *
 * status   102 to 199; 100 is the library's, 101 is refused
 * returns  0; PER_EINVAL; PER_ESTATE when the answer has begun; PER_ENOMEM; PER_EGONE
 */
PER_API int per_interim(per_req *req, int status);

/** Cuts the connection with a reset, without an answer. req is gone when on_done has come, with PER_EGONE. */
PER_API void per_abort(per_req *req);

/* --- answering later, from any thread --------------------------------------------------------- */

/**
 * Names an exchange without holding it: it may end at any time, and using the reference afterwards is
 * harmless. Plain data: copy and store it as you like.
 */
typedef struct per_ref {
	uint32_t worker;
	uint32_t slot;
	uint64_t generation;
} per_ref;

/**
 * Keeps the exchange open after the hook returns, so that it can be answered later. May be called repeatedly,
 * also for the reference of a streamed answer that goes on. There is no timeout for the answer.
 *
 * When the client resets the connection meanwhile, on_done comes at once, with PER_EGONE. A client that has
 * ended only its side (FIN) may still read: it gets its answer. TCP does not tell it from one that has closed
 * its socket in order, until something is sent; a unix socket does, unless more requests wait.
 *
 * out      the reference for per_post(); may be NULL when the answer comes from on_writable or the same
 *          thread
 * returns  0, or PER_ESTATE when the answer is complete
 */
PER_API int per_defer(per_req *req, per_ref *out);

/**
 * Run by per_post() on the worker that owns the exchange. req is NULL when it has ended: free arg, nothing
 * else.
 */
typedef void (*per_post_fn)(per_req *req, void *arg);

/**
 * Runs a function on the worker that owns an exchange, soon.
 *
 * fn, arg  called exactly once if this returns 0, with req == NULL when the exchange has ended by then
 * returns  0; PER_EAGAIN when the worker's queue is full; PER_EGONE when the worker has ended; PER_EINVAL.
 *          After an error fn is not called.
 * threads  any, while the server object exists
 */
PER_API int per_post(per_server *server, per_ref ref, per_post_fn fn, void *arg);

/** The standard reason phrase of a status ("Not Found"), "" when there is none. */
PER_API per_str per_reason(int status);

#ifdef __cplusplus
}
#endif

#endif
