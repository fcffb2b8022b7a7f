/* SPDX-License-Identifier: MIT */
/*
 * services_autoindex_test.c - the order of a list, its rows, its links, sizes; odd names; text that does
 * not fit.
 */
#include "services/autoindex.h"

#include "support/unit.h"

#define SAMPLE_S 784111777 /* 1994-11-06 08:49:37 */

typedef void (*render_fn)(struct per__text *text, const struct per__autoindex *index);

/* Measures first, as callers do. To be freed. */
static char *render(render_fn write, const struct per__autoindex *index)
{
	struct per__text text = per__text_make(NULL, 0);
	size_t len;
	char *memory;

	write(&text, index);
	len = text.len;
	memory = malloc(len + 1);
	assert_non_null(memory);
	text = per__text_make(memory, len);
	write(&text, index);
	assert_int_equal(text.len, len);
	memory[len] = '\0';
	return memory;
}

static struct per__autoindex index_of(const char *path, const struct per__autoindex_entry *entries,
				      size_t count)
{
	return (struct per__autoindex){ .path = per_str_from(path), .entries = entries, .count = count };
}

static void assert_page_has(const struct per__autoindex *index, const char *piece)
{
	char *page = render(per__autoindex_html, index);

	if (strstr(page, piece) == NULL)
		fail_msg("no '%s' in: %s", piece, page);
	free(page);
}

/* --- order ------------------------------------------------------------------------------------ */

static void test_autoindex_sort_puts_folders_first_and_numbers_by_value(void **state)
{
	static const struct per__autoindex_entry sorted[] = {
		{ ".a", true, 0, 0 },
		{ "B", true, 0, 0 },
		{ "z9", true, 0, 0 },
		{ "z10", true, 0, 0 },
		{ "007", false, 0, 0 },
		{ "07", false, 0, 0 },
		{ "7", false, 0, 0 },
		{ "7a", false, 0, 0 },
		{ "8", false, 0, 0 },
		{ "A", false, 0, 0 },
		{ "a", false, 0, 0 },
		{ "a.txt", false, 0, 0 },
		{ "a1b2", false, 0, 0 },
		{ "a1b10", false, 0, 0 },
		{ "A2", false, 0, 0 },
		{ "ab", false, 0, 0 },
		{ "img2", false, 0, 0 },
		{ "IMG10", false, 0, 0 },
		{ "img11", false, 0, 0 },
		{ "x0", false, 0, 0 },
		{ "x00", false, 0, 0 },
		{ "x000a", false, 0, 0 },
		{ "x1", false, 0, 0 },
		{ "y123456789012345678901", false, 0, 0 },
		{ "y123456789012345678902", false, 0, 0 },
		{ "\xc3\xa4", false, 0, 0 },
	};
	struct per__autoindex_entry entries[PER_ARRAY_LEN(sorted)];
	uint64_t seed = 4;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		const size_t count = round % (PER_ARRAY_LEN(sorted) + 1);

		memcpy(entries, sorted, sizeof(entries));
		for (size_t i = count; i > 1; i--) {
			const size_t other = test_random(&seed) % i;
			const struct per__autoindex_entry moved = entries[other];

			entries[other] = entries[i - 1];
			entries[i - 1] = moved;
		}
		per__autoindex_sort(entries, count);
		for (size_t i = 0; i < PER_ARRAY_LEN(sorted); i++)
			assert_string_equal(entries[i].name, sorted[i].name);
	}
}

/* --- HTML ------------------------------------------------------------------------------------- */

static void test_autoindex_html_of_odd_names_shows_them_and_links_exactly(void **state)
{
	static const struct {
		struct per__autoindex_entry entry;
		const char *piece;
	} cases[] = {
		{ { "a b.txt", false, 1536, SAMPLE_S },
		  "<tr><td><a href=\"a%20b.txt\"><svg aria-hidden=\"true\"><use href=\"#f\"/></svg>"
		  "<bdi>a b.txt</bdi></a></td><td title=\"1536 bytes\">1.5 KiB</td><td>"
		  "<time datetime=\"1994-11-06T08:49:37Z\">1994-11-06 08:49</time></td></tr>\n" },
		{ { "sub dir", true, 4096, 0 },
		  "<tr class=\"d\"><td><a href=\"sub%20dir/\"><svg aria-hidden=\"true\"><use "
		  "href=\"#d\"/></svg>"
		  "<bdi>sub dir</bdi></a></td><td></td><td>"
		  "<time datetime=\"1970-01-01T00:00:00Z\">1970-01-01 00:00</time></td></tr>\n" },
		{ { "<script>alert(1)</script>", false, 0, 0 },
		  "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" },
		{ { "\"onmouseover='x'", false, 0, 0 }, "<a href=\"%22onmouseover=%27x%27\">" },
		{ { "javascript:alert(1)", false, 0, 0 }, "<a href=\"javascript%3Aalert(1)\">" },
		{ { "a?b#c%20&d", false, 0, 0 }, "<a href=\"a%3Fb%23c%2520%26d\">" },
		{ { "bad\xff", false, 0, 0 }, "<a href=\"bad%FF\">" },
		{ { "bad\xff", false, 0, 0 }, "<bdi>bad\xef\xbf\xbd</bdi>" },
		{ { "cod\xe2\x80\xaegpj.exe", false, 0, 0 }, "<bdi>cod\xef\xbf\xbdgpj.exe</bdi>" },
		{ { "new\nline", false, 0, 0 }, "<span title=\"No address can lead to this name.\">" },
		{ { "back\\slash", true, 0, 0 }, "<bdi>back\\slash</bdi></span>" },
		{ { "one", false, 1, INT64_MIN }, "<td title=\"1 byte\">1 B</td>" },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		const struct per__autoindex index = index_of("", &cases[i].entry, 1);

		assert_page_has(&index, cases[i].piece);
	}
}

static void test_autoindex_html_sizes_are_rounded_to_two_digits(void **state)
{
	static const struct {
		uint64_t size;
		const char *text;
	} cases[] = {
		{ 0, ">0 B<" },
		{ 1023, ">1023 B<" },
		{ 1024, ">1.0 KiB<" },
		{ 1075, ">1.0 KiB<" },
		{ 1076, ">1.1 KiB<" },
		{ 10188, ">9.9 KiB<" },
		{ 10189, ">10 KiB<" },
		{ 1023 * 1024 + 511, ">1023 KiB<" },
		{ 1023 * 1024 + 512, ">1.0 MiB<" },
		{ 1024 * 1024, ">1.0 MiB<" },
		{ 5000000000, ">4.7 GiB<" },
		{ (uint64_t)1 << 40, ">1.0 TiB<" },
		{ (uint64_t)3 << 49, ">1.5 PiB<" },
		{ UINT64_MAX, ">16 EiB<" },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		const struct per__autoindex_entry entry = { "x", false, cases[i].size, 0 };
		const struct per__autoindex index = index_of("", &entry, 1);

		assert_page_has(&index, cases[i].text);
	}
}

static void test_autoindex_html_shows_the_way_up(void **state)
{
	static const struct per__autoindex_entry entry = { "x", false, 0, 0 };
	struct per__autoindex index = index_of("", &entry, 1);
	char *page = render(per__autoindex_html, &index);

	(void)state;
	assert_non_null(strstr(page, "<title>Index of /</title>"));
	assert_non_null(strstr(page, "<h1>Home</h1>"));
	assert_null(strstr(page, "../"));
	free(page);
	index.path = PER_S("a/b&c/d");
	assert_page_has(&index, "<title>Index of /a/b&amp;c/d/</title>");
	assert_page_has(&index,
			"<h1><a href=\"../../../\">Home</a> <i>/</i> <a href=\"../../\"><bdi>a</bdi></a> "
			"<i>/</i> <a href=\"../\"><bdi>b&amp;c</bdi></a> <i>/</i> <bdi>d</bdi></h1>");
	assert_page_has(&index, "<tr><td><a href=\"../\">");
}

static size_t count_of(const char *text, const char *piece)
{
	size_t count = 0;

	for (; (text = strstr(text, piece)) != NULL; text++)
		count++;
	return count;
}

static void test_autoindex_html_of_a_deep_folder_is_bounded(void **state)
{
	char path[4095];
	const struct per__autoindex index = { .path = { path, sizeof(path) } };
	char *page;

	(void)state;
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i % 2 == 0 ? 'a' : '/';
	page = render(per__autoindex_html, &index);
	assert_int_equal(count_of(page, "<bdi>"), PER__CRUMBS_MAX);
	assert_int_equal(count_of(page, "\xe2\x80\xa6"), 1);
	assert_true(strlen(page) < 20000);
	free(page);
}

static void test_autoindex_html_counts_what_is_there(void **state)
{
	static const struct per__autoindex_entry entries[] = { { "d", true, 4096, 0 },
							       { "e", true, 4096, 0 },
							       { "x", false, 1000, 0 },
							       { "y", false, 536, 0 } };
	struct per__autoindex index = index_of("", entries, 4);

	(void)state;
	assert_page_has(&index, "<span>2 folders, 2 files, 1.5 KiB</span>");
	index.is_cut = true;
	assert_page_has(&index, "it ends after 2 folders, 2 files, 1.5 KiB</span>");
	index = index_of("", entries, 1);
	assert_page_has(&index, "<span>1 folder, 0 files</span>");
	index = index_of("", entries + 2, 1);
	assert_page_has(&index, "<span>1 file, 1000 B</span>");
	index = index_of("", entries, 0);
	assert_page_has(&index, "This folder is empty.");
	index = index_of("sub", entries, 0);
	assert_page_has(&index, "This folder is empty.");
	assert_page_has(&index, "Parent folder");
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void test_autoindex_json_is_an_array_of_objects(void **state)
{
	static const struct per__autoindex_entry entries[] = {
		{ "sub dir", true, 4096, SAMPLE_S },
		{ "a \"b\"\xff", false, UINT64_MAX, 0 },
		{ "c\\d", false, 5, 0 },
	};
	struct per__autoindex index = index_of("p", entries, 3);
	char *text = render(per__autoindex_json, &index);

	(void)state;
	assert_string_equal(text, "[\n"
				  "{\"name\":\"sub dir\",\"type\":\"directory\",\"href\":\"sub%20dir/\","
				  "\"mtime\":\"Sun, 06 Nov 1994 08:49:37 GMT\"},\n"
				  "{\"name\":\"a \\\"b\\\"\xef\xbf\xbd\",\"type\":\"file\","
				  "\"href\":\"a%20%22b%22%FF\",\"mtime\":\"Thu, 01 Jan 1970 00:00:00 GMT\","
				  "\"size\":18446744073709551615},\n"
				  "{\"name\":\"c\\\\d\",\"type\":\"file\","
				  "\"mtime\":\"Thu, 01 Jan 1970 00:00:00 GMT\",\"size\":5}\n"
				  "]\n");
	free(text);
	index.count = 0;
	text = render(per__autoindex_json, &index);
	assert_string_equal(text, "[\n]\n");
	free(text);
}

/* --- bounds ----------------------------------------------------------------------------------- */

static void test_autoindex_that_does_not_fit_says_so(void **state)
{
	static const struct per__autoindex_entry entry = { "a&b", false, 1, 1 };
	const struct per__autoindex index = index_of("p", &entry, 1);
	char *page = render(per__autoindex_html, &index);

	(void)state;
	for (size_t cap = 0; cap < strlen(page); cap += 61) {
		char *exact = malloc(cap + (cap == 0));
		struct per__text text = per__text_make(exact, cap);

		assert_non_null(exact);
		per__autoindex_html(&text, &index);
		assert_false(per__text_fits(&text));
		assert_memory_equal(exact, page, cap);
		free(exact);
	}
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_autoindex_sort_puts_folders_first_and_numbers_by_value),
		cmocka_unit_test(test_autoindex_html_of_odd_names_shows_them_and_links_exactly),
		cmocka_unit_test(test_autoindex_html_sizes_are_rounded_to_two_digits),
		cmocka_unit_test(test_autoindex_html_shows_the_way_up),
		cmocka_unit_test(test_autoindex_html_of_a_deep_folder_is_bounded),
		cmocka_unit_test(test_autoindex_html_counts_what_is_there),
		cmocka_unit_test(test_autoindex_json_is_an_array_of_objects),
		cmocka_unit_test(test_autoindex_that_does_not_fit_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
