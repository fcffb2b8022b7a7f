/* SPDX-License-Identifier: MIT */
/*
 * acceptor.h - handing accepted connections from a dedicated acceptor to the least loaded worker.
 */
#ifndef PER_CORE_ACCEPTOR_H
#define PER_CORE_ACCEPTOR_H

#include "backend/backend.h"

struct per__worker;

/** Gives fd to one of worker->targets, or closes it when none takes it. */
void per__acceptor_hand_over(struct per__worker *worker, struct per__listener *listener, int fd);

/** No descriptor was left: all of worker->targets are to close what they do not use. */
void per__acceptor_short(struct per__worker *worker);

#endif
