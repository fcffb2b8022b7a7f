/* SPDX-License-Identifier: MIT */
/*
 * uring_compat.h - constants of the kernel interface that are newer than the liburing 2.3 header of Debian
 * 12. Values only; whether a kernel has the feature is found out at run time. IORING_SETUP_NO_SQARRAY is
 * absent on purpose: it changes the ring's layout, and a liburing that does not know the flag would write
 * its index array over the ring's head.
 */
#ifndef PER_BACKEND_URING_COMPAT_H
#define PER_BACKEND_URING_COMPAT_H

#include <liburing.h>

#define URING_FEAT_REG_REG_RING (1u << 13)    /* 6.3: register calls through a registered ring */
#define URING_FEAT_RECVSEND_BUNDLE (1u << 14) /* 6.10: one recv or send over several provided buffers */
#define URING_FEAT_MIN_TIMEOUT (1u << 15)     /* 6.12: wait for a batch, but not longer than this */
#define URING_PBUF_RING_INC 2u                /* 6.12: a provided buffer is consumed in pieces */

#ifdef IORING_SETUP_NO_SQARRAY
#define URING_SETUP_NO_SQARRAY IORING_SETUP_NO_SQARRAY /* this liburing may choose it by itself */
#else
#define URING_SETUP_NO_SQARRAY 0u
#endif

#endif
