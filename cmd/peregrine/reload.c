/* SPDX-License-Identifier: MIT */
/*
 * reload.c - a new configuration while the old one serves. All of the new is made and checked first; then
 * each worker changes over between two requests; then the old goes. Whatever fails leaves everything as it
 * was (but see engine_change()). On the thread of the signals.
 */
#include "program.h"

#include "settings.h"
#include "text.h"
#include "totals.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REASON_BYTES_MAX 1024u

static void complain_in_log(const char *text, bool is_warning, void *user)
{
	logger_say(user, is_warning ? PER_LOG_WARN : PER_LOG_ERROR, "%s", text);
}

static struct config *config_read(struct program *program)
{
	struct complaints *complaints = calloc(1, sizeof(*complaints));
	struct config *config;

	if (complaints == NULL)
		return NULL;
	config = options_config(program->options, program->activation, complaints);
	complaints_each(complaints, complain_in_log, &program->logger);
	complaints_end(complaints);
	free(complaints);
	return config;
}

static void name_difference(const char *what, void *user)
{
	struct text *text = user;

	text_add(text, "%s%s", text->len > 0 ? ", " : "", what);
}

/* Says what of a configuration waits for the next start. */
static void differences_tell(struct program *program, const struct config *config)
{
	struct text text = { 0 };

	engine_compare(program->started, config, name_difference, &text);
	if (text.len > 0)
		logger_say(&program->logger, PER_LOG_WARN, "needs a restart: %s", text.buf);
	free(text.buf);
}

static void log_change(struct program *program, const struct config *config)
{
	(void)logger_open(&program->logger, config->log.path);
	atomic_store(&program->logger.level, (int)*config->log.level);
}

/* New certificates. A server that began without TLS stays so, which is said elsewhere. */
static bool certificates_change(struct program *program, const per_tls_config *tls)
{
	char reason[REASON_BYTES_MAX] = "";

	if (program->engine.config.tls == NULL || tls == NULL ||
	    per_tls_reload(program->server, tls, reason, sizeof(reason)) == 0)
		return true;
	logger_say(&program->logger, PER_LOG_ERROR, "certificates: %s", reason);
	return false;
}

/*
 * What the library takes while it runs. The limits come last: they were checked, so that only memory can be
 * wanting; then the certificates are new and the limits old.
 */
static bool engine_change(struct program *program, const struct config *config)
{
	struct engine engine;
	int err = engine_make_again(&engine, config) ? 0 : PER_ENOMEM;
	bool is_good = err == 0 && certificates_change(program, engine.config.tls);

	if (is_good)
		err = per_server_reload(program->server, &engine.config);
	if (err != 0)
		logger_say(&program->logger, PER_LOG_ERROR, "limits: %s", per_strerror(err));
	engine_free(&engine);
	return is_good && err == 0;
}

/* What a reload makes, before anybody uses it. */
struct fresh {
	struct config *config;
	struct site *site;
	per_access_log *access_log; /* the old one, if nothing about it has changed */
};

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool access_log_renew(struct program *program, struct fresh *fresh)
{
	const struct config_access_log *old = &program->current->access_log,
				       *new = &fresh->config->access_log;

	fresh->access_log = program->access_log;
	if (is_same(old->path, new->path) && old->format == new->format &&
	    range_number(&range_access_buffer, old->buffer) ==
		    range_number(&range_access_buffer, new->buffer))
		return true;
	return program_access_log(program, fresh->config, &fresh->access_log);
}

/* Everything that can fail. */
static bool make(struct program *program, struct fresh *fresh)
{
	fresh->access_log = program->access_log;
	fresh->config = config_read(program);
	if (fresh->config != NULL)
		fresh->site = site_new(fresh->config, &program->welcome, &program->logger);
	return fresh->site != NULL && access_log_renew(program, fresh) &&
	       engine_change(program, fresh->config);
}

static void unmake(struct program *program, struct fresh *fresh)
{
	if (fresh->access_log != program->access_log)
		(void)per_access_log_close(fresh->access_log);
	site_free(fresh->site);
	config_free(fresh->config);
}

static void access_log_change(struct program *program, per_access_log *old)
{
	if (old == program->access_log) {
		if (old != NULL)
			per_access_log_reopen(old);
		return;
	}
	if (per_access_log_close(old) != 0)
		logger_say(&program->logger, PER_LOG_WARN, "lines of the old access log are lost");
}

static void change(struct program *program, const struct fresh *fresh)
{
	struct site *old_site = program->site;
	struct config *old_config = program->current;
	per_access_log *old_log = program->access_log;

	seats_change(&program->seats, program->server, (struct work){ fresh->site, fresh->access_log });
	pthread_mutex_lock(&program->mutex);
	totals_keep_files(&program->past_files, old_site);
	if (old_log != fresh->access_log)
		totals_keep_log(&program->past_log, old_log);
	program->site = fresh->site;
	program->current = fresh->config;
	program->access_log = fresh->access_log;
	pthread_mutex_unlock(&program->mutex);
	access_log_change(program, old_log);
	site_free(old_site);
	if (old_config != program->started)
		config_free(old_config);
}

static bool reload(struct program *program)
{
	struct fresh fresh = { NULL, NULL, NULL };

	if (!make(program, &fresh)) {
		unmake(program, &fresh);
		return false;
	}
	differences_tell(program, fresh.config);
	change(program, &fresh);
	log_change(program, fresh.config);
	return true;
}

void program_reload(struct program *program)
{
	struct reloads *reloads = &program->reloads;
	bool is_good;

	if (!seats_wait(&program->seats))
		return;
	notify_reloading(&program->notify);
	is_good = reload(program);
	logger_say(&program->logger, is_good ? PER_LOG_INFO : PER_LOG_ERROR, "%s",
		   is_good ? "the configuration was read again" : "the configuration stays as it was");
	logger_flush(&program->logger); /* whoever hears of the reload finds what the log says of it */
	atomic_store(&reloads->is_last_good, is_good);
	if (is_good)
		atomic_store(&reloads->last_good_s, (int64_t)time(NULL));
	atomic_fetch_add(is_good ? &reloads->good : &reloads->bad, 1);
	notify_send(&program->notify, "READY=1\nSTATUS=%s",
		    is_good ? "serving" : "serving; the newest configuration is bad, see the log");
}
