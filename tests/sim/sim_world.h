/* SPDX-License-Identifier: MIT */
/*
 * sim_world.h - the inside of the simulated world, shared by sim_world.c, sim_peer.c and sim_backend.c only.
 */
#ifndef PER_TESTS_SIM_SIM_WORLD_H
#define PER_TESTS_SIM_SIM_WORLD_H

#include "sim.h"

#define SIM_RECV_BUFS 4u
#define SIM_SNDBUF_DEFAULT (64u * 1024u)
#define SIM_DELAY_DEFAULT_NS 1000000
#define SIM_RESUME_SHARE 4u /* a blocked send goes on when a quarter of the send buffer is free */

enum sim_peer_state {
	SIM_PEER_PENDING,  /* not accepted yet */
	SIM_PEER_DETACHED, /* the core has the descriptor but no socket on it */
	SIM_PEER_ATTACHED, /* a socket of a loop */
	SIM_PEER_GONE,     /* the server's end is closed */
};

/* Bytes up to offset `end` of the stream arrive at at_ns. */
struct sim_seg {
	int64_t at_ns;
	uint64_t end;
};

/* A growing run of bytes of a stream, from offset base on. */
struct sim_bytes {
	uint8_t *data;
	size_t len, cap;
	uint64_t base;
};

/* The server's end of a connection: what the backend knows. */
struct sim_end {
	struct per__loop *loop;
	struct per__sock *sock;
	bool is_paused, is_shut, is_core_closed, is_eof_given, is_broken;
	enum per__close_how how;
	int error;
	int64_t recv_not_before, send_not_before, closed_not_before;
	/* the send in progress */
	struct iovec *iov;     /* the array that was lent */
	struct iovec *iov_own; /* as it was then */
	uint32_t iov_cnt, iov_pos;
	size_t iov_off;
	uint64_t send_left;  /* bytes not taken yet */
	uint64_t hash_lent;  /* of all bytes, when they were lent */
	uint64_t hash_taken; /* of the bytes taken so far */
	bool is_sending;
};

struct per__sim_peer {
	struct per__sim *sim;
	struct per__sim_peer *next;
	int fd;
	uint16_t listener_index;
	enum sim_peer_state state;
	int64_t connect_ns;
	struct sim_end end;

	/* peer to server */
	struct sim_bytes in;
	struct sim_seg *segs;
	size_t seg_cnt, seg_cap, seg_pos;
	int64_t last_ns; /* nothing sent later arrives earlier */
	uint64_t in_given;
	int64_t eof_ns; /* SIM_NEVER: not sent */
	int64_t reset_ns;
	uint64_t reset_at_in, reset_at_out, cut_out;
	bool is_reset;      /* the peer has sent RST */
	bool is_reset_late; /* the server notices only after the bytes that came before, or when it sends */

	/* server to peer */
	struct sim_bytes out; /* taken from the server; the peer has read up to out_read */
	uint64_t out_read;
	uint64_t rate;
	int64_t rate_ns; /* since when the rate applies */
	bool has_fin, has_rst, is_refused;
};

struct sim_script {
	int64_t at_ns;
	per__sim_script fn;
	void *arg;
};

struct sim_op {
	uint32_t kind;
	struct per__sim_peer *peer;
};

struct per__sim {
	uint64_t seed, random;
	int64_t now_ns, wall_base_s;
	struct per__sim_faults faults;
	struct per__sim_seen seen;
	struct per__sim_peer *peers;
	int fd_next;
	uint32_t loop_cnt;
	uint32_t in_poll;
	bool is_idle;
	struct sim_script scripts[SIM_SCRIPTS_MAX];
	uint32_t script_cnt;
	per__sim_violation_fn violation_fn;
	void *violation_arg;
};

/* The backend's part of one loop. */
struct sim_loop {
	struct per__sim *sim;
	struct per__loop *loop;
	struct per__be_conf conf;
	struct per__listener *listeners;
	bool in_poll, is_accept_blocked;
	int wake; /* atomic */
	uint32_t open_cnt;
	int64_t starved_until, accept_not_before, wake_not_before;
	uint8_t *recv_buf[SIM_RECV_BUFS];
	uint32_t recv_next;
	struct sim_op *ops;
	size_t op_cnt, op_cap;
};

/** Reports a broken rule: ends the process unless the test has a hook. Always false. */
bool sim_violation(struct per__sim *sim, const char *what);
/** true when the claim holds; else reports it. */
PER_INLINE bool sim_claim(struct per__sim *sim, bool claim, const char *what)
{
	return claim || sim_violation(sim, what);
}

int64_t sim_delay_ns(struct per__sim *sim);
void sim_bytes_append(struct sim_bytes *bytes, const void *data, size_t len);
void sim_bytes_drop(struct sim_bytes *bytes, size_t len);
void *sim_alloc(size_t bytes);

/** Bytes of the peer's stream that have arrived by now, in all. */
uint64_t sim_peer_arrived(struct per__sim_peer *peer);
/** When the next byte or the FIN that was not given yet arrives; SIM_NEVER: none was sent. */
int64_t sim_peer_next_in_ns(struct per__sim_peer *peer);
/** Lets the peer read what its rate allows by now. */
void sim_peer_drain(struct per__sim_peer *peer);
/** Room on the way to the peer. */
uint64_t sim_peer_room(struct per__sim_peer *peer);
/** When a send that found no room goes on, or the peer has read everything; SIM_NEVER: not by itself. */
int64_t sim_peer_drain_ns(const struct per__sim_peer *peer, bool is_blocked);
/** RST, noticed before anything else is given to the server. */
void sim_peer_reset_now(struct per__sim_peer *peer);
/** The server's end goes away. */
void sim_peer_server_closed(struct per__sim_peer *peer, bool is_reset);

#endif
