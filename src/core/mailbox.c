/* SPDX-License-Identifier: MIT */
/*
 * mailbox.c - what other threads ask of a worker. One mutex, held for a few instructions: posts are rare
 * beside requests.
 */
#include "core/mailbox.h"

#include "base/mem.h"

int per__mailbox_init(struct per__mailbox *box)
{
	box->ring = per__mem_reserve(PER__MAILBOX_MAX * sizeof(struct per__mail));
	if (box->ring == NULL)
		return PER_ENOMEM;
	if (pthread_mutex_init(&box->mutex, NULL) != 0) {
		per__mem_release(box->ring, PER__MAILBOX_MAX * sizeof(struct per__mail));
		box->ring = NULL;
		return PER_ENOMEM;
	}
	return 0;
}

void per__mailbox_fini(struct per__mailbox *box)
{
	if (box->ring == NULL)
		return;
	pthread_mutex_destroy(&box->mutex);
	per__mem_release(box->ring, PER__MAILBOX_MAX * sizeof(struct per__mail));
	box->ring = NULL;
}

void per__mailbox_open(struct per__mailbox *box, bool is_open)
{
	pthread_mutex_lock(&box->mutex);
	box->is_open = is_open;
	pthread_mutex_unlock(&box->mutex);
}

int per__mailbox_put(struct per__mailbox *box, const struct per__mail *mail, void (*wake)(void *arg),
		     void *arg)
{
	int err = 0;

	pthread_mutex_lock(&box->mutex);
	if (!box->is_open) {
		err = PER_EGONE;
	} else if (box->cnt == PER__MAILBOX_MAX) {
		err = PER_EAGAIN;
	} else {
		box->ring[(box->head + box->cnt) % PER__MAILBOX_MAX] = *mail;
		box->cnt++;
		wake(arg); /* under the lock: the loop must not end in between */
	}
	pthread_mutex_unlock(&box->mutex);
	return err;
}

uint32_t per__mailbox_take(struct per__mailbox *box, struct per__mail *out, uint32_t max)
{
	uint32_t taken = 0;

	pthread_mutex_lock(&box->mutex);
	while (taken < max && box->cnt > 0) {
		out[taken++] = box->ring[box->head];
		box->head = (box->head + 1) % PER__MAILBOX_MAX;
		box->cnt--;
	}
	pthread_mutex_unlock(&box->mutex);
	return taken;
}

uint32_t per__mailbox_count(struct per__mailbox *box)
{
	uint32_t cnt;

	pthread_mutex_lock(&box->mutex);
	cnt = box->cnt;
	pthread_mutex_unlock(&box->mutex);
	return cnt;
}

void per__mailbox_poke(struct per__mailbox *box, void (*wake)(void *arg), void *arg)
{
	pthread_mutex_lock(&box->mutex);
	if (box->is_open)
		wake(arg);
	pthread_mutex_unlock(&box->mutex);
}
