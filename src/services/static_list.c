/* SPDX-License-Identifier: MIT */
/*
 * static_list.c - reads a directory and makes its list. Runs on a disk thread.
 */
#include "services/static_list.h"

#include "base/mem.h"
#include "base/num.h"
#include "services/autoindex.h"
#include "services/page.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX 10000u /* in one list; what is more is said to be there, and left out */
#define AGE_MAX_S 1      /* sizes in a list may be that old */
#define NAMES_FIRST 64u

/* What was read so far. Names are of their own on the heap. */
struct list {
	struct per__autoindex_entry *entries;
	size_t cnt, cap;
	bool is_cut;
};

static void list_free(struct list *list)
{
	for (size_t i = 0; i < list->cnt; i++)
		per__mem_free((void *)(uintptr_t)list->entries[i].name);
	per__mem_free(list->entries);
}

static bool list_grow(struct list *list)
{
	size_t cap = list->cap > 0 ? 2 * list->cap : NAMES_FIRST;
	struct per__autoindex_entry *entries = per__mem_alloc(cap * sizeof(*entries));

	if (entries == NULL)
		return false;
	if (list->cnt > 0)
		memcpy(entries, list->entries, list->cnt * sizeof(*entries));
	per__mem_free(list->entries);
	list->entries = entries;
	list->cap = cap;
	return true;
}

static bool list_add(struct list *list, const char *name, const struct stat *stat)
{
	char *copy;

	if (list->cnt == list->cap && !list_grow(list))
		return false;
	copy = per__mem_strdup(name);
	if (copy == NULL)
		return false;
	list->entries[list->cnt++] = (struct per__autoindex_entry){
		.name = copy,
		.is_dir = S_ISDIR(stat->st_mode),
		.size = (uint64_t)stat->st_size,
		.mtime_s = (int64_t)stat->st_mtime,
	};
	return true;
}

/* --- the directory ---------------------------------------------------------------------------- */

/* What a link leads to, if a request for it would be answered. */
static bool link_target(const struct per__load *load, per_str key, const char *name, struct stat *out)
{
	char path[PER__KEY_CAP];
	size_t len = strlen(name);
	int fd;
	bool is_known;

	if (load->conf->links == PER_STATIC_LINKS_NEVER || key.len + len >= sizeof(path))
		return false;
	memcpy(path, key.ptr, key.len);
	memcpy(path + key.len, name, len + 1);
	fd = per__below_open(&load->below, path, 0);
	if (fd < 0)
		return false;
	is_known = fstat(fd, out) == 0;
	close(fd);
	return is_known;
}

/* May it be seen, and what is it? */
static bool name_is_listed(const struct per__load *load, per_str key, int fd, const char *name,
			   struct stat *out)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    (name[0] == '.' && !load->conf->serves_dotfiles))
		return false;
	if (fstatat(fd, name, out, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	if (S_ISLNK(out->st_mode) && !link_target(load, key, name, out))
		return false;
	return S_ISREG(out->st_mode) || S_ISDIR(out->st_mode);
}

/* Returns 0, 500 or 503. */
static int list_read(const struct per__load *load, per_str key, DIR *dir, struct list *list)
{
	for (;;) {
		const struct dirent *found;
		struct stat stat;

		errno = 0;
		found = readdir(dir);
		if (found == NULL)
			return errno == 0 ? 0 : 500;
		if (!name_is_listed(load, key, dirfd(dir), found->d_name, &stat))
			continue;
		if (list->cnt == NAMES_MAX) {
			list->is_cut = true;
			return 0;
		}
		if (!list_add(list, found->d_name, &stat))
			return 503;
	}
}

/* --- the text --------------------------------------------------------------------------------- */

static void body_add(struct per__text *text, const struct per__autoindex *index, unsigned form)
{
	if (form == PER__LIST_HTML)
		per__autoindex_html(text, index);
	else
		per__autoindex_json(text, index);
}

static uint64_t hash_of(const char *bytes, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001b3u;
	return hash;
}

/* The entity-tag is of the content: nothing else changes with it. */
static void etag_add(struct per__text *text, uint64_t hash, size_t len)
{
	char digits[16];

	per__text_add(text, PER_S("\"list-"));
	per__text_add(text, per_str_make(digits, per__num_to_hex(digits, hash)));
	per__text_byte(text, '-');
	per__text_add(text, per_str_make(digits, per__num_to_hex(digits, len)));
	per__text_byte(text, '"');
}

static void head_add(struct per__text *text, const struct per__load *load, per_str key,
		     struct per__variant *out, unsigned form)
{
	char name[PER__KEY_CAP + 1];

	if (form == PER__LIST_HTML)
		per__text_add(text, PER_S(PER__PAGE_LINES));
	else
		per__text_add(text, PER_S("Content-Type: application/json\r\n"));
	out->type_len = (uint32_t)text->len;
	out->state_off = (uint32_t)text->len;
	per__text_add(text, PER_S("ETag: "));
	out->etag_off = (uint32_t)text->len;
	etag_add(text, out->etag_hash, (size_t)out->size);
	out->etag_len = (uint32_t)text->len - out->etag_off;
	per__text_add(text, PER_S("\r\nVary: Accept\r\n"));
	name[0] = '/';
	memcpy(name + 1, key.ptr, key.len);
	per__static_conf_lines(load->conf, text, per_str_make(name, key.len + 1));
	out->fields_len = (uint32_t)text->len;
	per__text_add(text, PER_S("Content-Length: "));
	per__text_number(text, out->size);
	per__text_add(text, PER_S("\r\n\r\n"));
	out->head_len = (uint32_t)text->len;
}

/*
 * The body is written behind where the head will be: its hash is part of the head, and all hashes are as
 * long.
 */
static struct per__variant *variant_new(const struct per__load *load, per_str key,
					const struct per__autoindex *index, unsigned form)
{
	struct per__text text = per__text_make(NULL, 0);
	struct per__variant measured = { .etag_hash = UINT64_MAX };
	struct per__variant *variant;
	char *body;

	body_add(&text, index, form);
	measured.size = text.len;
	text = per__text_make(NULL, 0);
	head_add(&text, load, key, &measured, form);
	variant = per__mem_alloc(sizeof(*variant) + text.len + (size_t)measured.size);
	if (variant == NULL)
		return NULL;
	*variant = measured;
	variant->fd = -1;
	variant->bytes = sizeof(*variant) + text.len + (size_t)measured.size;
	body = variant->text + text.len;
	text = per__text_make(body, (size_t)measured.size);
	body_add(&text, index, form);
	PER_ASSERT(text.len == measured.size);
	variant->etag_hash = hash_of(body, (size_t)measured.size) | UINT64_C(1) << 63; /* sixteen digits */
	text = per__text_make(variant->text, variant->head_len);
	head_add(&text, load, key, variant, form);
	PER_ASSERT(text.len == variant->head_len && per__text_fits(&text));
	return variant;
}

static struct per__entry *entry_make(const struct per__load *load, per_str key, const struct list *list,
				     const struct stat *stat)
{
	per_str path = per_str_make(key.ptr, key.len > 0 ? key.len - 1 : 0);
	const struct per__autoindex index = {
		.path = path, .entries = list->entries, .count = list->cnt, .is_cut = list->is_cut
	};
	struct per__entry *entry = per__entry_new(key, path);

	if (entry == NULL)
		return NULL;
	entry->kind = PER__ENTRY_LIST;
	entry->ids[0] = per__file_id_of(stat);
	entry->loaded_s = load->wall_s;
	for (unsigned form = PER__LIST_HTML; form <= PER__LIST_JSON; form++) {
		entry->variants[form] = variant_new(load, key, &index, form);
		if (entry->variants[form] == NULL) {
			per__entry_free(entry);
			return NULL;
		}
		entry->bytes += entry->variants[form]->bytes;
	}
	return entry;
}

int per__list_load(const struct per__load *load, per_str key, int fd, struct per__entry **out)
{
	struct list list = { .cnt = 0 };
	struct stat stat;
	DIR *dir = fdopendir(fd);
	int status;

	if (dir == NULL) {
		close(fd);
		return 503;
	}
	status = fstat(fd, &stat) == 0 ? list_read(load, key, dir, &list) : 500;
	closedir(dir);
	if (status == 0) {
		per__autoindex_sort(list.entries, list.cnt);
		*out = entry_make(load, key, &list, &stat);
		status = *out != NULL ? PER__LOADED : 503;
	}
	list_free(&list);
	return status;
}

bool per__list_is_fresh(const struct per__load *load, const struct per__entry *entry)
{
	struct per__file_id now;
	struct stat stat;

	if (load->wall_s - entry->loaded_s > AGE_MAX_S ||
	    per__below_stat(&load->below, entry->path, &stat) != 0)
		return false;
	now = per__file_id_of(&stat);
	return per__file_id_equal(&entry->ids[0], &now);
}
