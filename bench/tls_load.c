/* SPDX-License-Identifier: MIT */
/*
 * tls_load.c - load for a server that speaks TLS 1.3: connections with one request each, after a full or a
 * resumed handshake, or many that are silent after their request. Ends with a line of figures for harness.py.
 * Takes any certificate; a handshake of the wrong kind is an error.
 *
 *   taskset -c 1 build/release/bin/tls_load --port 3443 --kind resumed --connections 64 --seconds 2
 */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 20000
#define HEAD_BYTES_MAX 4096
#define LATENCIES_MAX (1u << 20)
#define SILENCE_MS 5000 /* nothing happens for so long: the rest is given up */

enum kind { KIND_FULL, KIND_RESUMED, KIND_IDLE };

static const char *const kind_names[] = { "full", "resumed", "idle" };

struct options {
	uint16_t port;
	enum kind kind;
	const char *path, *ciphersuites, *groups;
	size_t connections;
	double seconds;
};

/* A place for one connection after the other; session is what the next one resumes. */
struct slot {
	int fd; /* -1: nothing is connected */
	SSL *ssl;
	SSL_SESSION *session;
	double begin_s;
	bool is_connected, is_complete;
	size_t got, wanted; /* bytes of the response; wanted is 0 until its head is here */
	char head[HEAD_BYTES_MAX];
};

static struct {
	struct options options;
	SSL_CTX *ctx;
	int ep;
	struct slot *slots;
	char request[512];
	int request_len;
	uint32_t latency_us[LATENCIES_MAX];
	size_t latencies;
	uint64_t requests, bytes, full, resumed;
	uint64_t failed_connect, failed_read, failed_write, failed_status;
} load;

static void die(const char *what)
{
	fprintf(stderr, "tls_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* A ticket has come. That of the full handshake is used each time. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct slot *slot = SSL_get_app_data(ssl);

	if (SSL_session_reused(ssl) == 1)
		return 0;
	SSL_SESSION_free(slot->session);
	slot->session = session;
	return 1;
}

static int on_certificate(X509_STORE_CTX *store, void *user)
{
	(void)store;
	(void)user;
	return 1;
}

static void ctx_make(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, load.options.ciphersuites) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, load.options.groups) != 1) {
		ERR_print_errors_fp(stderr);
		exit(1);
	}
	SSL_CTX_set_cert_verify_callback(ctx, on_certificate, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (load.options.kind == KIND_RESUMED) {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(ctx, on_session);
	}
	load.ctx = ctx;
}

/* --- a connection ----------------------------------------------------------------------------- */

static void slot_close(struct slot *slot)
{
	/* As if both had said goodbye, or its session would not be resumed. */
	SSL_set_shutdown(slot->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(slot->ssl);
	close(slot->fd);
	slot->fd = -1;
	ERR_clear_error();
}

static void slot_open(struct slot *slot)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(load.options.port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = slot };
	const int one = 1;

	slot->begin_s = now_s();
	slot->is_connected = slot->is_complete = false;
	slot->got = slot->wanted = 0;
	slot->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (slot->fd < 0)
		die("socket");
	if (connect(slot->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		die("connect");
	setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fcntl(slot->fd, F_SETFL, O_NONBLOCK) != 0 ||
	    epoll_ctl(load.ep, EPOLL_CTL_ADD, slot->fd, &event) != 0)
		die("epoll_ctl");
	slot->ssl = SSL_new(load.ctx);
	if (slot->ssl == NULL || SSL_set_fd(slot->ssl, slot->fd) != 1)
		die("SSL_new");
	SSL_set_app_data(slot->ssl, slot);
	SSL_set_tlsext_host_name(slot->ssl, "localhost");
	if (slot->session != NULL) {
		SSL_SESSION *copy =
			SSL_SESSION_dup(slot->session); /* OpenSSL lets a client resume each only once */

		SSL_set_session(slot->ssl, copy);
		SSL_SESSION_free(copy);
	}
	SSL_connect(slot->ssl); /* says hello; slot_drive finds out how it went */
}

/* The handshake is over: was it what was wanted? The first of a slot cannot resume anything. */
static void handshake_count(struct slot *slot)
{
	const bool is_resumed = SSL_session_reused(slot->ssl) == 1;

	load.resumed += is_resumed;
	load.full += !is_resumed;
	if (is_resumed != (slot->session != NULL))
		load.failed_status++;
	slot->is_connected = true;
}

static void head_take(struct slot *slot, const char *data, size_t len)
{
	const size_t room = HEAD_BYTES_MAX - 1 - slot->got;
	const char *end, *length;

	if (slot->wanted != 0 || slot->got >= HEAD_BYTES_MAX - 1)
		return;
	memcpy(slot->head + slot->got, data, len < room ? len : room);
	slot->head[slot->got + (len < room ? len : room)] = '\0';
	end = strstr(slot->head, "\r\n\r\n");
	length = strcasestr(slot->head, "\r\ncontent-length:");
	if (end == NULL || length == NULL || length > end)
		return;
	slot->wanted = (size_t)(end - slot->head) + 4 + strtoul(length + 17, NULL, 10);
	if (strncmp(slot->head, "HTTP/1.1 200", 12) != 0)
		load.failed_status++;
}

static void response_take(struct slot *slot, const char *data, size_t len)
{
	head_take(slot, data, len);
	slot->got += len;
	load.bytes += len;
	if (slot->is_complete || slot->wanted == 0 || slot->got < slot->wanted)
		return;
	slot->is_complete = true;
	load.requests++;
	if (load.latencies < LATENCIES_MAX)
		load.latency_us[load.latencies++] = (uint32_t)((now_s() - slot->begin_s) * 1e6);
}

/* A connection that ended is followed by the next one. */
static void slot_ended(struct slot *slot)
{
	if (!slot->is_complete)
		load.failed_read++;
	slot_close(slot);
	if (load.options.kind != KIND_IDLE)
		slot_open(slot);
}

static void slot_drive(struct slot *slot)
{
	char buf[16384];
	int n;

	if (!slot->is_connected) {
		n = SSL_connect(slot->ssl);
		if (n != 1) {
			if (SSL_get_error(slot->ssl, n) != SSL_ERROR_WANT_READ)
				slot_ended(slot);
			return;
		}
		handshake_count(slot);
		if (SSL_write(slot->ssl, load.request, load.request_len) != load.request_len) {
			load.failed_write++;
			slot_ended(slot);
			return;
		}
	}
	while ((n = SSL_read(slot->ssl, buf, sizeof(buf))) > 0)
		response_take(slot, buf, (size_t)n);
	if (SSL_get_error(slot->ssl, n) != SSL_ERROR_WANT_READ)
		slot_ended(slot);
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool events_drive(void)
{
	struct epoll_event events[256];
	const int n = epoll_wait(load.ep, events, 256, SILENCE_MS);

	for (int i = 0; i < n; i++)
		slot_drive(events[i].data.ptr);
	return n > 0;
}

static void run(double end_s)
{
	for (size_t i = 0; i < load.options.connections; i++)
		slot_open(&load.slots[i]);
	while (now_s() < end_s && events_drive())
		continue;
}

/* One after the other: a crowd of handshakes would leave the server with memory that no connection needs. */
static void idle_run(void)
{
	for (size_t i = 0; i < load.options.connections; i++) {
		slot_open(&load.slots[i]);
		while (load.requests <= i && events_drive())
			continue;
	}
}

static int compare_u32(const void *a, const void *b)
{
	const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static uint32_t percentile(size_t percent)
{
	return load.latencies == 0 ? 0 : load.latency_us[(load.latencies - 1) * percent / 100];
}

static void figures_print(double seconds)
{
	uint64_t unanswered = 0;

	for (size_t i = 0; load.options.kind == KIND_IDLE && i < load.options.connections; i++)
		unanswered += !load.slots[i].is_complete;
	qsort(load.latency_us, load.latencies, sizeof(load.latency_us[0]), compare_u32);
	printf("figures requests=%ju us=%.0f bytes=%ju connect=%ju read=%ju write=%ju status=%ju "
	       "timeout=%ju p50=%u p99=%u full=%ju resumed=%ju\n",
	       (uintmax_t)load.requests, seconds * 1e6, (uintmax_t)load.bytes, (uintmax_t)load.failed_connect,
	       (uintmax_t)load.failed_read, (uintmax_t)load.failed_write, (uintmax_t)load.failed_status,
	       (uintmax_t)unanswered, percentile(50), percentile(99), (uintmax_t)load.full,
	       (uintmax_t)load.resumed);
	fflush(stdout);
}

static bool kind_take(const char *value)
{
	for (size_t i = 0; i < sizeof(kind_names) / sizeof(kind_names[0]); i++) {
		load.options.kind = (enum kind)i;
		if (strcmp(value, kind_names[i]) == 0)
			return true;
	}
	return false;
}

static bool option_take(const char *name, const char *value)
{
	struct options *options = &load.options;
	const double number = strtod(value, NULL);

	if (strcmp(name, "--kind") == 0)
		return kind_take(value);
	if (strcmp(name, "--port") == 0)
		options->port = (uint16_t)number;
	else if (strcmp(name, "--path") == 0)
		options->path = value;
	else if (strcmp(name, "--ciphersuites") == 0)
		options->ciphersuites = value;
	else if (strcmp(name, "--groups") == 0)
		options->groups = value;
	else if (strcmp(name, "--connections") == 0)
		options->connections = (size_t)number;
	else if (strcmp(name, "--seconds") == 0)
		options->seconds = number;
	else
		return false;
	return true;
}

static void prepare(void)
{
	const struct options *options = &load.options;

	load.request_len = snprintf(load.request, sizeof(load.request),
				    "GET %s HTTP/1.1\r\nHost: localhost:%u\r\n%s\r\n", options->path,
				    options->port, options->kind == KIND_IDLE ? "" : "Connection: close\r\n");
	load.slots = calloc(options->connections, sizeof(load.slots[0]));
	load.ep = epoll_create1(EPOLL_CLOEXEC);
	if (load.slots == NULL || load.ep < 0)
		die("memory");
	signal(SIGPIPE, SIG_IGN);
	ctx_make();
}

int main(int argc, char **argv)
{
	bool is_valid = argc % 2 == 1;
	double begin_s;
	char byte;

	load.options = (struct options){ 3443, KIND_FULL, "/", "TLS_AES_256_GCM_SHA384", "X25519", 64, 2 };
	for (int i = 1; i + 1 < argc && is_valid; i += 2)
		is_valid = option_take(argv[i], argv[i + 1]);
	if (!is_valid || load.options.connections < 1 || load.options.connections > CONNECTIONS_MAX ||
	    strlen(load.options.path) > 256) {
		fprintf(stderr,
			"usage: tls_load [--port N] [--path /] [--kind full|resumed|idle] [--connections 64]"
			" [--seconds 2] [--ciphersuites LIST] [--groups LIST]\n");
		return 2;
	}
	prepare();
	begin_s = now_s();
	if (load.options.kind == KIND_IDLE)
		idle_run();
	else
		run(begin_s + load.options.seconds);
	figures_print(now_s() - begin_s);
	if (load.options.kind ==
	    KIND_IDLE) /* the connections stay until somebody closes our standard input */
		while (read(STDIN_FILENO, &byte, 1) > 0)
			continue;
	return 0;
}
