/* SPDX-License-Identifier: MIT */
/*
 * sim.h - the simulated world: memory sockets, a virtual clock, one seed, and the peers that a test scripts.
 * No threads, no sleeping, no kernel: the same seed and the same calls give the same run, byte for byte.
 * A test makes a world, points per__sim_current at it, and starts loops or a server with backend id
 * PER__SIM_ID; it owns the world until sim_free(). Times are virtual nanoseconds, probabilities are parts per
 * million.
 */
#ifndef PER_TESTS_SIM_SIM_H
#define PER_TESTS_SIM_SIM_H

#include "backend/backend.h"

#define PER__SIM_ID 100
#define SIM_MILLION 1000000u
#define SIM_RATE_UNLIMITED UINT64_MAX
#define SIM_NEVER INT64_MAX
#define SIM_FD_BASE 0x40000000 /* descriptors of the simulator: too large to be one of the kernel's */

/** What may go wrong. Zero: never. A probability is asked each time the event is about to happen. */
struct per__sim_faults {
	uint32_t recv_split;    /* only a random part of the bytes that have arrived is given */
	uint32_t recv_delay;    /* bytes that have arrived wait for up to delay_ns_max */
	uint32_t recv_starve;   /* no receive buffer on the whole loop for up to delay_ns_max */
	uint32_t send_short;    /* a random part of a send is taken, the rest later */
	uint32_t send_delay;    /* taken whole, but on_sent comes up to delay_ns_max later */
	uint32_t close_delay;   /* on_closed comes up to delay_ns_max later */
	uint32_t accept_delay;  /* a connection waits for up to delay_ns_max */
	uint32_t accept_emfile; /* accepting rests for PER__ACCEPT_RETRY_MS, as after EMFILE */
	uint32_t wake_delay;    /* on_wake comes up to delay_ns_max later */
	uint32_t wake_spurious; /* on_wake though nobody called wake */
	uint32_t skip;          /* an event that is ready is put off to a later turn */
	uint32_t reset;         /* the peer resets, asked for each open socket and turn that does something */
	uint32_t rst_loses;     /* a RST also takes the bytes that the peer has not read yet */
	size_t recv_bytes_max;  /* most bytes of one on_recv; 1: every byte alone; 0: no cap but the buffer */
	size_t send_bytes_max;  /* most bytes taken in one turn; 0: no cap */
	size_t sndbuf_bytes;    /* bytes on their way to the peer before a send has to wait; 0: 64 KiB */
	int64_t delay_ns_max;   /* 0: 1 ms */
	int64_t latency_ns_max; /* what a peer sends arrives up to that much later, in order */
	int64_t turn_ns_max;    /* a turn takes up to that much time */
};

/** How a world counts what happened; for tests that want to know whether a fault was met at all. */
struct per__sim_seen {
	uint64_t splits, shorts, delays, starved, emfile, resets, refused, spurious, turns, lent_bytes;
};

struct per__sim;
struct per__sim_peer;
typedef void (*per__sim_script)(struct per__sim *sim, void *arg);

/** The world that init() of the simulated backend takes. Set it before per_server_new() or init. */
extern struct per__sim *per__sim_current;

/** Makes a world from one seed; its clock begins anywhere. Never NULL: ends the process instead. */
struct per__sim *sim_new(uint64_t seed);
/** Frees the world and its peers. Its loops must have been ended. NULL is allowed. */
void sim_free(struct per__sim *sim);

/** The environment's PER_SEED ("0x..." or decimal) if set, else a fresh seed. is_replay may be NULL. */
uint64_t sim_seed_from_env(bool *is_replay);

/** The faults in force; change them at any time. */
struct per__sim_faults *sim_faults(struct per__sim *sim);
/** Switches on a random half of the faults with random strength; resets only with_resets. */
void sim_faults_random(struct per__sim *sim, bool with_resets);
const struct per__sim_seen *sim_seen(const struct per__sim *sim);
uint64_t sim_seed(const struct per__sim *sim);

/** The world's own randomness; each draw moves it on. below: 0 <= result < limit, limit >= 1. */
uint64_t sim_random(struct per__sim *sim);
uint64_t sim_random_below(struct per__sim *sim, uint64_t limit);
bool sim_chance(struct per__sim *sim, uint32_t per_million);

int64_t sim_now_ns(const struct per__sim *sim);
/** Moves the clock forward by hand. */
void sim_advance_ns(struct per__sim *sim, int64_t ns);

/** The last poll found nothing to do and nothing that would come by itself. */
bool sim_is_idle(const struct per__sim *sim);

/** Calls fn from inside a poll, when the clock has reached now + ns. At most SIM_SCRIPTS_MAX at once. */
#define SIM_SCRIPTS_MAX 512u
void sim_after(struct per__sim *sim, int64_t ns, per__sim_script fn, void *arg);

/**
 * What to do when the core breaks the contract: by default the process ends with the claim and the seed. With
 * a hook the offending call is reported and ignored, so that a test can see that the check works.
 */
typedef void (*per__sim_violation_fn)(const char *what, void *arg);
void sim_on_violation(struct per__sim *sim, per__sim_violation_fn fn, void *arg);

/* --- peers: the other ends of the connections ------------------------------------------------- */

/** Connects to the listener with that index; accepted in a later poll. The world owns the peer. */
struct per__sim_peer *sim_connect(struct per__sim *sim, uint16_t listener_index);
/** A connection that was accepted elsewhere: sim_peer_fd() is what adopt() takes. */
struct per__sim_peer *sim_connect_detached(struct per__sim *sim);
int sim_peer_fd(const struct per__sim_peer *peer);
/** Gives the peer's memory back; only when no socket of the server is on it, and outside of poll. */
void sim_peer_free(struct per__sim_peer *peer);

/** Sends bytes (copied): now, or when ns have passed. Earlier calls arrive first in any case. */
void sim_peer_send(struct per__sim_peer *peer, const void *data, size_t len);
void sim_peer_send_after(struct per__sim_peer *peer, int64_t ns, const void *data, size_t len);
/** FIN behind everything sent so far. */
void sim_peer_close_write(struct per__sim_peer *peer);
void sim_peer_close_write_after(struct per__sim_peer *peer, int64_t ns);
/** RST: bytes the server has not read yet may be lost. */
void sim_peer_reset(struct per__sim_peer *peer);
void sim_peer_reset_after(struct per__sim_peer *peer, int64_t ns);
/** RST as soon as the server has been given (in), or has had taken from it (out), that many bytes in all. */
void sim_peer_reset_at_in(struct per__sim_peer *peer, uint64_t bytes);
void sim_peer_reset_at_out(struct per__sim_peer *peer, uint64_t bytes);
/** One short write: taking stops once when that many bytes in all were taken. */
void sim_peer_cut_out(struct per__sim_peer *peer, uint64_t bytes);

/** Bytes per virtual second that the peer reads; 0: it has stopped reading; SIM_RATE_UNLIMITED at first. */
void sim_peer_set_read_rate(struct per__sim_peer *peer, uint64_t bytes_per_s);
/** What the peer has read and not consumed yet; valid until the next call that names the peer or polls. */
const uint8_t *sim_peer_received(struct per__sim_peer *peer, size_t *len);
/** Forgets the first len bytes of it. */
void sim_peer_consume(struct per__sim_peer *peer, size_t len);
/** Copies and consumes up to cap bytes; returns how many. */
size_t sim_peer_read(struct per__sim_peer *peer, void *buf, size_t cap);

/** What the peer can see. FIN is seen when everything before it was read. */
bool sim_peer_is_accepted(const struct per__sim_peer *peer);
bool sim_peer_saw_fin(struct per__sim_peer *peer);
bool sim_peer_saw_rst(const struct per__sim_peer *peer);
bool sim_peer_was_refused(const struct per__sim_peer *peer);
/** FIN or RST was seen. */
bool sim_peer_is_over(struct per__sim_peer *peer);
/** Does the server still hold its end (on_closed was not delivered)? */
bool sim_peer_is_attached(const struct per__sim_peer *peer);
/** Bytes given to the server, and taken from it, in all. */
uint64_t sim_peer_bytes_in(const struct per__sim_peer *peer);
uint64_t sim_peer_bytes_out(const struct per__sim_peer *peer);
/** Bytes sent that the server has not been given yet. */
uint64_t sim_peer_unread(const struct per__sim_peer *peer);

#endif
