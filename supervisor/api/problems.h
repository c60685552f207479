/* SPDX-License-Identifier: MIT */
/*
 * supervisor/api/problems.h - problems of configuration files as rows of a result
 */
#ifndef SUPERVISOR_API_PROBLEMS_H
#define SUPERVISOR_API_PROBLEMS_H

#include <jansson.h>

#include "conf/conf.h"

/* Columns file, line, key, reason, and rows; whole: severity and hint too. */
json_t *api_problems(const struct conf_problems *p, bool whole);

#endif
