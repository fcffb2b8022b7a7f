/* SPDX-License-Identifier: MIT */
/*
 * config_check.h - what the checks of a configuration share. Included by them only.
 */
#ifndef CMD_PEREGRINE_CONFIG_CHECK_H
#define CMD_PEREGRINE_CONFIG_CHECK_H

#include "config.h"

#define CHECK_PATH_MAX 128u
#define CHECK_PROXIES_MAX 64u
#define CHECK_PROXY_BYTES_MAX 64u

/** Complains about hosts: names, folders, redirects, fields. */
void check_hosts(const struct config *config, struct complaints *complaints);

/** Writes the path of a value. */
void check_path(char path[CHECK_PATH_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Can it be the value of a field; the name of one? */
bool check_is_value(const char *text);
bool check_is_token(const char *text);

#endif
