/* SPDX-License-Identifier: MIT */
/*
 * http_accept_test.c - the coding and the kind of page that a client's fields ask for.
 */
#include "http/accept.h"

#include "support/unit.h"

#define ID PER__CODING_IDENTITY
#define GZIP PER__CODING_GZIP
#define ZSTD PER__CODING_ZSTD
#define BR PER__CODING_BR
#define ALL (ID | GZIP | ZSTD | BR)

/* From memory of the exact size, so that a sanitizer sees a read beyond it. */
static struct per__lines lines_of(const char *value, char **exact)
{
	struct per__lines lines = { .count = 0 };
	const size_t len = value != NULL ? strlen(value) : 0;

	*exact = malloc(len + (len == 0));
	assert_non_null(*exact);
	if (value != NULL) {
		memcpy(*exact, value, len);
		per__lines_add(&lines, per_str_make(*exact, len));
	}
	return lines;
}

static unsigned coding(const char *value, unsigned available)
{
	char *exact;
	const struct per__lines lines = lines_of(value, &exact);
	const unsigned result = per__accept_coding(&lines, available);

	free(exact);
	return result;
}

static void test_accept_coding_takes_the_best_that_is_available(void **state)
{
	static const struct {
		const char *value;
		unsigned all, no_br, gzip; /* chosen of all, of all but br, of gzip and identity */
	} cases[] = {
		{ "gzip, deflate, br, zstd", BR, ZSTD, GZIP },
		{ "gzip, deflate, br", BR, GZIP, GZIP },
		{ "gzip, deflate", GZIP, GZIP, GZIP },
		{ "deflate, gzip, br, zstd", BR, ZSTD, GZIP },
		{ "gzip", GZIP, GZIP, GZIP },
		{ "br", BR, ID, ID },
		{ "zstd", ZSTD, ZSTD, ID },
		{ "deflate", ID, ID, ID },
		{ "x-gzip", GZIP, GZIP, GZIP },
		{ "GZip,BR", BR, GZIP, GZIP },
		{ "identity", ID, ID, ID },
		{ "*", BR, ZSTD, GZIP },
		{ "", ID, ID, ID },
		{ NULL, ID, ID, ID },
		{ ",, ,gzip,", GZIP, GZIP, GZIP },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		assert_int_equal(coding(cases[i].value, ALL), cases[i].all);
		assert_int_equal(coding(cases[i].value, ALL & ~BR), cases[i].no_br);
		assert_int_equal(coding(cases[i].value, GZIP | ID), cases[i].gzip);
		assert_int_equal(coding(cases[i].value, ID), ID);
		assert_int_equal(coding(cases[i].value, 0), ID); /* identity always is */
	}
}

static void test_accept_coding_goes_by_weight(void **state)
{
	static const struct {
		const char *value;
		unsigned all;
	} cases[] = {
		{ "br;q=0.5, gzip;q=0.8", GZIP },
		{ "br;q=0.8, gzip;q=0.8", BR },
		{ "br;q=0.001, gzip;q=0", BR },
		{ "gzip;q=1.0, br;q=0.999", GZIP },
		{ "gzip ; q=0.2 , br ; q=0.1", GZIP },
		{ "gzip;q=0", ID },
		{ "gzip;q=0, *", BR },
		{ "br;q=0, *", ZSTD },
		{ "br;q=0, zstd;q=0, *;q=0.1", GZIP },
		{ "*;q=0", ID },
		{ "*;q=0, gzip", GZIP },
		{ "identity;q=0", ID }, /* nothing else is named, nothing better can be sent */
		{ "identity;q=0, gzip;q=0.1", GZIP },
		{ "identity, gzip;q=0.5", ID },
		{ "identity;q=0.5, gzip;q=0.5", GZIP },
		{ "identity;q=0.5, *;q=0.1", ID },
		{ "gzip;q=0.5, *;q=0.1", GZIP },
		{ "gzip;q=0.5, identity;q=0, *;q=0", GZIP },
		{ "gzip;q=x, zstd;q=0.1", ZSTD }, /* a malformed element does not count */
		{ "gzip;q=2", ID },
		{ "gzip;q=0.1, gzip", GZIP },
		{ "gzip;q=0, gzip", ID }, /* the first of a name counts */
		{ "gzip;a=b;q=0, br;q=0", ID },
		{ "gzip br", ID },
		{ "*br, gzipp, b", ID },
		{ "gzip;", GZIP },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++)
		assert_int_equal(coding(cases[i].value, ALL), cases[i].all);
}

static void test_accept_coding_reads_every_line(void **state)
{
	struct per__lines lines = { .count = 0 };

	(void)state;
	for (unsigned i = 0; i + 1 < PER__LINES_MAX; i++)
		per__lines_add(&lines, PER_S("deflate"));
	assert_int_equal(per__accept_coding(&lines, ALL), ID);
	per__lines_add(&lines, PER_S("gzip"));
	assert_int_equal(per__accept_coding(&lines, ALL), GZIP);
}

static enum per__media media(const char *value)
{
	char *exact;
	const struct per__lines lines = lines_of(value, &exact);
	const enum per__media result = per__accept_media(&lines);

	free(exact);
	return result;
}

static void test_accept_media_tells_browsers_from_programs(void **state)
{
	static const struct {
		const char *value;
		enum per__media media;
	} cases[] = {
		{ NULL, PER__MEDIA_ANY },
		{ "", PER__MEDIA_ANY },
		{ "*/*", PER__MEDIA_ANY },
		{ "image/avif,image/webp,*/*;q=0.8", PER__MEDIA_ANY },
		{ "text/css,*/*;q=0.1", PER__MEDIA_ANY },
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PER__MEDIA_HTML },
		{ "text/html", PER__MEDIA_HTML },
		{ "Text/HTML;level=1", PER__MEDIA_HTML },
		{ "text/*", PER__MEDIA_HTML },
		{ "text/html;q=0", PER__MEDIA_ANY },
		{ "application/json", PER__MEDIA_JSON },
		{ "application/json, text/plain, */*", PER__MEDIA_JSON },
		{ "APPLICATION/Json;q=0.1", PER__MEDIA_JSON },
		{ "application/*", PER__MEDIA_JSON },
		{ "application/json;q=0", PER__MEDIA_ANY },
		{ "application/json;q=0.5, */*", PER__MEDIA_ANY },
		{ "application/json, text/html", PER__MEDIA_HTML },
		{ "application/json, text/html;q=0.9", PER__MEDIA_JSON },
		{ "application/json;q=0.9, text/html", PER__MEDIA_HTML },
		{ "text/*, application/json", PER__MEDIA_JSON },
		{ "text/*;q=0.5, text/html;q=0.1, application/json;q=0.3", PER__MEDIA_JSON },
		{ "application/json;q=x", PER__MEDIA_ANY },
		{ "application/problem+json", PER__MEDIA_ANY },
		{ "text", PER__MEDIA_ANY },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++)
		assert_int_equal(media(cases[i].value), cases[i].media);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept_coding_takes_the_best_that_is_available),
		cmocka_unit_test(test_accept_coding_goes_by_weight),
		cmocka_unit_test(test_accept_coding_reads_every_line),
		cmocka_unit_test(test_accept_media_tells_browsers_from_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
