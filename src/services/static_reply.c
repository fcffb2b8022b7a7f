/* SPDX-License-Identifier: MIT */
/*
 * static_reply.c - which answer a request gets: methods, preconditions, codings, ranges, redirects,
 * errors (RFC 9110). Called for each request, and again after a job has found what was missing; so it
 * decides the same each time.
 */
#include "services/static_files.h"

#include "http/escape.h"
#include "http/mime.h"
#include "services/error_page.h"
#include "services/static_list.h"
#include <string.h>

#define LOCATION_BYTES_MAX 16384u

/* --- what was asked --------------------------------------------------------------------------- */

static void wants_read(struct per__ask *ask)
{
	const struct per_req *req = ask->req;

	per__wants_init(&ask->wants);
	for (unsigned i = 0; i < req->head.field_cnt; i++) {
		const struct per__field *field = &req->fields[i];

		per__wants_take(&ask->wants, per__req_slice(req, field->name_off, field->name_len),
				per__req_slice(req, field->value_off, field->value_len));
	}
}

/* --- long answers ----------------------------------------------------------------------------- */

/* What a flow is to send. */
struct sending {
	const struct per__variant *variant;
	const struct per__ranges *ranges; /* NULL: everything */
	int status;
	const per_str *lines;
	unsigned cnt;
};

static uint64_t sending_bytes(const struct sending *sending, const struct per__flow *flow)
{
	if (sending->ranges == NULL)
		return sending->variant->size;
	if (sending->ranges->count == 1)
		return per__range_bytes(&sending->ranges->at[0]);
	return per__multipart_bytes(&flow->multipart, sending->ranges);
}

/* Queues the head; a flow goes on with the rest. Takes over the loan of entry. */
static int flow_reply(struct per__ask *ask, struct per__entry *entry, const struct sending *sending)
{
	struct per__flow *flow = per__flow_of(ask);
	int err;

	if (flow == NULL) {
		per__entry_release(entry);
		return PER_ENOMEM;
	}
	flow->entry = entry;
	flow->variant = sending->variant;
	err = per__resp_begin(ask->req, sending->status, sending->lines, sending->cnt,
			      (int64_t)sending_bytes(sending, flow));
	if (err == 0)
		per__flow_send(flow, sending->ranges);
	return err;
}

/* --- errors and redirects --------------------------------------------------------------------- */

/* An error or a redirect in words, as the client reads them. line is one more field line, or empty. */
static int plain_reply(const struct per__ask *ask, int status, per_str line)
{
	char memory[PER__ERROR_PAGE_BYTES_MAX];
	struct per__text text = per__text_make(memory, sizeof(memory));
	per_str lines[] = { { NULL, 0 }, PER_S("Vary: Accept\r\n"), line, ask->shard->files->conf.common };

	lines[0] = per__error_page(&text, status, per__accept_media(&ask->wants.accept));
	PER_ASSERT(per__text_fits(&text));
	return per__resp_lines(ask->req, status, lines, 4, per_str_make(memory, text.len));
}

static int page_reply(struct per__ask *ask, int status, per_str line, struct per__entry *entry)
{
	const struct per__variant *variant = entry->variants[PER__PLAIN];
	const per_str lines[] = { per_str_make(variant->text, variant->type_len), line,
				  ask->shard->files->conf.common };
	int err;

	if (variant->fd >= 0)
		return flow_reply(
			ask, entry,
			&(struct sending){ .variant = variant, .status = status, .lines = lines, .cnt = 3 });
	err = per__resp_lines(ask->req, status, lines, 3,
			      per_str_make(variant->text + variant->head_len, (size_t)variant->size));
	per__entry_release(entry);
	return err;
}

/* An error with the page that is configured for it, if that is there. */
static int error_reply(struct per__ask *ask, int status, per_str line)
{
	per_str page = per__static_conf_error_page(&ask->shard->files->conf, status);
	struct per__entry *entry = NULL;
	int found = page.ptr != NULL ? per__find(ask, page, &entry) : 404;

	if (found == 0)
		return page_reply(ask, status, line, entry);
	if (found == PER__FIND_LATER || found < 0)
		return PER_MIN(found, 0);
	return plain_reply(ask, status, line);
}

/*
 * To the same directory with a slash. The reference is relative and begins with "./", so nothing of what
 * was asked can make it lead to another host (RFC 3986 section 4.2).
 */
static int redirect_reply(const struct per__ask *ask)
{
	size_t name = ask->key.len;
	per_str query = per_req_query(ask->req);
	char memory[LOCATION_BYTES_MAX];
	struct per__text text = per__text_make(memory, sizeof(memory));

	while (name > 0 && ask->key.ptr[name - 1] != '/')
		name--;
	per__text_add(&text, PER_S("Location: ./"));
	per__escape_segment(&text, per_str_make(ask->key.ptr + name, ask->key.len - name));
	per__text_byte(&text, '/');
	if (query.ptr != NULL) {
		per__text_byte(&text, '?');
		per__text_add(&text, query);
	}
	per__text_add(&text, PER_S("\r\n"));
	if (!per__text_fits(&text))
		return plain_reply(ask, 414, PER_S(""));
	return plain_reply(ask, 301, per_str_make(memory, text.len));
}

static int method_reply(struct per__ask *ask)
{
	const per_str allow = PER_S("Allow: GET, HEAD, OPTIONS\r\n");
	const per_str lines[] = { allow, ask->shard->files->conf.common };

	if (per_req_method(ask->req) != PER_METHOD_OPTIONS)
		return error_reply(ask, 405, allow);
	return per__resp_lines(ask->req, 204, lines, 2, PER_S(""));
}

/* --- a file ----------------------------------------------------------------------------------- */

static struct per__variant *variant_choose(const struct per__ask *ask, const struct per__entry *entry)
{
	unsigned coding = PER__CODING_IDENTITY;

	if (PER_UNLIKELY(entry->kind == PER__ENTRY_LIST)) {
		bool is_json = per__accept_media(&ask->wants.accept) == PER__MEDIA_JSON;

		return entry->variants[is_json ? PER__LIST_JSON : PER__LIST_HTML];
	}
	if (entry->codings != PER__CODING_IDENTITY)
		coding = per__accept_coding(&ask->wants.accept_encoding, entry->codings);
	return entry->variants[__builtin_ctz(coding)];
}

static struct per__validators validators_of(const struct per__variant *variant)
{
	struct per__validators validators = { .etag = per__variant_etag(variant),
					      .modified_s = variant->modified_s };

	if (variant->modified_off > 0)
		validators.last_modified = per_str_make(variant->text + variant->modified_off, PER__DATE_LEN);
	return validators;
}

/*
 * 304 has what tells which representation it is about and how long it may be kept (RFC 9110 section
 * 15.4.5).
 */
static int not_modified_reply(const struct per__ask *ask, const struct per__variant *variant)
{
	const per_str lines[] = { per_str_make(variant->text + variant->state_off,
					       variant->fields_len - variant->state_off) };

	return per__resp_lines(ask->req, 304, lines, 1, PER_S(""));
}

static int outside_reply(struct per__ask *ask, const struct per__variant *variant)
{
	char memory[64];
	struct per__text text = per__text_make(memory, sizeof(memory));

	per__text_add(&text, PER_S("Content-Range: "));
	per__range_outside_value(&text, variant->size);
	per__text_add(&text, PER_S("\r\n"));
	return error_reply(ask, 416, per_str_make(memory, text.len));
}

/* Everything, from memory: one piece of text and content. */
static int whole_reply(const struct per__ask *ask, struct per__entry *entry,
		       const struct per__variant *variant)
{
	const struct per__whole whole = {
		.ptr = variant->text,
		.head_len = variant->head_len,
		.body_len = (size_t)variant->size,
		.release = per__entry_release,
		.arg = entry,
	};

	return per__resp_whole(ask->req, &whole);
}

/* The head of one part: that of the whole, and where the part lies (RFC 9110 section 15.3.7.1). */
static int part_reply(struct per__ask *ask, struct per__entry *entry, const struct per__variant *variant,
		      const struct per__ranges *ranges)
{
	char memory[96];
	struct per__text text = per__text_make(memory, sizeof(memory));
	per_str lines[2] = { per_str_make(variant->text, variant->fields_len) };

	per__text_add(&text, PER_S("Content-Range: "));
	per__range_value(&text, &ranges->at[0], variant->size);
	per__text_add(&text, PER_S("\r\n"));
	lines[1] = per_str_make(memory, text.len);
	return flow_reply(ask, entry, &(struct sending){ variant, ranges, 206, lines, 2 });
}

/* A boundary that nobody who wrote the file could know. */
static void boundary_make(char *boundary, const struct per__ask *ask, const struct per__entry *entry)
{
	struct per__text text = per__text_make(boundary, PER__BOUNDARY_BYTES);
	uint64_t mixed =
		(entry->hash ^ (uint64_t)ask->now_ns ^ (uint64_t)(uintptr_t)entry) * 0x9e3779b97f4a7c15u;

	per__text_add(&text, PER_S("per-"));
	per__text_digits(&text, mixed ^ (mixed >> 31), PER__BOUNDARY_BYTES - 4);
}

/* The head of several parts: their type and place stand before each of them (section 15.3.7.2). */
static int parts_reply(struct per__ask *ask, struct per__entry *entry, const struct per__variant *variant,
		       const struct per__ranges *ranges)
{
	struct per__flow *flow = per__flow_of(ask);
	char memory[128];
	struct per__text text = per__text_make(memory, sizeof(memory));
	per_str lines[2];

	if (flow == NULL) {
		per__entry_release(entry);
		return PER_ENOMEM;
	}
	boundary_make(flow->boundary, ask, entry);
	flow->multipart = (struct per__multipart){
		.boundary = per_str_make(flow->boundary, sizeof(flow->boundary)),
		.content_type = per__variant_type(variant),
		.size = variant->size,
	};
	per__text_add(&text, PER_S("Content-Type: "));
	per__multipart_type(&text, &flow->multipart);
	per__text_add(&text, PER_S("\r\n"));
	lines[0] = per_str_make(memory, text.len);
	lines[1] = per_str_make(variant->text + variant->type_len, variant->fields_len - variant->type_len);
	return flow_reply(ask, entry, &(struct sending){ variant, ranges, 206, lines, 2 });
}

/* Everything, read while it is sent. */
static int long_reply(struct per__ask *ask, struct per__entry *entry, const struct per__variant *variant)
{
	const per_str lines[] = { per_str_make(variant->text, variant->fields_len) };

	return flow_reply(ask, entry, &(struct sending){ variant, NULL, 200, lines, 1 });
}

/*
 * Which part of it, if a Range counts: only with GET, and only for the same representation (RFC 9110
 * section 14.2).
 */
static int content_reply(struct per__ask *ask, struct per__entry *entry, const struct per__variant *variant)
{
	struct per__ranges ranges = { 0 };
	enum per__range_result result = PER__RANGE_WHOLE;

	if (PER_UNLIKELY(ask->wants.range.ptr != NULL) && per_req_method(ask->req) == PER_METHOD_GET &&
	    entry->kind == PER__ENTRY_FILE) {
		struct per__validators validators = validators_of(variant);

		if (per__if_range_holds(ask->wants.if_range, &validators, ask->shard->worker->loop.wall_s))
			result = per__range_parse(&ranges, ask->wants.range, variant->size);
	}
	if (PER_UNLIKELY(result == PER__RANGE_OUTSIDE)) {
		int err = outside_reply(ask, variant);

		per__entry_release(entry);
		return err;
	}
	if (PER_UNLIKELY(result == PER__RANGE_PART))
		return ranges.count == 1 ? part_reply(ask, entry, variant, &ranges)
					 : parts_reply(ask, entry, variant, &ranges);
	if (variant->fd < 0 || variant->size == 0 || per_req_method(ask->req) == PER_METHOD_HEAD)
		return whole_reply(ask, entry, variant);
	return long_reply(ask, entry, variant);
}

static int file_reply(struct per__ask *ask, struct per__entry *entry)
{
	const struct per__variant *variant = variant_choose(ask, entry);
	enum per__verdict verdict = PER__PROCEED;
	int err;

	if (PER_UNLIKELY(ask->wants.has_conditions)) {
		struct per__validators validators = validators_of(variant);

		verdict = per__conditional_judge(&ask->wants.conditions, &validators, true,
						 ask->shard->worker->loop.wall_s);
	}
	if (PER_LIKELY(verdict == PER__PROCEED))
		return content_reply(ask, entry, variant);
	err = verdict == PER__NOT_MODIFIED ? not_modified_reply(ask, variant)
					   : error_reply(ask, 412, PER_S(""));
	per__entry_release(entry);
	return err;
}

/* --- all -------------------------------------------------------------------------------------- */

/* May the fallback stand for it? Not for what looks like a part of a page. */
static bool may_fall_back(const struct per__ask *ask)
{
	per_str key = ask->key;

	for (size_t i = key.len; i > 0 && key.ptr[i - 1] != '/'; i--) {
		if (key.ptr[i - 1] == '.')
			return per__mime_type(per_str_make(key.ptr + i, key.len - i)).ptr == NULL;
	}
	return true;
}

static int path_reply(struct per__ask *ask)
{
	const struct per__static_conf *conf = &ask->shard->files->conf;
	struct per__entry *entry = NULL;
	int found = per__find(ask, ask->key, &entry);

	if (PER_UNLIKELY(found == 404 && conf->fallback.ptr != NULL) && may_fall_back(ask)) {
		found = per__find(ask, conf->fallback, &entry);
		found = found == 301 ? 404 : found;
	}
	if (PER_LIKELY(found == 0))
		return file_reply(ask, entry);
	if (found == PER__FIND_LATER || found < 0)
		return PER_MIN(found, 0);
	return found == 301 ? redirect_reply(ask) : error_reply(ask, found, PER_S(""));
}

int per__answer(struct per__ask *ask)
{
	per_method method = per_req_method(ask->req);

	wants_read(ask);
	if (PER_UNLIKELY(ask->status != 0))
		return error_reply(ask, ask->status, PER_S(""));
	if (PER_UNLIKELY(method != PER_METHOD_GET && method != PER_METHOD_HEAD))
		return method_reply(ask);
	return path_reply(ask);
}

static void answer_resumed(struct per_req *req)
{
	struct per__flow *flow = req->source_state;
	struct per__ask ask = {
		.shard = flow->shard,
		.req = req,
		.flow = flow,
		.status = flow->status,
		.key = flow->key,
		.now_ns = flow->shard->worker->loop.now_ns,
	};
	int err = per__answer(&ask);

	if (err == PER_ENOMEM && req->resp == PER__RESP_NONE)
		err = per_reply(req, 503, PER_S("text/plain"), PER_S("Service Unavailable\n"));
	if (err != 0 && req->resp != PER__RESP_ENDED)
		per__flow_cut(flow);
}

void per__answer_again(struct per__flow *flow)
{
	per__resp_resume(flow->req, answer_resumed);
}
