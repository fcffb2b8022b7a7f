/* SPDX-License-Identifier: MIT */
/*
 * peregrine.h - the whole public interface.
 *
 * Every function returns 0 or a negative PER_E* unless it says otherwise. Nothing here uses global state,
 * installs a signal handler that was not asked for, reads an environment variable or ends the process.
 */
#ifndef PEREGRINE_PEREGRINE_H
#define PEREGRINE_PEREGRINE_H

#include <peregrine/access_log.h>
#include <peregrine/config.h>
#include <peregrine/request.h>
#include <peregrine/response.h>
#include <peregrine/server.h>
#include <peregrine/static.h>
#include <peregrine/tls.h>
#include <peregrine/types.h>
#include <peregrine/ws.h>

#endif
