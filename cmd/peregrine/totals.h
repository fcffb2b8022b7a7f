/* SPDX-License-Identifier: MIT */
/*
 * totals.h - counters of files and access logs that outlive a reload.
 */
#ifndef CMD_PEREGRINE_TOTALS_H
#define CMD_PEREGRINE_TOTALS_H

#include "site.h"

#include <peregrine/access_log.h>

/** Adds the counters of a site, or of a log (NULL is allowed), to out. */
void totals_add_files(per_static_stats *out, const struct site *site);
void totals_add_log(per_access_log_stats *out, const per_access_log *log);

/** The same for what goes now: without what it has at the moment. */
void totals_keep_files(per_static_stats *past, const struct site *site);
void totals_keep_log(per_access_log_stats *past, const per_access_log *log);

#endif
