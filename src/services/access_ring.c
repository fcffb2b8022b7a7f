/* SPDX-License-Identifier: MIT */
/*
 * access_ring.c - the ring between a worker and the log's thread. The worker's store of tail and the thread's
 * flag (access_log.h of this folder) have to be in one order, so tail is stored sequentially consistent.
 */
#include "services/access_ring.h"

#include "base/mem.h"
#include <string.h>

static size_t ring_memory_bytes(size_t bytes)
{
	return sizeof(struct per__access_ring) + bytes + PER__ACCESS_LINE_MAX;
}

struct per__access_ring *per__access_ring_new(size_t bytes)
{
	struct per__access_ring *ring = per__mem_reserve(ring_memory_bytes(bytes));

	if (ring == NULL)
		return NULL;
	ring->bytes = bytes;
	ring->data = (char *)(ring + 1);
	ring->scratch = ring->data + bytes;
	return ring;
}

void per__access_ring_free(struct per__access_ring *ring)
{
	if (ring != NULL)
		per__mem_release(ring, ring_memory_bytes(ring->bytes));
}

bool per__access_ring_put(struct per__access_ring *ring, const char *line, size_t len)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	size_t pos = (size_t)tail & (ring->bytes - 1);
	size_t first = PER_MIN(len, ring->bytes - pos);

	if (PER_UNLIKELY(len > ring->bytes - (size_t)(tail - ring->head_seen))) {
		ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
		if (len > ring->bytes - (size_t)(tail - ring->head_seen))
			return false;
	}
	memcpy(ring->data + pos, line, first);
	memcpy(ring->data, line + first, len - first);
	atomic_store(&ring->tail, tail + len);
	return true;
}

bool per__access_ring_is_half_full(struct per__access_ring *ring)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (PER_LIKELY(tail - ring->head_seen <= ring->bytes / 2))
		return false;
	ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
	return tail - ring->head_seen > ring->bytes / 2;
}

static char ring_at(const struct per__access_ring *ring, uint64_t pos)
{
	return ring->data[(size_t)pos & (ring->bytes - 1)];
}

size_t per__access_ring_look(struct per__access_ring *ring, size_t max, struct iovec iov[2])
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t len = (size_t)(atomic_load(&ring->tail) - head);
	size_t pos = (size_t)head & (ring->bytes - 1);
	size_t first;

	if (len > max) {
		len = max;
		while (len > 0 && ring_at(ring, head + len - 1) != '\n')
			len--;
		if (len == 0)
			len = max;
	}
	first = PER_MIN(len, ring->bytes - pos);
	iov[0] = (struct iovec){ ring->data + pos, first };
	iov[1] = (struct iovec){ ring->data, len - first };
	return len;
}

bool per__access_ring_take(struct per__access_ring *ring, size_t len)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed) + len;
	bool is_inside = len > 0 && ring_at(ring, head - 1) != '\n';

	atomic_store_explicit(&ring->head, head, memory_order_release);
	return is_inside;
}

size_t per__access_ring_line(struct per__access_ring *ring)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t waiting = (size_t)(atomic_load(&ring->tail) - head);
	size_t len = 0;

	while (len < waiting && ring_at(ring, head + len) != '\n')
		len++;
	return waiting == 0 ? 0 : len + 1;
}
