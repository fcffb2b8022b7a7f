/* SPDX-License-Identifier: MIT */
/*
 * page.c - what the built-in pages have in common.
 */
#include "services/page.h"

#include "http/escape.h"

/* A falcon seen from above, as the favicon (percent-encoded) and inside the pages. */
#define BIRD_PATH                                                                                     \
	"M32 6c3 6 4 12 4 17 8 1 17 5 24 13-9-3-17-3-23-1 0 8-2 16-5 23-3-7-5-15-5-23-6-2-14-2-23 1 " \
	"7-8 16-12 24-13 0-5 1-11 4-17z"

/* The text below is laid out as it is sent, a line of it to a line here. */
/* clang-format off */

static const char head_begin[] =
	"<!doctype html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n"
	"<title>";

static const char head_style[] =
	"</title>\n"
	"<link rel=\"icon\" href=\"data:image/svg+xml,"
	"%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 64 64'%3E"
	"%3Cpath fill='%233b6ea8' d='" BIRD_PATH "'/%3E%3C/svg%3E\">\n"
	"<style>\n"
	":root{--ground:#f4f6f9;--card:#fff;--ink:#1b2430;--soft:#5c6a7c;--line:#e1e6ed;--blue:#2f6fb0}\n"
	"@media(prefers-color-scheme:dark){:root{--ground:#0f141b;--card:#171e28;--ink:#e8edf3;"
	"--soft:#93a1b3;--line:#273140;--blue:#74b0ee}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0;background:var(--ground);color:var(--ink);"
	"font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif}\n"
	"main{background:var(--card);border:1px solid var(--line);border-radius:16px;"
	"box-shadow:0 12px 40px rgba(10,25,45,.08)}\n"
	"svg{fill:var(--blue);flex:none}\n"
	"h1{margin:0;line-height:1.25;letter-spacing:-.01em}\n"
	"a{color:var(--blue)}\n";

static const char head_end[] =
	"</style>\n"
	"</head>\n"
	"<body>\n"
	"<main>\n";

static const char bird[] =
	"<svg class=\"bird\" viewBox=\"0 0 64 64\" aria-hidden=\"true\"><path d=\"" BIRD_PATH "\"/></svg>\n";

static const char page_end[] =
	"</main>\n"
	"</body>\n"
	"</html>\n";

/* clang-format on */

void per__page_begin(struct per__text *text, per_str title, per_str style)
{
	per__text_add(text, per_str_make(head_begin, sizeof(head_begin) - 1));
	per__escape_html(text, title);
	per__text_add(text, per_str_make(head_style, sizeof(head_style) - 1));
	per__text_add(text, style);
	per__text_add(text, per_str_make(head_end, sizeof(head_end) - 1));
}

void per__page_bird(struct per__text *text)
{
	per__text_add(text, per_str_make(bird, sizeof(bird) - 1));
}

void per__page_end(struct per__text *text)
{
	per__text_add(text, per_str_make(page_end, sizeof(page_end) - 1));
}
