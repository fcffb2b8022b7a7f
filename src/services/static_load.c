/* SPDX-License-Identifier: MIT */
/*
 * static_load.c - from a path to an entry. Opens, asks what was opened, and only then believes a name.
 * Called by workers and disk threads; knows neither.
 */
#include "services/static_load.h"

#include "base/mem.h"
#include "base/num.h"
#include "http/mime.h"
#include "services/static_list.h"
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define READS_MAX 3u /* how often a file that changes while it is read is begun again */

#if defined(__APPLE__)
#define MODIFIED(stat) ((stat)->st_mtimespec)
#define CHANGED(stat) ((stat)->st_ctimespec)
#else
#define MODIFIED(stat) ((stat)->st_mtim)
#define CHANGED(stat) ((stat)->st_ctim)
#endif

/* What stands behind the name of a sibling, by index of its coding, and what it is called in HTTP. */
static const struct {
	char suffix[5];
	char coding[5];
} siblings[PER__CODINGS] = {
	{ "", "" },
	{ ".gz", "gzip" },
	{ ".zst", "zstd" },
	{ ".br", "br" },
};

/* A file that is being loaded. */
struct source {
	int fd; /* -1: none */
	struct per__file_id id;
};

/* --- errors ----------------------------------------------------------------------------------- */

/* The answer to a path that could not be opened; err is an errno. */
static int status_of(int err)
{
	switch (err) {
	case EAGAIN:
		return PER__LOAD_WOULD_WAIT;
	case EMFILE:
	case ENFILE:
		return PER__LOAD_NO_DESCRIPTOR;
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
	case EINVAL: /* a name that this file system cannot have */
	case EILSEQ:
		return 404;
	case EACCES:
	case EPERM:
	case ELOOP: /* a link that is not followed */
	case EXDEV: /* one that leads out of the root */
	case ENXIO: /* a socket, or a device without a driver */
	case ENODEV:
		return 403;
	case ENOMEM:
		return 503;
	default:
		return 500;
	}
}

/* --- files ------------------------------------------------------------------------------------ */

static int64_t ns_of(const struct timespec *time)
{
	return (int64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

struct per__file_id per__file_id_of(const struct stat *stat)
{
	return (struct per__file_id){
		.dev = (uint64_t)stat->st_dev,
		.ino = (uint64_t)stat->st_ino,
		.size = (uint64_t)stat->st_size,
		.modified_ns = ns_of(&MODIFIED(stat)),
		.changed_ns = ns_of(&CHANGED(stat)),
	};
}

static unsigned open_flags(const struct per__load *load)
{
	return load->may_wait ? 0 : PER__BELOW_NOWAIT;
}

/* Opens what should be a regular file. Returns 0, 301 for a directory, or as per__load(). */
static int source_open(const struct per__load *load, const char *path, struct source *out)
{
	struct stat stat;
	int fd = per__below_open(&load->below, path, open_flags(load));
	int status = 0;

	out->fd = -1;
	if (fd < 0)
		return status_of(-fd);
	if (fstat(fd, &stat) != 0)
		status = 500;
	else if (S_ISDIR(stat.st_mode))
		status = 301;
	else if (!S_ISREG(stat.st_mode)) /* a FIFO or a device is nobody's to read */
		status = 403;
	if (status != 0) {
		close(fd);
		return status;
	}
	out->fd = fd;
	out->id = per__file_id_of(&stat);
	return 0;
}

static void sources_close(struct source *sources)
{
	for (unsigned i = 0; i < PER__CODINGS; i++) {
		if (sources[i].fd >= 0)
			close(sources[i].fd);
	}
}

static bool path_join(char *dst, per_str path, const char *more)
{
	size_t len = strlen(more);

	if (path.len + len >= PER__KEY_CAP)
		return false;
	memcpy(dst, path.ptr, path.len);
	memcpy(dst + path.len, more, len + 1);
	return true;
}

/* By whole seconds: brotli and others give what they make the time of the original, without the fraction. */
static bool is_older(const struct per__file_id *id, const struct per__file_id *than)
{
	return id->modified_ns / NS_PER_S < than->modified_ns / NS_PER_S;
}

/*
 * Opens the siblings of a file. One that is older than it, or that cannot be read, is not used, but
 * noted, so that a change of it is seen. Returns 0, or PER__LOAD_WOULD_WAIT, PER__LOAD_NO_DESCRIPTOR.
 */
static int siblings_open(const struct per__load *load, per_str path, struct source *sources)
{
	char name[PER__KEY_CAP];
	struct stat stat;

	for (unsigned i = 1; i < PER__CODINGS; i++) {
		int status;

		sources[i] = (struct source){ .fd = -1 };
		if (!load->conf->has_precompressed || !path_join(name, path, siblings[i].suffix))
			continue;
		status = source_open(load, name, &sources[i]);
		if (status == PER__LOAD_WOULD_WAIT || status == PER__LOAD_NO_DESCRIPTOR)
			return status;
		if (status == 0 && is_older(&sources[i].id, &sources[PER__PLAIN].id)) {
			close(sources[i].fd);
			sources[i].fd = -1;
		} else if (status != 0 && per__below_stat(&load->below, name, &stat) == 0) {
			sources[i].id = per__file_id_of(&stat);
		}
	}
	return 0;
}

/* --- heads ------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void hex_add(struct per__text *text, uint64_t number)
{
	char digits[16];

	per__text_add(text, per_str_make(digits, per__num_to_hex(digits, number)));
}

/*
 * A strong validator (RFC 9110 section 8.8.1): it changes with the time of the last modification in
 * nanoseconds, the size, and the file itself, and is another one for each coding (section 8.8.3.3).
 */
static void etag_add(struct per__text *text, const struct per__file_id *id, const char *coding)
{
	per__text_byte(text, '"');
	hex_add(text, mix(mix((uint64_t)id->modified_ns) ^ id->ino));
	per__text_byte(text, '-');
	hex_add(text, id->size);
	if (coding[0] != '\0')
		per__text_byte(text, '-');
	per__text_add(text, per_str_from(coding));
	per__text_byte(text, '"');
}

/* What the head of a variant is made of. */
struct head {
	const struct per__load *load;
	per_str path;       /* of the file itself */
	const char *coding; /* "" for the file itself */
	const struct per__file_id *id;
	bool has_siblings; /* what is sent depends on Accept-Encoding */
};

static per_str extension_of(per_str path)
{
	for (size_t i = path.len; i > 0 && path.ptr[i - 1] != '/'; i--) {
		if (path.ptr[i - 1] == '.')
			return per_str_make(path.ptr + i, path.len - i);
	}
	return PER_S("");
}

static per_str type_of(const struct per__static_conf *conf, per_str path)
{
	per_str extension = extension_of(path);
	const char *configured = per__static_conf_type(conf, extension);
	per_str known;

	if (configured != NULL)
		return per_str_from(configured);
	known = per__mime_type(extension);
	return known.ptr != NULL ? known : per_str_from(conf->default_type);
}

static void content_lines_add(struct per__text *text, const struct head *head, struct per__variant *out)
{
	char date[PER__DATE_LEN];

	per__text_add(text, PER_S("Content-Type: "));
	per__text_add(text, type_of(head->load->conf, head->path));
	per__text_add(text, PER_S("\r\n"));
	out->type_len = (uint32_t)text->len;
	if (head->coding[0] != '\0') {
		per__text_add(text, PER_S("Content-Encoding: "));
		per__text_add(text, per_str_from(head->coding));
		per__text_add(text, PER_S("\r\n"));
	}
	per__text_add(text, PER_S("Last-Modified: "));
	out->modified_off = (uint32_t)text->len;
	per__date_format(date, out->modified_s);
	per__text_add(text, per_str_make(date, sizeof(date)));
	per__text_add(text, PER_S("\r\nAccept-Ranges: bytes\r\n"));
}

static void state_lines_add(struct per__text *text, const struct head *head, struct per__variant *out)
{
	char name[PER__KEY_CAP + 1];

	out->state_off = (uint32_t)text->len;
	per__text_add(text, PER_S("ETag: "));
	out->etag_off = (uint32_t)text->len;
	etag_add(text, head->id, head->coding);
	out->etag_len = (uint32_t)text->len - out->etag_off;
	per__text_add(text, PER_S("\r\n"));
	if (head->has_siblings)
		per__text_add(text, PER_S("Vary: Accept-Encoding\r\n"));
	name[0] = '/';
	memcpy(name + 1, head->path.ptr, head->path.len);
	per__static_conf_lines(head->load->conf, text, per_str_make(name, head->path.len + 1));
}

/* Writes, or measures, the text of a variant up to its content, and notes where what is. */
static void head_add(struct per__text *text, const struct head *head, struct per__variant *out)
{
	content_lines_add(text, head, out);
	state_lines_add(text, head, out);
	out->fields_len = (uint32_t)text->len;
	per__text_add(text, PER_S("Content-Length: "));
	per__text_number(text, head->id->size);
	per__text_add(text, PER_S("\r\n\r\n"));
	out->head_len = (uint32_t)text->len;
}

/* --- variants --------------------------------------------------------------------------------- */

/*
 * Reads size bytes from the beginning. Returns 0, PER__LOAD_WOULD_WAIT, or 1 + that: there were fewer, or
 * an error.
 */
static int content_read(const struct per__load *load, int fd, char *dst, uint64_t size)
{
	uint64_t pos = 0;

	while (pos < size) {
		struct iovec iov = { dst + pos, (size_t)(size - pos) };
		ssize_t n;

#ifdef RWF_NOWAIT
		n = load->may_wait ? preadv(fd, &iov, 1, (off_t)pos)
				   : preadv2(fd, &iov, 1, (off_t)pos, RWF_NOWAIT);
#else
		if (!load->may_wait)
			return PER__LOAD_WOULD_WAIT;
		n = preadv(fd, &iov, 1, (off_t)pos);
#endif
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return load->may_wait || n == 0 ? PER__LOAD_WOULD_WAIT + 1 : PER__LOAD_WOULD_WAIT;
		pos += (uint64_t)n;
	}
	return 0;
}

static bool is_unchanged(int fd, const struct per__file_id *id)
{
	struct stat stat;
	struct per__file_id now;

	if (fstat(fd, &stat) != 0)
		return false;
	now = per__file_id_of(&stat);
	return per__file_id_equal(id, &now);
}

static void variant_free(struct per__variant *variant)
{
	if (variant->fd >= 0)
		close(variant->fd);
	per__mem_free(variant);
}

/* A variant with its head; its content is still to be read, if there is room for it. */
static struct per__variant *variant_new(const struct head *head, bool has_room)
{
	struct per__variant measured;
	struct per__text text = per__text_make(NULL, 0);
	struct per__variant *variant;
	size_t content = has_room ? (size_t)head->id->size : 0;
	int64_t modified_s = head->id->modified_ns / NS_PER_S;
	size_t head_len;

	/* An origin server must not send a time that is still to come (RFC 9110 section 8.8.2.1). */
	measured.modified_s = PER_MIN(modified_s, head->load->wall_s);
	head_add(&text, head, &measured);
	head_len = text.len;
	variant = per__mem_alloc(sizeof(*variant) + head_len + content);
	if (variant == NULL)
		return NULL;
	variant->modified_s = measured.modified_s;
	text = per__text_make(variant->text, head_len);
	head_add(&text, head, variant);
	variant->fd = -1;
	variant->size = head->id->size;
	variant->bytes = sizeof(*variant) + head_len + content;
	return variant;
}

/* Makes a variant of a source, which keeps its descriptor or has it closed. Returns 0 or as per__load(). */
static int variant_make(const struct head *head, struct source *source, struct per__variant **out)
{
	const struct per__static_conf *conf = head->load->conf;
	bool has_room = conf->is_cached && source->id.size <= conf->cache_file_bytes;
	struct per__variant *variant = variant_new(head, has_room);
	int err;

	if (variant == NULL)
		return 503;
	if (!has_room) {
		variant->fd = source->fd;
		source->fd = -1;
		*out = variant;
		return 0;
	}
	err = content_read(head->load, source->fd, variant->text + variant->head_len, variant->size);
	if (err == 0 && is_unchanged(source->fd, &source->id)) {
		*out = variant;
		return 0;
	}
	variant_free(variant);
	return err == PER__LOAD_WOULD_WAIT ? err : 500;
}

/* --- entries ---------------------------------------------------------------------------------- */

void per__entry_free(struct per__entry *entry)
{
	for (unsigned i = 0; i < PER__CODINGS; i++) {
		if (entry->variants[i] != NULL)
			variant_free(entry->variants[i]);
	}
	per__mem_free(entry);
}

struct per__entry *per__entry_new(per_str key, per_str path)
{
	struct per__entry *entry = per__mem_alloc(sizeof(*entry) + key.len + path.len + 2);

	if (entry == NULL)
		return NULL;
	memcpy(entry->key, key.ptr, key.len);
	entry->key_len = (uint16_t)key.len;
	entry->path = entry->key + key.len + 1;
	memcpy(entry->path, path.ptr, path.len);
	entry->path_len = (uint16_t)path.len;
	entry->bytes = sizeof(*entry) + key.len + path.len + 2;
	return entry;
}

static int variants_make(const struct per__load *load, struct per__entry *entry, struct source *sources)
{
	struct head head = { .load = load, .path = per_str_make(entry->path, entry->path_len) };
	int status = 0;

	for (unsigned i = 1; i < PER__CODINGS; i++)
		head.has_siblings |= sources[i].fd >= 0;
	for (unsigned i = 0; i < PER__CODINGS && status == 0; i++) {
		entry->ids[i] = sources[i].id;
		if (sources[i].fd < 0)
			continue;
		head.coding = siblings[i].coding;
		head.id = &sources[i].id;
		status = variant_make(&head, &sources[i], &entry->variants[i]);
		if (status != 0)
			break;
		entry->codings |= (uint8_t)(1u << i);
		entry->fds = (uint8_t)(entry->fds + (entry->variants[i]->fd >= 0));
		entry->bytes += entry->variants[i]->bytes;
	}
	return status;
}

/* The file at path, which is opened as sources[PER__PLAIN]; closes all of sources. */
static int entry_make(const struct per__load *load, per_str key, per_str path, struct source *sources,
		      struct per__entry **out)
{
	struct per__entry *entry = NULL;
	int status = siblings_open(load, path, sources);

	if (status == 0) {
		entry = per__entry_new(key, path);
		status = entry != NULL ? variants_make(load, entry, sources) : 503;
	}
	sources_close(sources);
	if (status != 0 && entry != NULL)
		per__entry_free(entry);
	else
		*out = entry;
	return status;
}

static int file_load(const struct per__load *load, per_str key, const char *path, struct per__entry **out)
{
	struct source sources[PER__CODINGS] = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 }, { .fd = -1 } };
	int status = source_open(load, path, &sources[PER__PLAIN]);

	return status != 0 ? status : entry_make(load, key, per_str_from(path), sources, out);
}

/* What an index file that cannot be used means for those behind it: only a missing one is passed over. */
static int index_load(const struct per__load *load, per_str key, struct per__entry **out)
{
	char path[PER__KEY_CAP];

	for (size_t i = 0; i < load->conf->index_cnt; i++) {
		int status;

		if (!path_join(path, key, load->conf->index_names[i]))
			return 404;
		status = file_load(load, key, path, out);
		if (status == PER__LOADED)
			(*out)->index = (uint8_t)i;
		if (status != 404 && status != 301)
			return status;
	}
	return 404;
}

/* A directory without an index file: its list, or 403; 404 when there is no such directory. */
static int directory_load(const struct per__load *load, per_str key, struct per__entry **out)
{
	char path[PER__KEY_CAP];
	int fd;

	memcpy(path, key.ptr, key.len);
	path[key.len > 0 ? key.len - 1 : 0] = '\0'; /* without the slash */
	fd = per__below_open(&load->below, path, open_flags(load) | PER__BELOW_DIRECTORY);
	if (fd < 0)
		return status_of(-fd);
	if (load->conf->listing == PER_STATIC_LISTING_ON && load->may_wait)
		return per__list_load(load, key, fd, out);
	close(fd);
	return load->conf->listing == PER_STATIC_LISTING_ON ? PER__LOAD_WOULD_WAIT : 403;
}

static int load_once(const struct per__load *load, per_str key, struct per__entry **out)
{
	char path[PER__KEY_CAP];
	int status;

	if (key.len > 0 && key.ptr[key.len - 1] != '/') {
		memcpy(path, key.ptr, key.len);
		path[key.len] = '\0';
		return file_load(load, key, path, out);
	}
	status = index_load(load, key, out);
	return status == 404 ? directory_load(load, key, out) : status;
}

int per__load(const struct per__load *load, per_str key, struct per__entry **out)
{
	int status = 500;

	PER_ASSERT(key.len < PER__KEY_CAP);
	*out = NULL;
	for (unsigned i = 0; i < READS_MAX && status == 500; i++)
		status = load_once(load, key, out);
	return status;
}

/* --- freshness -------------------------------------------------------------------------------- */

static bool id_is_fresh(const struct per__load *load, const char *path, const struct per__file_id *id)
{
	struct per__file_id now = { 0 };
	struct stat stat;

	if (per__below_stat(&load->below, path, &stat) == 0)
		now = per__file_id_of(&stat);
	return per__file_id_equal(id, &now);
}

/* No index file that would be preferred has come. */
static bool index_is_fresh(const struct per__load *load, const struct per__entry *entry)
{
	char path[PER__KEY_CAP];
	struct stat stat;

	for (unsigned i = 0; i < entry->index; i++) {
		if (path_join(path, per_str_make(entry->key, entry->key_len), load->conf->index_names[i]) &&
		    per__below_stat(&load->below, path, &stat) == 0)
			return false;
	}
	return true;
}

bool per__load_is_fresh(const struct per__load *load, const struct per__entry *entry)
{
	char path[PER__KEY_CAP];
	unsigned codings = load->conf->has_precompressed ? PER__CODINGS : 1;

	if (entry->kind == PER__ENTRY_LIST)
		return per__list_is_fresh(load, entry);
	for (unsigned i = 0; i < codings; i++) {
		if (path_join(path, per_str_make(entry->path, entry->path_len), siblings[i].suffix) &&
		    !id_is_fresh(load, path, &entry->ids[i]))
			return false;
	}
	return index_is_fresh(load, entry);
}
