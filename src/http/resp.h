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

/** Queues "100 Continue". */
int per__resp_continue(struct per__conn *conn);

#endif
