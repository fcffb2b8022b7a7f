/* SPDX-License-Identifier: MIT */
/*
 * out.h - bytes on their way to one peer: a list of blocks, each an array of iovecs over its own bytes and
 * lent ones. Never calls the kernel. The first block is lent to the backend exactly while the connection is
 * sending.
 */
#ifndef PER_CORE_OUT_H
#define PER_CORE_OUT_H

#include "backend/backend.h"
#include <peregrine/response.h>
#include <sys/uio.h>

struct per__conn;

#define PER__OUT_IOVS 16u
#define PER__OUT_REFS 8u
#define PER__OUT_BIG_BYTES (64u * 1024u) /* blocks behind the first: a long answer leaves in long sends */
#define PER__OUT_COPY_MAX 1024u          /* lent bytes up to this length are copied: cheaper than an iovec */

struct per__out_ref {
	per_release_fn release;
	void *arg;
};

struct per__out_block {
	struct per__out_block *next;
	uint32_t used;  /* bytes of data in use */
	uint32_t cap;   /* bytes of data there are */
	uint64_t bytes; /* in all iovecs together */
	uint16_t iov_cnt;
	uint16_t ref_cnt;
	uint8_t iov_pos;                     /* iovecs that per__out_consume() has used up */
	bool tail_is_own;                    /* the last iovec ends at data + used and may grow */
	struct per__file_part file;          /* behind the iovecs, if its len is not 0; then nothing more */
	struct iovec iov[PER__OUT_IOVS + 1]; /* the last one for the place of file */
	struct per__out_ref ref[PER__OUT_REFS];
	uint8_t data[];
};

/**
 * Room for bytes at the end of the queue, in one piece. Write there, then per__out_commit() what was
 * written; nothing else may be queued in between.
 *
 * returns  NULL when the memory budget is used up
 */
uint8_t *per__out_reserve(struct per__conn *conn, size_t bytes);
void per__out_commit(struct per__conn *conn, size_t bytes);

/** Takes back a reservation of which nothing was used. */
void per__out_unreserve(struct per__conn *conn);

/** Copies bytes to the end of the queue. Returns 0, or PER_ENOMEM: then nothing was queued. */
int per__out_copy(struct per__conn *conn, const void *data, size_t len);

/**
 * Queues lent bytes; release (may be NULL) is called exactly once, at once after an error. Returns 0 or
 * PER_ENOMEM.
 */
int per__out_lend(struct per__conn *conn, const void *data, size_t len, per_release_fn release, void *arg);

/**
 * Queues a part of a file (len 1 or more); never for TLS, nor where the backend has no send_file. fd is
 * lent until release is called, as in per__out_lend().
 */
int per__out_file(struct per__conn *conn, const struct per__file_part *file, per_release_fn release,
		  void *arg);

/** The first block is with the kernel: releases what it had lent and frees it. */
void per__out_pop(struct per__conn *conn);

/**
 * The first bytes that are queued, without their being copied if they lie in one piece. Only for a connection
 * whose blocks are never lent to the backend.
 *
 * buf, cap  room for a copy; cap is the most that is wanted
 * len       receives the number of bytes; 0: nothing is queued
 */
const uint8_t *per__out_peek(struct per__conn *conn, uint8_t *buf, size_t cap, size_t *len);

/**
 * Takes len bytes off the queue, at most as many as there are; releases what was lent for them. Leaves
 * out_bytes alone: the caller has them.
 */
void per__out_consume(struct per__conn *conn, size_t len);

/** Frees everything that is queued. */
void per__out_drop(struct per__conn *conn);

#endif
