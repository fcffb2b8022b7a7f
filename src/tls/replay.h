/* SPDX-License-Identifier: MIT */
/*
 * replay.h - which ClientHellos with early data were taken already, by any worker of a server: each is taken
 * once (RFC 8446 section 8.2). OpenSSL sees to it that none is taken later than some seconds after it was
 * made (section 8.3), so none has to be remembered for longer. Time is an argument: monotonic, of any worker.
 */
#ifndef PER_TLS_REPLAY_H
#define PER_TLS_REPLAY_H

#include "base/base.h"

#define PER__TLS_RANDOM_BYTES 32u /* of a ClientHello */
#define PER__TLS_REPLAY_SLOTS 65536u
#define PER__TLS_REPLAY_WAYS 8u /* slots that one ClientHello may be in */
/* OpenSSL allows ten seconds and its rounding; the rest is for a clock that is set meanwhile. */
#define PER__TLS_REPLAY_NS INT64_C(20000000000)

struct per__tls_replay;

/** NULL when there is no memory. Memory that was never needed is never touched. */
struct per__tls_replay *per__tls_replay_new(void);
/** NULL is allowed. */
void per__tls_replay_free(struct per__tls_replay *replay);

/**
 * May the early data of a ClientHello be taken? From then on it is remembered.
 *
 * random   PER__TLS_RANDOM_BYTES, from the ClientHello
 * returns  false when it was taken before, or when there is no room to remember it
 * threads  any
 */
bool per__tls_replay_is_first(struct per__tls_replay *replay, const uint8_t *random, int64_t now_ns);

#endif
