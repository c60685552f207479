/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/objects.h - results as --json prints them
 *
 * On the wire a list is {"columns", "rows"}; here it is an array with an object per row. A verb that
 * takes names prints an array too, also for one: an object per name, or per row of each.
 */
#ifndef SUPERVISOR_CLIENT_OBJECTS_H
#define SUPERVISOR_CLIENT_OBJECTS_H

#include <jansson.h>

#include "base/err.h"
#include "supervisor/api/api.h"

/* Both add to the document, which is NULL at first. target may be NULL. */
void objects_add(json_t **document, const struct api_verb *verb, const char *target,
	const json_t *result);
/* {"name", "error": {"class", "desc", "hint"}} */
void objects_add_error(json_t **document, const char *target, const struct err *e);

#endif
