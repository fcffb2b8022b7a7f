/* SPDX-License-Identifier: MIT */
/*
 * slab.h - a fixed number of objects of one size, taken and given back in constant time, last in first out so
 * that the one that comes next is warm. Reserved at once, touched on first use. Not thread-safe: one owner.
 * An object's index never changes, so an index and a generation can name it.
 */
#ifndef PER_BASE_SLAB_H
#define PER_BASE_SLAB_H

#include "base/base.h"

/* In free_next: the object is out. Tells a second give from a first. */
#define PER__SLAB_OUT UINT32_MAX

struct per__slab {
	uint8_t *base;
	size_t object_bytes; /* stride; a multiple of the alignment asked for */
	uint32_t capacity;   /* objects */
	uint32_t touched;    /* objects handed out at least once; those above were never written */
	uint32_t free_head;  /* index + 1 of the last given back, 0: none */
	uint32_t used;       /* objects out now; a gauge */
	uint32_t used_high;  /* most objects out at once; a gauge */
	uint32_t shift;      /* object_bytes = odd << shift */
	uint64_t inverse;    /* odd * inverse == 1 modulo 2^64 */
	uint32_t *free_next; /* by index: index + 1 of the next free object, 0: none, or PER__SLAB_OUT */
};

/**
 * Reserves memory for capacity objects.
 *
 * object_bytes  rounded up to align. A stride that is a large power of two makes the first lines of all
 *               objects share a few cache sets: where objects are walked or hit at random, an odd number of
 *               cache lines is faster
 * align         a power of two up to the page size
 * returns       0 or PER_ENOMEM
 */
int per__slab_init(struct per__slab *slab, size_t object_bytes, size_t align, uint32_t capacity);

/**
 * Releases everything. Every object must have been given back, or must not be used again. Safe on a zeroed
 * slab.
 */
void per__slab_fini(struct per__slab *slab);

/** Bytes of address space reserved. */
size_t per__slab_bytes(const struct per__slab *slab);

/**
 * Object to index and back. The object must have been handed out before; the address of a member will not do.
 * Divides by multiplying with the inverse: a pointer between two objects comes out as a number far above
 * touched.
 */
PER_INLINE uint32_t per__slab_index(const struct per__slab *slab, const void *object)
{
	uint64_t product = (uint64_t)((uintptr_t)object - (uintptr_t)slab->base) * slab->inverse;
	uint64_t index = product >> slab->shift | product << (-slab->shift & 63);

	PER_ASSERT(index < slab->touched);
	return (uint32_t)index;
}

PER_INLINE void *per__slab_at(const struct per__slab *slab, uint32_t index)
{
	return slab->base + (size_t)index * slab->object_bytes;
}

/** Takes an object: its first use finds zeros, a later one whatever was left in it. NULL when all are out. */
PER_INLINE void *per__slab_take(struct per__slab *slab)
{
	uint32_t index = slab->free_head - 1;

	if (PER_LIKELY(slab->free_head != 0))
		slab->free_head = slab->free_next[index];
	else if (slab->touched < slab->capacity)
		index = slab->touched++;
	else
		return NULL;
	slab->free_next[index] = PER__SLAB_OUT;
	per__gauge_set32(&slab->used, slab->used + 1);
	if (slab->used > slab->used_high)
		per__gauge_set32(&slab->used_high, slab->used);
	return per__slab_at(slab, index);
}

/** Gives an object back. A foreign pointer or a second give ends the process. */
PER_INLINE void per__slab_give(struct per__slab *slab, void *object)
{
	uint32_t index = per__slab_index(slab, object);

	PER_ASSERT(slab->free_next[index] == PER__SLAB_OUT);
	slab->free_next[index] = slab->free_head;
	slab->free_head = index + 1;
	per__gauge_set32(&slab->used, slab->used - 1);
}

#endif
