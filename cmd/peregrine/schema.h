/* SPDX-License-Identifier: MIT */
/*
 * schema.h - the keys of a configuration file for libcyaml, and a check of a tree against them.
 */
#ifndef CMD_PEREGRINE_SCHEMA_H
#define CMD_PEREGRINE_SCHEMA_H

#include "tree.h"

#include <cyaml/cyaml.h>

/** The whole file; it becomes a struct config. */
extern const cyaml_schema_value_t config_schema;

/**
 * Has the tree the form of the schema? Complains about every key that is unknown, missing or given twice,
 * and every value of a wrong type. libcyaml would stop at the first, would not say what was expected, and
 * takes any word for true.
 */
bool schema_check(const struct tree *tree, const cyaml_schema_value_t *schema, struct complaints *complaints);

#endif
