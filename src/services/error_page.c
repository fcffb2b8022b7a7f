/* SPDX-License-Identifier: MIT */
/*
 * error_page.c - errors as a page, as JSON, as text.
 */
#include "services/error_page.h"

#include "services/page.h"
#include <peregrine/response.h>

/* clang-format off */

static const char style[] =
	"body{min-height:100vh;display:grid;place-items:center;padding:24px}\n"
	"main{width:100%;max-width:520px;padding:40px;display:flex;gap:24px;align-items:center}\n"
	".bird{width:72px;height:72px}\n"
	"h1{font-size:1.5rem}\n"
	"h1 b{display:block;font-size:.85rem;letter-spacing:.08em;color:var(--blue)}\n"
	"p{margin:8px 0 0;color:var(--soft)}\n"
	"@media(max-width:480px){main{padding:28px 24px;gap:18px}.bird{width:52px;height:52px}}\n";

/* clang-format on */

/* For somebody who reads it and wants to know whose turn it is. Empty: the reason says it all. */
static per_str explanation(int status)
{
	switch (status) {
	case 400:
		return PER_S("The server could not make sense of this request.");
	case 401:
		return PER_S("You have to sign in to see this.");
	case 403:
		return PER_S("What is at this address is not shown.");
	case 404:
		return PER_S(
			"There is nothing at this address. It may have moved, or the link has a mistake.");
	case 405:
		return PER_S("This address does not take requests of that kind.");
	case 408:
		return PER_S("The request took too long to arrive. Please try again.");
	case 412:
		return PER_S("What is at this address has changed in the meantime.");
	case 413:
		return PER_S("What was sent is larger than this server takes.");
	case 414:
		return PER_S("The address is longer than this server takes.");
	case 416:
		return PER_S("The part that was asked for does not exist.");
	case 429:
		return PER_S("That was too much at once. Please try again in a while.");
	case 500:
		return PER_S("Something went wrong on the server. It is not your fault.");
	case 502:
	case 504:
		return PER_S("Another server that is needed for this did not answer as it should.");
	case 503:
		return PER_S("The server is busy. Please try again in a while.");
	default:
		return PER_S("");
	}
}

static per_str reason_of(int status)
{
	const per_str reason = per_reason(status);

	return reason.len > 0 ? reason : PER_S("Error");
}

static void status_add(struct per__text *text, int status)
{
	PER_ASSERT(status >= 100 && status <= 999);
	per__text_number(text, (uint64_t)status);
}

static per_str html_add(struct per__text *text, int status)
{
	char memory[64];
	struct per__text title = per__text_make(memory, sizeof(memory));

	status_add(&title, status);
	per__text_byte(&title, ' ');
	per__text_add(&title, reason_of(status));
	PER_ASSERT(per__text_fits(&title));
	per__page_begin(text, per_str_make(memory, title.len), per_str_make(style, sizeof(style) - 1));
	per__page_bird(text);
	per__text_add(text, PER_S("<div>\n<h1><b>"));
	status_add(text, status);
	per__text_add(text, PER_S("</b>"));
	per__text_add(text, reason_of(status));
	per__text_add(text, PER_S("</h1>\n"));
	if (explanation(status).len > 0) {
		per__text_add(text, PER_S("<p>"));
		per__text_add(text, explanation(status));
		per__text_add(text, PER_S("</p>\n"));
	}
	per__text_add(text, PER_S("</div>\n"));
	per__page_end(text);
	return PER_S(PER__PAGE_LINES);
}

static per_str json_add(struct per__text *text, int status)
{
	per__text_add(text, PER_S("{\"status\":"));
	status_add(text, status);
	per__text_add(text, PER_S(",\"reason\":\""));
	per__text_add(text, reason_of(status));
	per__text_add(text, PER_S("\"}\n"));
	return PER_S("Content-Type: application/json\r\n");
}

per_str per__error_page(struct per__text *text, int status, enum per__media media)
{
	switch (media) {
	case PER__MEDIA_HTML:
		return html_add(text, status);
	case PER__MEDIA_JSON:
		return json_add(text, status);
	case PER__MEDIA_ANY:
		break;
	}
	per__text_add(text, reason_of(status));
	per__text_byte(text, '\n');
	return PER_S("Content-Type: text/plain\r\n");
}
