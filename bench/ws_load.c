/* SPDX-License-Identifier: MIT */
/*
 * ws_load.c - load for a WebSocket echo server: each of many connections sends a segment of messages and
 * sends it again when all of them came back. Prints messages per second and, told the server's pid, its CPU
 * time per message.
 *
 *   taskset -c 0 build/release/bin/ws_echo 3000 &
 *   taskset -c 1 build/release/bin/ws_load --port 3000 --pid $! --connections 64 --segment 16
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 10000
#define SEGMENT_BYTES_MAX (1u << 20)
#define PAYLOAD_MAX 125 /* bytes: frames with the shortest header */
#define CLIENT_HEAD 6   /* bytes of a masked header */
#define SERVER_HEAD 2

struct options {
	uint16_t port;
	const char *path;
	long pid; /* 0: CPU time is not measured */
	size_t connections, segment, payload;
	double seconds;
};

static struct {
	int fd[CONNECTIONS_MAX];
	size_t got[CONNECTIONS_MAX]; /* bytes of the segment that came back */
	uint8_t segment[SEGMENT_BYTES_MAX];
	size_t segment_bytes, echo_bytes;
	uint64_t messages;
} load;

static void die(const char *what)
{
	fprintf(stderr, "ws_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* CPU time of all threads of a process, in seconds (proc(5), schedstat). */
static double cpu_s(long pid)
{
	char path[320];
	uint64_t sum_ns = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%ld/task", pid);
	dir = opendir(path);
	if (dir == NULL)
		die(path);
	while ((entry = readdir(dir)) != NULL) {
		unsigned long long ns = 0;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%ld/task/%s/schedstat", pid, entry->d_name);
		file = entry->d_name[0] != '.' ? fopen(path, "r") : NULL;
		if (file == NULL)
			continue;
		if (fscanf(file, "%llu", &ns) == 1)
			sum_ns += ns;
		fclose(file);
	}
	closedir(dir);
	return (double)sum_ns * 1e-9;
}

/* Binary messages with the mask 11 11 11 11. */
static void segment_make(const struct options *options)
{
	uint8_t *pos = load.segment;

	for (size_t i = 0; i < options->segment; i++) {
		pos[0] = 0x82;
		pos[1] = (uint8_t)(0x80 | options->payload);
		memset(pos + 2, 0x11, 4);
		memset(pos + CLIENT_HEAD, 'a' ^ 0x11, options->payload);
		pos += CLIENT_HEAD + options->payload;
	}
	load.segment_bytes = options->segment * (CLIENT_HEAD + options->payload);
	load.echo_bytes = options->segment * (SERVER_HEAD + options->payload);
}

static void handshake(int fd, const char *path)
{
	char text[2048];
	size_t len = 0;
	int n = snprintf(text, sizeof(text),
			 "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
			 path);

	if (write(fd, text, (size_t)n) != n)
		die("handshake");
	do {
		ssize_t got = read(fd, text + len, sizeof(text) - 1 - len);

		if (got <= 0)
			die("handshake");
		len += (size_t)got;
		text[len] = '\0';
	} while (strstr(text, "\r\n\r\n") == NULL);
	if (strncmp(text, "HTTP/1.1 101", 12) != 0) {
		fprintf(stderr, "ws_load: no WebSocket at %s: %.40s\n", path, text);
		exit(1);
	}
}

static void connection_open(const struct options *options, int ep, size_t index)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(options->port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = index };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	handshake(fd, options->path);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	load.fd[index] = fd;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll_ctl");
}

static void segment_send(size_t index)
{
	if (write(load.fd[index], load.segment, load.segment_bytes) != (ssize_t)load.segment_bytes)
		die("a segment that does not fit the socket's buffer");
}

static void readable(const struct options *options, size_t index)
{
	static uint8_t buf[SEGMENT_BYTES_MAX];
	ssize_t n = read(load.fd[index], buf, sizeof(buf));

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("the server closed a connection");
	load.got[index] += (size_t)n;
	if (load.got[index] < load.echo_bytes)
		return;
	load.got[index] -= load.echo_bytes;
	load.messages += options->segment;
	segment_send(index);
}

static void run(const struct options *options, int ep)
{
	struct epoll_event events[256];
	double end_s = now_s() + options->seconds;

	for (size_t i = 0; i < options->connections; i++)
		segment_send(i);
	while (now_s() < end_s) {
		int n = epoll_wait(ep, events, 256, 100);

		for (int i = 0; i < n; i++)
			readable(options, (size_t)events[i].data.u64);
	}
}

static bool option_take(struct options *options, const char *name, const char *value)
{
	double number = strtod(value, NULL);

	if (strcmp(name, "--port") == 0)
		options->port = (uint16_t)number;
	else if (strcmp(name, "--path") == 0)
		options->path = value;
	else if (strcmp(name, "--pid") == 0)
		options->pid = (long)number;
	else if (strcmp(name, "--connections") == 0)
		options->connections = (size_t)number;
	else if (strcmp(name, "--segment") == 0)
		options->segment = (size_t)number;
	else if (strcmp(name, "--bytes") == 0)
		options->payload = (size_t)number;
	else if (strcmp(name, "--seconds") == 0)
		options->seconds = number;
	else
		return false;
	return true;
}

static bool options_are_valid(const struct options *options)
{
	return options->connections >= 1 && options->connections <= CONNECTIONS_MAX &&
	       options->segment >= 1 && options->payload >= 1 && options->payload <= PAYLOAD_MAX &&
	       options->seconds > 0 &&
	       options->segment * (CLIENT_HEAD + options->payload) <= SEGMENT_BYTES_MAX;
}

int main(int argc, char **argv)
{
	struct options options = { 3000, "/ws", 0, 64, 1, 20, 2 };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	double begin_s, cpu_begin_s, cpu_end_s;
	bool is_valid = argc % 2 == 1;

	for (int i = 1; i + 1 < argc && is_valid; i += 2)
		is_valid = option_take(&options, argv[i], argv[i + 1]);
	if (!is_valid || !options_are_valid(&options)) {
		fprintf(stderr,
			"usage: ws_load [--port N] [--path /ws] [--pid N] [--connections 64] [--segment 1]"
			" [--bytes 20] [--seconds 2]\n");
		return 2;
	}
	segment_make(&options);
	for (size_t i = 0; i < options.connections; i++)
		connection_open(&options, ep, i);
	begin_s = now_s();
	cpu_begin_s = options.pid != 0 ? cpu_s(options.pid) : 0;
	run(&options, ep);
	cpu_end_s = options.pid != 0 ? cpu_s(options.pid) : 0;
	printf("%.0f messages/s", (double)load.messages / (now_s() - begin_s));
	if (options.pid != 0 && load.messages > 0)
		printf(", %.3f us of CPU each", (cpu_end_s - cpu_begin_s) * 1e6 / (double)load.messages);
	printf("\n");
	return 0;
}
