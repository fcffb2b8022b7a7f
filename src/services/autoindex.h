/* SPDX-License-Identifier: MIT */
/*
 * autoindex.h - a list of what is in a folder, as a page and as JSON. Pure: who calls it has read the
 * folder and left out what is not to be seen. Measure with a text without memory first, then write.
 */
#ifndef PER_SERVICES_AUTOINDEX_H
#define PER_SERVICES_AUTOINDEX_H

#include "base/text.h"

#define PER__CRUMBS_MAX \
	16u /* folders of a path that are links of their own; more are left out in the middle */

struct per__autoindex_entry {
	const char *name; /* any bytes but '/' and NUL; not "." or ".." */
	bool is_dir;
	uint64_t size;   /* bytes; of no meaning for a folder */
	int64_t mtime_s; /* since 1970 */
};

struct per__autoindex {
	per_str path; /* of the folder, as of per__path_parse(): decoded, no slashes around it; empty: root */
	const struct per__autoindex_entry *entries; /* sorted */
	size_t count;
	bool is_cut; /* there are more than these */
};

/** Folders first; names as people sort them: without case, numbers by value. In place, without memory. */
void per__autoindex_sort(struct per__autoindex_entry *entries, size_t count);

/**
 * Adds the list as an HTML page for PER__PAGE_LINES (services/page.h). All references are relative to the
 * folder's address, which has to end in a slash, so it may be below any prefix. A name that no address can
 * lead to (per__path_name_is_reachable()) is shown, but no link.
 */
void per__autoindex_html(struct per__text *text, const struct per__autoindex *index);

/**
 * Adds the list as a JSON array of objects with name, type ("directory" or "file"), mtime (an HTTP-date)
 * and, for files, size: what nginx's autoindex_format gives. Besides, href: the reference, which has also
 * the bytes that are no UTF-8 and so not in name; missing where there is none.
 */
void per__autoindex_json(struct per__text *text, const struct per__autoindex *index);

#endif
