/* SPDX-License-Identifier: MIT */
/*
 * server.h - a server as its own files see it: the workers, the listeners, the pipe that stops it.
 * Shared by the files beside it only.
 */
#ifndef PER_SERVER_H
#define PER_SERVER_H

#include "base/addr.h"
#include "core/conf.h"
#include "core/worker.h"
#include "http/h1.h"
#include "ws/pubsub.h"
#include <peregrine/server.h>
#include <pthread.h>

#define PER__LISTENERS_MAX 64u
#define PER__BACKEND_SIM 100 /* the simulator of the tests: listeners have no socket */

/* One address that the server listens on: a socket for each loop that accepts, or one that they share. */
struct per__place {
	struct per__addr addr;
	char text[200];         /* for people */
	unsigned flags;         /* PER_LISTEN_* */
	bool is_shared;         /* one socket for all: unix sockets, inherited ones, a single loop */
	_Atomic unsigned users; /* loops that still accept at a shared socket */
	unsigned fd_cnt;
	int *fds; /* -1: closed */
};

enum per__server_state { PER__SERVER_NEW, PER__SERVER_POLLED, PER__SERVER_RUNNING, PER__SERVER_ENDED };

struct per_server {
	struct per__conf conf;
	struct per__h1_conf h1;
	struct per__ws_shared ws;
	const struct per__backend *backend;
	char backend_reason[256];

	struct per__certs *tls; /* NULL: no TLS */

	struct per__place *places;
	size_t place_cnt;

	struct per__worker **workers; /* conf.workers of them, then conf.accept_threads acceptors */
	pthread_t *threads;
	unsigned loop_cnt; /* workers and acceptors */

	_Atomic int state;         /* enum per__server_state */
	_Atomic int stop_level;    /* how often a stop was asked for, at most 2 */
	bool is_polled;            /* the loop belongs to per_server_poll() */
	int pipe_read, pipe_write; /* 's': stop; 'e': a loop has ended */

	pthread_mutex_t policy_mutex; /* one reload at a time, so that all workers keep the same */

	pthread_mutex_t start_mutex; /* guards the two below */
	pthread_cond_t start_cond;
	unsigned start_cnt; /* loops that have started or failed */
	int start_error;
};

/**
 * The certificates of config->tls and the keys of tickets: checks them, and gives each worker its contexts.
 * Nothing when there is no config->tls. Returns 0 or a negative PER_E* with the reason in the log.
 */
int per__certs_open(struct per_server *server, const per_config *config);

/** Frees them. Every connection has ended. */
void per__certs_close(struct per_server *server);

/** A worker takes the contexts that a reload has left for it, if there are any. On the worker's thread. */
void per__certs_take(struct per__worker *worker);

/** Opens every listener of config. Returns 0 or a negative PER_E* with the reason in the log. */
int per__places_open(struct per_server *server, const per_config *config);
void per__places_close(struct per_server *server);

/**
 * Would per__places_open() understand every address? Opens nothing. Returns 0 or a negative PER_E* with the
 * reason in the log.
 */
int per__places_check(const struct per__log *log, const per_config *config);

/**
 * A loop accepts no more at a place: closes its socket, so that clients are refused rather than left
 * waiting.
 */
void per__place_leave(struct per__worker *worker, size_t index);

/** Gives each accepting loop its array of listeners. Returns 0 or PER_ENOMEM. */
int per__places_deal(struct per_server *server);

/** Ends and frees the loop of a server that was driven by per_server_poll(); nothing for another. */
void per__run_free_polled(struct per_server *server);

/**
 * From here on SIGINT and SIGTERM call per_server_stop(). Returns 0, or PER_EAGAIN: too many servers ask
 * for it.
 */
int per__signals_add(struct per_server *server);
/** And no longer. Harmless for a server that was not added. */
void per__signals_remove(struct per_server *server);

#endif
