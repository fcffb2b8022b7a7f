/* SPDX-License-Identifier: MIT */
/*
 * autoindex.c - a list of what is in a folder.
 */
#include "services/autoindex.h"

#include "base/clock.h"
#include "http/escape.h"
#include "http/path.h"
#include "services/page.h"
#include <string.h>

/* --- order ------------------------------------------------------------------------------------ */

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static int fold(char byte)
{
	return (uint8_t)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
}

/* Compares the numbers that a and b begin with and moves both behind them. */
static int numbers_compare(const char **a, const char **b)
{
	size_t a_len = 0, b_len = 0;
	int order;

	*a += strspn(*a, "0");
	*b += strspn(*b, "0");
	while (is_digit((*a)[a_len]))
		a_len++;
	while (is_digit((*b)[b_len]))
		b_len++;
	order = a_len != b_len ? (a_len > b_len) - (a_len < b_len) : memcmp(*a, *b, a_len);
	*a += a_len;
	*b += b_len;
	return order;
}

/* "img2" comes before "IMG10". Names that are equal so far are told apart by their bytes. */
static int names_compare(const char *a_name, const char *b_name)
{
	const char *a = a_name, *b = b_name;

	while (*a != '\0' && *b != '\0') {
		int order;

		if (is_digit(*a) && is_digit(*b)) {
			order = numbers_compare(&a, &b);
		} else {
			order = fold(*a) - fold(*b);
			a++;
			b++;
		}
		if (order != 0)
			return order;
	}
	if (*a != *b)
		return *a == '\0' ? -1 : 1;
	return strcmp(a_name, b_name);
}

static bool is_behind(const struct per__autoindex_entry *a, const struct per__autoindex_entry *b)
{
	return a->is_dir != b->is_dir ? b->is_dir : names_compare(a->name, b->name) > 0;
}

/* Moves the entry at root down until nothing below it in the heap is behind it. */
static void heap_sift(struct per__autoindex_entry *entries, size_t root, size_t count)
{
	const struct per__autoindex_entry moved = entries[root];

	for (size_t child; (child = 2 * root + 1) < count; root = child) {
		if (child + 1 < count && is_behind(&entries[child + 1], &entries[child]))
			child++;
		if (!is_behind(&entries[child], &moved))
			break;
		entries[root] = entries[child];
	}
	entries[root] = moved;
}

/* A heap sort, because qsort() may allocate. */
void per__autoindex_sort(struct per__autoindex_entry *entries, size_t count)
{
	for (size_t i = count / 2; i-- > 0;)
		heap_sift(entries, i, count);
	for (size_t last = count; last-- > 1;) {
		const struct per__autoindex_entry first = entries[0];

		entries[0] = entries[last];
		entries[last] = first;
		heap_sift(entries, 0, last);
	}
}

/* --- pieces ----------------------------------------------------------------------------------- */

/* "512 B", "1.5 KiB", "15 KiB": two digits are enough to compare by, the exact number is in the title. */
static void size_add(struct per__text *text, uint64_t size)
{
	static const char units[] = "KMGTPE";
	unsigned unit = 0;
	uint64_t parts; /* 1024ths of the unit */

	if (size < 1024) {
		per__text_number(text, size);
		per__text_add(text, PER_S(" B"));
		return;
	}
	while (unit + 2 < sizeof(units) && size >> (10 * unit + 20) != 0)
		unit++;
	parts = size >> (10 * unit);
	if (((parts + 512) >> 10) == 1024 && unit + 2 < sizeof(units)) { /* rounded up to the next unit */
		unit++;
		parts = 1024;
	}
	if ((parts * 10 + 512) >> 10 < 100) {
		per__text_number(text, ((parts * 10 + 512) >> 10) / 10);
		per__text_byte(text, '.');
		per__text_number(text, ((parts * 10 + 512) >> 10) % 10);
	} else {
		per__text_number(text, (parts + 512) >> 10);
	}
	per__text_byte(text, ' ');
	per__text_byte(text, units[unit]);
	per__text_add(text, PER_S("iB"));
}

static void count_add(struct per__text *text, uint64_t number, per_str one, per_str many)
{
	per__text_number(text, number);
	per__text_byte(text, ' ');
	per__text_add(text, number == 1 ? one : many);
}

static void reference_add(struct per__text *text, const struct per__autoindex_entry *entry)
{
	per__escape_segment(text, per_str_from(entry->name));
	if (entry->is_dir)
		per__text_byte(text, '/');
}

/* --- HTML ------------------------------------------------------------------------------------- */

/* clang-format off */

static const char style[] =
	"body{padding:32px 24px}\n"
	"main{max-width:900px;margin:0 auto;padding:28px 32px}\n"
	"header{display:flex;align-items:center;gap:14px;margin-bottom:20px}\n"
	".bird{width:40px;height:40px}\n"
	".p{display:none}\n"
	"h1{font-size:1.3rem;overflow-wrap:anywhere}\n"
	"h1 a,h1 i{font-weight:400;font-style:normal;color:var(--soft);text-decoration:none}\n"
	"h1 a:hover{color:var(--blue);text-decoration:underline}\n"
	"table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
	"th,td{padding:8px 12px;border-top:1px solid var(--line);text-align:left;vertical-align:top}\n"
	"th{border:0;padding-top:0;font-size:.75rem;letter-spacing:.08em;text-transform:uppercase;"
	"color:var(--soft)}\n"
	"td:first-child{width:100%}\n"
	"th:first-child,td:first-child{padding-left:6px}\n"
	"th:last-child,td:last-child{padding-right:6px}\n"
	"td+td,th+th{white-space:nowrap;color:var(--soft)}\n"
	"td:nth-child(2),th:nth-child(2){text-align:right}\n"
	"tbody tr:hover{background:var(--ground)}\n"
	"td a,td span{display:flex;gap:12px;color:var(--ink);text-decoration:none;"
	"overflow-wrap:anywhere}\n"
	"td a:hover{color:var(--blue)}\n"
	"td svg{width:20px;height:20px;margin-top:2px;fill:none;stroke:var(--soft);stroke-width:1.6;"
	"stroke-linejoin:round}\n"
	".d a{font-weight:600}\n"
	".d svg{fill:var(--blue);stroke:var(--blue)}\n"
	"td span,.e{color:var(--soft)}\n"
	"footer{display:flex;justify-content:space-between;gap:16px;margin-top:20px;color:var(--soft);"
	"font-size:.85rem}\n"
	"@media(max-width:600px){body{padding:0}main{border:0;border-radius:0;min-height:100vh;"
	"padding:20px 16px}thead{display:none}tr{display:flex;flex-wrap:wrap;padding:10px 4px;"
	"border-top:1px solid var(--line)}td,td:first-child{border:0;padding:0}"
	"td+td{font-size:.85rem;padding-left:32px}td:nth-child(3){padding-left:14px}td:empty{padding:0}"
	".d td:nth-child(3){padding-left:32px}}\n";

/* The pictures, drawn once and used by each row. */
static const char pictures[] =
	"<svg class=\"p\">\n"
	"<symbol id=\"d\" viewBox=\"0 0 20 20\"><path d=\"M2.5 4.5h5l2 2h8v9h-15z\"/></symbol>\n"
	"<symbol id=\"f\" viewBox=\"0 0 20 20\"><path d=\"M4.5 2.5h7l4 4v11h-11zM11.5 2.5v4h4\"/></symbol>\n"
	"<symbol id=\"u\" viewBox=\"0 0 20 20\"><path d=\"M10 16.5v-12M5 9l5-5 5 5\"/></symbol>\n"
	"</svg>\n";

static const char table_begin[] =
	"<table>\n"
	"<thead><tr><th>Name</th><th>Size</th><th>Modified (UTC)</th></tr></thead>\n"
	"<tbody>\n";

static const char parent_row[] =
	"<tr><td><a href=\"../\"><svg aria-hidden=\"true\"><use href=\"#u\"/></svg>Parent folder</a></td>"
	"<td></td><td></td></tr>\n";

/* clang-format on */

/* Takes the next folder off a path. */
static per_str folder_take(per_str *path)
{
	const char *slash = memchr(path->ptr, '/', path->len);
	const per_str folder =
		per_str_make(path->ptr, slash != NULL ? (size_t)(slash - path->ptr) : path->len);
	const size_t used = folder.len + (slash != NULL);

	*path = per_str_make(path->ptr + used, path->len - used);
	return folder;
}

static size_t depth_of(per_str path)
{
	size_t depth = 0;

	while (path.len > 0) {
		(void)folder_take(&path);
		depth++;
	}
	return depth;
}

static void ups_add(struct per__text *text, size_t levels)
{
	for (size_t i = 0; i < levels; i++)
		per__text_add(text, PER_S("../"));
}

/* The way from the root to this folder; all but the last are links. */
static void crumbs_add(struct per__text *text, per_str path)
{
	size_t depth = depth_of(path);

	if (depth == 0) {
		per__text_add(text, PER_S("Home"));
		return;
	}
	per__text_add(text, PER_S("<a href=\""));
	ups_add(text, depth);
	per__text_add(text, PER_S("\">Home</a>"));
	if (depth > PER__CRUMBS_MAX)
		per__text_add(text, PER_S(" <i>/ \xe2\x80\xa6</i>"));
	while (depth-- > 0) {
		const per_str folder = folder_take(&path);

		if (depth >= PER__CRUMBS_MAX)
			continue;
		per__text_add(text, PER_S(" <i>/</i> "));
		if (depth > 0) {
			per__text_add(text, PER_S("<a href=\""));
			ups_add(text, depth);
			per__text_add(text, PER_S("\">"));
		}
		per__text_add(text, PER_S("<bdi>"));
		per__escape_html(text, folder);
		per__text_add(text, depth > 0 ? PER_S("</bdi></a>") : PER_S("</bdi>"));
	}
}

static void time_add(struct per__text *text, int64_t mtime_s)
{
	char date[PER__DATE_ISO_LEN];

	per__date_format_iso(date, mtime_s);
	per__text_add(text, PER_S("<time datetime=\""));
	per__text_add(text, per_str_make(date, sizeof(date)));
	per__text_add(text, PER_S("Z\">"));
	per__text_add(text, per_str_make(date, 10));
	per__text_byte(text, ' ');
	per__text_add(text, per_str_make(date + 11, 5));
	per__text_add(text, PER_S("</time>"));
}

static void name_add(struct per__text *text, const struct per__autoindex_entry *entry)
{
	const bool is_link = per__path_name_is_reachable(entry->name);

	if (is_link) {
		per__text_add(text, PER_S("<a href=\""));
		reference_add(text, entry);
		per__text_add(text, PER_S("\">"));
	} else {
		per__text_add(text, PER_S("<span title=\"No address can lead to this name.\">"));
	}
	per__text_add(text, PER_S("<svg aria-hidden=\"true\"><use href=\"#"));
	per__text_byte(text, entry->is_dir ? 'd' : 'f');
	per__text_add(text, PER_S("\"/></svg><bdi>"));
	per__escape_html(text, per_str_from(entry->name));
	per__text_add(text, is_link ? PER_S("</bdi></a>") : PER_S("</bdi></span>"));
}

static void row_add(struct per__text *text, const struct per__autoindex_entry *entry)
{
	per__text_add(text, entry->is_dir ? PER_S("<tr class=\"d\"><td>") : PER_S("<tr><td>"));
	name_add(text, entry);
	if (entry->is_dir) {
		per__text_add(text, PER_S("</td><td></td><td>"));
	} else {
		per__text_add(text, PER_S("</td><td title=\""));
		count_add(text, entry->size, PER_S("byte"), PER_S("bytes"));
		per__text_add(text, PER_S("\">"));
		size_add(text, entry->size);
		per__text_add(text, PER_S("</td><td>"));
	}
	time_add(text, entry->mtime_s);
	per__text_add(text, PER_S("</td></tr>\n"));
}

static void footer_add(struct per__text *text, const struct per__autoindex *index)
{
	uint64_t folders = 0, bytes = 0;

	for (size_t i = 0; i < index->count; i++) {
		folders += index->entries[i].is_dir;
		bytes += index->entries[i].is_dir ? 0 : index->entries[i].size;
	}
	per__text_add(text, PER_S("<footer><span>"));
	if (index->is_cut)
		per__text_add(text, PER_S("There is more here than this list shows: it ends after "));
	if (folders > 0) {
		count_add(text, folders, PER_S("folder"), PER_S("folders"));
		per__text_add(text, PER_S(", "));
	}
	count_add(text, index->count - folders, PER_S("file"), PER_S("files"));
	if (index->count > folders) {
		per__text_add(text, PER_S(", "));
		size_add(text, bytes);
	}
	per__text_add(text, PER_S("</span><span>Peregrine</span></footer>\n"));
}

static void title_add(struct per__text *text, per_str path)
{
	per__text_add(text, PER_S("Index of /"));
	per__text_add(text, path);
	if (path.len > 0)
		per__text_byte(text, '/');
}

void per__autoindex_html(struct per__text *text, const struct per__autoindex *index)
{
	char memory[PER__PATH_CAP + 16];
	struct per__text title = per__text_make(memory, sizeof(memory));

	PER_ASSERT(index->path.len < PER__PATH_CAP);
	title_add(&title, index->path);
	per__page_begin(text, per_str_make(memory, title.len), per_str_make(style, sizeof(style) - 1));
	per__text_add(text, per_str_make(pictures, sizeof(pictures) - 1));
	per__text_add(text, PER_S("<header>\n"));
	per__page_bird(text);
	per__text_add(text, PER_S("<h1>"));
	crumbs_add(text, index->path);
	per__text_add(text, PER_S("</h1>\n</header>\n"));
	if (index->count > 0 || index->path.len > 0)
		per__text_add(text, per_str_make(table_begin, sizeof(table_begin) - 1));
	if (index->path.len > 0)
		per__text_add(text, per_str_make(parent_row, sizeof(parent_row) - 1));
	for (size_t i = 0; i < index->count; i++)
		row_add(text, &index->entries[i]);
	if (index->count > 0 || index->path.len > 0)
		per__text_add(text, PER_S("</tbody>\n</table>\n"));
	if (index->count == 0)
		per__text_add(text, PER_S("<p class=\"e\">This folder is empty.</p>\n"));
	else
		footer_add(text, index);
	per__page_end(text);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void object_add(struct per__text *text, const struct per__autoindex_entry *entry)
{
	char date[PER__DATE_LEN];

	per__text_add(text, PER_S("{\"name\":\""));
	per__escape_json(text, per_str_from(entry->name));
	per__text_add(text,
		      entry->is_dir ? PER_S("\",\"type\":\"directory\"") : PER_S("\",\"type\":\"file\""));
	if (per__path_name_is_reachable(entry->name)) {
		per__text_add(text, PER_S(",\"href\":\""));
		reference_add(text, entry);
		per__text_byte(text, '"');
	}
	per__date_format(date, entry->mtime_s);
	per__text_add(text, PER_S(",\"mtime\":\""));
	per__text_add(text, per_str_make(date, sizeof(date)));
	per__text_byte(text, '"');
	if (!entry->is_dir) {
		per__text_add(text, PER_S(",\"size\":"));
		per__text_number(text, entry->size);
	}
	per__text_byte(text, '}');
}

void per__autoindex_json(struct per__text *text, const struct per__autoindex *index)
{
	per__text_byte(text, '[');
	for (size_t i = 0; i < index->count; i++) {
		per__text_add(text, i > 0 ? PER_S(",\n") : PER_S("\n"));
		object_add(text, &index->entries[i]);
	}
	per__text_add(text, PER_S("\n]\n"));
}
