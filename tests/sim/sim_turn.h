/* SPDX-License-Identifier: MIT */
/*
 * sim_turn.h - between sim_backend.c (down-calls) and sim_turn.c (poll): the server's ends of the
 * connections.
 */
#ifndef PER_TESTS_SIM_SIM_TURN_H
#define PER_TESTS_SIM_SIM_TURN_H

#include "sim_world.h"

#include "base/mem.h"

/** Gives the loop the world's time. */
void sim_clock_set(struct sim_loop *state);
/** Makes sock the server's end of peer. false (and a violation) when the core did not zero it. */
bool sim_attach(struct sim_loop *state, struct per__sock *sock, struct per__sim_peer *peer);
/** Begins a send: remembers what was lent. */
void sim_lend(struct sim_loop *state, struct per__sim_peer *peer, struct iovec *iov, uint32_t cnt);
/** The end is over, by close (error 0) or by itself; on_closed comes from a later turn. */
void sim_end_close(struct sim_loop *state, struct per__sim_peer *peer, int error);
int sim_poll(struct per__loop *loop, int64_t timeout_ns);

#endif
