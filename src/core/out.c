/* SPDX-License-Identifier: MIT */
/*
 * out.c - bytes on their way to one peer.
 * Keeps the list of blocks and what was lent for them; never calls the kernel. Called by conn.c and the
 * protocols. Invariant: the first block does not change while the connection is sending.
 */
#include "core/out.h"

#include "core/conn.h"
#include "core/worker.h"
#include <string.h>

/* Small answers share one ordinary block; what queues up behind it goes into big ones. */
static size_t block_bytes_wanted(const struct per__conn *conn, size_t bytes)
{
	size_t wanted = sizeof(struct per__out_block) + bytes;

	if (conn->out_bytes >= PER__BLOCK_BYTES)
		wanted = PER_MAX(wanted, (size_t)PER__OUT_BIG_BYTES);
	return PER_MAX(wanted, (size_t)PER__BLOCK_BYTES);
}

static struct per__out_block *block_append(struct per__conn *conn, size_t bytes)
{
	size_t cap;
	struct per__out_block *block = per__block_take(conn->worker, block_bytes_wanted(conn, bytes), &cap);

	if (block == NULL) /* a smaller one will do */
		block = per__block_take(conn->worker, sizeof(*block) + bytes, &cap);
	if (block == NULL)
		return NULL;
	block->next = NULL;
	block->used = 0;
	block->cap = (uint32_t)(cap - sizeof(*block));
	block->bytes = 0;
	block->iov_cnt = 0;
	block->ref_cnt = 0;
	block->iov_pos = 0;
	block->file.len = 0;
	block->tail_is_own = false;
	if (conn->out_last != NULL)
		conn->out_last->next = block;
	else
		conn->out_first = block;
	conn->out_last = block;
	return block;
}

/* The block that may be filled, or NULL: there is none, or it is lent to the backend (never of TLS). */
static inline struct per__out_block *block_filling(const struct per__conn *conn)
{
	if (conn->out_last == conn->out_first &&
	    (conn->flags & (PER__CONN_SENDING | PER__CONN_TLS)) == PER__CONN_SENDING)
		return NULL;
	return conn->out_last;
}

static inline bool block_has_iov(const struct per__out_block *block)
{
	return block->iov_cnt < PER__OUT_IOVS && block->bytes < PER__SEND_MAX_BYTES / 2 &&
	       block->file.len == 0;
}

/* How many bytes can be copied into block. */
static inline size_t block_room(const struct per__out_block *block)
{
	if ((!block->tail_is_own && !block_has_iov(block)) || block->file.len != 0)
		return 0;
	return block->cap - block->used;
}

uint8_t *per__out_reserve(struct per__conn *conn, size_t bytes)
{
	struct per__out_block *block = block_filling(conn);

	if (PER_UNLIKELY(block == NULL || block_room(block) < bytes))
		block = block_append(conn, bytes);
	return PER_LIKELY(block != NULL) ? block->data + block->used : NULL;
}

void per__out_commit(struct per__conn *conn, size_t bytes)
{
	struct per__out_block *block = conn->out_last;

	PER_DEBUG_ASSERT(bytes <= block_room(block));
	if (block->tail_is_own) {
		block->iov[block->iov_cnt - 1].iov_len += bytes;
	} else {
		block->iov[block->iov_cnt++] = (struct iovec){ block->data + block->used, bytes };
		block->tail_is_own = true;
	}
	block->used += (uint32_t)bytes;
	block->bytes += bytes;
	conn->out_bytes += bytes;
	per__conn_mark_dirty(conn);
}

void per__out_unreserve(struct per__conn *conn)
{
	struct per__out_block *block = conn->out_last;
	struct per__out_block *before = conn->out_first;

	if (block->bytes > 0)
		return; /* it was there before */
	while (before != block && before->next != block)
		before = before->next;
	if (before == block) {
		conn->out_first = conn->out_last = NULL;
	} else {
		before->next = NULL;
		conn->out_last = before;
	}
	per__block_give(conn->worker, block);
}

int per__out_copy(struct per__conn *conn, const void *data, size_t len)
{
	struct per__out_block *block = block_filling(conn);
	size_t first = block != NULL ? PER_MIN(block_room(block), len) : 0;

	if (len >= PER__SEND_MAX_BYTES / 2)
		return PER_ENOMEM;
	if (first < len && block_append(conn, len - first) == NULL)
		return PER_ENOMEM;
	if (first > 0) {
		/*
		 * The new block, if there is one, is behind this one: fill this one as if it were the last.
		 */
		struct per__out_block *last = conn->out_last;

		conn->out_last = block;
		memcpy(block->data + block->used, data, first);
		per__out_commit(conn, first);
		conn->out_last = last;
	}
	if (first < len) {
		memcpy(conn->out_last->data, (const uint8_t *)data + first, len - first);
		per__out_commit(conn, len - first);
	}
	return 0;
}

static int lend_piece(struct per__conn *conn, const uint8_t *data, size_t len, per_release_fn release,
		      void *arg)
{
	struct per__out_block *block = block_filling(conn);

	if (block == NULL || !block_has_iov(block) || block->ref_cnt == PER__OUT_REFS)
		block = block_append(conn, 0);
	if (block == NULL)
		return PER_ENOMEM;
	block->iov[block->iov_cnt++] = (struct iovec){ (void *)(uintptr_t)data, len };
	block->tail_is_own = false;
	if (release != NULL)
		block->ref[block->ref_cnt++] = (struct per__out_ref){ release, arg };
	block->bytes += len;
	conn->out_bytes += len;
	per__conn_mark_dirty(conn);
	return 0;
}

int per__out_lend(struct per__conn *conn, const void *data, size_t len, per_release_fn release, void *arg)
{
	const uint8_t *pos = data;
	int err = 0;

	if (len <= PER__OUT_COPY_MAX) {
		err = len > 0 ? per__out_copy(conn, data, len) : 0;
		if (release != NULL)
			release(arg);
		return err;
	}
	for (size_t left = len; left > 0 && err == 0;) {
		size_t piece = PER_MIN(left, (size_t)PER__SEND_MAX_BYTES / 2);

		left -= piece;
		err = lend_piece(conn, pos, piece, left == 0 ? release : NULL, arg);
		pos += piece;
	}
	if (err != 0 && release != NULL) {
		/* Pieces that were queued would outlive the loan: the connection cannot go on. */
		if (pos != (const uint8_t *)data + PER_MIN(len, (size_t)PER__SEND_MAX_BYTES / 2))
			per__conn_close(conn, PER__CLOSE_RESET);
		release(arg);
	}
	return err;
}

int per__out_file(struct per__conn *conn, const struct per__file_part *file, per_release_fn release,
		  void *arg)
{
	struct per__out_block *block = block_filling(conn);

	PER_ASSERT((conn->flags & PER__CONN_TLS) == 0);
	if (block == NULL || block->file.len != 0 || block->ref_cnt == PER__OUT_REFS)
		block = block_append(conn, 0);
	if (block == NULL) {
		release(arg);
		return PER_ENOMEM;
	}
	block->file = *file;
	block->iov[block->iov_cnt].iov_base = &block->file;
	block->ref[block->ref_cnt++] = (struct per__out_ref){ release, arg };
	block->bytes += file->len;
	conn->out_bytes += file->len;
	per__conn_mark_dirty(conn);
	return 0;
}

void per__out_pop(struct per__conn *conn)
{
	struct per__out_block *block = conn->out_first;

	PER_ASSERT(block != NULL);
	PER_DEBUG_ASSERT(conn->out_bytes >= block->bytes);
	conn->out_bytes -= block->bytes;
	conn->out_first = block->next;
	if (conn->out_first == NULL)
		conn->out_last = NULL;
	for (unsigned i = 0; i < block->ref_cnt; i++)
		block->ref[i].release(block->ref[i].arg);
	per__block_give(conn->worker, block);
}

void per__out_drop(struct per__conn *conn)
{
	while (conn->out_first != NULL)
		per__out_pop(conn);
}

/* --- for records ------------------------------------------------------------------------------ */

/* Copies up to cap bytes from the beginning of the queue. Returns how many. */
static size_t queue_copy(const struct per__conn *conn, uint8_t *buf, size_t cap)
{
	size_t len = 0;

	for (const struct per__out_block *block = conn->out_first; block != NULL && len < cap;
	     block = block->next) {
		for (unsigned i = block->iov_pos; i < block->iov_cnt && len < cap; i++) {
			size_t n = PER_MIN(block->iov[i].iov_len, cap - len);

			memcpy(buf + len, block->iov[i].iov_base, n);
			len += n;
		}
	}
	return len;
}

const uint8_t *per__out_peek(struct per__conn *conn, uint8_t *buf, size_t cap, size_t *len)
{
	const struct per__out_block *block = conn->out_first;
	const struct iovec *first;

	*len = 0;
	if (block == NULL)
		return buf;
	first = &block->iov[block->iov_pos];
	*len = PER_MIN(first->iov_len, cap);
	if (*len == cap || (*len == block->bytes && block->next == NULL))
		return first->iov_base;
	*len = queue_copy(conn, buf, cap);
	return buf;
}

void per__out_consume(struct per__conn *conn, size_t len)
{
	while (len > 0) {
		struct per__out_block *block = conn->out_first;
		struct iovec *iov = &block->iov[block->iov_pos];
		size_t n = PER_MIN(iov->iov_len, len);

		iov->iov_base = (uint8_t *)iov->iov_base + n;
		iov->iov_len -= n;
		if (iov->iov_len == 0)
			block->iov_pos++;
		block->bytes -= n;
		len -= n;
		if (block->bytes == 0)
			per__out_pop(conn);
	}
}
