/* SPDX-License-Identifier: MIT */
/*
 * totals.c - counters that outlive a reload: what a site or a log has counted is added to the past when it
 * goes. Called by reload.c and metrics.c under the program's mutex.
 */
#include "totals.h"

void totals_add_files(per_static_stats *out, const struct site *site)
{
	for (unsigned i = 0; i < site->host_count; i++) {
		per_static_stats one;

		if (site->hosts[i].files == NULL || per_static_stats_read(site->hosts[i].files, &one) != 0)
			continue;
		out->hits += one.hits;
		out->misses += one.misses;
		out->changes += one.changes;
		out->evictions += one.evictions;
		out->disk_reads += one.disk_reads;
		out->cut += one.cut;
		out->entries_now += one.entries_now;
		out->bytes_now += one.bytes_now;
		out->descriptors_now += one.descriptors_now;
	}
}

void totals_add_log(per_access_log_stats *out, const per_access_log *log)
{
	per_access_log_stats one;

	if (log == NULL)
		return;
	per_access_log_stats_read(log, &one);
	out->lines += one.lines;
	out->dropped += one.dropped;
	out->bytes += one.bytes;
	out->bytes_now += one.bytes_now;
	out->writes += one.writes;
	out->write_errors += one.write_errors;
	out->wakes += one.wakes;
	out->reopens += one.reopens;
	out->reopen_errors += one.reopen_errors;
}

void totals_keep_files(per_static_stats *past, const struct site *site)
{
	totals_add_files(past, site);
	past->entries_now = past->bytes_now = past->descriptors_now = 0;
}

void totals_keep_log(per_access_log_stats *past, const per_access_log *log)
{
	totals_add_log(past, log);
	past->bytes_now = 0;
}
