/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/args.h - the words of a command line, read against the verb table
 *
 * Nothing here knows a verb: names, aliases, options and types are the rows of supervisor/api.
 * What belongs to the client itself (--json, --run ...) is the table in option.h.
 */
#ifndef SUPERVISOR_CLIENT_ARGS_H
#define SUPERVISOR_CLIENT_ARGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "supervisor/api/api.h"
#include "supervisor/client/option.h"

struct args {
	const struct api_verb *verb; /* NULL: help, or the client's version */
	char *spelling;		     /* as typed: "net-list" */
	bool given[ARGS_COMMONS];
	const char *run;     /* of --run, borrowed from argv, else NULL */
	const char *topic;   /* of help for a group ("net"), borrowed, else NULL */
	const char **target; /* names and globs as typed, borrowed */
	size_t targets;
	json_t *arguments;  /* without the target */
	const char **words; /* what target points into */
};

#define ARGS_INIT { 0 }

/* argv without the program's name. ERR_USAGE with a hint that says how it is written. */
int args_parse(struct args *a, size_t argc, const char *const *argv, struct err *e);
void args_release(struct args *a);

#endif
