/* SPDX-License-Identifier: MIT */
#include "supervisor/client/option.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

/* clang-format off */
const struct args_common args_common[ARGS_COMMONS] = {
	[ARGS_JSON]    = { "--json",      "print the daemon's answer as JSON" },
	[ARGS_QUIET]   = { "-q, --quiet", "print errors only" },
	[ARGS_RUN]     = { "--run DIR",   "run directory of the daemon (VMKEEP_RUN, /run/vmkeep)" },
	[ARGS_HELP]    = { "-h, --help",  "print help, for a command when one is named" },
	[ARGS_VERSION] = { "--version",   "print the version of this program" },
	[ARGS_YES]     = { "-y, --yes",   "do not ask, on a terminal, before ending much at once" },
};
/* clang-format on */

const char *option_spelling(const char **rest, size_t *len)
{
	const char *p = *rest;

	while (p && *p) {
		const char *word = p + strspn(p, ", ");

		*len = strcspn(word, ", ");
		p = word + *len;
		if (*word == '-') {
			*rest = p;
			return word;
		}
	}
	*rest = NULL;
	return NULL;
}

const char *option_at(const struct api_verb *verb, size_t i, const struct api_arg **arg)
{
	for (size_t k = 0; verb && (*arg = api_verb_arg(verb, k)); k++)
		if ((*arg)->option && i-- == 0)
			return (*arg)->option;
	*arg = NULL;
	return i < ARGS_COMMONS ? args_common[i].option : NULL;
}

const char *option_value_name(const char *option)
{
	const char *last = strrchr(option, ' ');

	last = last ? last + 1 : option;
	return *last == '-' ? NULL : last;
}

bool option_is_positional(const struct api_arg *arg)
{
	return arg->option && arg->option[0] != '-';
}

bool option_is(const char *option, const struct option *o)
{
	const char *rest = option, *s;
	size_t len;

	while ((s = option_spelling(&rest, &len)))
		if (len == o->len && strncmp(s, o->word, len) == 0)
			return true;
	return false;
}

struct option option_split(const char *word)
{
	struct option o = { .word = word, .len = strlen(word) };

	if (word[1] == '-') {
		const char *equals = strchr(word, '=');

		if (equals) {
			o.len = (size_t)(equals - word);
			o.value = equals + 1;
		}
	} else if (o.len > 2) {
		o.value = word + 2;
		o.len = 2;
	}
	return o;
}

/* JSON text, or a bare word for a command without arguments. */
static json_t *option_json_or_word(const char *text, struct err *e)
{
	json_error_t why;
	json_t *v = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);

	if (v)
		return v;
	if (isalpha((unsigned char)text[0]) && !strpbrk(text, " \t\n{}[]\""))
		return json_string(text);
	err_set(e, ERR_USAGE, "not JSON: %s (at character %d)", why.text, why.position);
	return NULL;
}

static json_t *option_string_value(const char *text, struct err *e)
{
	json_t *v = json_string(text);

	if (!v)
		err_set(e, ERR_USAGE, "not valid UTF-8");
	return v;
}

/* Sizes and times are sent as typed, so that errors on both ends quote the same text. */
json_t *option_value(const struct api_arg *arg, const char *text, struct err *e)
{
	static const struct {
		const char *what, *hint;
	} refusals[API_TYPES] = {
		[API_SIZE] = { "not a size",
			"write a whole number with K, M, G or T, such as 512M" },
		[API_TIME] = { "not a time",
			"write seconds, or a number with a unit, such as 2min" },
		[API_INT] = { "not a whole number", NULL },
		[API_BOOL] = { "neither yes nor no", NULL },
	};
	char list[128];
	uint64_t number;
	bool yes;

	if (arg->choices) {
		if (api_is_choice(arg, text))
			return json_string(text);
		err_set(e, ERR_USAGE, "'%s' is not one of: %s", text, api_choices(arg, list));
		return NULL;
	}
	if (arg->type == API_JSON)
		return option_json_or_word(text, e);
	if (arg->type == API_WORDS)
		return json_pack("[o]", option_string_value(text, e));
	if (arg->type == API_INT && text_parse_uint(text, 0, INT64_MAX, &number) == 0)
		return json_integer((json_int_t)number);
	if (arg->type == API_BOOL && text_parse_bool(text, &yes) == 0)
		return json_boolean(yes);
	if (!refusals[arg->type].what ||
		(arg->type == API_SIZE && text_parse_size(text, &number) == 0) ||
		(arg->type == API_TIME && text_parse_time(text, &number) == 0))
		return option_string_value(text, e);
	err_set(e, ERR_USAGE, "'%s' is %s", text, refusals[arg->type].what);
	if (refusals[arg->type].hint)
		err_hint(e, "%s", refusals[arg->type].hint);
	return NULL;
}
