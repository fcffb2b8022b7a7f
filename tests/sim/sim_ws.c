/* SPDX-License-Identifier: MIT */
/*
 * sim_ws.c - the server's side: an application that echoes, obeys "!" commands, pauses now and then, and
 * checks that its hooks are called in order and once. Looks into the server only to see that nothing is left.
 */
#include "sim/sim_ws.h"

#include "server.h"
#include "ws/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLENTY_BYTES ((size_t)64 << 20)
#define RESUME_NS_MAX 2000000u
#define SCRIPTS_MAX (SIM_SCRIPTS_MAX - 8)

struct sim_ws_later {
	struct sim_ws_later *next; /* while it waits for its time */
	struct sim_ws_client *client;
	per_ref ref;
	enum sim_ws_order order;
	int64_t argument;
};

/* --- what is asked for from outside ----------------------------------------------------------- */

static void send_numbered(struct sim_ws_client *client, int64_t number)
{
	struct sim_ws *world = client->world;
	size_t limit = world->config.queue_bytes, len = number < 0 ? 0 : SIM_WS_NUMBERED_BYTES;
	size_t most = limit + 2 * SIM_WS_NUMBERED_BYTES + 30; /* one above the limit, and the latest */
	bool is_above = per_ws_queued(client->ws) > limit;
	char text[SIM_WS_NUMBERED_BYTES];
	int err;

	memset(text, 'n', sizeof(text));
	snprintf(text, sizeof(text), "%012lld", (long long)number);
	err = per_ws_send(client->ws, PER_WS_BINARY, len > 0 ? text : NULL, len);
	if (!is_above && (err == 0 || err == PER_EAGAIN))
		sim_ws_append(&client->taken, &number, sizeof(number));
	SIM_WS_CHECK(world, err == 0 || err == PER_EAGAIN || err == PER_ESTATE || err == PER_EGONE);
	SIM_WS_CHECK(world, !is_above || err != 0);
	SIM_WS_CHECK(world, client->ws == NULL || per_ws_queued(client->ws) <= most);
	client->again += err == PER_EAGAIN;
	client->send_error = err;
}

static void later_run(per_ws *ws, void *arg)
{
	struct sim_ws_later *later = arg;
	struct sim_ws_client *client = later->client;
	struct sim_ws *world = client->world;

	world->http.posts_run++;
	SIM_WS_CHECK(world, ws == NULL || ws == client->ws);
	if (later->order == SIM_WS_ORDER_RESUME)
		client->will_resume = false;
	if (ws != NULL) {
		switch (later->order) {
		case SIM_WS_ORDER_RESUME:
			client->is_paused = false;
			per_ws_resume(ws);
			break;
		case SIM_WS_ORDER_PAUSE:
			client->is_paused = true;
			per_ws_pause(ws);
			break;
		case SIM_WS_ORDER_CLOSE:
			(void)per_ws_close(ws, (int)later->argument, PER_S("ordered"));
			break;
		case SIM_WS_ORDER_ABORT:
			per_ws_abort(ws);
			break;
		case SIM_WS_ORDER_SEND:
			send_numbered(client, later->argument);
			break;
		case SIM_WS_ORDER_ACCEPT:
			break;
		}
	}
	free(later);
}

static void accept_run(per_req *req, void *arg)
{
	struct sim_ws_later *later = arg;
	struct sim_ws *world = later->client->world;

	world->http.posts_run++;
	if (req != NULL)
		(void)per_ws_accept(req, &world->config, PER_S(""), later->client);
	free(later);
}

static void later_script(struct per__sim *sim, void *arg)
{
	struct sim_ws_later *later = arg;
	struct sim_ws_client *client = later->client;
	struct sim_ws *world = client->world;
	struct sim_ws_later **link = &world->later_first;
	int err;

	(void)sim;
	while (*link != later)
		link = &(*link)->next;
	*link = later->next;
	world->later--;
	if (later->order == SIM_WS_ORDER_ACCEPT) {
		err = per_post(world->http.server, later->ref, accept_run, later);
	} else {
		if (later->order != SIM_WS_ORDER_RESUME)
			later->ref = client->ref;
		err = per_ws_post(world->http.server, later->ref, later_run, later);
	}
	if (err == 0)
		return;
	world->http.posts_run++;
	client->will_resume &= later->order != SIM_WS_ORDER_RESUME;
	free(later);
}

static void order_at(struct sim_ws_client *client, per_ref ref, int64_t ns, enum sim_ws_order order,
		     int64_t argument)
{
	struct sim_ws *world = client->world;
	struct sim_ws_later *later = calloc(1, sizeof(*later));

	if (later == NULL)
		abort();
	*later = (struct sim_ws_later){ world->later_first, client, ref, order, argument };
	world->later_first = later;
	world->later++;
	world->http.posted++;
	sim_after(world->http.sim, ns, later_script, later);
}

void sim_ws_order(struct sim_ws_client *client, int64_t ns, enum sim_ws_order order, int64_t argument)
{
	order_at(client, client->ref, ns, order, argument);
}

/* --- hooks ------------------------------------------------------------------------------------ */

static void maybe_pause(struct sim_ws_client *client)
{
	struct sim_ws *world = client->world;
	struct per__sim *sim = world->http.sim;

	if (world->later >= SCRIPTS_MAX || client->will_resume || !sim_chance(sim, world->pause_chance))
		return;
	per_ws_pause(client->ws);
	if (sim_chance(sim, SIM_MILLION / 8)) {
		per_ws_resume(client->ws); /* nothing happens */
		return;
	}
	client->is_paused = client->will_resume = true;
	sim_ws_order(client, (int64_t)sim_random_below(sim, RESUME_NS_MAX), SIM_WS_ORDER_RESUME, 0);
}

static void on_open(per_ws *ws, void *user)
{
	struct sim_ws *world = user;
	struct sim_ws_client *client = per_ws_data(ws);

	SIM_WS_CHECK(world, client->opened == 0);
	client->opened++;
	client->ws = ws;
	client->ref = per_ws_ref(ws);
	client->open_mark = world->published;
	client->open_ns = sim_now_ns(world->http.sim);
	if (world->topic != NULL)
		SIM_WS_CHECK(world, per_ws_subscribe(ws, per_str_from(world->topic)) == 0);
	maybe_pause(client);
}

static void command_run(struct sim_ws_client *client, const char *command)
{
	if (strncmp(command, "!close ", 7) == 0)
		SIM_WS_CHECK(client->world,
			     per_ws_close(client->ws, atoi(command + 7), PER_S("as you wish")) == 0);
	else if (strcmp(command, "!abort") == 0)
		per_ws_abort(client->ws);
	else if (strcmp(command, "!quiet") != 0)
		sim_http_fail(&client->world->http, "unknown command %s", command);
}

static void message_arrived(struct sim_ws_client *client, per_ws_type type, const uint8_t *data, size_t len)
{
	struct sim_ws *world = client->world;
	size_t limit = world->config.queue_bytes, queued;
	char command[40] = { 0 };
	int err;

	client->messages++;
	client->message_turn = sim_seen(world->http.sim)->turns;
	if (len > 0 && data[0] == '!') {
		memcpy(command, data, PER_MIN(len, sizeof(command) - 1));
		command_run(client, command);
		return;
	}
	err = per_ws_send(client->ws, type, data, len);
	if (err != 0 && err != PER_EAGAIN && err != PER_ENOMEM && err != PER_ESTATE && err != PER_EGONE)
		sim_http_fail(&world->http, "per_ws_send: %d", err);
	if (err == PER_ENOMEM)
		per_ws_abort(client->ws); /* an echo that stays away would look like a lost message */
	queued = per_ws_queued(client->ws);
	limit += len + len / 16; /* zlib may make it longer */
	if (queued > limit)
		world->queued_over_most = PER_MAX(world->queued_over_most, queued - limit);
	maybe_pause(client);
}

static void hook_check(struct sim_ws_client *client, const per_ws *ws)
{
	SIM_WS_CHECK(client->world, client->opened == 1);
	SIM_WS_CHECK(client->world, client->closed == 0);
	SIM_WS_CHECK(client->world, client->ws == ws);
}

static void on_message(per_ws *ws, per_ws_type type, void *data, size_t len, void *user)
{
	struct sim_ws_client *client = per_ws_data(ws);

	(void)user;
	hook_check(client, ws);
	SIM_WS_CHECK(client->world, !client->is_paused);
	message_arrived(client, type, data, len);
	if (len > 0)
		memset(data, 0xee, len); /* it may be changed in place */
}

static void on_piece(per_ws *ws, per_ws_type type, void *data, size_t len, bool is_last, void *user)
{
	struct sim_ws_client *client = per_ws_data(ws);

	(void)user;
	hook_check(client, ws);
	/* What was inflated from one read comes in several pieces, and cannot wait. */
	SIM_WS_CHECK(client->world, !client->is_paused || client->params.is_on);
	SIM_WS_CHECK(client->world, len > 0 || is_last);
	sim_ws_append(&client->piece, data, len);
	if (is_last) {
		message_arrived(client, type, client->piece.data, client->piece.len);
		client->piece.len = 0;
	} else {
		maybe_pause(client);
	}
}

static void on_drain(per_ws *ws, void *user)
{
	struct sim_ws_client *client = per_ws_data(ws);

	(void)user;
	hook_check(client, ws);
	client->drains++;
	maybe_pause(client);
}

static void on_pong(per_ws *ws, const void *data, size_t len, void *user)
{
	struct sim_ws_client *client = per_ws_data(ws);

	(void)user;
	(void)data;
	hook_check(client, ws);
	SIM_WS_CHECK(client->world, len <= 125);
	SIM_WS_CHECK(client->world, !client->is_paused);
	client->pongs++;
	maybe_pause(client);
}

static void on_close(per_ws *ws, int code, per_str reason, void *user)
{
	struct sim_ws_client *client = per_ws_data(ws);

	(void)user;
	hook_check(client, ws);
	SIM_WS_CHECK(client->world, per_ws_send(ws, PER_WS_TEXT, "x", 1) == PER_EGONE);
	SIM_WS_CHECK(client->world, reason.len < sizeof(client->reason));
	client->closed++;
	client->ws = NULL;
	client->code = code;
	client->close_ns = sim_now_ns(client->world->http.sim);
	client->reason_len = reason.len;
	if (reason.len > 0)
		memcpy(client->reason, reason.ptr, reason.len);
}

static int on_request(per_req *req, void *user)
{
	struct sim_ws *world = user;
	per_str target = per_req_target(req);
	unsigned index = 0;
	per_ref ref;

	SIM_WS_CHECK(world, target.len > 1 && target.len < 5);
	for (size_t i = 1; i < target.len; i++)
		index = index * 10 + (unsigned)(target.ptr[i] - '0');
	SIM_WS_CHECK(world, index < world->client_cnt);
	if (world->accept_ns > 0) {
		SIM_WS_CHECK(world, per_defer(req, &ref) == 0);
		order_at(world->clients[index], ref, world->accept_ns, SIM_WS_ORDER_ACCEPT, 0);
		return 0;
	}
	return per_ws_accept(req, &world->config, PER_S(""), world->clients[index]);
}

/* --- the world -------------------------------------------------------------------------------- */

static void change(per_config *config, uint64_t seed)
{
	struct sim_ws *world =
		config->handler.user; /* as sim_http.c sets it: &world->http, the first member */

	config->handler = (per_handler){ .on_request = on_request, .user = world };
	config->connections_max = SIM_WS_CLIENTS_MAX;
	config->memory_bytes = world->memory_bytes != 0 ? world->memory_bytes : PLENTY_BYTES;
	config->linger_timeout_ms = 60000;
	config->recv_buf_bytes = seed % 4 == 0 ? 1024 : seed % 4 == 1 ? 16384 : 4096;
}

void sim_ws_begin(struct sim_ws *world, uint64_t seed, const per_ws_config *config, size_t memory)
{
	memset(world, 0, sizeof(*world));
	world->memory_bytes = memory;
	sim_http_begin(&world->http, seed, change);
	world->config = *config;
	if (world->config.queue_bytes == 0)
		world->config.queue_bytes = (size_t)1 << 20;
	world->config.handler = (per_ws_handler){
		.on_open = on_open,
		.on_message = on_message,
		.on_drain = on_drain,
		.on_pong = on_pong,
		.on_close = on_close,
		.user = world,
	};
}

void sim_ws_turn(struct sim_ws *world)
{
	world->config.handler.on_piece = world->in_pieces ? on_piece : NULL;
	sim_http_turn(&world->http);
	for (uint32_t i = 0; i < world->client_cnt; i++)
		sim_ws_client_read(world->clients[i]);
}

void sim_ws_check_empty(struct sim_ws *world)
{
	const struct per__topics *topics = world->http.server->workers[0]->upper_state;

	sim_http_check_empty(&world->http);
	for (uint32_t i = 0; i < world->client_cnt; i++)
		SIM_WS_CHECK(world, world->clients[i]->opened == world->clients[i]->closed);
	SIM_WS_CHECK(world, topics->topics.used == 0);
	SIM_WS_CHECK(world, topics->subscriptions.used == 0);
	SIM_WS_CHECK(world, topics->contexts.inflate_bytes == 0);
	SIM_WS_CHECK(world, topics->contexts.deflate_bytes == 0);
	SIM_WS_CHECK(world, atomic_load(&world->http.server->ws.bytes) == 0);
}

bool sim_ws_all_over(struct sim_ws *world)
{
	for (uint32_t i = 0; i < world->client_cnt; i++) {
		if (!sim_ws_client_is_over(world->clients[i]))
			return false;
	}
	return world->http.posted == world->http.posts_run;
}

void sim_ws_end(struct sim_ws *world)
{
	if (!world->http.is_stopped) {
		SIM_WS_RUN_UNTIL(world, sim_ws_all_over(world) && sim_is_idle(world->http.sim));
		sim_ws_check_empty(world);
	}
	while (world->later_first != NULL) { /* orders that the stop has overtaken */
		struct sim_ws_later *later = world->later_first;

		world->later_first = later->next;
		free(later);
	}
	while (world->client_cnt > 0)
		sim_ws_client_free(world->clients[world->client_cnt - 1]);
	sim_http_end(&world->http);
}
