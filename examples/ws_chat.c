/* SPDX-License-Identifier: MIT */
/*
 * ws_chat.c - a chat with rooms: serves its own page, and every message of a room to all who are in it,
 * whichever worker their connection lives on. Shows topics, the data of a WebSocket, state that workers
 * share, and why Origin is looked at.
 * Try it: ws_chat localhost:8080    and then open http://localhost:8080/ in two tabs
 */
#include <peregrine/peregrine.h>

#include "ws_chat_page.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOMS_MAX 1000u
#define ROOM_BYTES_MAX 32u
#define NAME_BYTES_MAX 96u     /* 24 characters */
#define MESSAGE_BYTES_MAX 8192 /* 2000 characters */
#define EVENT_BYTES_MAX (NAME_BYTES_MAX + MESSAGE_BYTES_MAX + 64)
#define PAGE_BYTES_MAX 32768

/* A room is there while somebody is in it. Its name is also the name of its topic. */
struct room {
	char name[ROOM_BYTES_MAX + 1];
	unsigned people;
};

/* What all workers share. */
struct chat {
	pthread_mutex_t lock; /* guards what follows; held only for a moment, because hooks must not block */
	struct room rooms[ROOMS_MAX];
	uint64_t last_id;
	per_ws_config ws;
	char page[PAGE_BYTES_MAX];
	size_t page_len;
};

/* One connection: a person in a room. Owned by the WebSocket, freed in on_close. */
struct member {
	struct room *room; /* NULL until the name has come */
	uint64_t id;
	char room_name[ROOM_BYTES_MAX + 1];
	char name[NAME_BYTES_MAX + 1];
};

/* --- events: a letter, then fields between tabs ----------------------------------------------- */

/* Tells everybody in the room, also the one who caused it. */
static void tell_room(per_ws *ws, const struct member *member, char kind, per_str text)
{
	char event[EVENT_BYTES_MAX];
	const int len = snprintf(event, sizeof(event), "%c\t%" PRIu64 "\t%s\t%.*s", kind, member->id,
				 member->name, (int)text.len, text.ptr);
	(void)per_ws_publish(per_ws_server(ws), per_str_from(member->room_name), PER_WS_TEXT, event,
			     (size_t)len);
}

/* The lock is held, so that the last number told is the last number that was true. */
static void tell_people(per_ws *ws, const struct member *member, char kind)
{
	char text[16];
	const int len = snprintf(text, sizeof(text), "%u", member->room->people);
	tell_room(ws, member, kind, per_str_make(text, (size_t)len));
}

/* --- coming and leaving ----------------------------------------------------------------------- */

/* The room of that name, or a free place for it; NULL when all are in use. */
static struct room *room_find(struct chat *chat, const char *name)
{
	struct room *unused = NULL;
	for (struct room *room = chat->rooms; room < chat->rooms + ROOMS_MAX; room++) {
		if (room->people == 0)
			unused = room;
		else if (strcmp(room->name, name) == 0)
			return room;
	}
	if (unused != NULL)
		snprintf(unused->name, sizeof(unused->name), "%s", name);
	return unused;
}

static bool room_enter(per_ws *ws, struct chat *chat, struct member *member)
{
	char welcome[32];
	pthread_mutex_lock(&chat->lock);
	member->room = room_find(chat, member->room_name);
	if (member->room != NULL) {
		member->id = ++chat->last_id;
		member->room->people++;
		const int len = snprintf(welcome, sizeof(welcome), "w\t%" PRIu64, member->id);
		(void)per_ws_send(ws, PER_WS_TEXT, welcome, (size_t)len);
		(void)per_ws_subscribe(ws, per_str_from(member->room_name));
		tell_people(ws, member, 'j');
	}
	pthread_mutex_unlock(&chat->lock);
	return member->room != NULL;
}

/* The first message is the name. The library has checked that it is UTF-8. */
static void introduce(per_ws *ws, struct chat *chat, struct member *member, const char *name, size_t len)
{
	if (len == 0 || len > NAME_BYTES_MAX) {
		(void)per_ws_close(ws, 1008, PER_S("A name has 1 to 96 bytes."));
		return;
	}
	for (size_t i = 0; i < len; i++)
		member->name[i] = name[i] >= 0 && name[i] < ' ' ? ' ' : name[i]; /* tabs separate fields */
	if (!room_enter(ws, chat, member))
		(void)per_ws_close(ws, 1013, PER_S("There are too many rooms."));
}

/* --- hooks ------------------------------------------------------------------------------------ */

static void on_message(per_ws *ws, per_ws_type type, void *data, size_t len, void *user)
{
	struct member *member = per_ws_data(ws);
	if (type != PER_WS_TEXT)
		(void)per_ws_close(ws, 1003, PER_S("Only text is spoken here."));
	else if (member->room == NULL)
		introduce(ws, user, member, data, len);
	else
		tell_room(ws, member, 'm', per_str_make(data, len));
}

static void on_close(per_ws *ws, int code, per_str reason, void *user)
{
	struct chat *chat = user;
	struct member *member = per_ws_data(ws);
	(void)code;
	(void)reason;
	if (member->room != NULL) {
		pthread_mutex_lock(&chat->lock);
		member->room->people--;
		tell_people(ws, member, 'l');
		pthread_mutex_unlock(&chat->lock);
	}
	free(member);
}

/* A browser says which site a script comes from. Others must not speak in the name of our visitors. */
static bool is_own_origin(const per_req *req)
{
	const per_str origin = per_req_header(req, PER_S("Origin"));
	const per_str host = per_req_host(req);
	if (origin.ptr == NULL)
		return true; /* no browser */
	return origin.len > host.len + 3 && memcmp(origin.ptr + origin.len - host.len - 3, "://", 3) == 0 &&
	       memcmp(origin.ptr + origin.len - host.len, host.ptr, host.len) == 0;
}

static bool room_name_is_valid(per_str name)
{
	for (size_t i = 0; i < name.len; i++) {
		const char c = name.ptr[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return name.len >= 1 && name.len <= ROOM_BYTES_MAX;
}

static int answer_ws(per_req *req, struct chat *chat)
{
	const per_str room = per_query_get(per_req_query(req), PER_S("room"));
	if (!is_own_origin(req))
		return per_reply(req, 403, PER_S("text/plain"), PER_S("Not from that site.\n"));
	if (!room_name_is_valid(room))
		return per_reply(req, 400, PER_S("text/plain"), PER_S("Which room? ?room=a-z0-9-\n"));
	struct member *member = calloc(1, sizeof(*member));
	if (member == NULL)
		return PER_ENOMEM;
	memcpy(member->room_name, room.ptr, room.len);
	const int err = per_ws_accept(req, &chat->ws, PER_S(""), member);
	if (err != 0)
		free(member); /* there will be no on_close */
	return err == PER_EPROTO ? 0 : err;
}

static int answer_page(per_req *req, struct chat *chat)
{
	static const char policy[] =
		"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
		"connect-src 'self'; img-src data:; form-action 'self'";
	const int err = per_header(req, PER_S("Content-Security-Policy"), per_str_from(policy));
	return err ? err
		   : per_reply_ref(req, 200, PER_S("text/html; charset=utf-8"),
				   per_str_make(chat->page, chat->page_len), NULL, NULL);
}

static int on_request(per_req *req, void *user)
{
	const per_str path = per_req_path(req);
	if (per_str_equal(path, PER_S("/ws")))
		return answer_ws(req, user);
	if (per_str_equal(path, PER_S("/")))
		return answer_page(req, user);
	return per_reply(req, 404, PER_S("text/plain"), PER_S("There is only one page here: /\n"));
}

/* --- life ------------------------------------------------------------------------------------- */

static struct chat *chat_new(void)
{
	struct chat *chat = calloc(1, sizeof(*chat));
	if (chat == NULL)
		return NULL;
	pthread_mutex_init(&chat->lock, NULL);
	chat->ws = (per_ws_config){
		.handler = { .on_message = on_message, .on_close = on_close, .user = chat },
		.message_bytes_max = MESSAGE_BYTES_MAX,
		.queue_bytes = 256 << 10, /* who is so far behind is sent away, and comes back */
		.deflate = true,
		.server_no_context_takeover = true, /* what is published is compressed once for all anyway */
	};
	for (size_t i = 0; i < sizeof(page_lines) / sizeof(page_lines[0]); i++)
		chat->page_len += (size_t)snprintf(chat->page + chat->page_len,
						   PAGE_BYTES_MAX - chat->page_len, "%s", page_lines[i]);
	return chat;
}

static int serve(const per_config *config)
{
	per_server *server;
	int err = per_server_new(&server, config);
	if (err == 0) {
		printf("listening on %s\n", per_server_address(server, 0));
		fflush(stdout);
		err = per_server_run(server);
	}
	per_server_free(server); /* the last on_close has been called when this returns */
	return err;
}

int main(int argc, char **argv)
{
	struct chat *chat = chat_new();
	const per_listen listen = { .address = argc > 1 ? argv[1] : "*:3000" };
	const per_config config = {
		.listen = &listen,
		.listen_count = 1,
		.handler = { .on_request = on_request, .user = chat },
		.handle_signals = true,
	};
	const int err = chat != NULL ? serve(&config) : PER_ENOMEM;
	free(chat);
	if (err != 0)
		fprintf(stderr, "ws_chat: %s\n", per_strerror(err));
	return err != 0;
}
