/* SPDX-License-Identifier: MIT */
/*
 * reload.c - a new configuration while the old one serves. All of the new is made and checked first; then
 * each worker changes over between two requests; then the old goes. Whatever fails leaves everything as it
 * was. On the thread of the signals.
 */
#include "program.h"

#include "text.h"

#include <stdlib.h>
#include <time.h>

#define REASON_BYTES_MAX 1024u

static void complain_in_log(const char *text, void *user)
{
	logger_say(user, PER_LOG_ERROR, "%s", text);
}

static struct config *config_read(struct program *program)
{
	struct complaints *complaints = calloc(1, sizeof(*complaints));
	struct config *config;

	if (complaints == NULL)
		return NULL;
	config = options_config(program->options, program->activation, complaints);
	if (config == NULL)
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

void program_count(const struct site *site, per_static_stats *out)
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

/* The counters of a site that goes; what it has at the moment goes with it. */
static void past_keep(struct program *program, const struct site *site)
{
	per_static_stats *past = &program->past;

	program_count(site, past);
	past->entries_now = past->bytes_now = past->descriptors_now = 0;
}

/* New certificates. A server that began without TLS stays so, which is said elsewhere. */
static bool certificates_change(struct program *program, const struct config *config)
{
	char reason[REASON_BYTES_MAX] = "";
	struct engine engine;
	bool is_good = true;

	if (program->engine.config.tls == NULL)
		return true;
	if (!engine_make_tls(&engine, config))
		is_good = false;
	else if (engine.config.tls != NULL)
		is_good = per_tls_reload(program->server, engine.config.tls, reason, sizeof(reason)) == 0;
	engine_free(&engine);
	if (!is_good)
		logger_say(&program->logger, PER_LOG_ERROR, "certificates: %s",
			   reason[0] != '\0' ? reason : "out of memory");
	return is_good;
}

/* From here on nothing can fail. */
static void change(struct program *program, struct config *config, struct site *site)
{
	struct site *old_site = program->site;
	struct config *old_config = program->current;

	seats_change(&program->seats, program->server, site);
	pthread_mutex_lock(&program->mutex);
	past_keep(program, old_site);
	program->site = site;
	program->current = config;
	pthread_mutex_unlock(&program->mutex);
	site_free(old_site);
	if (old_config != program->started)
		config_free(old_config);
}

static bool reload(struct program *program)
{
	struct config *config = config_read(program);
	struct site *site = config != NULL ? site_new(config, &program->welcome, &program->logger) : NULL;

	if (site == NULL || !certificates_change(program, config)) {
		site_free(site);
		config_free(config);
		return false;
	}
	differences_tell(program, config);
	change(program, config, site);
	log_change(program, config);
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
	atomic_fetch_add(is_good ? &reloads->good : &reloads->bad, 1);
	atomic_store(&reloads->is_last_good, is_good);
	if (is_good)
		atomic_store(&reloads->last_good_s, (int64_t)time(NULL));
	logger_say(&program->logger, is_good ? PER_LOG_INFO : PER_LOG_ERROR, "%s",
		   is_good ? "the configuration was read again" : "the configuration stays as it was");
	notify_send(&program->notify, "READY=1\nSTATUS=%s",
		    is_good ? "serving" : "serving; the newest configuration is bad, see the log");
}
