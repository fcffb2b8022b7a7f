/* SPDX-License-Identifier: MIT */
/*
 * welcome.c - the built-in page: one self-contained HTML document, light or dark as the reader likes it,
 * without a script and without anything from elsewhere. Rendered once, before the server runs; then lent.
 */
#include "welcome.h"

#include <stdio.h>
#include <string.h>

/* The text below is laid out as it is sent, a line of it to a line here. */
/* clang-format off */

/* A falcon seen from above, as the favicon (percent-encoded) and inside the page. */
#define BIRD_PATH \
	"M32 6c3 6 4 12 4 17 8 1 17 5 24 13-9-3-17-3-23-1 0 8-2 16-5 23-3-7-5-15-5-23-6-2-14-2-23 1 " \
	"7-8 16-12 24-13 0-5 1-11 4-17z"

static const char page_head[] =
	"<!doctype html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n"
	"<title>Peregrine is running</title>\n"
	"<link rel=\"icon\" href=\"data:image/svg+xml,"
	"%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 64 64'%3E"
	"%3Cpath fill='%233b6ea8' d='" BIRD_PATH "'/%3E%3C/svg%3E\">\n"
	"<style>\n";

static const char page_style[] =
	":root{--ground:#f4f6f9;--card:#fff;--ink:#1b2430;--soft:#5c6a7c;--line:#e1e6ed;--blue:#2f6fb0;"
	"--ok:#1a7f4b}\n"
	"@media(prefers-color-scheme:dark){:root{--ground:#0f141b;--card:#171e28;--ink:#e8edf3;"
	"--soft:#93a1b3;--line:#273140;--blue:#74b0ee;--ok:#46c486}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;"
	"background:var(--ground);color:var(--ink);"
	"font:16px/1.55 system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif}\n"
	"main{width:100%;min-width:0;max-width:640px;background:var(--card);border:1px solid var(--line);"
	"border-radius:16px;padding:36px 40px;box-shadow:0 12px 40px rgba(10,25,45,.08)}\n"
	"header{display:flex;align-items:center;gap:16px}\n"
	"svg{width:52px;height:52px;fill:var(--blue);flex:none}\n"
	"h1{margin:0;font-size:1.6rem;line-height:1.2;letter-spacing:-.01em}\n"
	"header p{margin:2px 0 0;color:var(--ok);font-weight:600;font-size:.9rem}\n"
	"header p::before{content:\"\";display:inline-block;width:.55em;height:.55em;margin-right:.5em;"
	"border-radius:50%;background:currentColor}\n"
	"h2{margin:28px 0 8px;font-size:.8rem;letter-spacing:.08em;text-transform:uppercase;"
	"color:var(--soft)}\n"
	"dl{margin:0;display:grid;grid-template-columns:max-content 1fr;border-top:1px solid var(--line)}\n"
	"dt,dd{margin:0;padding:9px 0;border-bottom:1px solid var(--line)}\n"
	"dt{color:var(--soft);padding-right:28px}\n"
	"dd{overflow-wrap:anywhere}\n"
	"dd small{display:block;color:var(--soft)}\n"
	"pre{margin:0;padding:14px 16px;overflow-x:auto;background:var(--ground);"
	"border:1px solid var(--line);border-radius:10px;"
	"font:14px/1.7 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\n"
	"footer{margin-top:28px;color:var(--soft);font-size:.88rem}\n"
	"@media(max-width:480px){main{padding:26px 20px}dl{grid-template-columns:1fr}"
	"dt{padding-bottom:0;border:0}dd{padding-top:0}}\n";

static const char page_begin[] =
	"</style>\n"
	"</head>\n"
	"<body>\n"
	"<main>\n"
	"<header>\n"
	"<svg viewBox=\"0 0 64 64\" aria-hidden=\"true\"><path d=\"" BIRD_PATH "\"/></svg>\n"
	"<div><h1>Peregrine is running</h1><p>This page was just served by it.</p></div>\n"
	"</header>\n"
	"<h2>This server</h2>\n"
	"<dl>\n";

static const char page_end[] =
	"<footer>This page is built into the program. With a directory it serves the files there.</footer>\n"
	"</main>\n"
	"</body>\n"
	"</html>\n";

/* clang-format on */

/* A part that does not fit is left out: better a page that lacks something than none. */
static void add(struct welcome *welcome, const char *text)
{
	const size_t room = sizeof(welcome->page) - welcome->len;
	const size_t len = strlen(text);

	if (len > room)
		return;
	memcpy(welcome->page + welcome->len, text, len);
	welcome->len += len;
}

/* Text from outside of this file: a character that means something in HTML is named instead. */
static void add_text(struct welcome *welcome, const char *text)
{
	for (; *text != '\0'; text++) {
		const char one[2] = { *text, '\0' };

		add(welcome, *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '&' ? "&amp;" : one);
	}
}

static void add_fact(struct welcome *welcome, const char *name, const char *value, const char *remark)
{
	add(welcome, "<dt>");
	add_text(welcome, name);
	add(welcome, "</dt><dd>");
	add_text(welcome, value);
	if (remark != NULL) {
		add(welcome, "<small>");
		add_text(welcome, remark);
		add(welcome, "</small>");
	}
	add(welcome, "</dd>\n");
}

static void add_facts(struct welcome *welcome, const per_server *server)
{
	const char *address;
	char workers[16];

	add_fact(welcome, "Version", per_version(), NULL);
	add_fact(welcome, "Backend", per_server_backend(server), per_server_backend_reason(server));
	snprintf(workers, sizeof(workers), "%u", per_server_workers(server));
	add_fact(welcome, "Workers", workers, NULL);
	for (size_t i = 0; (address = per_server_address(server, i)) != NULL; i++)
		add_fact(welcome, i == 0 ? "Address" : "", address, NULL);
}

/* Commands to try, with the address that leads here. */
static void add_commands(struct welcome *welcome, const per_server *server)
{
	const char *address = per_server_address(server, 0);

	if (address == NULL || strncmp(address, "http", 4) != 0)
		return;
	add(welcome, "<h2>Try</h2>\n<pre>curl -i ");
	add_text(welcome, address);
	add(welcome, "/\ncurl ");
	add_text(welcome, address);
	add(welcome, "/healthz\nperegrine DIRECTORY\nperegrine --probe\nperegrine --help</pre>\n");
}

void welcome_render(struct welcome *welcome, const per_server *server)
{
	welcome->len = 0;
	add(welcome, page_head);
	add(welcome, page_style);
	add(welcome, page_begin);
	add_facts(welcome, server);
	add(welcome, "</dl>\n");
	add_commands(welcome, server);
	add(welcome, page_end);
}

int welcome_reply(const struct welcome *welcome, per_req *req)
{
	const per_str policy = PER_S("default-src 'none'; style-src 'unsafe-inline'; img-src data:");
	int err = per_header(req, PER_S("Content-Security-Policy"), policy);

	if (err == 0)
		err = per_header(req, PER_S("X-Content-Type-Options"), PER_S("nosniff"));
	if (err == 0)
		err = per_header(req, PER_S("Cache-Control"), PER_S("no-cache"));
	if (err != 0)
		return err;
	return per_reply_ref(req, 200, PER_S("text/html; charset=utf-8"),
			     per_str_make(welcome->page, welcome->len), NULL, NULL);
}
