/* SPDX-License-Identifier: MIT */
/*
 * accept.c - chooses by Accept-Encoding and Accept.
 */
#include "http/accept.h"

#include <string.h>

#define UNNAMED (-1)

/* Splits an element into what it names and its weight in thousandths, -1 when that is malformed. */
static int element_split(per_str *element)
{
	const char *semicolon = memchr(element->ptr, ';', element->len);
	size_t name_len;
	int weight;

	if (semicolon == NULL)
		return 1000;
	name_len = (size_t)(semicolon - element->ptr);
	weight = per__weight_parse(per_str_make(semicolon + 1, element->len - name_len - 1));
	*element = per__trim(per_str_make(element->ptr, name_len));
	return weight;
}

/* --- codings ---------------------------------------------------------------------------------- */

#define STAR PER__CODINGS /* the place of "*" behind those of the codings */

/* The place of a coding: the number of its bit. -1 for one that is not known. */
static int coding_place(per_str name)
{
	switch (name.len) {
	case 1:
		return name.ptr[0] == '*' ? (int)STAR : -1;
	case 2:
		return per_str_equal_nocase(name, PER_S("br")) ? 3 : -1;
	case 4:
		if (per_str_equal_nocase(name, PER_S("gzip")))
			return 1;
		return per_str_equal_nocase(name, PER_S("zstd")) ? 2 : -1;
	case 6:
		return per_str_equal_nocase(name, PER_S("x-gzip")) ? 1 : -1;
	case 8:
		return per_str_equal_nocase(name, PER_S("identity")) ? 0 : -1;
	default:
		return -1;
	}
}

static void coding_weights(int weights[PER__CODINGS + 1], per_str line)
{
	per_str element;

	while (per__list_next(&line, ',', &element)) {
		const int weight = element_split(&element);
		const int place = coding_place(element);

		if (place >= 0 && weight >= 0 && weights[place] == UNNAMED)
			weights[place] = weight;
	}
}

/*
 * The codings in what browsers and curl send, which have no weights; 0 for anything else. A comparison
 * instead of parsing: 4 ns, not 60 (bench/fields_bench.c).
 */
static unsigned usual_codings(per_str line)
{
	static const unsigned three = PER__CODING_GZIP | PER__CODING_ZSTD | PER__CODING_BR;

	switch (line.len) {
	case 23:
		if (memcmp(line.ptr, "gzip, deflate, br, zstd", 23) == 0 ||
		    memcmp(line.ptr, "deflate, gzip, br, zstd", 23) == 0)
			return three;
		return 0;
	case 17:
		return memcmp(line.ptr, "gzip, deflate, br", 17) == 0 ? PER__CODING_GZIP | PER__CODING_BR : 0;
	case 13: /* without TLS */
		return memcmp(line.ptr, "gzip, deflate", 13) == 0 ? PER__CODING_GZIP : 0;
	case 4:
		return memcmp(line.ptr, "gzip", 4) == 0 ? PER__CODING_GZIP : 0;
	default:
		return 0;
	}
}

static enum per__coding highest(unsigned codings)
{
	return (enum per__coding)(1u << (31 - __builtin_clz(codings)));
}

enum per__coding per__accept_coding(const struct per__lines *lines, unsigned available)
{
	unsigned usual;
	int weights[PER__CODINGS + 1] = { UNNAMED, UNNAMED, UNNAMED, UNNAMED, UNNAMED };
	unsigned best = 0;
	int best_weight = 0;

	available |= PER__CODING_IDENTITY;
	if (available == PER__CODING_IDENTITY)
		return PER__CODING_IDENTITY;
	usual = lines->count == 1 ? usual_codings(lines->at[0]) : 0;
	if (usual != 0)
		return highest((usual & available) | PER__CODING_IDENTITY);
	for (unsigned i = 0; i < lines->count; i++)
		coding_weights(weights, lines->at[i]);
	for (unsigned place = PER__CODINGS; place-- > 0;) {
		const int weight = weights[place] != UNNAMED ? weights[place] : weights[STAR];

		if ((available >> place & 1) != 0 && weight > best_weight) {
			best = place;
			best_weight = weight;
		}
	}
	return (enum per__coding)(1u << best);
}

/* --- media types ------------------------------------------------------------------------------ */

/* What the lines say about one media type. The more precise range counts (section 12.5.1). */
struct wish {
	int weight;
	int precision; /* 0 not named, 1 by any type, 2 by any subtype, 3 itself */
};

static void wish_note(struct wish *wish, int precision, int weight)
{
	if (precision > wish->precision)
		*wish = (struct wish){ weight, precision };
}

static void media_note(struct wish *html, struct wish *json, per_str range, int weight)
{
	if (per_str_equal_nocase(range, PER_S("text/html"))) {
		wish_note(html, 3, weight);
	} else if (per_str_equal_nocase(range, PER_S("application/json"))) {
		wish_note(json, 3, weight);
	} else if (per_str_equal_nocase(range, PER_S("text/*"))) {
		wish_note(html, 2, weight);
	} else if (per_str_equal_nocase(range, PER_S("application/*"))) {
		wish_note(json, 2, weight);
	} else if (per_str_equal(range, PER_S("*/*"))) {
		wish_note(html, 1, weight);
		wish_note(json, 1, weight);
	}
}

static bool is_named(const struct wish *wish)
{
	return wish->precision >= 2 && wish->weight > 0;
}

enum per__media per__accept_media(const struct per__lines *lines)
{
	struct wish html = { 0, 0 }, json = { 0, 0 };

	for (unsigned i = 0; i < lines->count; i++) {
		per_str line = lines->at[i], element;

		/* what browsers begin with: nothing behind it can be liked better */
		if (i == 0 && line.len >= 10 && memcmp(line.ptr, "text/html,", 10) == 0)
			return PER__MEDIA_HTML;
		while (per__list_next(&line, ',', &element)) {
			const int weight = element_split(&element);

			if (weight >= 0)
				media_note(&html, &json, element, weight);
		}
	}
	if (is_named(&json) &&
	    (json.weight > html.weight || (json.weight == html.weight && json.precision > html.precision)))
		return PER__MEDIA_JSON;
	return is_named(&html) ? PER__MEDIA_HTML : PER__MEDIA_ANY;
}
