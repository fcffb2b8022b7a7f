/* SPDX-License-Identifier: MIT */
/*
 * slab.h - a fixed number of objects of one size, taken and given back in constant time, last in first out so that the
 * one that comes next is warm. Reserved at once, touched on first use. Not thread-safe: one owner.
 * An object's index never changes, so an index and a generation can name it.
 */
#ifndef PER_BASE_SLAB_H
#define PER_BASE_SLAB_H

#include "base/base.h"

struct per__slab {
	uint8_t *base;
	size_t object_bytes; /* stride; a multiple of the alignment asked for */
	uint32_t capacity;   /* objects */
	uint32_t touched;    /* objects handed out at least once; those above were never written */
	uint32_t free_head;  /* index + 1 of the last given back, 0: none */
	uint32_t used;       /* objects out now */
	uint32_t used_high;  /* most objects out at once */
	uint32_t *free_next; /* index + 1 of the next free object, by index */
};

/**
 * Reserves memory for capacity objects.
 *
 * align    a power of two up to the page size
 * returns  0 or PER_ENOMEM
 */
int per__slab_init(struct per__slab *slab, size_t object_bytes, size_t align, uint32_t capacity);

/** Releases everything. Every object must have been given back, or must not be used again. Safe on a zeroed slab. */
void per__slab_fini(struct per__slab *slab);

/** Takes an object: its first use finds zeros, a later one whatever was left in it. NULL when all are out. */
void *per__slab_take(struct per__slab *slab);
void per__slab_give(struct per__slab *slab, void *object);

/** Bytes of address space reserved. */
size_t per__slab_bytes(const struct per__slab *slab);

/** Object to index and back. The index must have been handed out before. */
PER_INLINE uint32_t per__slab_index(const struct per__slab *slab, const void *object)
{
	return (uint32_t)((size_t)((const uint8_t *)object - slab->base) / slab->object_bytes);
}

PER_INLINE void *per__slab_at(const struct per__slab *slab, uint32_t index)
{
	return slab->base + (size_t)index * slab->object_bytes;
}

#endif
