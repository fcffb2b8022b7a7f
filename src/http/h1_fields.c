/* SPDX-License-Identifier: MIT */
/*
 * h1_fields.c - what the parts of an HTTP/1 head mean: Host, Content-Length, Transfer-Encoding, Connection,
 * Expect, targets. Finds no line ends and keeps no state but struct per__h1_head. Called by h1_parse.c once
 * per known field. Invariant: whatever could make two servers see different messages is refused, never
 * repaired.
 */
#include "http/h1_fields.h"
#include "base/num.h"

/* Bits as in enum per__h1_class; a unit test compares every entry with the grammar. */
const uint8_t per__h1_class[256] = {
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x08, 0x1f, 0x0e, 0x09, 0x1f, 0x0f, 0x1f, 0x1f, 0x1e, 0x1e, 0x1f, 0x1f, 0x1e, 0x1f, 0x1f, 0x0e,
	0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x0e, 0x1e, 0x0e, 0x1e, 0x0e, 0x0c,
	0x0e, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f,
	0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x0e, 0x0e, 0x0e, 0x0f, 0x1f,
	0x0f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f,
	0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x0e, 0x0f, 0x0e, 0x1f, 0x00,
	0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08,
	0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08,
	0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08,
	0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08,
	0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08,
	0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08,
	0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08,
	0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08,
};

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* lower is lower-case ASCII. Exact, unlike the word comparisons: src may hold any byte. */
static bool equals_nocase(const uint8_t *src, size_t len, const char *lower, size_t lower_len)
{
	if (len != lower_len)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = src[i];

		if (byte >= 'A' && byte <= 'Z')
			byte |= 0x20;
		if (byte != (uint8_t)lower[i])
			return false;
	}
	return true;
}

#define EQUALS(src, len, literal) equals_nocase((src), (len), "" literal, sizeof(literal) - 1)

static bool all_in_class(const uint8_t *src, size_t len, enum per__h1_class kind)
{
	for (size_t i = 0; i < len; i++) {
		if (!(per__h1_class[src[i]] & kind))
			return false;
	}
	return true;
}

bool per__is_token(const char *src, size_t len)
{
	return len > 0 && all_in_class((const uint8_t *)src, len, PER__H1_TCHAR);
}

bool per__is_field_value(const char *src, size_t len)
{
	const uint8_t *bytes = (const uint8_t *)src;

	if (len == 0)
		return true;
	return !is_blank(bytes[0]) && !is_blank(bytes[len - 1]) && all_in_class(bytes, len, PER__H1_VALUE);
}

per_method per__method_from(const char *src, size_t len)
{
	static const struct {
		char name[8];
		uint8_t len;
		uint8_t method;
	} methods[] = {
		{ "GET", 3, PER_METHOD_GET },         { "HEAD", 4, PER_METHOD_HEAD },
		{ "POST", 4, PER_METHOD_POST },       { "PUT", 3, PER_METHOD_PUT },
		{ "DELETE", 6, PER_METHOD_DELETE },   { "CONNECT", 7, PER_METHOD_CONNECT },
		{ "OPTIONS", 7, PER_METHOD_OPTIONS }, { "TRACE", 5, PER_METHOD_TRACE },
		{ "PATCH", 5, PER_METHOD_PATCH },
	};

	for (size_t i = 0; i < PER_ARRAY_LEN(methods); i++) {
		if (methods[i].len == len && __builtin_memcmp(methods[i].name, src, len) == 0)
			return (per_method)methods[i].method;
	}
	return PER_METHOD_OTHER;
}

/* --- host and port ---------------------------------------------------------------------------- */

/* Four numbers of 0 to 255 without leading zeros (RFC 3986 section 3.2.2). */
static bool is_ipv4(const uint8_t *src, size_t len)
{
	size_t i = 0;

	for (unsigned part = 0; part < 4; part++) {
		const size_t start = i;
		unsigned value = 0;

		if (part > 0 && (i == len || src[i++] != '.'))
			return false;
		for (; i < len && is_digit(src[i]) && value <= 255; i++)
			value = value * 10 + (src[i] - '0');

		const size_t digits = i - start - (part > 0);
		const bool is_padded = digits > 1 && src[i - digits] == '0';

		if (digits == 0 || is_padded || value > 255)
			return false;
	}
	return i == len;
}

/*
 * Up to eight groups of one to four digits, one "::", an IPv4 address in place of the last two (RFC 3986
 * section 3.2.2).
 */
static bool is_ipv6(const uint8_t *src, size_t len)
{
	bool has_gap = len >= 2 && src[0] == ':' && src[1] == ':';
	unsigned groups = 0;
	size_t i = has_gap ? 2 : 0;

	while (i < len) {
		const size_t start = i;

		while (i < len && i - start < 4 && per__num_hex_digit(src[i]) >= 0)
			i++;
		if (i < len && src[i] == '.') {
			if (!is_ipv4(src + start, len - start))
				return false;
			groups += 2;
			break;
		}
		if (i == start)
			return false;
		groups++;
		if (i == len)
			break;
		if (src[i++] != ':' || i == len)
			return false;
		if (src[i] == ':') {
			if (has_gap)
				return false;
			has_gap = true;
			i++;
		}
	}
	return has_gap ? groups <= 7 : groups == 8;
}

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool is_ip_future(const uint8_t *src, size_t len)
{
	size_t i = 1;

	if (len == 0 || (src[0] | 0x20) != 'v')
		return false;
	while (i < len && per__num_hex_digit(src[i]) >= 0)
		i++;
	if (i == 1 || i == len || src[i++] != '.' || i == len)
		return false;
	for (; i < len; i++) {
		if (src[i] != ':' && !(per__h1_class[src[i]] & PER__H1_REGNAME))
			return false;
	}
	return true;
}

/* Both return where the host ends, 0 when there is none or it is malformed. */
static size_t ip_literal_end(const uint8_t *src, size_t len)
{
	const uint8_t *close = __builtin_memchr(src, ']', len);

	if (close == NULL)
		return 0;

	const size_t inside = (size_t)(close - src) - 1;

	return is_ipv6(src + 1, inside) || is_ip_future(src + 1, inside) ? inside + 2 : 0;
}

static size_t reg_name_end(const uint8_t *src, size_t len)
{
	size_t i = 0;

	while (i < len) {
		if (per__h1_class[src[i]] & PER__H1_REGNAME) {
			i++;
			continue;
		}
		if (src[i] != '%')
			break;
		if (len - i < 3 || per__num_hex_digit(src[i + 1]) < 0 || per__num_hex_digit(src[i + 2]) < 0)
			return 0;
		i += 3;
	}
	return i;
}

/* *DIGIT up to 65,535; empty is in the grammar. */
static bool is_port(const uint8_t *src, size_t len)
{
	unsigned port = 0;

	for (size_t i = 0; i < len; i++) {
		if (!is_digit(src[i]))
			return false;
		port = port * 10 + (src[i] - '0');
		if (port > 65535)
			return false;
	}
	return true;
}

bool per__is_host(const char *src, size_t len)
{
	const uint8_t *bytes = (const uint8_t *)src;

	if (len == 0)
		return true;

	const size_t end = bytes[0] == '[' ? ip_literal_end(bytes, len) : reg_name_end(bytes, len);

	if (end == 0)
		return false;
	return end == len || (bytes[end] == ':' && is_port(bytes + end + 1, len - end - 1));
}

/* --- target ----------------------------------------------------------------------------------- */

/* uri-host ":" port, both there (RFC 9112 section 3.2.3). */
static int split_authority_form(struct per__h1_head *head, const uint8_t *buf)
{
	const uint8_t *target = buf + head->target_off;
	size_t len = head->target_len;

	if (!per__is_host((const char *)target, len) || !is_digit(target[len - 1]))
		return -400;
	while (len > 0 && is_digit(target[len - 1]))
		len--;
	if (len == 0 || target[len - 1] != ':') /* a name or an address that ends in digits */
		return -400;
	head->path_off = head->target_off;
	return 0;
}

/*
 * "http" or "https", "://", an authority without userinfo that is not empty, path-abempty, query (RFC 9110
 * section 4.2).
 */
static int split_absolute_form(struct per__h1_head *head, const uint8_t *buf, size_t end)
{
	size_t authority = head->target_off;

	if (end - authority >= 7 && EQUALS(buf + authority, 7, "http://"))
		authority += 7;
	else if (end - authority >= 8 && EQUALS(buf + authority, 8, "https://"))
		authority += 8;
	else
		return -400;

	size_t path = authority;

	while (path < end && buf[path] != '/')
		path++;
	if (path == authority || !per__is_host((const char *)buf + authority, path - authority))
		return -400;
	head->host_off = (uint16_t)authority;
	head->host_len = (uint16_t)(path - authority);
	head->path_off = (uint16_t)path;
	head->path_len = (uint16_t)(end - path);
	return 0;
}

int per__h1_target_split(struct per__h1_head *head, const uint8_t *buf)
{
	const size_t target_end = (size_t)head->target_off + head->target_len;
	const size_t end = head->query_off != 0 ? head->query_off - 1u : target_end;

	head->query_len = head->query_off != 0 ? (uint16_t)(target_end - head->query_off) : 0;
	head->path_off = head->target_off;
	head->path_len = (uint16_t)(end - head->target_off);
	switch ((enum per__h1_target_form)head->target_form) {
	case PER__H1_ORIGIN_FORM:
		return 0;
	case PER__H1_ASTERISK_FORM:
		return head->target_len == 1 ? 0 : -400;
	case PER__H1_AUTHORITY_FORM:
		head->path_len = 0;
		return split_authority_form(head, buf);
	case PER__H1_ABSOLUTE_FORM:
		return split_absolute_form(head, buf, end);
	}
	return -400;
}

/* --- fields ----------------------------------------------------------------------------------- */

/*
 * The next element of a comma-separated list without the whitespace around it; *rest behind its comma, NULL
 * after the last.
 */
static per_str list_next(const uint8_t **rest, const uint8_t *end)
{
	const uint8_t *start = *rest;
	const uint8_t *stop = start;

	while (stop < end && *stop != ',')
		stop++;
	*rest = stop < end ? stop + 1 : NULL;
	while (start < stop && is_blank(*start))
		start++;
	while (stop > start && is_blank(stop[-1]))
		stop--;
	return per_str_make((const char *)start, (size_t)(stop - start));
}

static int apply_host(struct per__h1_head *head, const uint8_t *value, const struct per__field *field)
{
	return per__is_host((const char *)value, field->value_len) ? per__h1_host_set(head, field) : -400;
}

/* What is no token matches none of the options, so a malformed list loses only its malformed elements. */
static int apply_connection(struct per__h1_head *head, const uint8_t *value, size_t len)
{
	const uint8_t *rest = value;

	while (rest != NULL) {
		const per_str option = list_next(&rest, value + len);
		const uint8_t *name = (const uint8_t *)option.ptr;

		if (EQUALS(name, option.len, "close"))
			head->flags |= PER__H1_CLOSE;
		else if (EQUALS(name, option.len, "keep-alive"))
			head->flags |= PER__H1_KEEP_ALIVE;
		else if (EQUALS(name, option.len, "upgrade"))
			head->notes |= PER__H1_NOTE_WANTS_UPGRADE;
	}
	return 0;
}

/*
 * A list of lengths, even of one and the same, is refused although RFC 9112 section 6.3 would let us merge
 * it.
 */
static int apply_content_length(struct per__h1_head *head, const uint8_t *value, size_t len)
{
	if (head->flags & PER__H1_HAS_LENGTH || head->notes & PER__H1_NOTE_TRANSFER_ENCODING)
		return -400;
	if (!per__num_from_dec((const char *)value, len, &head->content_length))
		return -400;
	head->flags |= PER__H1_HAS_LENGTH;
	return 0;
}

/*
 * All fields of that name are one list (RFC 9110 section 5.3). Every element is a bare token: codings with
 * parameters are not in use, and a quoted comma is one more thing that two parsers may read differently.
 * "chunked" comes once, last.
 */
static int apply_transfer_encoding(struct per__h1_head *head, const uint8_t *value, size_t len)
{
	const uint8_t *rest = value;

	if (head->version == 10 || head->flags & PER__H1_HAS_LENGTH)
		return -400;
	head->notes |= PER__H1_NOTE_TRANSFER_ENCODING;
	while (rest != NULL) {
		const per_str coding = list_next(&rest, value + len);

		if (head->flags & PER__H1_CHUNKED || !per__is_token(coding.ptr, coding.len))
			return -400;
		if (EQUALS((const uint8_t *)coding.ptr, coding.len, "chunked"))
			head->flags |= PER__H1_CHUNKED;
		else
			head->notes |= PER__H1_NOTE_CODING_UNKNOWN;
	}
	return 0;
}

/* From an HTTP/1.0 client the field means nothing (RFC 9110 section 10.1.1). */
static int apply_expect(struct per__h1_head *head, const uint8_t *value, size_t len)
{
	if (head->version == 10)
		return 0;
	if (!EQUALS(value, len, "100-continue"))
		return -417;
	head->flags |= PER__H1_EXPECT_CONTINUE;
	return 0;
}

int per__h1_field_apply(struct per__h1_head *head, enum per__h1_known known, const uint8_t *buf,
			const struct per__field *field)
{
	const uint8_t *value = buf + field->value_off;

	switch (known) {
	case PER__H1_HOST:
		return apply_host(head, value, field);
	case PER__H1_CONNECTION:
		return apply_connection(head, value, field->value_len);
	case PER__H1_CONTENT_LENGTH:
		return apply_content_length(head, value, field->value_len);
	case PER__H1_TRANSFER_ENCODING:
		return apply_transfer_encoding(head, value, field->value_len);
	case PER__H1_EXPECT:
		return apply_expect(head, value, field->value_len);
	case PER__H1_UPGRADE_FIELD:
		head->notes |= PER__H1_NOTE_UPGRADE_FIELD;
		return 0;
	case PER__H1_UNKNOWN:
		return 0;
	}
	return 0;
}

int per__h1_fields_judge(struct per__h1_head *head)
{
	const uint8_t upgrade = PER__H1_NOTE_WANTS_UPGRADE | PER__H1_NOTE_UPGRADE_FIELD;

	if (head->version == 11 && !(head->flags & PER__H1_HAS_HOST))
		return -400; /* RFC 9112 section 3.2 */
	if (head->notes & PER__H1_NOTE_TRANSFER_ENCODING && !(head->flags & PER__H1_CHUNKED))
		return -400; /* the body has no end (RFC 9112 section 6.3) */
	if (head->notes & PER__H1_NOTE_CODING_UNKNOWN)
		return -501; /* RFC 9112 section 6.1 */
	if (head->version == 11 && (head->notes & upgrade) == upgrade)
		head->flags |= PER__H1_UPGRADE; /* HTTP/1.0 cannot upgrade (RFC 9110 section 7.8) */
	return 0;
}

/*
 * RFC 9110 section 6.5.1 by kinds: framing, routing, connection, request modifiers, authentication, content.
 */
bool per__h1_trailer_is_dropped(const uint8_t *name, size_t len)
{
	static const char *const dropped[] = {
		"transfer-encoding",
		"content-length",
		"host",
		"trailer",
		"connection",
		"keep-alive",
		"proxy-connection",
		"te",
		"upgrade",
		"http2-settings",
		"expect",
		"max-forwards",
		"cache-control",
		"pragma",
		"range",
		"if-match",
		"if-none-match",
		"if-modified-since",
		"if-unmodified-since",
		"if-range",
		"authorization",
		"proxy-authorization",
		"cookie",
		"set-cookie",
		"content-encoding",
		"content-type",
		"content-range",
	};

	for (size_t i = 0; i < PER_ARRAY_LEN(dropped); i++) {
		if (equals_nocase(name, len, dropped[i], __builtin_strlen(dropped[i])))
			return true;
	}
	return false;
}
