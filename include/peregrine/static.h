/* SPDX-License-Identifier: MIT */
/*
 * static.h - files of a directory as answers: ranges, conditions, precompressed siblings, a cache. A handler
 * calls per_static_reply() and is done:
 *
 *     static int on_request(per_req *req, void *user) { return per_static_reply(user, req); }
 *
 * In every structure here zero means "the default", so { .root = "/srv/www" } is a complete configuration.
 */
#ifndef PEREGRINE_STATIC_H
#define PEREGRINE_STATIC_H

#include <peregrine/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A directory that is served. Made by per_static_new(). */
typedef struct per_static per_static;

/** What a request for a directory without an index file gets. */
typedef enum per_static_listing {
	PER_STATIC_LISTING_OFF = 0, /* 403 */
	PER_STATIC_LISTING_ON =
		1, /* a page of what is in it; as JSON for clients that prefer that (Accept) */
} per_static_listing;

/** Which symbolic links are followed. */
typedef enum per_static_links {
	PER_STATIC_LINKS_INSIDE =
		0,                  /* relative ones that stay below the root; others are answered with 403 */
	PER_STATIC_LINKS_NEVER = 1, /* none */
	PER_STATIC_LINKS_ANYWHERE =
		2, /* all, wherever they lead: whoever may write below the root may publish any file */
} per_static_links;

/** What happens to names that begin with a dot. */
typedef enum per_static_dotfiles {
	PER_STATIC_DOTFILES_HIDDEN = 0, /* 404, but for what is below "/.well-known/" (RFC 8615) */
	PER_STATIC_DOTFILES_SERVED = 1,
} per_static_dotfiles;

/**
 * A field that is added to answers.
 *
 * The pattern is compared with the path of the file that is served, beginning with '/': for "/docs/" that is
 * "/docs/index.html". It is the whole path, or has one '*' that stands for any bytes: "*.css", or "/assets/"
 * and a '*'. NULL: every file.
 */
typedef struct per_static_field {
	const char *pattern;
	const char
		*name; /* a token; not a field that per_header() refuses, nor one that describes the file */
	const char *value;
	void *reserved[2]; /* must be NULL */
} per_static_field;

/** A media type for an extension, in addition to the built-in table or instead of an entry of it. */
typedef struct per_static_type {
	const char *extension; /* without the dot; letters compared without case */
	const char *type;      /* value of Content-Type */
} per_static_type;

/** A file that is the body of answers with that status. */
typedef struct per_static_error_page {
	int status;       /* 400 to 599 */
	const char *file; /* below the root: "errors/404.html" */
} per_static_error_page;

/** The configuration of a directory. Everything is copied by per_static_new(). */
typedef struct per_static_config {
	/* --- what is served -------------------------------------------------------------------------- */
	/*
	 * The directory. A relative one is relative to where the process is when per_static_new() is called.
	 * It may be replaced, or a symbolic link that is made to point elsewhere: noticed within check_ms.
	 */
	const char *root;
	const char *const *index_names; /* files that stand for their directory; default "index.html" */
	size_t index_count;             /* at most 16 */
	bool no_index;                  /* no file stands for its directory */
	per_static_listing listing;
	/*
	 * Below the root, "index.html": served, with 200, where there is no such file. Not for names whose
	 * extension has a known media type: a missing script stays a 404. For single-page applications.
	 */
	const char *fallback;
	per_static_links links;
	per_static_dotfiles dotfiles;

	/* --- how ------------------------------------------------------------------------------------- */
	/*
	 * Siblings "name.br", "name.zst", "name.gz" are sent instead of "name" to clients that accept that
	 * coding, if they are not older than it; true: they are not looked for
	 */
	bool no_precompressed;
	bool nosniff; /* X-Content-Type-Options: nosniff with every answer */
	const per_static_field
		*cache_control;         /* the first that matches gives Cache-Control; name is ignored */
	size_t cache_control_count;     /* at most 64 */
	const per_static_field *fields; /* every one that matches is added */
	size_t field_count;             /* at most 64 */
	const per_static_type *types;
	size_t type_count;                        /* at most 1024 */
	const char *default_type;                 /* default "application/octet-stream" */
	const per_static_error_page *error_pages; /* default: the status in words, as plain text */
	size_t error_page_count;                  /* at most 64 */

	/* --- memory and descriptors -------------------------------------------------------------------- */
	/* most memory for contents of files, over all workers of the server; default 64 MiB */
	size_t cache_bytes;
	size_t cache_file_bytes; /* larger files are not kept in memory; default 32 KiB */
	/* paths that are remembered, over all workers; default 8192 */
	unsigned cache_entries;
	/* descriptors of larger files that stay open, over all workers; default 512 */
	unsigned cache_descriptors;
	/*
	 * a file in the cache is looked at for changes when it is asked for and this has passed since the
	 * last look; default 100
	 */
	unsigned check_ms;
	/*
	 * a larger file that nobody has asked for in so long is closed, so that one that was deleted gives
	 * its space on the disk back; default 60000
	 */
	unsigned cache_idle_ms;
	bool no_cache; /* nothing is remembered: every request opens its file. For file systems that lie */
	/*
	 * threads that read what is not in the system's page cache, so that no worker waits for a disk;
	 * default 2, at most 64. Started when they are needed, and ended after ten seconds without work
	 */
	unsigned disk_threads;

	/* --- log --------------------------------------------------------------------------------------- */
	per_log_fn log; /* default: errors and warnings to stderr */
	void *log_user;
	/* what reaches `log`; 0 (errors) is raised to PER_LOG_WARN unless log_errors_only */
	per_log_level log_level;
	bool log_errors_only;
	void *reserved[8]; /* must be NULL */
} per_static_config;

/**
 * per_static_new() for a caller that was compiled with a per_static_config of another size: fields that one
 * side does not know are zero. Use per_static_new().
 */
PER_API int per_static_new_sized(per_static **out, const per_static_config *config, size_t config_bytes);

/**
 * Opens a directory for serving. Makes no thread and takes little memory: each worker makes its cache at its
 * first request.
 *
 * out      to be given back with per_static_free(); NULL after an error
 * config   copied; may be changed or freed afterwards
 * returns  0; PER_EINVAL for a bad configuration, or a root that is no directory; PER_EACCES; PER_ENOMEM;
 *          PER_EMFILE. The log has the reason
 * threads  any
 */
static inline int per_static_new(per_static **out, const per_static_config *config)
{
	return per_static_new_sized(out, config, sizeof(*config));
}

/**
 * Answers a request with the file that its path names: GET and HEAD; OPTIONS is told which methods there are,
 * others get 405. What is wrong with the request is answered (400, 403, 404, 405, 412, 416) and is no error
 * of this call. Fields that were added with per_header() before are sent too.
 *
 * The answer may come later, when a disk had to be read; then the exchange is deferred by this call, as
 * per_defer() does. on_writable is not called for it.
 *
 * returns  0; PER_ESTATE when the request was answered already, or files serves another server; PER_ENOMEM;
 *          PER_EGONE. A handler returns it.
 * threads  the worker that owns req; any number of workers of one server at once
 * source   RFC 9110 sections 13 to 15
 */
PER_API int per_static_reply(per_static *files, per_req *req);

/**
 * As per_static_reply(), for another path: behind a prefix that was cut off, for example. Redirects from
 * "dir" to "dir/" are relative, so they keep the prefix.
 *
 * path     begins with '/', not decoded, without a query; used before the call returns
 */
PER_API int per_static_reply_path(per_static *files, per_req *req, per_str path);

/** Answers with a status of 400 to 599 and its error page, for the application's own errors. As above. */
PER_API int per_static_reply_error(per_static *files, per_req *req, int status);

/**
 * Gives a directory back, once no request will be given to it any more. Answers in flight are finished; the
 * memory goes when the last of them is. NULL is allowed.
 *
 * threads  any, also a worker; while the server runs, before it, or after it was freed
 */
PER_API void per_static_free(per_static *files);

/** What a directory has done; counters but for those called "now". */
typedef struct per_static_stats {
	uint64_t hits;        /* requests that found their file in the cache */
	uint64_t misses;      /* those that did not */
	uint64_t changes;     /* cached files that were found changed */
	uint64_t evictions;   /* cached files that had to make room */
	uint64_t disk_reads;  /* pieces of work for the disk threads */
	uint64_t cut;         /* answers that ended early: their file shrank, or could not be read */
	uint64_t entries_now; /* paths in the cache */
	uint64_t bytes_now;   /* memory of the cache, bytes */
	uint64_t descriptors_now;
	uint64_t reserved[7];
} per_static_stats;

/** per_static_stats_read() for a caller compiled with a per_static_stats of another size. */
PER_API int per_static_stats_sized(per_static *files, per_static_stats *out, size_t stats_bytes);

/** Reads the counters, summed over all workers. Returns 0 or PER_EINVAL. Any thread. */
static inline int per_static_stats_read(per_static *files, per_static_stats *out)
{
	return per_static_stats_sized(files, out, sizeof(*out));
}

#ifdef __cplusplus
}
#endif

#endif
