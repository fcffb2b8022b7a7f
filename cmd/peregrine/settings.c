/* SPDX-License-Identifier: MIT */
/*
 * settings.c - the table of numbers. Ranges are those of docs/configuration.md, which are the library's;
 * they stand here so that a complaint can name the line. A test compares the two.
 */
#include "settings.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)
#define WEEK_MS UINT64_C(604800000)

struct setting {
	const char *path;
	const char *fallback;
	struct range range;
	size_t text;   /* where it is in struct config */
	size_t number; /* where it goes in per_config */
	size_t bytes;  /* of that member: 4 or 8 */
	bool has_auto; /* "auto" is understood: the library decides */
	bool is_fixed; /* while the server runs */
};

#define SETTING(member, target, automatic, fixed, value, kind, least, most)                              \
	{                                                                                                \
		.path = #member, .fallback = (value), .range = { kind, least, most },                    \
		.text = offsetof(struct config, member), .number = offsetof(per_config, target),         \
		.bytes = sizeof(((per_config *)0)->target), .has_auto = (automatic), .is_fixed = (fixed) \
	}
#define NUMBER(member, target, ...) SETTING(member, target, false, false, __VA_ARGS__)
#define FIXED(member, target, ...) SETTING(member, target, false, true, __VA_ARGS__)
#define FIXED_OR_AUTO(member, target, ...) SETTING(member, target, true, true, "auto", __VA_ARGS__)

static const struct setting settings[] = {
	FIXED_OR_AUTO(engine.workers, workers, UNIT_COUNT, 1, 1024),
	FIXED(engine.accept_threads, accept_threads, "0", UNIT_COUNT, 0, 64),
	FIXED_OR_AUTO(engine.connections, connections_max, UNIT_COUNT, 1, 16 * MIB),
	FIXED(engine.memory, memory_bytes, "512MiB", UNIT_BYTES, MIB, TIB),
	FIXED_OR_AUTO(engine.stack, stack_bytes, UNIT_BYTES, 0, GIB),
	FIXED(engine.receive_buffer, recv_buf_bytes, "16KiB", UNIT_BYTES, KIB, MIB),
	FIXED(engine.receive_buffers, recv_buf_count, "512", UNIT_COUNT, 8, 16384),
	NUMBER(limits.head, head_bytes_max, "16KiB", UNIT_BYTES, 64, 65535),
	FIXED(limits.head_fields, head_fields_max, "100", UNIT_COUNT, 1, 4096),
	NUMBER(limits.target, target_bytes_max, "8KiB", UNIT_BYTES, 1, 65535),
	NUMBER(limits.body, body_bytes_max, "1MiB", UNIT_BYTES, 1, INT64_MAX),
	NUMBER(limits.requests_per_connection, requests_per_connection_max, "0", UNIT_COUNT, 0, UINT32_MAX),
	FIXED(limits.write_queue, write_queue_bytes, "256KiB", UNIT_BYTES, 4 * KIB, GIB),
	NUMBER(timeouts.head, head_timeout_ms, "15s", UNIT_DURATION, 1, WEEK_MS),
	NUMBER(timeouts.idle, idle_timeout_ms, "60s", UNIT_DURATION, 1, WEEK_MS),
	NUMBER(timeouts.rate_window, rate_window_ms, "10s", UNIT_DURATION, 1, WEEK_MS),
	NUMBER(timeouts.body_rate, body_rate_min, "240", UNIT_BYTES, 1, UINT32_MAX),
	NUMBER(timeouts.write_rate, write_rate_min, "240", UNIT_BYTES, 1, UINT32_MAX),
	NUMBER(timeouts.linger, linger_timeout_ms, "2s", UNIT_DURATION, 1, WEEK_MS),
	NUMBER(timeouts.stop, stop_timeout_ms, "10s", UNIT_DURATION, 1, WEEK_MS),
};

/* Those that go elsewhere, in the order of enum number. */
#define OTHER(member, value, kind, least, most)                                       \
	{                                                                             \
		.path = #member, .fallback = (value), .range = { kind, least, most }, \
		.text = offsetof(struct config, member)                               \
	}

static const struct setting others[] = {
	[NUMBER_CACHE] = OTHER(files.cache, "64MiB", UNIT_BYTES, 0, TIB),
	[NUMBER_CACHE_FILE] = OTHER(files.cache_file, "32KiB", UNIT_BYTES, KIB, GIB),
	[NUMBER_ENTRIES] = OTHER(files.entries, "8192", UNIT_COUNT, 1, 16 * MIB),
	[NUMBER_DESCRIPTORS] = OTHER(files.descriptors, "512", UNIT_COUNT, 1, MIB),
	[NUMBER_CHECK] = OTHER(files.check, "100ms", UNIT_DURATION, 1, 86400000),
	[NUMBER_FILES_IDLE] = OTHER(files.idle, "60s", UNIT_DURATION, 1, 86400000),
	[NUMBER_DISK_THREADS] = OTHER(files.disk_threads, "2", UNIT_COUNT, 1, 64),
	[NUMBER_CLIENT_DEPTH] = OTHER(tls.client_depth, "4", UNIT_COUNT, 1, 32),
	[NUMBER_TICKET_COUNT] = OTHER(tls.ticket_count, "1", UNIT_COUNT, 1, 8),
	[NUMBER_TICKET_LIFETIME] = OTHER(tls.ticket_lifetime, "12h", UNIT_DURATION, 1000, WEEK_MS),
	[NUMBER_EARLY_DATA] = OTHER(tls.early_data, "0", UNIT_BYTES, 0, MIB),
	[NUMBER_HANDSHAKE_TIMEOUT] = OTHER(tls.handshake_timeout, "10s", UNIT_DURATION, 1, WEEK_MS),
	[NUMBER_HANDSHAKES] = OTHER(tls.handshakes, "4096", UNIT_COUNT, 1, 16 * MIB),
};

const struct range range_backlog = { UNIT_COUNT, 1, INT32_MAX };
const struct range range_unix_mode = { UNIT_OCTAL, 1, 0777 };
const struct range range_max_age = { UNIT_DURATION, 0, UINT64_C(100) * 365 * 86400000 };
const struct range range_port = { UNIT_COUNT, 1, 65535 };
const struct range range_access_buffer = { UNIT_BYTES, 64 * KIB, GIB };

static char *const *text_of(const struct config *config, const struct setting *setting)
{
	return (char *const *)(const void *)((const char *)config + setting->text);
}

static bool is_auto(const struct setting *setting, const char *text)
{
	return setting->has_auto && strcmp(text, "auto") == 0;
}

bool range_read(const struct range *range, const char *text, const char *path, struct complaints *complaints,
		uint64_t *out)
{
	char min[32], max[32];

	if (!unit_parse(range->unit, text, out)) {
		complain(complaints, path, "\"%.100s\": expected %s", text, unit_describe(range->unit));
		return false;
	}
	if (*out >= range->min && *out <= range->max)
		return true;
	unit_format(range->unit, range->min, min, sizeof(min));
	unit_format(range->unit, range->max, max, sizeof(max));
	complain(complaints, path, "\"%.100s\": expected %s to %s", text, min, max);
	return false;
}

uint64_t range_number(const struct range *range, const char *text)
{
	uint64_t number = 0;

	return unit_parse(range->unit, text, &number) ? number : 0;
}

static bool complete(struct config *config, const struct setting *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char **text = (char **)text_of(config, &list[i]);

		if (*text == NULL && !config_set(text, list[i].fallback))
			return false;
	}
	return true;
}

bool settings_complete(struct config *config)
{
	return complete(config, settings, COUNT(settings)) && complete(config, others, COUNT(others));
}

static void check(const struct config *config, const struct setting *setting, struct complaints *complaints)
{
	const char *text = *text_of(config, setting);
	uint64_t number;

	if (is_auto(setting, text) || !range_read(&setting->range, text, setting->path, complaints, &number))
		return;
	if (setting->text == offsetof(struct config, engine.receive_buffers) && (number & (number - 1)) != 0)
		complain(complaints, setting->path, "\"%.100s\": expected a power of two", text);
}

void settings_check(const struct config *config, struct complaints *complaints)
{
	for (size_t i = 0; i < COUNT(settings); i++)
		check(config, &settings[i], complaints);
	for (size_t i = 0; i < COUNT(others); i++)
		check(config, &others[i], complaints);
}

static uint64_t number_of(const struct config *config, const struct setting *setting)
{
	const char *text = *text_of(config, setting);

	return is_auto(setting, text) ? 0 : range_number(&setting->range, text);
}

void settings_apply(const struct config *config, per_config *out)
{
	for (size_t i = 0; i < COUNT(settings); i++) {
		const uint64_t number = number_of(config, &settings[i]);
		void *place = (char *)out + settings[i].number;

		if (settings[i].bytes == sizeof(uint32_t))
			*(uint32_t *)place = (uint32_t)number;
		else
			*(uint64_t *)place = number;
	}
}

uint64_t settings_number(const struct config *config, enum number number)
{
	return number_of(config, &others[number]);
}

void settings_compare(const struct config *a, const struct config *b,
		      void (*fn)(const char *path, void *user), void *user)
{
	for (size_t i = 0; i < COUNT(settings); i++) {
		if (settings[i].is_fixed && number_of(a, &settings[i]) != number_of(b, &settings[i]))
			fn(settings[i].path, user);
	}
}
