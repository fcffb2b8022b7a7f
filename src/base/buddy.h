/* SPDX-License-Identifier: MIT */
/*
 * buddy.h - blocks of 2^n bytes out of one reserved region: the bounded place for what does not fit an
 * ordinary block (a long body, an oversized head). Constant time up to the number of size classes. Not
 * thread-safe: one owner. Large blocks that come back are given back to the kernel as well.
 */
#ifndef PER_BASE_BUDDY_H
#define PER_BASE_BUDDY_H

#include "base/base.h"

#define PER__BUDDY_MIN_SHIFT 13u             /* 8 KiB */
#define PER__BUDDY_CLASSES 24u               /* 8 KiB << 23 = 64 GiB */
#define PER__BUDDY_TRIM_BYTES (256u * 1024u) /* blocks from this size on return their pages when given back */

struct per__buddy {
	uint8_t *base;
	size_t region_bytes;    /* a multiple of the smallest block */
	size_t used_bytes;      /* out now, rounded up to blocks; a gauge */
	size_t used_bytes_high; /* a gauge */
	uint8_t *state;         /* one byte for each smallest block: which block begins there, see buddy.c */
	uint32_t free_head[PER__BUDDY_CLASSES]; /* index + 1 of the first free block of a class, 0: none */
	uint32_t *links; /* two for each smallest block: next and previous of the free list */
};

/** Reserves a region of at least region_bytes (0: nothing can be taken). Returns 0 or PER_ENOMEM. */
int per__buddy_init(struct per__buddy *buddy, size_t region_bytes);
void per__buddy_fini(struct per__buddy *buddy);

/**
 * Takes a block of at least bytes (1 or more).
 *
 * cap      receives its true size in bytes
 * returns  the block, not zeroed; NULL when the region has no block of that size
 */
void *per__buddy_take(struct per__buddy *buddy, size_t bytes, size_t *cap);
void per__buddy_give(struct per__buddy *buddy, void *block);

/** The size in bytes of a block that is out: the cap that its taking said. */
size_t per__buddy_size(const struct per__buddy *buddy, const void *block);

/** Does the pointer lie in the region? */
bool per__buddy_owns(const struct per__buddy *buddy, const void *ptr);

#endif
