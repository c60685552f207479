/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/option.h - how one option is spelt, given and turned into JSON
 *
 * Reads the option texts of struct api_arg: "-n, --lines LINES" has two spellings and a value,
 * "--force" is a switch, "NAME" is positional.
 */
#ifndef SUPERVISOR_CLIENT_OPTION_H
#define SUPERVISOR_CLIENT_OPTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "supervisor/api/api.h"

/* Options of the client, understood in front of and behind any verb. */
enum args_common_id { ARGS_JSON, ARGS_QUIET, ARGS_RUN, ARGS_HELP, ARGS_VERSION, ARGS_COMMONS };

struct args_common {
	const char *option; /* spelt as in struct api_arg */
	const char *help;
};
extern const struct args_common args_common[ARGS_COMMONS];

/* One option as it stands on the line. */
struct option {
	const char *word; /* "--lines" of "--lines=5", len bytes */
	size_t len;
	const char *value; /* the attached one ("--lines=5", "-n5"), or NULL */
};

struct option option_split(const char *word);
bool option_is(const char *option, const struct option *o);

/* Each call gives the next spelling, or NULL. Start with *rest = option. */
const char *option_spelling(const char **rest, size_t *len);
/* The i-th of the verb's arguments on the command line, then the client's own options, of which arg is NULL;
 * NULL after the last. verb may be NULL. */
const char *option_at(const struct api_verb *verb, size_t i, const struct api_arg **arg);
/* What stands for the value ("LINES"), or NULL for a switch. */
const char *option_value_name(const char *option);
bool option_is_positional(const struct api_arg *arg);

/* The argument that the text stands for, or NULL with ERR_USAGE. */
json_t *option_value(const struct api_arg *arg, const char *text, struct err *e);

#endif
