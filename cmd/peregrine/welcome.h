/* SPDX-License-Identifier: MIT */
/*
 * welcome.h - the page that the program shows when it has nothing else to serve: it works, and how.
 */
#ifndef CMD_PEREGRINE_WELCOME_H
#define CMD_PEREGRINE_WELCOME_H

#include <peregrine/peregrine.h>

#define WELCOME_BYTES_MAX 16384u

/* The page, ready to be sent. */
struct welcome {
	char page[WELCOME_BYTES_MAX];
	size_t len; /* bytes */
};

/** Writes the page of a server that has been made. */
void welcome_render(struct welcome *welcome, const per_server *server);

/** Answers with the page, which is lent: welcome has to outlive the server. Returns as per_reply_ref(). */
int welcome_reply(const struct welcome *welcome, per_req *req);

#endif
