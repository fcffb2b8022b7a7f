/* SPDX-License-Identifier: MIT */
/*
 * reply_error.c - per_reply_error(): an answer that is an error, in the form that the client reads.
 */
#include "http/req.h"
#include "http/resp.h"
#include "services/error_page.h"

static enum per__media media_of(const per_req *req)
{
	struct per__lines accept = { .count = 0 };
	per_str name, value;

	for (size_t i = 0; per_req_header_at(req, i, &name, &value) == 0; i++) {
		if (per_str_equal_nocase(name, PER_S("accept")))
			per__lines_add(&accept, value);
	}
	return per__accept_media(&accept);
}

int per_reply_error(per_req *req, int status)
{
	char memory[PER__ERROR_PAGE_BYTES_MAX];
	struct per__text body = per__text_make(memory, sizeof(memory));
	per_str lines;

	if (status < 400 || status > 599)
		return PER_EINVAL;
	lines = per__error_page(&body, status, media_of(req));
	PER_ASSERT(per__text_fits(&body));
	return per__resp_lines(req, status, &lines, 1, per_str_make(memory, body.len));
}
