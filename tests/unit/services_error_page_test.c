/* SPDX-License-Identifier: MIT */
/*
 * services_error_page_test.c - every status in each form: it fits, it is whole, it says what it is.
 */
#include "services/error_page.h"

#include "services/page.h"
#include "support/unit.h"

static char body[PER__ERROR_PAGE_BYTES_MAX + 1];

static per_str render(int status, enum per__media media)
{
	struct per__text text = per__text_make(body, PER__ERROR_PAGE_BYTES_MAX);
	const per_str lines = per__error_page(&text, status, media);

	assert_true(per__text_fits(&text));
	body[text.len] = '\0';
	return lines;
}

static void test_error_page_of_every_status_fits_and_is_whole(void **state)
{
	(void)state;
	for (int status = 100; status <= 999; status++) {
		char number[32];

		assert_true(per_str_equal(render(status, PER__MEDIA_HTML), PER_S(PER__PAGE_LINES)));
		(void)snprintf(number, sizeof(number), "<b>%d</b>", status);
		assert_non_null(strstr(body, number));
		assert_ptr_equal(strstr(body, "<!doctype html>\n"), body);
		assert_string_equal(body + strlen(body) - 8, "</html>\n");
		assert_null(strstr(body, "src=")); /* nothing from elsewhere */
		assert_null(strstr(body, "url("));
	}
}

static void test_error_page_says_what_is_wrong(void **state)
{
	(void)state;
	(void)render(404, PER__MEDIA_HTML);
	assert_non_null(strstr(body, "<title>404 Not Found</title>"));
	assert_non_null(strstr(body, "There is nothing at this address."));
	(void)render(418, PER__MEDIA_HTML);
	assert_non_null(strstr(body, "<title>418 Error</title>"));
	assert_null(strstr(body, "<p>"));
}

static void test_error_page_as_json_and_as_text(void **state)
{
	(void)state;
	assert_true(per_str_equal(render(404, PER__MEDIA_JSON), PER_S("Content-Type: application/json\r\n")));
	assert_string_equal(body, "{\"status\":404,\"reason\":\"Not Found\"}\n");
	assert_true(per_str_equal(render(503, PER__MEDIA_ANY), PER_S("Content-Type: text/plain\r\n")));
	assert_string_equal(body, "Service Unavailable\n");
	(void)render(599, PER__MEDIA_ANY);
	assert_string_equal(body, "Error\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_page_of_every_status_fits_and_is_whole),
		cmocka_unit_test(test_error_page_says_what_is_wrong),
		cmocka_unit_test(test_error_page_as_json_and_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
