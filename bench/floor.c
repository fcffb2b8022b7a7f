/* SPDX-License-Identifier: MIT */
/*
 * floor.c - the yardstick of 'make bench': an io_uring server that parses nothing, so that what another one
 * takes more is the price of HTTP. Answers each CRLF CRLF with the same bytes: multishot accept and receive,
 * provided buffers, one send per connection in flight, one io_uring_enter per turn. Trusts its peer.
 */
#include <liburing.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNS_MAX 65536u /* by descriptor */
#define RING_ENTRIES 4096u
#define BUF_COUNT 1024u /* a power of two */
#define BUF_BYTES 4096u
#define BUF_GROUP 1
#define BATCH_MAX 64u /* answers in one send */
#define RESPONSE_BYTES_MAX 65536u
#define BIND_TRIES 50

enum op { OP_ACCEPT, OP_RECV, OP_SEND, OP_CLOSE };

/* carry: the bytes before the ones to come that may belong to a CRLF CRLF, at most three. */
struct conn {
	uint8_t carry[3];
	uint8_t carry_len;
	bool is_sending, has_ended, owes_farewell;
	uint32_t owed; /* answers */
};

struct server {
	struct io_uring ring;
	struct io_uring_buf_ring *bufs;
	uint8_t *buf_memory;
	int listener;
	char *responses;     /* BATCH_MAX copies */
	size_t response_len; /* bytes of one */
	char *farewell;      /* the answer to a request that ends with "close", or NULL: there is none */
	size_t farewell_len;
	struct conn *conns;
	uint64_t requests, turns, events;
};

static volatile sig_atomic_t is_stopped;

static void on_signal(int number)
{
	(void)number;
	is_stopped = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- submissions ------------------------------------------------------------------------------ */

static struct io_uring_sqe *sqe_take(struct server *server)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&server->ring);

	if (sqe == NULL) {
		io_uring_submit(&server->ring);
		sqe = io_uring_get_sqe(&server->ring);
	}
	if (sqe == NULL)
		die("the submission queue is full");
	return sqe;
}

static void tag(struct io_uring_sqe *sqe, enum op op, int fd)
{
	sqe->user_data = (uint64_t)op << 32 | (uint32_t)fd;
}

static void accept_arm(struct server *server)
{
	struct io_uring_sqe *sqe = sqe_take(server);

	io_uring_prep_multishot_accept(sqe, server->listener, NULL, NULL, 0);
	tag(sqe, OP_ACCEPT, server->listener);
}

static void recv_arm(struct server *server, int fd)
{
	struct io_uring_sqe *sqe = sqe_take(server);

	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUF_GROUP;
	tag(sqe, OP_RECV, fd);
}

static void send_arm(struct server *server, int fd)
{
	struct conn *conn = &server->conns[fd];
	const uint32_t count = conn->owed < BATCH_MAX ? conn->owed : BATCH_MAX;
	struct io_uring_sqe *sqe = sqe_take(server);

	if (count > 0)
		io_uring_prep_send(sqe, fd, server->responses, count * server->response_len,
				   MSG_NOSIGNAL | MSG_WAITALL);
	else
		io_uring_prep_send(sqe, fd, server->farewell, server->farewell_len,
				   MSG_NOSIGNAL | MSG_WAITALL);
	conn->owes_farewell = conn->owes_farewell && count > 0;
	tag(sqe, OP_SEND, fd);
	conn->owed -= count;
	conn->is_sending = true;
}

/* --- requests --------------------------------------------------------------------------------- */

/* before: bytes of the request that can be seen before end. The only word known is "close", as the last. */
static void request_ended(struct server *server, struct conn *conn, const uint8_t *end, size_t before)
{
	server->requests++;
	if (server->farewell != NULL && before >= 9 && memcmp(end - 9, "close", 5) == 0)
		conn->owes_farewell = true;
	else
		conn->owed++;
}

/* Counts CRLF CRLF. The byte three ahead tells how far to go on, so most bytes are not looked at. */
static void scan(struct server *server, struct conn *conn, const uint8_t *data, size_t len)
{
	size_t pos = 0;

	while (pos + 4 <= len) {
		const uint8_t last = data[pos + 3];

		if (last == '\n' && memcmp(data + pos, "\r\n\r", 3) == 0) {
			request_ended(server, conn, data + pos + 4, pos + 4);
			pos += 4;
		} else {
			pos += last == '\r' ? 1 : last == '\n' ? 2 : 4;
		}
	}
	conn->carry_len = (uint8_t)(len - pos); /* an end may begin there; at most three */
	memcpy(conn->carry, data + pos, conn->carry_len);
}

/* A request that was cut: the few bytes around the cut are looked at by themselves. */
static void scan_cut(struct server *server, struct conn *conn, const uint8_t *data, size_t len)
{
	const size_t carried = conn->carry_len;
	uint8_t joint[6];
	const size_t more = len < 3 ? len : 3;

	memcpy(joint, conn->carry, carried);
	memcpy(joint + carried, data, more);
	for (size_t i = 0; i < carried && i + 4 <= carried + more; i++) {
		if (memcmp(joint + i, "\r\n\r\n", 4) != 0)
			continue;
		request_ended(server, conn, joint + i + 4, 0);
		scan(server, conn, data + (i + 4 - carried), len - (i + 4 - carried));
		return;
	}
	if (len >= 4) {
		scan(server, conn, data, len);
		return;
	}
	const size_t all = carried + more;
	conn->carry_len = (uint8_t)(all < 3 ? all : 3);
	memcpy(conn->carry, joint + all - conn->carry_len, conn->carry_len);
}

static void conn_close(struct server *server, int fd)
{
	struct io_uring_sqe *sqe = sqe_take(server);

	io_uring_prep_close(sqe, fd);
	tag(sqe, OP_CLOSE, fd);
}

static void received(struct server *server, int fd, const struct io_uring_cqe *cqe)
{
	struct conn *conn = &server->conns[fd];
	const unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	uint8_t *data = server->buf_memory + (size_t)id * BUF_BYTES;

	if (cqe->res == -ENOBUFS) {
		recv_arm(server, fd);
		return;
	}
	if (cqe->res <= 0) {
		conn->has_ended = true;
		if (!conn->is_sending)
			conn_close(server, fd);
		return;
	}
	if (conn->carry_len == 0)
		scan(server, conn, data, (size_t)cqe->res);
	else
		scan_cut(server, conn, data, (size_t)cqe->res);
	io_uring_buf_ring_add(server->bufs, data, BUF_BYTES, (unsigned short)id, BUF_COUNT - 1, 0);
	io_uring_buf_ring_advance(server->bufs, 1);
	if (!conn->is_sending && (conn->owed > 0 || conn->owes_farewell))
		send_arm(server, fd);
	if ((cqe->flags & IORING_CQE_F_MORE) == 0)
		recv_arm(server, fd);
}

static void accepted(struct server *server, const struct io_uring_cqe *cqe)
{
	const int fd = cqe->res;

	if (fd >= 0 && (unsigned)fd < CONNS_MAX) {
		server->conns[fd] = (struct conn){ 0 };
		recv_arm(server, fd);
	} else if (fd >= 0) {
		close(fd);
	}
	if ((cqe->flags & IORING_CQE_F_MORE) == 0)
		accept_arm(server);
}

/* After a farewell the peer closes; the receive tells. */
static void sent(struct server *server, int fd)
{
	struct conn *conn = &server->conns[fd];

	conn->is_sending = false;
	if (conn->has_ended)
		conn_close(server, fd);
	else if (conn->owed > 0 || conn->owes_farewell)
		send_arm(server, fd);
}

/* --- the server ------------------------------------------------------------------------------- */

static void turn(struct server *server)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	if (io_uring_submit_and_wait(&server->ring, 1) < 0)
		return; /* a signal */
	io_uring_for_each_cqe(&server->ring, head, cqe)
	{
		const int fd = (int)(uint32_t)cqe->user_data;

		count++;
		switch ((enum op)(cqe->user_data >> 32)) {
		case OP_ACCEPT:
			accepted(server, cqe);
			break;
		case OP_RECV:
			received(server, fd, cqe);
			break;
		case OP_SEND:
			sent(server, fd);
			break;
		case OP_CLOSE:
			break;
		}
	}
	io_uring_cq_advance(&server->ring, count);
	server->events += count;
	server->turns++;
}

static void ring_make(struct server *server)
{
	const size_t ring_bytes = BUF_COUNT * sizeof(struct io_uring_buf);
	struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
						   IORING_SETUP_CQSIZE,
					  .cq_entries = 4 * RING_ENTRIES };

	errno = -io_uring_queue_init_params(RING_ENTRIES, &server->ring, &params);
	if (errno != 0)
		die("io_uring_queue_init");
	io_uring_register_ring_fd(&server->ring);
	server->bufs = aligned_alloc(4096, ring_bytes);
	server->buf_memory = aligned_alloc(4096, (size_t)BUF_COUNT * BUF_BYTES);
	if (server->bufs == NULL || server->buf_memory == NULL)
		die("memory");
	struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)server->bufs,
					.ring_entries = BUF_COUNT,
					.bgid = BUF_GROUP };
	memset(server->bufs, 0, ring_bytes);
	errno = -io_uring_register_buf_ring(&server->ring, &reg, 0);
	if (errno != 0)
		die("io_uring_register_buf_ring");
	for (unsigned i = 0; i < BUF_COUNT; i++)
		io_uring_buf_ring_add(server->bufs, server->buf_memory + (size_t)i * BUF_BYTES, BUF_BYTES,
				      (unsigned short)i, BUF_COUNT - 1, (int)i);
	io_uring_buf_ring_advance(server->bufs, BUF_COUNT);
}

static int listen_on(unsigned port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* inherited */
	/* A ring that is being torn down may hold the port for a moment. */
	for (int i = 0; bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0; i++) {
		if (errno != EADDRINUSE || i == BIND_TRIES)
			die("bind");
		usleep(20000);
	}
	if (listen(fd, 4096) != 0)
		die("listen");
	return fd;
}

/* The bytes of a file. */
static char *file_read(const char *name, size_t *len)
{
	char *bytes = malloc(RESPONSE_BYTES_MAX);
	FILE *file = fopen(name, "rb");

	if (bytes == NULL || file == NULL)
		die(name);
	*len = fread(bytes, 1, RESPONSE_BYTES_MAX, file);
	fclose(file);
	return bytes;
}

static void responses_make(struct server *server, const char *bytes, size_t len)
{
	server->responses = malloc(BATCH_MAX * len);
	if (server->responses == NULL || len == 0)
		die("response");
	for (size_t i = 0; i < BATCH_MAX; i++)
		memcpy(server->responses + i * len, bytes, len);
	server->response_len = len;
}

int main(int argc, char **argv)
{
	static const char usual[] = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
				    "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
	static struct server server;
	const struct sigaction action = { .sa_handler = on_signal };
	size_t len = sizeof(usual) - 1;

	if (argc < 2) {
		fputs("usage: floor PORT [FILE-WITH-RESPONSE [FILE-WITH-RESPONSE-TO-CLOSE]]\n", stderr);
		return 2;
	}
	const char *bytes = argc > 2 ? file_read(argv[2], &len) : usual;
	responses_make(&server, bytes, len);
	if (argc > 3)
		server.farewell = file_read(argv[3], &server.farewell_len);
	server.conns = calloc(CONNS_MAX, sizeof(struct conn));
	if (server.conns == NULL)
		die("memory");
	ring_make(&server);
	server.listener = listen_on((unsigned)strtoul(argv[1], NULL, 10));
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	accept_arm(&server);
	printf("listening on http://127.0.0.1:%s\n", argv[1]);
	fflush(stdout);
	while (!is_stopped)
		turn(&server);
	fprintf(stderr, "stats requests=%ju syscalls=%ju turns=%ju events=%ju\n", (uintmax_t)server.requests,
		(uintmax_t)server.turns, (uintmax_t)server.turns, (uintmax_t)server.events);
	return 0;
}
