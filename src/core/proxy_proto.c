/* SPDX-License-Identifier: MIT */
/*
 * proxy_proto.c - reads one PROXY header and hands the connection on to the worker's first protocol.
 * Never answers: a trusted peer that sends something else is misconfigured, and is cut.
 */
#include "core/proxy_proto.h"

#include "core/proxy.h"
#include "core/worker.h"

static void cut(struct per__conn *conn)
{
	per__count(&conn->worker->counters.bad_requests, 1);
	per__conn_close(conn, PER__CLOSE_RESET);
}

static size_t proxy_on_data(struct per__conn *conn, uint8_t *data, size_t len)
{
	struct per__peer peer = { 0 };
	int n = per__proxy_parse(data, len, &peer);

	if (n < 0) {
		cut(conn);
		return 0;
	}
	if (n == 0)
		return 0;
	if (peer.family != 0)
		conn->peer = peer;
	conn->proto = per__conn_first_proto(conn);
	return (size_t)n;
}

static void proxy_on_nothing(struct per__conn *conn)
{
	(void)conn;
}

static void proxy_on_stop(struct per__conn *conn)
{
	const struct per__worker *worker = conn->worker;
	bool is_tls = worker->listeners[conn->listener].is_tls;

	if (!per__conn_stay_fresh(conn, is_tls ? worker->policy.tls_handshake_timeout_ns
					       : worker->policy.head_timeout_ns))
		per__conn_close(conn, PER__CLOSE_NORMAL);
}

static void proxy_on_timeout(struct per__conn *conn)
{
	if (conn->worker->is_stopping)
		per__conn_close(conn, PER__CLOSE_NORMAL);
	else
		per__conn_cut(conn);
}

static void proxy_on_close(struct per__conn *conn, int error)
{
	(void)conn;
	(void)error;
}

const struct per__proto per__proto_proxy = {
	.name = "PROXY",
	.on_open = proxy_on_nothing,
	.on_data = proxy_on_data,
	.on_eof = cut,
	.on_turn = proxy_on_nothing,
	.on_writable = proxy_on_nothing,
	.on_drained = proxy_on_nothing,
	.on_timeout = proxy_on_timeout,
	.on_nomem = cut,
	.on_stop = proxy_on_stop,
	.on_close = proxy_on_close,
};
