/* SPDX-License-Identifier: MIT */
/*
 * ct_core.c - the recording core of the contract suite: the up-calls, and the down-calls a test makes through
 * them. Checks at every up-call what must always hold. Uses no kernel calls.
 */
#include "ct.h"

void ct_fail(struct ct *ct, const char *format, ...)
{
	va_list args;

	if (ct->failure[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(ct->failure, sizeof(ct->failure), format, args);
	va_end(args);
}

static void up_call_begin(struct ct *ct, const char *what)
{
	if (!ct->in_poll)
		ct_fail(ct, "B1: %s outside of poll", what);
	if (ct->in_up_call)
		ct_fail(ct, "B1: %s inside another up-call", what);
	if (ct->loop.now_ns < ct->poll_now_ns)
		ct_fail(ct, "the clock went back before %s", what);
	ct->poll_now_ns = ct->loop.now_ns;
	ct->in_up_call = true;
}

static void up_call_end(struct ct *ct)
{
	ct->in_up_call = false;
}

struct ct_conn *ct_conn_take(struct ct *ct)
{
	for (uint32_t i = 0; i < PER_MIN(ct->conn_limit, CT_CONNS); i++) {
		struct ct_conn *conn = &ct->conn[i];
		uint32_t gen = conn->sock.gen;

		if (conn->is_used && !conn->is_closed)
			continue;
		memset(conn, 0, sizeof(*conn));
		conn->sock.gen = gen;
		conn->ct = ct;
		conn->is_used = true;
		ct->used++;
		return conn;
	}
	return NULL;
}

struct per__sock *per__on_accept(struct per__loop *loop, struct per__listener *listener, int fd)
{
	struct ct *ct = (struct ct *)loop;
	struct ct_conn *conn;
	struct per__sock *sock;

	up_call_begin(ct, "on_accept");
	CT_CHECK(ct, ct->is_listening && listener == &ct->listener);
	CT_CHECK(ct, fd >= 0);
	if (ct->on_accept != NULL) {
		sock = ct->on_accept(ct, fd);
		up_call_end(ct);
		return sock;
	}
	conn = ct_conn_take(ct);
	if (conn == NULL)
		ct->refused++;
	else
		ct->accepts++;
	ct->newest = conn;
	if (conn != NULL && ct->on_new != NULL)
		ct->on_new(conn);
	up_call_end(ct);
	return conn != NULL ? &conn->sock : NULL;
}

static struct ct_conn *conn_of(struct ct *ct, struct per__sock *sock, const char *what)
{
	struct ct_conn *conn = PER_CONTAINER_OF(sock, struct ct_conn, sock);

	if (conn < ct->conn || conn >= ct->conn + CT_CONNS) {
		ct_fail(ct, "%s for a socket of somebody else", what);
		return NULL;
	}
	if (conn->is_closed)
		ct_fail(ct, "B5: %s after on_closed", what);
	else if (!conn->is_used)
		ct_fail(ct, "%s for a socket that is not in use", what);
	return conn;
}

static void recv_check(struct ct *ct, struct ct_conn *conn, const uint8_t *data, size_t len)
{
	if (conn->is_close_called)
		ct_fail(ct, "B5: on_recv after close");
	if (conn->is_paused)
		ct_fail(ct, "B7: on_recv while paused");
	if (conn->has_eof)
		ct_fail(ct, "B8: on_recv after the end of the stream");
	if (len > ct->conf.recv_buf_bytes)
		ct_fail(ct, "on_recv of %zu bytes, more than recv_buf_bytes", len);
	for (size_t i = 0; conn->is_pattern && i < len; i++) {
		if (data[i] == ct_pattern(conn->in_seed, conn->got + i))
			continue;
		ct_fail(ct, "B8: wrong byte at offset %llu", (unsigned long long)(conn->got + i));
		break;
	}
}

void per__on_recv(struct per__loop *loop, struct per__sock *sock, uint8_t *data, size_t len)
{
	struct ct *ct = (struct ct *)loop;
	struct ct_conn *conn;

	up_call_begin(ct, "on_recv");
	conn = conn_of(ct, sock, "on_recv");
	if (conn != NULL) {
		recv_check(ct, conn, data, len);
		if (len == 0)
			conn->has_eof = true;
		if (conn->got < CT_KEEP_BYTES && len != 0)
			memcpy(conn->keep + conn->got, data, PER_MIN(len, CT_KEEP_BYTES - conn->got));
		conn->got += len;
		conn->recvs++;
		if (sock->bytes_in < conn->got) /* more, when some are held */
			ct_fail(ct, "bytes_in is %llu after %llu bytes", (unsigned long long)sock->bytes_in,
				(unsigned long long)conn->got);
		if (conn->on_recv != NULL)
			conn->on_recv(conn, data, len);
		if (len != 0)
			memset(data, 0x5a, len); /* B4: it may be changed in place */
	}
	up_call_end(ct);
}

void per__on_sent(struct per__loop *loop, struct per__sock *sock)
{
	struct ct *ct = (struct ct *)loop;
	struct ct_conn *conn;

	up_call_begin(ct, "on_sent");
	conn = conn_of(ct, sock, "on_sent");
	if (conn != NULL) {
		if (!conn->is_sending)
			ct_fail(ct, "B2: on_sent without a send");
		if (conn->is_close_called)
			ct_fail(ct, "B5: on_sent after close");
		conn->is_sending = false;
		conn->sents++;
		conn->put += conn->sending_bytes;
		if (sock->bytes_out != conn->put)
			ct_fail(ct, "bytes_out is %llu after %llu bytes", (unsigned long long)sock->bytes_out,
				(unsigned long long)conn->put);
		if (conn->on_sent != NULL)
			conn->on_sent(conn);
	}
	up_call_end(ct);
}

void per__on_closed(struct per__loop *loop, struct per__sock *sock, int error)
{
	struct ct *ct = (struct ct *)loop;
	struct ct_conn *conn;

	up_call_begin(ct, "on_closed");
	conn = conn_of(ct, sock, "on_closed");
	if (conn != NULL) {
		CT_CHECK(ct, error <= 0);
		if (!conn->is_close_called && error == 0)
			ct_fail(ct, "B5: on_closed without close and without an error");
		CT_CHECK(ct, sock->inflight == 0);
		conn->is_closed = true;
		conn->is_sending = false;
		conn->closes++;
		conn->error = error;
		ct->closes++;
		ct->used--;
		/* B6: nobody needs the socket any more; the record stays readable until it is taken again */
		memset(&conn->sock, 0xee, sizeof(conn->sock));
		conn->sock.gen = 0;
		if (conn->on_closed != NULL)
			conn->on_closed(conn);
	}
	up_call_end(ct);
}

void per__on_wake(struct per__loop *loop)
{
	struct ct *ct = (struct ct *)loop;

	up_call_begin(ct, "on_wake");
	ct->wakes++;
	if (ct->on_wake != NULL)
		ct->on_wake(ct);
	up_call_end(ct);
}

/* --- down-calls ------------------------------------------------------------------------------- */

void ct_send(struct ct_conn *conn, struct iovec *iov, uint32_t cnt)
{
	struct ct *ct = conn->ct;

	assert_false(conn->is_sending || conn->is_shut || conn->is_close_called || conn->is_closed);
	conn->is_sending = true;
	conn->sending_bytes = 0;
	for (uint32_t i = 0; i < cnt; i++)
		conn->sending_bytes += iov[i].iov_len;
	ct->be->send(&ct->loop, &conn->sock, iov, cnt);
}

void ct_send_bytes(struct ct_conn *conn, const void *data, size_t len)
{
	conn->iov1.iov_base = (void *)(uintptr_t)data;
	conn->iov1.iov_len = len;
	ct_send(conn, &conn->iov1, 1);
}

void ct_pause(struct ct_conn *conn)
{
	conn->ct->be->recv_pause(&conn->ct->loop, &conn->sock);
	conn->is_paused = true;
}

void ct_pause_after_each(struct ct_conn *conn, uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	ct_pause(conn);
}

void ct_resume(struct ct_conn *conn)
{
	conn->is_paused = false;
	conn->ct->be->recv_resume(&conn->ct->loop, &conn->sock);
}

void ct_shutdown(struct ct_conn *conn)
{
	conn->is_shut = true;
	conn->ct->be->shutdown(&conn->ct->loop, &conn->sock);
}

void ct_close(struct ct_conn *conn, enum per__close_how how)
{
	conn->ct->be->close(&conn->ct->loop, &conn->sock, how);
	conn->is_close_called = true;
}

void ct_close_wait(struct ct_conn *conn, enum per__close_how how)
{
	ct_close(conn, how);
	CT_RUN_UNTIL(conn->ct, conn->is_closed);
}
