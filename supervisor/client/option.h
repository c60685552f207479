/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/option.h - option syntax, and conversion of option values to JSON
 *
 * Parses the option texts of struct api_arg: "-n, --lines LINES" has two spellings and a value,
 * "--force" is a switch, "NAME" is positional.
 */
#ifndef SUPERVISOR_CLIENT_OPTION_H
#define SUPERVISOR_CLIENT_OPTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "supervisor/api/api.h"

/* Options of the client, valid before and after any verb. */
enum args_common_id {
	ARGS_JSON,
	ARGS_QUIET,
	ARGS_RUN,
	ARGS_HELP,
	ARGS_VERSION,
	ARGS_YES,
	ARGS_COMMONS
};

struct args_common {
	const char *option; /* in the syntax of struct api_arg */
	const char *help;
};
extern const struct args_common args_common[ARGS_COMMONS];

/* One option as given on the command line. */
struct option {
	const char *word; /* "--lines" of "--lines=5", len bytes */
	size_t len;
	const char *value; /* the attached one ("--lines=5", "-n5"), or NULL */
};

struct option option_split(const char *word);
bool option_is(const char *option, const struct option *o);

/* Each call returns the next spelling, or NULL. Start with *rest = option. */
const char *option_spelling(const char **rest, size_t *len);
/* The option text of the verb's i-th argument on the command line, then of the client's own
 * options, with *arg NULL; NULL after the last. verb may be NULL. */
const char *option_at(const struct api_verb *verb, size_t i, const struct api_arg **arg);
/* The placeholder of the value ("LINES"), or NULL for a switch. */
const char *option_value_name(const char *option);
bool option_is_positional(const struct api_arg *arg);

/* The argument as JSON, or NULL with ERR_USAGE. */
json_t *option_value(const struct api_arg *arg, const char *text, struct err *e);

#endif
