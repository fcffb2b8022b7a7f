/* SPDX-License-Identifier: MIT */
/*
 * static_entry.h - what is known of a file: who it is, its codings, and for each the text of its head and
 * its bytes or a descriptor. Made by static_load.c on any thread; then owned by one worker, which counts
 * who uses it.
 */
#ifndef PER_SERVICES_STATIC_ENTRY_H
#define PER_SERVICES_STATIC_ENTRY_H

#include "base/clock.h"
#include "http/accept.h"
#include <peregrine/types.h>
#include <sys/stat.h>

/* Is it still the same file with the same content? All zero: there is none. */
struct per__file_id {
	uint64_t dev, ino, size;
	int64_t modified_ns, changed_ns;
};

/*
 * One coding of a file. text has, in this order: Content-Type; what else describes the content; ETag, Vary,
 * Cache-Control and configured fields, which a 304 has too; Content-Length and the empty line; the bytes
 * of the file, if fd is -1.
 */
struct per__variant {
	int fd;
	uint32_t type_len;   /* the Content-Type line */
	uint32_t state_off;  /* where what a 304 has begins */
	uint32_t fields_len; /* where Content-Length begins */
	uint32_t head_len;   /* where the content begins */
	uint32_t etag_off, etag_len;
	uint32_t modified_off; /* the value of Last-Modified, PER__DATE_LEN bytes; 0: there is none */
	uint64_t size;         /* of the content, bytes */
	uint64_t etag_hash;    /* of a list */
	int64_t modified_s;
	size_t bytes; /* of memory */
	char text[];
};

/* Indexes of codings: bit n of enum per__coding. */
enum { PER__PLAIN = 0 };

enum per__entry_kind {
	PER__ENTRY_FILE,
	PER__ENTRY_LIST, /* variants are of static_list.h */
};

struct per__entry {
	struct per__entry *next;           /* of the same bucket */
	struct per__entry *before, *after; /* in the clock */
	void *owner;                       /* its worker's shard, set when it comes there */
	uint64_t hash;
	uint32_t refs; /* lent; the cache itself does not count */
	uint8_t kind;
	bool is_hot;        /* asked for since the clock's hand was here */
	bool is_cached;     /* in the table */
	uint8_t index;      /* which of the index names it is, for a key that ends in '/' */
	uint8_t codings;    /* bits of enum per__coding that there are variants of */
	uint8_t fds;        /* descriptors open */
	uint16_t key_len;   /* bytes; "a/b" for a file, "a/b/" for a directory, "" for the root */
	uint16_t path_len;  /* bytes; of the file */
	size_t bytes;       /* memory of all of it */
	int64_t checked_ns; /* when it was last known to be true */
	int64_t loaded_s;   /* wall time; of a list */
	struct per__file_id ids[PER__CODINGS];
	struct per__variant *variants[PER__CODINGS];
	char *path; /* behind key, ended by a NUL */
	char key[];
};

/** An entry without variants. path: of the file. NULL: no memory. */
struct per__entry *per__entry_new(per_str key, per_str path);

/** Frees an entry that nobody uses. */
void per__entry_free(struct per__entry *entry);

struct per__file_id per__file_id_of(const struct stat *stat);

static inline bool per__file_id_equal(const struct per__file_id *a, const struct per__file_id *b)
{
	return a->ino == b->ino && a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns &&
	       a->size == b->size && a->dev == b->dev;
}

/* The value of Content-Type. */
static inline per_str per__variant_type(const struct per__variant *variant)
{
	return per_str_make(variant->text + sizeof("Content-Type: ") - 1,
			    variant->type_len - sizeof("Content-Type: \r\n") + 1);
}

static inline per_str per__variant_etag(const struct per__variant *variant)
{
	return per_str_make(variant->text + variant->etag_off, variant->etag_len);
}

#endif
