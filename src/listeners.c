/* SPDX-License-Identifier: MIT */
/*
 * listeners.c - the places where a server listens: from configuration to sockets, dealt out to the loops
 * that accept. Called by server.c at the beginning and end of a server's life.
 */
#include "backend/listen.h"
#include "base/mem.h"
#include "server.h"
#include <stdio.h>
#include <string.h>

#define ADDRESS_BYTES_MAX 300u

static unsigned accepting_loops(const struct per_server *server)
{
	return server->conf.accept_threads > 0 ? server->conf.accept_threads : server->conf.workers;
}

/* "http://127.0.0.1:3000": what a person types; a wildcard is shown as localhost. */
static void place_name(struct per__place *place)
{
	const char *scheme = (place->flags & PER_LISTEN_TLS) != 0 ? "https" : "http";
	char address[160];

	per__addr_format(&place->addr, address, sizeof(address));
	if (place->addr.storage.ss_family == AF_UNIX)
		snprintf(place->text, sizeof(place->text), "%s", address);
	else if (place->addr.is_wildcard)
		snprintf(place->text, sizeof(place->text), "%s://localhost:%u", scheme,
			 (unsigned)per__addr_port(&place->addr));
	else
		snprintf(place->text, sizeof(place->text), "%s://%s", scheme, address);
}

/*
 * Opens one socket, or one for each loop. With SO_REUSEPORT a second server on the same port would go
 * unnoticed, so the address is first taken without it.
 */
static int place_open(struct per_server *server, struct per__place *place, const per_listen *listen)
{
	struct per__listen_conf conf = {
		.backlog = listen->backlog > 0 ? listen->backlog : 4096,
		.unix_mode = listen->unix_mode != 0 ? listen->unix_mode : 0666,
		.v6only = (listen->flags & PER_LISTEN_V6ONLY) != 0,
	};
	unsigned wanted = place->is_shared ? 1 : accepting_loops(server);
	int fd = per__listen_open(&place->addr, &conf, &server->conf.log);

	if (fd < 0)
		return fd;
	if (wanted == 1) {
		place->fds[place->fd_cnt++] = fd;
		return 0;
	}
	per__listen_close(fd, &place->addr, false);
	conf.reuseport = true;
	while (place->fd_cnt < wanted) {
		fd = per__listen_open(&place->addr, &conf, &server->conf.log);
		if (fd < 0)
			return fd;
		place->fds[place->fd_cnt++] = fd;
	}
	return 0;
}

static int address_parse(const struct per__log *log, const char *address, struct per__addr *out)
{
	const char *why = "no address";
	int err = address != NULL ? per__addr_parse(out, address, &why) : PER_EADDR;

	if (err != 0)
		per__log(log, PER_LOG_ERROR, "cannot listen on \"%s\": %s", address != NULL ? address : "",
			 why);
	return err;
}

static int place_add(struct per_server *server, const per_listen *listen)
{
	struct per__place *place = &server->places[server->place_cnt];
	int err = address_parse(&server->conf.log, listen->address, &place->addr);

	if (err != 0)
		return err;
	if ((listen->flags & PER_LISTEN_TLS) != 0 && server->tls == NULL) {
		per__log(&server->conf.log, PER_LOG_ERROR,
			 "cannot speak TLS on \"%s\": there is no per_config.tls", listen->address);
		return PER_EINVAL;
	}
	place->flags = listen->flags;
	place->is_shared = place->addr.inherited_fd >= 0 || place->addr.storage.ss_family == AF_UNIX;
	place->fds = per__mem_alloc(accepting_loops(server) * sizeof(int));
	if (place->fds == NULL)
		return PER_ENOMEM;
	server->place_cnt++;
	if (server->backend->id != PER__BACKEND_SIM)
		err = place_open(server, place, listen);
	place_name(place);
	return err;
}

/* Host and port as one address, for a configuration without a list. */
static void address_compose(const per_config *config, char address[ADDRESS_BYTES_MAX])
{
	const char *host = config->host != NULL ? config->host : "*";
	bool is_v6 = strchr(host, ':') != NULL && host[0] != '[';

	snprintf(address, ADDRESS_BYTES_MAX, is_v6 ? "[%s]:%u" : "%s:%u", host,
		 (unsigned)(config->port != 0 ? config->port : 3000));
}

static int count_check(const struct per__log *log, size_t cnt)
{
	if (cnt <= PER__LISTENERS_MAX)
		return 0;
	per__log(log, PER_LOG_ERROR, "%zu listeners; at most %u are possible", cnt, PER__LISTENERS_MAX);
	return PER_EINVAL;
}

int per__places_check(const struct per__log *log, const per_config *config)
{
	char address[ADDRESS_BYTES_MAX];
	struct per__addr addr;
	int err = count_check(log, config->listen_count);

	if (config->listen_count == 0) {
		address_compose(config, address);
		return address_parse(log, address, &addr);
	}
	for (size_t i = 0; i < config->listen_count && err == 0; i++)
		err = address_parse(log, config->listen[i].address, &addr);
	return err;
}

int per__places_open(struct per_server *server, const per_config *config)
{
	char address[ADDRESS_BYTES_MAX];
	per_listen single = { .address = address, .flags = config->tls != NULL ? PER_LISTEN_TLS : 0 };
	const per_listen *listen = config->listen_count > 0 ? config->listen : &single;
	size_t cnt = config->listen_count > 0 ? config->listen_count : 1;
	int err = count_check(&server->conf.log, cnt);

	if (err != 0)
		return err;
	address_compose(config, address);
	server->places = per__mem_alloc(cnt * sizeof(*server->places));
	if (server->places == NULL)
		return PER_ENOMEM;
	for (size_t i = 0; i < cnt && err == 0; i++)
		err = place_add(server, &listen[i]);
	return err;
}

static void place_fd_close(struct per__place *place, unsigned index)
{
	if (place->fds[index] >= 0)
		per__listen_close(place->fds[index], &place->addr, place->fd_cnt == 1);
	place->fds[index] = -1;
}

void per__place_leave(struct per__worker *worker, size_t index)
{
	struct per_server *server = worker->server;
	struct per__place *place = &server->places[index];
	unsigned loop = worker->is_acceptor ? worker->index - server->conf.workers : worker->index;

	if (place->fd_cnt == 0)
		return;
	if (place->fd_cnt > 1)
		place_fd_close(place, loop % place->fd_cnt);
	else if (atomic_fetch_sub(&place->users, 1) == 1)
		place_fd_close(place, 0);
}

void per__places_close(struct per_server *server)
{
	for (size_t i = 0; i < server->place_cnt; i++) {
		struct per__place *place = &server->places[i];

		for (unsigned k = 0; k < place->fd_cnt; k++)
			place_fd_close(place, k);
		per__mem_free(place->fds);
	}
	per__mem_free(server->places);
	server->places = NULL;
	server->place_cnt = 0;
}

static void listener_fill(struct per__listener *listener, const struct per__place *place, size_t index,
			  unsigned loop)
{
	*listener = (struct per__listener){
		.fd = place->fd_cnt == 0 ? -1 : place->fds[place->is_shared ? 0 : loop % place->fd_cnt],
		.index = (uint16_t)index,
		.is_unix = place->addr.storage.ss_family == AF_UNIX,
		.is_proxy = (place->flags & PER_LISTEN_PROXY) != 0,
		.is_tls = (place->flags & PER_LISTEN_TLS) != 0,
	};
}

int per__places_deal(struct per_server *server)
{
	for (unsigned i = 0; i < server->loop_cnt; i++) {
		struct per__worker *worker = server->workers[i];
		unsigned loop = worker->is_acceptor ? i - server->conf.workers : i;

		/*
		 * Workers behind acceptors keep the array too: it tells them what a listener's connections
		 * begin with.
		 */
		worker->listeners = per__mem_alloc(server->place_cnt * sizeof(struct per__listener));
		if (worker->listeners == NULL)
			return PER_ENOMEM;
		for (size_t k = 0; k < server->place_cnt; k++)
			listener_fill(&worker->listeners[k], &server->places[k], k, loop);
		if (worker->is_acceptor || server->conf.accept_threads == 0) {
			worker->listener_cnt = server->place_cnt;
			for (size_t k = 0; k < server->place_cnt; k++)
				atomic_fetch_add(&server->places[k].users, 1);
		}
	}
	return 0;
}
