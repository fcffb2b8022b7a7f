/* SPDX-License-Identifier: MIT */
/*
 * sim_backend.h - the simulated backend: backend.h's contract on the memory sockets of sim.h.
 * Asserts what the core promises: one send at a time, nothing after shutdown or on_closed, lent bytes left
 * alone.
 */
#ifndef PER_TESTS_SIM_SIM_BACKEND_H
#define PER_TESTS_SIM_SIM_BACKEND_H

#include "backend/backend.h"

/** id PER__SIM_ID, name "sim". Its init() takes the world per__sim_current points at. */
extern const struct per__backend per__backend_sim;

#endif
