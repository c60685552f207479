/* SPDX-License-Identifier: MIT */
#include "supervisor/client/value.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"

const json_t *value_cell(const json_t *table, const json_t *row, const char *column)
{
	size_t i;
	json_t *name;

	json_array_foreach (json_object_get(table, "columns"), i, name)
		if (streq(json_string_value(name), column))
			return json_array_get(row, i);
	return NULL;
}

const struct api_field *value_field(const struct api_field *fields, const char *name)
{
	for (; fields && fields->name; fields++)
		if (streq(fields->name, name))
			return fields;
	return NULL;
}

static void value_add_number(struct buf *b, const struct api_field *f, const json_t *value)
{
	enum api_value type = f ? f->type : API_TEXT;
	double v = json_number_value(value);
	time_t when = (time_t)v;
	char text[32];
	struct tm tm;

	if (v < 0 || v > 1e18)
		type = API_TEXT;
	if (type == API_BYTES)
		text_size(text, sizeof text, (uint64_t)v);
	else if (type == API_SECONDS)
		text_duration(text, sizeof text, (uint64_t)(v * 1000));
	else if (type == API_DATE && localtime_r(&when, &tm))
		strftime(text, sizeof text, "%F %T", &tm);
	else if (json_is_integer(value))
		snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(text, sizeof text, "%.6g", v);
	buf_adds(b, text);
}

static void value_add_escaped(struct buf *b, const char *s, size_t len)
{
	_cleanup_(free_ptr) char *safe = NULL;
	size_t i = 0;

	while (i < len && s[i] >= ' ' && s[i] < 0x7f)
		i++;
	if (i == len) {
		buf_add(b, s, len); /* most strings are plain, and lists are long */
		return;
	}
	safe = text_escape(s, len, false);
	buf_adds(b, safe);
}

static void value_add_list(struct buf *b, const struct api_field *f, const json_t *list)
{
	size_t i;
	json_t *v;

	json_array_foreach (list, i, v) {
		buf_adds(b, i ? ", " : "");
		value_add(b, f, v);
	}
}

static void value_add_members(struct buf *b, const struct api_field *f, const json_t *object)
{
	const char *key, *gap = "";
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)object, key, v) {
		buf_adds(b, gap);
		value_add_escaped(b, key, strlen(key));
		buf_addc(b, '=');
		value_add(b, value_field(f ? f->of : NULL, key), v);
		gap = " ";
	}
}

/* Nothing to show: null, "", [] and {}. */
static bool value_is_empty(const json_t *v)
{
	return !v || json_is_null(v) || (json_is_string(v) && !json_string_length(v)) ||
	       (json_is_array(v) && !json_array_size(v)) ||
	       (json_is_object(v) && !json_object_size(v));
}

bool value_is_table(const json_t *v)
{
	return json_is_array(json_object_get(v, "columns")) &&
	       json_is_array(json_object_get(v, "rows"));
}

void value_add(struct buf *b, const struct api_field *f, const json_t *value)
{
	if (value_is_empty(value))
		buf_addc(b, '-');
	else if (json_is_boolean(value))
		buf_adds(b, json_is_true(value) ? "yes" : "no");
	else if (json_is_number(value))
		value_add_number(b, f, value);
	else if (json_is_string(value))
		value_add_escaped(b, json_string_value(value), json_string_length(value));
	else if (json_is_array(value))
		value_add_list(b, f, value);
	else
		value_add_members(b, f, value);
}

char *value_text(const struct api_field *f, const json_t *value)
{
	struct buf b = BUF_INIT;

	value_add(&b, f, value);
	return buf_steal(&b);
}
