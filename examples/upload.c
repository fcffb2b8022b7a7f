/* SPDX-License-Identifier: MIT */
/*
 * upload.c - takes a body of any size in pieces and answers how many bytes it had. Nothing is collected: an
 * upload of 1 GiB needs no more memory than one of 1 KiB, and a refused one is refused before it is sent.
 * Try it: upload 8080    and then: curl -T /usr/bin/gcc localhost:8080/
 *         head -c 20000000 /dev/zero | curl -H 'Transfer-Encoding: chunked' --data-binary @- localhost:8080/
 */
#include <peregrine/peregrine.h>

#include <stdio.h>
#include <stdlib.h>

#define UPLOAD_BYTES_MAX ((uint64_t)1 << 30)

/* The head is here, the body is not: the place to refuse, to set limits, and to choose pieces. */
static int on_head(per_req *req, void *user)
{
	(void)user;
	const per_method method = per_req_method(req);
	if (method != PER_METHOD_POST && method != PER_METHOD_PUT) {
		const int err = per_header(req, PER_S("Allow"), PER_S("POST, PUT"));
		return err ? err : per_reply(req, 405, PER_S("text/plain"), PER_S("Send me a body.\n"));
	}
	const int err = per_req_set_body_max(req, UPLOAD_BYTES_MAX); /* more is answered with 413 */
	return err ? err : per_req_stream_body(req);
}

/* The request's own pointer serves as its byte count here; a real server would keep a structure there. */
static int on_body(per_req *req, const void *data, size_t len, void *user)
{
	(void)data;
	(void)user;
	const uintptr_t bytes = (uintptr_t)per_req_data(req) + len;
	per_req_set_data(req, (void *)bytes);
	return 0;
}

static int on_request(per_req *req, void *user)
{
	(void)user;
	char text[64];
	const int len = snprintf(text, sizeof(text), "%ju bytes\n", (uintmax_t)(uintptr_t)per_req_data(req));
	return per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len));
}

int main(int argc, char **argv)
{
	const per_config config = {
		.port = argc > 1 ? (uint16_t)atoi(argv[1]) : 3000,
		.handler = { .on_head = on_head, .on_body = on_body, .on_request = on_request },
		.handle_signals = true,
	};
	per_server *server;
	int err = per_server_new(&server, &config);
	if (err == 0) {
		printf("listening on %s\n", per_server_address(server, 0));
		err = per_server_run(server);
	}
	per_server_free(server);
	if (err != 0)
		fprintf(stderr, "upload: %s\n", per_strerror(err));
	return err != 0;
}
