/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "supervisor/api/api.h"

enum { ARGS_MAX = API_ARGS_MAX + 2 /* name and wait */ };

static const struct {
	const char *name, *words;
} types[] = {
	[API_STRING] = { "string", "a text" },
	[API_NAME] = { "name",
		"a name: letters, digits, '.', '_' and '-', at most 63, beginning with a letter or digit" },
	[API_SIZE] = { "size", "a size, as in 1073741824 or \"1G\"" },
	[API_TIME] = { "time", "a time, as in 90 or \"2min\"" },
	[API_INT] = { "int", "a whole number, not negative" },
	[API_BOOL] = { "bool", "true or false" },
	[API_JSON] = { "json", "a value" },
	[API_WORDS] = { "list of strings", "a list of texts, one at least" },
};
static_assert(ARRAY_SIZE(types) == API_TYPES, "a type has no words");

const char *api_type_name(enum api_type t)
{
	return types[t].name;
}

/* C0, DEL and, in UTF-8, C1: anything that could control a terminal or end a line of a file. */
static bool check_has_controls(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
			return true;
	return false;
}

/* The string if it has no NUL and no control characters, else NULL. */
static const char *check_clean_text(const json_t *value)
{
	const char *s = json_string_value(value);

	return s && strlen(s) == json_string_length(value) && !check_has_controls(s) ? s : NULL;
}

static json_t *check_size_from_text(const json_t *value)
{
	const char *s = check_clean_text(value);
	uint64_t bytes;

	if (!s || text_parse_size(s, &bytes) < 0 || bytes > INT64_MAX)
		return NULL;
	return json_integer((json_int_t)bytes);
}

static json_t *check_time_from_text(const json_t *value)
{
	const char *s = check_clean_text(value);
	uint64_t ms;

	if (!s || text_parse_time(s, &ms) < 0)
		return NULL;
	if (ms == UINT64_MAX)
		return json_real(API_TIME_MAX);
	return json_real((double)ms / 1000);
}

bool api_is_choice(const struct api_arg *arg, const char *s)
{
	size_t i = 0;

	while (arg->choices && arg->choices[i] && !streq(arg->choices[i], s))
		i++;
	return !arg->choices || arg->choices[i];
}

const char *api_choices(const struct api_arg *arg, char buf[128])
{
	size_t len = 0;

	for (size_t i = 0; arg->choices && arg->choices[i]; i++)
		len += (size_t)snprintf(
			buf + len, 128 - len, "%s%s", i ? ", " : "", arg->choices[i]);
	assert(len < 128);
	return buf;
}

/* Program arguments, which may contain newlines and tabs. */
static bool check_is_words(const json_t *value)
{
	const json_t *word;
	size_t i;

	json_array_foreach (value, i, word)
		if (!json_is_string(word) ||
			strlen(json_string_value(word)) != json_string_length(word))
			return false;
	return json_array_size(value) > 0;
}

static bool check_fits(const struct api_arg *arg, const json_t *value)
{
	const char *s;

	switch (arg->type) {
	case API_STRING:
		s = check_clean_text(value);
		return s && api_is_choice(arg, s);
	case API_NAME:
		s = check_clean_text(value);
		return s && conf_name_ok(s);
	case API_SIZE:
	case API_INT:
		return json_is_integer(value) && json_integer_value(value) >= 0;
	case API_TIME:
		return json_is_number(value) && json_number_value(value) >= 0 &&
		       json_number_value(value) <= (double)API_TIME_MAX;
	case API_BOOL:
		return json_is_boolean(value);
	case API_JSON:
		return true;
	case API_WORDS:
		return check_is_words(value);
	case API_TYPES:
		break;
	}
	return false;
}

static int check_bad_value(const struct api_verb *v, const struct api_arg *arg, struct err *e)
{
	char list[128];

	assert(arg->type < API_TYPES);
	if (arg->choices)
		return err_set(e, ERR_USAGE, "%s: argument '%s' is not one of: %s", v->execute,
			arg->name, api_choices(arg, list));
	return err_set(e, ERR_USAGE, "%s: argument '%s' is not %s", v->execute, arg->name,
		types[arg->type].words);
}

static int check_unknown(const struct api_verb *v, const char *key, struct err *e)
{
	const char *names[ARGS_MAX] = { NULL }, *nearest;
	const struct api_arg *arg;
	size_t n = 0;

	while ((arg = api_verb_arg(v, n)))
		names[n++] = arg->harms || arg->client ? NULL : arg->name;
	nearest = text_nearest(key, names, n);
	err_set(e, ERR_USAGE, "%s: unknown argument '%.64s'", v->execute, key);
	if (nearest)
		return err_hint(e, "did you mean '%s'?", nearest);
	return err_hint(e, n ? "query-schema lists the arguments" : "it takes no arguments");
}

static int check_value(
	const struct api_verb *v, const struct api_arg *arg, json_t *args, struct err *e)
{
	json_t *value = json_object_get(args, arg->name), *number = NULL;

	if (!value)
		return arg->required && !arg->client
			       ? err_set(e, ERR_USAGE, "%s: argument '%s' is missing", v->execute,
					 arg->name)
			       : 0;
	if (arg->type == API_SIZE)
		number = check_size_from_text(value);
	else if (arg->type == API_TIME)
		number = check_time_from_text(value);
	if (number) {
		json_object_set_new(args, arg->name, number);
		value = number;
	}
	return check_fits(arg, value) ? 0 : check_bad_value(v, arg, e);
}

int api_check_arguments(const struct api_verb *v, json_t *args, struct err *e)
{
	const struct api_arg *arg;
	const char *key;
	json_t *value;
	int r;

	json_object_foreach (args, key, value) {
		size_t i = 0;

		while ((arg = api_verb_arg(v, i)) && (arg->client || !streq(arg->name, key)))
			i++;
		if (!arg)
			return check_unknown(v, key, e);
	}
	for (size_t i = 0; (arg = api_verb_arg(v, i)); i++) {
		r = check_value(v, arg, args, e);
		if (r < 0)
			return r;
	}
	return 0;
}
