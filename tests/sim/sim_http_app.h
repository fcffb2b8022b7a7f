/* SPDX-License-Identifier: MIT */
/*
 * sim_http_app.h - between sim_http.c and the application sim_http_app.c.
 */
#ifndef PER_TESTS_SIM_SIM_HTTP_APP_H
#define PER_TESTS_SIM_SIM_HTTP_APP_H

#include "sim/sim_http.h"

/** The hooks of the application; user is http. */
per_handler sim_http_handler(struct sim_http *http);

#endif
