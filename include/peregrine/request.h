/* SPDX-License-Identifier: MIT */
/*
 * request.h - reading a request. Every per_str given out here points into the connection's memory and is
 * valid until the hook that was called with req returns, or, after per_defer() or for a streamed answer,
 * until on_done. All functions belong to the worker thread that owns req.
 */
#ifndef PEREGRINE_REQUEST_H
#define PEREGRINE_REQUEST_H

#include <peregrine/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Methods of RFC 9110 section 9.3 and PATCH (RFC 5789); any other token is PER_METHOD_OTHER. */
typedef enum per_method {
	PER_METHOD_OTHER = 0,
	PER_METHOD_GET,
	PER_METHOD_HEAD,
	PER_METHOD_POST,
	PER_METHOD_PUT,
	PER_METHOD_DELETE,
	PER_METHOD_CONNECT,
	PER_METHOD_OPTIONS,
	PER_METHOD_TRACE,
	PER_METHOD_PATCH,
} per_method;

/** The method as a number. Methods are case-sensitive (RFC 9110 section 9.1). */
PER_API per_method per_req_method(const per_req *req);

/** The method's token as it was sent. */
PER_API per_str per_req_method_str(const per_req *req);

/** The request target as it was sent (RFC 9112 section 3.2). */
PER_API per_str per_req_target(const per_req *req);

/** The path of the target, not decoded: "/" for an absolute-form without one, "*" for an asterisk-form. */
PER_API per_str per_req_path(const per_req *req);

/** The query behind the first '?', without it and not decoded; absent when there is no '?'. */
PER_API per_str per_req_query(const per_req *req);

/**
 * Host and port that the request is for: of the absolute-form if there is one, else of the Host field (RFC
 * 9112 3.2.2, 3.3).
 */
PER_API per_str per_req_host(const per_req *req);

/**
 * The request line as it was sent, without its line end. In on_log, for a line that is not complete or is
 * wrong, what has come up to the first CR or LF: any bytes.
 */
PER_API per_str per_req_line(const per_req *req);

/** 10 for HTTP/1.0, 11 for HTTP/1.1. In on_log 0 when it is not known. */
PER_API int per_req_version(const per_req *req);

/**
 * The value of the first field with that name, surrounding whitespace removed.
 *
 * name     compared without case
 * returns  the value, possibly empty; absent (ptr == NULL) when there is no such field
 */
PER_API per_str per_req_header(const per_req *req, per_str name);

/** How many fields the head has. */
PER_API size_t per_req_header_count(const per_req *req);

/** The index-th field, in the order sent. Returns 0, or PER_EINVAL when index is too large. */
PER_API int per_req_header_at(const per_req *req, size_t index, per_str *name, per_str *value);

/**
 * The value of a trailer field of a chunked body (RFC 9112 section 7.1.2), readable in on_request; absent
 * if none.
 */
PER_API per_str per_req_trailer(const per_req *req, per_str name);

/** The buffered body, in on_request; empty when there is none or when it was streamed. */
PER_API per_str per_req_body(const per_req *req);

/** The length that Content-Length announced, in bytes; -1 for a chunked body; 0 without a body. */
PER_API int64_t per_req_content_length(const per_req *req);

/**
 * In on_head: deliver the body to on_body in pieces instead of collecting it. per_config.body_bytes_max does
 * not hold for it; per_req_set_body_max() sets a limit. Returns 0, or PER_ESTATE elsewhere.
 */
PER_API int per_req_stream_body(per_req *req);

/** In on_head: the most bytes this request's body may have, else 413. Returns 0, or PER_ESTATE elsewhere. */
PER_API int per_req_set_body_max(per_req *req, uint64_t bytes);

/**
 * While a body is streamed: no on_body until per_req_resume_body(); the peer is slowed down, and the time
 * does not count for its rate. Nothing happens when the body is complete. Pieces that wait come after the
 * hook has returned. A reset by the client is told meanwhile (on_done); its end waits behind the body.
 */
PER_API void per_req_pause_body(per_req *req);
PER_API void per_req_resume_body(per_req *req);

/** A pointer of the application that stays with the request until on_done. */
PER_API void per_req_set_data(per_req *req, void *data);
PER_API void *per_req_data(const per_req *req);

/**
 * How the request was answered: 0 as long as there is no answer, 101 for an upgrade. In on_log and on_done
 * this is what the client was told, if it was still there.
 */
PER_API int per_req_status(const per_req *req);

/**
 * Bytes of the response's body that were handed to the connection so far, without heads and the framing of
 * chunks; 0 for HEAD. Whether the client has got them is not known.
 */
PER_API uint64_t per_req_bytes_sent(const per_req *req);

/**
 * Nanoseconds since the first byte of the request was looked at. Measured by the worker's clock, which stands
 * still during a turn of its loop and counts in steps of a few milliseconds on most systems: 0 says that the
 * request was answered in the turn in which it came.
 */
PER_API int64_t per_req_duration_ns(const per_req *req);

/** The worker that owns req, its pointer from worker_init, and the server. */
PER_API unsigned per_req_worker(const per_req *req);
PER_API void *per_req_worker_state(const per_req *req);
PER_API per_server *per_req_server(const per_req *req);

/**
 * The client's address as text: "192.0.2.1:50000", "[2001:db8::1]:50000", "unix:". From the PROXY header if a
 * trusted peer sent one. Asked from the kernel once for a connection: when it is accepted if there is an
 * on_log, else at the first call, when the connection may be broken already.
 *
 * buf, cap  where to; at least 64 bytes
 * returns   the length in bytes without the NUL; "unknown" when the kernel cannot tell any more
 */
PER_API int per_req_peer(per_req *req, char *buf, size_t cap);

/* --- queries and percent-encoding: work on any per_str, hold no state ------------------------- */

/**
 * Takes the next name and value off a query string, both as sent (not decoded). "a=1&b&c=" gives a=1, b
 * (absent value), c (empty value); empty pairs are skipped.
 *
 * rest     in: what is left, at first per_req_query(); out: what is left now
 * returns  true when there was one
 */
PER_API bool per_query_next(per_str *rest, per_str *name, per_str *value);

/** The first value of that name (names compared as sent); absent when there is none or it has no '='. */
PER_API per_str per_query_get(per_str query, per_str name);

/**
 * Decodes %XX, and '+' as a space when plus_is_space (application/x-www-form-urlencoded).
 *
 * dst, cap  where to; may be the place of src itself; no NUL is added
 * returns   the decoded length in bytes; PER_EINVAL for a '%' without two hexadecimal digits; PER_ETOOBIG
 *           when cap is too small
 */
PER_API int64_t per_percent_decode(char *dst, size_t cap, per_str src, bool plus_is_space);

#ifdef __cplusplus
}
#endif

#endif
