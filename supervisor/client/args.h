/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/args.h - parses a command line against the verb table
 *
 * Nothing here knows a verb: names, aliases, options and types come from the rows of
 * supervisor/api. The client's own options (--json, --run ...) are the table in option.h.
 */
#ifndef SUPERVISOR_CLIENT_ARGS_H
#define SUPERVISOR_CLIENT_ARGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "supervisor/api/api.h"
#include "supervisor/client/foreign.h"
#include "supervisor/client/option.h"

struct args {
	const struct api_verb *verb; /* NULL: help, or the client's version */
	char *spelling;		     /* as typed: "net-list" */
	bool given[ARGS_COMMONS];
	const char *run;	       /* from --run, borrowed from argv, else NULL */
	const struct foreign *foreign; /* the command is another program's: see foreign.h */
	const char *foreign_vm;	       /* of what, borrowed, may be NULL */
	bool all;		       /* help -a */
	const char *topic;	       /* of help for a group ("net"), borrowed, else NULL */
	const char **target;	       /* names and globs as typed, borrowed */
	size_t targets;
	json_t *arguments;  /* without the target */
	json_t *own;	    /* those that the client acts on, and does not send */
	const char **words; /* backing array of target */
};

#define ARGS_INIT { 0 }

/* argv without the program's name. ERR_USAGE with a hint that shows the usage. */
int args_parse(struct args *a, size_t argc, const char *const *argv, struct err *e);
void args_release(struct args *a);

#endif
