/* SPDX-License-Identifier: MIT */
/*
 * sim_world.c - the world itself: seed, clock, scripts, growing byte runs. Knows neither sockets nor the
 * backend line. Called by tests, sim_peer.c and sim_backend.c. Invariant: all randomness of a run comes from
 * per__sim.random.
 */
#include "sim_world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct per__sim *per__sim_current;

void *sim_alloc(size_t bytes)
{
	void *ptr = calloc(1, bytes != 0 ? bytes : 1);

	if (ptr == NULL)
		abort();
	return ptr;
}

struct per__sim *sim_new(uint64_t seed)
{
	struct per__sim *sim = sim_alloc(sizeof(*sim));

	sim->seed = seed;
	sim->random = seed;
	sim->now_ns = 1000000000 + (int64_t)sim_random_below(sim, 1000000000000);
	sim->wall_base_s = 1700000000 + (int64_t)sim_random_below(sim, 100000000);
	sim->fd_next = SIM_FD_BASE;
	return sim;
}

void sim_free(struct per__sim *sim)
{
	if (sim == NULL)
		return;
	while (sim->peers != NULL) {
		sim->peers->state = SIM_PEER_GONE;
		sim_peer_free(sim->peers);
	}
	if (per__sim_current == sim)
		per__sim_current = NULL;
	free(sim);
}

uint64_t sim_seed_from_env(bool *is_replay)
{
	const char *text = getenv("PER_SEED");
	struct timespec now;

	if (is_replay != NULL)
		*is_replay = text != NULL;
	if (text != NULL)
		return strtoull(text, NULL, 0);
	clock_gettime(CLOCK_REALTIME, &now);
	return ((uint64_t)now.tv_sec << 30) ^ (uint64_t)now.tv_nsec ^ ((uint64_t)getpid() << 48);
}

/* splitmix64 (Steele, Lea, Flood 2014): one word of state, good enough to choose faults. */
uint64_t sim_random(struct per__sim *sim)
{
	uint64_t x = sim->random += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint64_t sim_random_below(struct per__sim *sim, uint64_t limit)
{
	return limit <= 1 ? 0 : sim_random(sim) % limit;
}

bool sim_chance(struct per__sim *sim, uint32_t per_million)
{
	return per_million != 0 && sim_random_below(sim, SIM_MILLION) < per_million;
}

int64_t sim_delay_ns(struct per__sim *sim)
{
	int64_t max = sim->faults.delay_ns_max != 0 ? sim->faults.delay_ns_max : SIM_DELAY_DEFAULT_NS;

	sim->seen.delays++;
	return 1 + (int64_t)sim_random_below(sim, (uint64_t)max);
}

struct per__sim_faults *sim_faults(struct per__sim *sim)
{
	return &sim->faults;
}

/* Half of the time 0, else from "now and then" to "nearly always". */
static uint32_t faults_strength(struct per__sim *sim)
{
	static const uint32_t strength[] = { 10000, 100000, 300000, 700000 };

	if (sim_chance(sim, SIM_MILLION / 2))
		return 0;
	return strength[sim_random_below(sim, PER_ARRAY_LEN(strength))];
}

static size_t faults_cap(struct per__sim *sim)
{
	static const size_t cap[] = { 1, 2, 7, 64, 500, 4000 };

	if (!sim_chance(sim, SIM_MILLION / 4))
		return 0;
	return cap[sim_random_below(sim, PER_ARRAY_LEN(cap))];
}

void sim_faults_random(struct per__sim *sim, bool with_resets)
{
	struct per__sim_faults *faults = &sim->faults;

	*faults = (struct per__sim_faults){
		.recv_split = faults_strength(sim),
		.recv_delay = faults_strength(sim),
		.recv_starve = faults_strength(sim) / 4,
		.send_short = faults_strength(sim),
		.send_delay = faults_strength(sim),
		.close_delay = faults_strength(sim),
		.accept_delay = faults_strength(sim),
		.accept_emfile = faults_strength(sim) / 2,
		.wake_delay = faults_strength(sim),
		.skip = faults_strength(sim),
		.rst_loses = SIM_MILLION / 2,
		.recv_bytes_max = faults_cap(sim),
		.send_bytes_max = faults_cap(sim),
		.sndbuf_bytes = sim_chance(sim, SIM_MILLION / 3) ? 1 + sim_random_below(sim, 20000) : 0,
		.delay_ns_max = 1 + (int64_t)sim_random_below(sim, 3000000),
		.latency_ns_max =
			sim_chance(sim, SIM_MILLION / 2) ? (int64_t)sim_random_below(sim, 2000000) : 0,
		.turn_ns_max = (int64_t)sim_random_below(sim, 20000),
	};
	if (with_resets)
		faults->reset = 1 + (uint32_t)sim_random_below(sim, 20000);
}

const struct per__sim_seen *sim_seen(const struct per__sim *sim)
{
	return &sim->seen;
}

uint64_t sim_seed(const struct per__sim *sim)
{
	return sim->seed;
}

int64_t sim_now_ns(const struct per__sim *sim)
{
	return sim->now_ns;
}

void sim_advance_ns(struct per__sim *sim, int64_t ns)
{
	PER_ASSERT(ns >= 0);
	sim->now_ns += ns;
}

bool sim_is_idle(const struct per__sim *sim)
{
	return sim->is_idle;
}

void sim_after(struct per__sim *sim, int64_t ns, per__sim_script fn, void *arg)
{
	PER_ASSERT(sim->script_cnt < SIM_SCRIPTS_MAX);
	sim->scripts[sim->script_cnt++] = (struct sim_script){ sim->now_ns + ns, fn, arg };
}

void sim_on_violation(struct per__sim *sim, per__sim_violation_fn fn, void *arg)
{
	sim->violation_fn = fn;
	sim->violation_arg = arg;
}

bool sim_violation(struct per__sim *sim, const char *what)
{
	if (sim->violation_fn == NULL) {
		fprintf(stderr, "PER_SEED=0x%" PRIx64 " contract broken by the core: %s\n", sim->seed, what);
		abort();
	}
	sim->violation_fn(what, sim->violation_arg);
	return false;
}

void sim_bytes_append(struct sim_bytes *bytes, const void *data, size_t len)
{
	if (bytes->cap - bytes->len < len) {
		size_t cap = PER_MAX(bytes->cap * 2, bytes->len + len);
		uint8_t *grown = realloc(bytes->data, cap);

		if (grown == NULL)
			abort();
		bytes->data = grown;
		bytes->cap = cap;
	}
	if (len != 0)
		memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
}

void sim_bytes_drop(struct sim_bytes *bytes, size_t len)
{
	PER_ASSERT(len <= bytes->len);
	bytes->len -= len;
	bytes->base += len;
	if (bytes->len != 0)
		memmove(bytes->data, bytes->data + len, bytes->len);
}
