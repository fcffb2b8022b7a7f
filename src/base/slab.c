/* SPDX-License-Identifier: MIT */
/*
 * slab.c - reserving and releasing the memory of a slab; the hot path is inline in slab.h.
 */
#include "base/slab.h"

#include "base/mem.h"
#include <peregrine/types.h>
#include <string.h>

/*
 * Newton's iteration modulo 2^64: right in 3 bits at first (odd * odd == 1 modulo 8), twice as many each
 * round.
 */
static uint64_t odd_inverse(uint64_t odd)
{
	uint64_t inverse = odd;

	for (int right_bits = 3; right_bits < 64; right_bits *= 2)
		inverse *= 2 - odd * inverse;
	return inverse;
}

int per__slab_init(struct per__slab *slab, size_t object_bytes, size_t align, uint32_t capacity)
{
	size_t stride, bytes;

	PER_ASSERT(per__is_power_of_two(align) && align <= 4096);
	PER_ASSERT(object_bytes > 0 && object_bytes <= SIZE_MAX / 2);
	PER_ASSERT(capacity < PER__SLAB_OUT);
	memset(slab, 0, sizeof(*slab));
	stride = per__round_up(object_bytes, align);
	if (__builtin_mul_overflow(stride, (size_t)capacity, &bytes))
		return PER_ENOMEM;
	slab->base = per__mem_reserve(bytes);
	slab->free_next = per__mem_reserve(capacity * sizeof(slab->free_next[0]));
	slab->object_bytes = stride;
	slab->capacity = capacity;
	slab->shift = (uint32_t)__builtin_ctzll(stride);
	slab->inverse = odd_inverse((uint64_t)stride >> slab->shift);
	if (slab->base == NULL || slab->free_next == NULL) {
		per__slab_fini(slab);
		return PER_ENOMEM;
	}
	return 0;
}

void per__slab_fini(struct per__slab *slab)
{
	per__mem_release(slab->base, slab->capacity * slab->object_bytes);
	per__mem_release(slab->free_next, slab->capacity * sizeof(slab->free_next[0]));
	memset(slab, 0, sizeof(*slab));
}

size_t per__slab_bytes(const struct per__slab *slab)
{
	return slab->capacity * (slab->object_bytes + sizeof(slab->free_next[0]));
}
