/* SPDX-License-Identifier: MIT */
/*
 * buddy.c - a binary buddy allocator, its bookkeeping outside the region. Blocks given back are poisoned.
 * Invariant: a free block's buddy of the same size is never free (the two would be one); state[] is zero
 * except where a block begins; free_head[order] lists just the free blocks of that order (a class's number).
 */
#include "base/buddy.h"

#include "base/mem.h"
#include <peregrine/types.h>
#include <string.h>

#define BLOCK_MIN ((size_t)1 << PER__BUDDY_MIN_SHIFT)

/* A byte of state[]: 0 inside a block; else order + 1, and this bit while the block is free. */
#define STATE_FREE 0x80u

/* The size of a class's blocks, counted in smallest blocks. */
static size_t order_span(unsigned order)
{
	return (size_t)1 << order;
}

static size_t order_bytes(unsigned order)
{
	return BLOCK_MIN << order;
}

static uint8_t state_free(unsigned order)
{
	return (uint8_t)(STATE_FREE | (order + 1));
}

static size_t block_count(const struct per__buddy *buddy)
{
	return buddy->region_bytes >> PER__BUDDY_MIN_SHIFT;
}

/* links: [2 * index] is the next block's index + 1, [2 * index + 1] the previous one's. */
static void list_push(struct per__buddy *buddy, size_t index, unsigned order)
{
	uint32_t head = buddy->free_head[order];

	buddy->links[2 * index] = head;
	buddy->links[2 * index + 1] = 0;
	if (head != 0)
		buddy->links[2 * (size_t)(head - 1) + 1] = (uint32_t)index + 1;
	buddy->free_head[order] = (uint32_t)index + 1;
	buddy->state[index] = state_free(order);
}

static void list_remove(struct per__buddy *buddy, size_t index, unsigned order)
{
	uint32_t next = buddy->links[2 * index];
	uint32_t prev = buddy->links[2 * index + 1];

	PER_ASSERT(buddy->state[index] == state_free(order));
	if (next != 0)
		buddy->links[2 * (size_t)(next - 1) + 1] = prev;
	if (prev != 0)
		buddy->links[2 * (size_t)(prev - 1)] = next;
	else
		buddy->free_head[order] = next;
	buddy->state[index] = 0;
}

/* Cuts a fresh region into the largest aligned blocks: its size need not be a power of two. */
static void region_cut(struct per__buddy *buddy)
{
	size_t count = block_count(buddy);
	size_t index = 0;

	while (index < count) {
		unsigned order = PER__BUDDY_CLASSES - 1;

		while ((index & (order_span(order) - 1)) != 0 || order_span(order) > count - index)
			order--;
		list_push(buddy, index, order);
		index += order_span(order);
	}
}

int per__buddy_init(struct per__buddy *buddy, size_t region_bytes)
{
	size_t count;

	memset(buddy, 0, sizeof(*buddy));
	if (region_bytes == 0)
		return 0;
	if (region_bytes > SIZE_MAX - BLOCK_MIN)
		return PER_ENOMEM;
	buddy->region_bytes = per__round_up(region_bytes, BLOCK_MIN);
	count = block_count(buddy);
	if (count >= UINT32_MAX)
		goto refused;
	buddy->base = per__mem_reserve(buddy->region_bytes);
	buddy->state = per__mem_reserve(count);
	buddy->links = per__mem_reserve(2 * count * sizeof(buddy->links[0]));
	if (buddy->base == NULL || buddy->state == NULL || buddy->links == NULL)
		goto refused;
	region_cut(buddy);
	return 0;
refused:
	per__buddy_fini(buddy);
	return PER_ENOMEM;
}

void per__buddy_fini(struct per__buddy *buddy)
{
	size_t count = block_count(buddy);

	per__mem_release(buddy->base, buddy->region_bytes);
	per__mem_release(buddy->state, count);
	per__mem_release(buddy->links, 2 * count * sizeof(buddy->links[0]));
	memset(buddy, 0, sizeof(*buddy));
}

/* The smallest class whose blocks hold bytes; PER__BUDDY_CLASSES when none does. */
static unsigned order_for(size_t bytes)
{
	unsigned order = 0;

	while (order < PER__BUDDY_CLASSES && order_bytes(order) < bytes)
		order++;
	return order;
}

void *per__buddy_take(struct per__buddy *buddy, size_t bytes, size_t *cap)
{
	unsigned order = order_for(bytes);
	unsigned found = order;
	size_t index;

	PER_ASSERT(bytes > 0);
	while (found < PER__BUDDY_CLASSES && buddy->free_head[found] == 0)
		found++;
	if (found >= PER__BUDDY_CLASSES)
		return NULL;
	index = buddy->free_head[found] - 1;
	list_remove(buddy, index, found);
	while (found > order) {
		found--;
		list_push(buddy, index + order_span(found), found);
	}
	buddy->state[index] = (uint8_t)(order + 1);
	per__gauge_set_size(&buddy->used_bytes, buddy->used_bytes + order_bytes(order));
	per__gauge_set_size(&buddy->used_bytes_high, PER_MAX(buddy->used_bytes_high, buddy->used_bytes));
	*cap = order_bytes(order);
	per__mem_unpoison(buddy->base + index * BLOCK_MIN, *cap);
	return buddy->base + index * BLOCK_MIN;
}

void per__buddy_give(struct per__buddy *buddy, void *block)
{
	size_t offset = (size_t)((uintptr_t)block - (uintptr_t)buddy->base);
	size_t index = offset >> PER__BUDDY_MIN_SHIFT;
	size_t count = block_count(buddy);
	unsigned order;

	PER_ASSERT(per__buddy_owns(buddy, block));
	PER_ASSERT((offset & (BLOCK_MIN - 1)) == 0);
	PER_ASSERT(buddy->state[index] != 0 && (buddy->state[index] & STATE_FREE) == 0);
	order = buddy->state[index] - 1u;
	per__gauge_set_size(&buddy->used_bytes, buddy->used_bytes - order_bytes(order));
	if (order_bytes(order) >= PER__BUDDY_TRIM_BYTES)
		per__mem_unused(block, order_bytes(order));
	per__mem_poison(block, order_bytes(order));

	buddy->state[index] = 0;
	for (; order + 1 < PER__BUDDY_CLASSES; order++) {
		size_t other = index ^ order_span(order);

		if (other >= count || buddy->state[other] != state_free(order))
			break;
		list_remove(buddy, other, order);
		index &= ~order_span(order);
	}
	list_push(buddy, index, order);
}

bool per__buddy_owns(const struct per__buddy *buddy, const void *ptr)
{
	return (uintptr_t)ptr - (uintptr_t)buddy->base < buddy->region_bytes;
}

size_t per__buddy_size(const struct per__buddy *buddy, const void *block)
{
	size_t index = (size_t)((const uint8_t *)block - buddy->base) >> PER__BUDDY_MIN_SHIFT;

	PER_ASSERT(per__buddy_owns(buddy, block) && buddy->state[index] != 0 &&
		   (buddy->state[index] & STATE_FREE) == 0);
	return order_bytes(buddy->state[index] - 1u);
}
