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

static json_t *option_choice_value(const struct api_arg *arg, const char *text, struct err *e)
{
	struct buf list = BUF_INIT;
	size_t i;

	for (i = 0; i < API_CHOICES_MAX && arg->choices[i]; i++) {
		if (streq(arg->choices[i], text))
			break;
		buf_printf(&list, "%s%s", i ? ", " : "", arg->choices[i]);
	}
	if (i < API_CHOICES_MAX && arg->choices[i]) {
		buf_release(&list);
		return json_string(text);
	}
	err_set(e, ERR_USAGE, "'%s' is not one of: %s", text, list.data);
	buf_release(&list);
	return NULL;
}

/* Sizes and times travel as typed, so that both ends speak of the same words. */
json_t *option_value(const struct api_arg *arg, const char *text, struct err *e)
{
	uint64_t number;
	bool yes;

	if (arg->choices[0])
		return option_choice_value(arg, text, e);
	switch (arg->type) {
	case API_STRING:
	case API_NAME:
		return option_string_value(text, e);
	case API_SIZE:
		if (text_parse_size(text, &number) == 0)
			return option_string_value(text, e);
		err_set(e, ERR_USAGE, "'%s' is not a size", text);
		err_hint(e, "write a whole number with K, M, G or T, such as 512M");
		return NULL;
	case API_TIME:
		if (text_parse_time(text, &number) == 0)
			return option_string_value(text, e);
		err_set(e, ERR_USAGE, "'%s' is not a time", text);
		err_hint(e, "write seconds, or a number with a unit, such as 2min");
		return NULL;
	case API_INT:
		if (text_parse_uint(text, 0, INT64_MAX, &number) == 0)
			return json_integer((json_int_t)number);
		err_set(e, ERR_USAGE, "'%s' is not a whole number", text);
		return NULL;
	case API_BOOL:
		if (text_parse_bool(text, &yes) == 0)
			return json_boolean(yes);
		err_set(e, ERR_USAGE, "'%s' is neither yes nor no", text);
		return NULL;
	case API_JSON:
		return option_json_or_word(text, e);
	case API_WORDS:
		return json_pack("[o]", option_string_value(text, e));
	case API_TYPES:
		break;
	}
	err_set(e, ERR_USAGE, "'%s' cannot be given here", text);
	return NULL;
}
