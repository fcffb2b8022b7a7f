/* SPDX-License-Identifier: MIT */
/*
 * schema_check.c - a tree of YAML against a schema of libcyaml, node by node, so that every complaint has a
 * line and says what was expected. Recursive, but never deeper than the schema is. Called by config_load.c.
 */
#include "schema.h"

#include "suggest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PATH_BYTES_MAX 256u
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct walk {
	yaml_document_t *document;
	struct complaints *complaints;
	char path[PATH_BYTES_MAX]; /* of the value that is looked at */
};

static void check_value(struct walk *walk, const yaml_node_t *node, const cyaml_schema_value_t *schema);

static unsigned line_of(const yaml_node_t *node)
{
	return (unsigned)node->start_mark.line + 1;
}

static const char *text_of(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

/* "auto, io_uring, epoll or kqueue" */
static void list_enum(const cyaml_schema_value_t *schema, char *buf, size_t cap)
{
	size_t len = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < schema->enumeration.count && len < cap; i++) {
		const char *before = i == 0 ? "" : i + 1 == schema->enumeration.count ? " or " : ", ";
		const int more =
			snprintf(buf + len, cap - len, "%s%s", before, schema->enumeration.strings[i].str);

		len += more > 0 ? (size_t)more : 0;
	}
}

/* What a value of that schema looks like, in words. */
static const char *describe(const cyaml_schema_value_t *schema, char *buf, size_t cap)
{
	switch (schema->type) {
	case CYAML_BOOL:
		return "true or false";
	case CYAML_UINT:
	case CYAML_INT:
		return "a whole number";
	case CYAML_MAPPING:
		return "keys with values";
	case CYAML_SEQUENCE:
	case CYAML_SEQUENCE_FIXED:
		return "a list";
	case CYAML_ENUM:
		list_enum(schema, buf, cap);
		return buf;
	case CYAML_STRING:
	default: /* the schema uses no other */
		return "a text";
	}
}

static void expect(struct walk *walk, const yaml_node_t *node, const cyaml_schema_value_t *schema)
{
	char buf[256];
	const char *wanted = describe(schema, buf, sizeof(buf));

	if (node->type == YAML_MAPPING_NODE)
		complain_at(walk->complaints, line_of(node), walk->path, "has keys; expected %s", wanted);
	else if (node->type == YAML_SEQUENCE_NODE)
		complain_at(walk->complaints, line_of(node), walk->path, "is a list; expected %s", wanted);
	else if (node->data.scalar.length == 0)
		complain_at(walk->complaints, line_of(node), walk->path, "is empty; expected %s", wanted);
	else
		complain_at(walk->complaints, line_of(node), walk->path, "\"%.100s\": expected %s",
			    text_of(node), wanted);
}

/* --- scalars ---------------------------------------------------------------------------------- */

static bool is_bool(const char *text)
{
	static const char *const known[] = { "true", "false", "yes", "no", "on", "off" };

	for (size_t i = 0; i < COUNT(known); i++) {
		if (strcasecmp(text, known[i]) == 0)
			return true;
	}
	return false;
}

/* Decimal; a leading zero would mean another base to libcyaml. */
static bool is_number(const char *text, uint32_t bytes)
{
	const uint64_t max = bytes >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * bytes)) - 1;
	char *end;

	if (text[strspn(text, "0123456789")] != '\0' || text[0] == '\0' ||
	    (text[0] == '0' && text[1] != '\0'))
		return false;
	errno = 0;
	const unsigned long long number = strtoull(text, &end, 10);
	return errno == 0 && number <= max;
}

static bool is_one_of(const char *text, const cyaml_schema_value_t *schema)
{
	for (uint32_t i = 0; i < schema->enumeration.count; i++) {
		if (strcmp(text, schema->enumeration.strings[i].str) == 0)
			return true;
	}
	return false;
}

static bool is_null(const yaml_node_t *node)
{
	return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (text_of(node)[0] == '\0' || strcmp(text_of(node), "~") == 0);
}

static void check_string(struct walk *walk, const yaml_node_t *node, const cyaml_schema_value_t *schema)
{
	const size_t len = node->data.scalar.length;

	if (is_null(node) || len < schema->string.min)
		expect(walk, node, schema);
	else if (memchr(text_of(node), '\0', len) != NULL)
		complain_at(walk->complaints, line_of(node), walk->path, "contains a NUL");
	else if (len > schema->string.max)
		complain_at(walk->complaints, line_of(node), walk->path,
			    "has %zu bytes; at most %u are possible", len, schema->string.max);
}

static void check_scalar(struct walk *walk, const yaml_node_t *node, const cyaml_schema_value_t *schema)
{
	bool is_good = node->type == YAML_SCALAR_NODE;

	if (is_good && schema->type == CYAML_STRING) {
		check_string(walk, node, schema);
		return;
	}
	if (is_good && schema->type == CYAML_BOOL)
		is_good = is_bool(text_of(node));
	else if (is_good && schema->type == CYAML_ENUM)
		is_good = is_one_of(text_of(node), schema);
	else if (is_good)
		is_good = is_number(text_of(node), schema->data_size);
	if (!is_good)
		expect(walk, node, schema);
}

/* --- mappings and lists ----------------------------------------------------------------------- */

static const cyaml_schema_field_t *field_find(const cyaml_schema_field_t *fields, const char *key)
{
	for (; fields->key != NULL; fields++) {
		if (strcmp(fields->key, key) == 0)
			return fields;
	}
	return NULL;
}

/* "tls, log, hosts" */
static void list_keys(const cyaml_schema_field_t *fields, char *buf, size_t cap)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; fields[i].key != NULL && len < cap; i++) {
		const int more = snprintf(buf + len, cap - len, "%s%s", i > 0 ? ", " : "", fields[i].key);

		len += more > 0 ? (size_t)more : 0;
	}
}

static void complain_unknown(struct walk *walk, const yaml_node_t *key, const cyaml_schema_field_t *fields)
{
	struct suggestion suggestion = suggest_begin(text_of(key));
	char known[300];

	list_keys(fields, known, sizeof(known));
	for (; fields->key != NULL; fields++)
		suggest_try(&suggestion, fields->key);
	if (suggestion.best != NULL)
		complain_at(walk->complaints, line_of(key), walk->path, "unknown key; did you mean \"%s\"?",
			    suggestion.best);
	else
		complain_at(walk->complaints, line_of(key), walk->path, "unknown key; expected one of %s",
			    known);
}

/* The first pair of the mapping with that key. */
static const yaml_node_pair_t *pair_find(const struct walk *walk, const yaml_node_t *node, const char *name)
{
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);

		if (key->type == YAML_SCALAR_NODE && strcmp(text_of(key), name) == 0)
			return pair;
	}
	return NULL;
}

/* One key and its value; the path of the mapping is len bytes long. */
static void check_pair(struct walk *walk, const yaml_node_t *node, const yaml_node_pair_t *pair, size_t len,
		       const cyaml_schema_field_t *fields)
{
	const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
	const cyaml_schema_field_t *field;

	if (key->type != YAML_SCALAR_NODE) {
		complain_at(walk->complaints, line_of(key), walk->path, "a key that is no text");
		return;
	}
	snprintf(walk->path + len, sizeof(walk->path) - len, "%s%.64s", len > 0 ? "." : "", text_of(key));
	field = field_find(fields, text_of(key));
	if (field == NULL)
		complain_unknown(walk, key, fields);
	else if (pair_find(walk, node, text_of(key)) != pair)
		complain_at(walk->complaints, line_of(key), walk->path, "is given twice");
	else
		check_value(walk, yaml_document_get_node(walk->document, pair->value), &field->value);
	walk->path[len] = '\0';
}

static void check_mapping(struct walk *walk, const yaml_node_t *node, const cyaml_schema_value_t *schema)
{
	const size_t len = strlen(walk->path);

	if (node->type != YAML_MAPPING_NODE) {
		expect(walk, node, schema);
		return;
	}
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++)
		check_pair(walk, node, pair, len, schema->mapping.fields);
	for (const cyaml_schema_field_t *field = schema->mapping.fields; field->key != NULL; field++) {
		if ((field->value.flags & CYAML_FLAG_OPTIONAL) != 0 ||
		    pair_find(walk, node, field->key) != NULL)
			continue;
		complain_at(walk->complaints, line_of(node), walk->path, "%s is missing", field->key);
	}
}

static void check_sequence(struct walk *walk, const yaml_node_t *node, const cyaml_schema_value_t *schema)
{
	const size_t len = strlen(walk->path);
	size_t count;

	if (node->type != YAML_SEQUENCE_NODE) {
		expect(walk, node, schema);
		return;
	}
	count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	if (count < schema->sequence.min || count > schema->sequence.max) {
		complain_at(walk->complaints, line_of(node), walk->path, "has %zu entries; expected %u to %u",
			    count, schema->sequence.min, schema->sequence.max);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		snprintf(walk->path + len, sizeof(walk->path) - len, "[%zu]", i);
		check_value(walk, yaml_document_get_node(walk->document, node->data.sequence.items.start[i]),
			    schema->sequence.entry);
		walk->path[len] = '\0';
	}
}

static void check_value(struct walk *walk, const yaml_node_t *node, const cyaml_schema_value_t *schema)
{
	if (schema->type == CYAML_MAPPING)
		check_mapping(walk, node, schema);
	else if (schema->type == CYAML_SEQUENCE)
		check_sequence(walk, node, schema);
	else
		check_scalar(walk, node, schema);
}

bool schema_check(const struct tree *tree, const cyaml_schema_value_t *schema, struct complaints *complaints)
{
	struct walk walk = { .document = (yaml_document_t *)&tree->document, .complaints = complaints };
	const unsigned before = complaints->count;

	check_value(&walk, yaml_document_get_root_node(walk.document), schema);
	return complaints->count == before;
}
