/* SPDX-License-Identifier: MIT */
/*
 * sim_http.h - a real server on the simulated backend, an application with one path per way to answer, and a
 * catalogue of requests whose answers are known from a run without faults. Called by
 * tests/sim/sim_http_*_test.c. A failure prints PER_SEED=0x... and ends the process.
 */
#ifndef PER_TESTS_SIM_SIM_HTTP_H
#define PER_TESTS_SIM_SIM_HTTP_H

#include "sim/sim.h"

#include <peregrine/peregrine.h>

#define SIM_HTTP_KINDS 18u
#define SIM_HTTP_SECOND_NS INT64_C(1000000000)

/* One request of the catalogue and its answer, the Date replaced. */
struct sim_http_case {
	const char *name;
	uint8_t *request;
	size_t request_len, head_len;
	uint8_t *answer;
	size_t answer_len;
	bool may_continue; /* "100 Continue" may come first */
	bool is_last;      /* the server closes behind it */
};

/* A server on a world of its own. */
struct sim_http {
	struct per__sim *sim;
	per_server *server;
	uint32_t begun, done;       /* on_head or on_request of a new exchange, on_done */
	uint32_t logged_seen;       /* on_log of such an exchange */
	uint64_t logged[6];         /* on_log by class of the status, [0]: no answer */
	uint64_t logged_hash;       /* of everything that could be read in on_log */
	uint32_t lent, released;    /* bodies by reference */
	uint32_t posted, posts_run; /* answers and resumptions that come later; those that came */
	uint32_t deferred;
	bool is_stopped; /* per_server_poll() has returned 0 */
};

/** Prints the seed and the words, ends the process. */
PER_NORETURN void sim_http_fail(const struct sim_http *http, const char *format, ...) PER_PRINTF(2, 3);
#define SIM_HTTP_CHECK(http, claim)                                                     \
	do {                                                                            \
		if (!(claim))                                                           \
			sim_http_fail((http), "%s:%d: %s", __FILE__, __LINE__, #claim); \
	} while (0)

/** The catalogue; at the first call, a server without faults is asked for the answers. */
const struct sim_http_case *sim_http_cases(void);

/**
 * Begins a world and a server.
 *
 * change   may be NULL; else it is given the configuration to change: small limits that no case of the
 * catalogue meets
 */
typedef void (*sim_http_change)(per_config *config, uint64_t seed);
void sim_http_begin(struct sim_http *http, uint64_t seed, sim_http_change change);

/** Stops the server if need be, checks that nothing is left (sim_http_check_empty()), frees all. */
void sim_http_end(struct sim_http *http);

/** One turn. Virtual time passes when nothing is ready. */
void sim_http_turn(struct sim_http *http);
/** Turns until the claim holds. Fails after many turns. */
#define SIM_HTTP_RUN_UNTIL(http, claim)                                                                 \
	for (uint32_t sim_http_turns = 0; !(claim); sim_http_turns++) {                                 \
		if (sim_http_turns > 3000000 || (http)->is_stopped)                                     \
			sim_http_fail((http), "%s:%d: never happened: %s", __FILE__, __LINE__, #claim); \
		sim_http_turn(http);                                                                    \
	}

/** Checks that no connection, exchange, block, loan or timer is left; the server may go on. */
void sim_http_check_empty(struct sim_http *http);
/** The connections of the server that are open now. */
uint64_t sim_http_open(const struct sim_http *http);
per_stats sim_http_stats(const struct sim_http *http);

/**
 * Compares what a peer has received with the answers to the cases, Dates replaced.
 *
 * is_prefix  it may end early (the connection was reset)
 */
void sim_http_expect(struct sim_http *http, struct per__sim_peer *peer, const uint8_t *kinds, size_t count,
		     bool is_prefix);

/** The same of bytes that the caller has. */
void sim_http_expect_bytes(struct sim_http *http, const uint8_t *received, size_t len, const uint8_t *kinds,
			   size_t count, bool is_prefix);

/** Has the peer received the whole answers to the cases? Cheap: looks at lengths. */
bool sim_http_has_all(struct per__sim_peer *peer, const uint8_t *kinds, size_t count);

#endif
