/* SPDX-License-Identifier: MIT */
/*
 * tree.c - a YAML text as a tree of nodes that know their lines: libyaml's documents. Called by
 * config_load.c and, for lines, by complaints.c.
 */
#include "tree.h"

#include <stdlib.h>
#include <string.h>

static unsigned line_of(const yaml_node_t *node)
{
	return (unsigned)node->start_mark.line + 1;
}

/* Of the byte that cannot be read at all. */
static unsigned line_at(const yaml_parser_t *parser)
{
	const unsigned char *start = parser->input.string.start;
	unsigned line = 1;

	for (size_t i = 0; i < parser->problem_offset && start + i < parser->input.string.end; i++)
		line += start[i] == '\n' ? 1 : 0;
	return line;
}

static void complain_syntax(struct complaints *complaints, const yaml_parser_t *parser)
{
	const bool has_mark = parser->error == YAML_SCANNER_ERROR || parser->error == YAML_PARSER_ERROR ||
			      parser->error == YAML_COMPOSER_ERROR;
	const unsigned line = has_mark                             ? (unsigned)parser->problem_mark.line + 1
			      : parser->error == YAML_READER_ERROR ? line_at(parser)
								   : 0;
	const char *problem = parser->problem != NULL ? parser->problem : "out of memory";

	if (parser->context != NULL && has_mark)
		complain_at(complaints, line, "", "not YAML: %s, %s", parser->context, problem);
	else
		complain_at(complaints, line, "", "not YAML: %s", problem);
}

/* Is there nothing behind the first document? */
static bool ends(yaml_parser_t *parser, struct complaints *complaints)
{
	yaml_document_t next;
	const yaml_node_t *root;
	bool is_end;

	if (!yaml_parser_load(parser, &next)) {
		complain_syntax(complaints, parser);
		return false;
	}
	root = yaml_document_get_root_node(&next);
	is_end = root == NULL;
	if (!is_end)
		complain_at(complaints, line_of(root), "", "a second YAML document; expected one only");
	yaml_document_delete(&next);
	return is_end;
}

static bool parse(struct tree *tree, yaml_parser_t *parser, struct complaints *complaints)
{
	if (!yaml_parser_load(parser, &tree->document)) {
		complain_syntax(complaints, parser);
		return false;
	}
	if (yaml_document_get_root_node(&tree->document) == NULL) {
		complain_at(complaints, 0, "", "is empty; expected hosts: at least");
		return false;
	}
	return ends(parser, complaints);
}

struct tree *tree_parse(const char *text, size_t len, struct complaints *complaints)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	yaml_parser_t parser;
	bool is_good;

	if (tree == NULL || !yaml_parser_initialize(&parser)) {
		complain_at(complaints, 0, "", "out of memory");
		free(tree);
		return NULL;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	is_good = parse(tree, &parser, complaints);
	yaml_parser_delete(&parser);
	if (is_good)
		return tree;
	tree_free(tree);
	return NULL;
}

void tree_free(struct tree *tree)
{
	if (tree == NULL)
		return;
	yaml_document_delete(&tree->document); /* nothing for one that could not be read */
	free(tree);
}

static yaml_node_t *node_at(const struct tree *tree, int index)
{
	/* libyaml's function changes nothing, but does not say so */
	return yaml_document_get_node((yaml_document_t *)&tree->document, index);
}

/* The value of a key of len bytes; *line becomes that of the key. NULL: there is none. */
static yaml_node_t *find_key(const struct tree *tree, const yaml_node_t *node, const char *key, size_t len,
			     unsigned *line)
{
	if (node->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *found = node_at(tree, pair->key);

		if (found->type == YAML_SCALAR_NODE && found->data.scalar.length == len &&
		    memcmp(found->data.scalar.value, key, len) == 0) {
			*line = line_of(found);
			return node_at(tree, pair->value);
		}
	}
	return NULL;
}

static yaml_node_t *find_item(const struct tree *tree, const yaml_node_t *node, size_t index, unsigned *line)
{
	yaml_node_t *found;

	if (node->type != YAML_SEQUENCE_NODE ||
	    index >= (size_t)(node->data.sequence.items.top - node->data.sequence.items.start))
		return NULL;
	found = node_at(tree, node->data.sequence.items.start[index]);
	*line = line_of(found);
	return found;
}

unsigned tree_line(const struct tree *tree, const char *path)
{
	const yaml_node_t *node = yaml_document_get_root_node((yaml_document_t *)&tree->document);
	unsigned line = 0;

	while (node != NULL && *path != '\0') {
		if (*path == '[') {
			char *end;
			const size_t index = strtoul(path + 1, &end, 10);

			node = find_item(tree, node, index, &line);
			path = *end == ']' ? end + 1 : end;
		} else {
			const size_t dot = *path == '.' ? 1 : 0;
			const size_t len = strcspn(path + dot, ".[");

			node = find_key(tree, node, path + dot, len, &line);
			path += dot + len;
		}
	}
	return line;
}
