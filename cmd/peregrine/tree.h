/* SPDX-License-Identifier: MIT */
/*
 * tree.h - a YAML text as a tree of nodes that know their lines. Reads the form of YAML only; what the keys
 * mean is somebody else's.
 */
#ifndef CMD_PEREGRINE_TREE_H
#define CMD_PEREGRINE_TREE_H

#include "complaints.h"

#include <yaml.h>

/* One document; its nodes are reached with yaml_document_get_node(). */
struct tree {
	yaml_document_t document;
};

/** Reads a text of one document. Returns NULL after a complaint. */
struct tree *tree_parse(const char *text, size_t len, struct complaints *complaints);
/** NULL is allowed. */
void tree_free(struct tree *tree);

/**
 * The line, from 1, of the value at a path such as "hosts[0].root", or of what is nearest around it; 0: no
 * idea.
 */
unsigned tree_line(const struct tree *tree, const char *path);

#endif
