/* SPDX-License-Identifier: MIT */
#include "supervisor/client/value.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"

/* A name counts when it is the whole key or its last word. */
static const struct {
	const char *name;
	enum print_unit unit;
} units[] = {
	/* clang-format off */
	{ "memory",     PRINT_BYTES },
	{ "size",       PRINT_BYTES },
	{ "bytes",      PRINT_BYTES },
	{ "rss",        PRINT_BYTES },
	{ "used",       PRINT_BYTES },
	{ "actual",     PRINT_BYTES },
	{ "uptime",     PRINT_SECONDS },
	{ "age",        PRINT_SECONDS },
	{ "elapsed",    PRINT_SECONDS },
	{ "duration",   PRINT_SECONDS },
	{ "timeout",    PRINT_SECONDS },
	{ "seconds",    PRINT_SECONDS },
	{ "created",    PRINT_DATE },
	{ "date",       PRINT_DATE },
	{ "time",       PRINT_DATE },
	{ "since",      PRINT_DATE },
	{ "started",    PRINT_DATE },
	{ "ended",      PRINT_DATE },
	{ "expires",    PRINT_DATE },
	{ "last_reset", PRINT_DATE },
	/* clang-format on */
};

enum print_unit print_unit(const char *name)
{
	const char *last = name + strlen(name);

	while (last > name && last[-1] != '_' && last[-1] != '-')
		last--;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (streq(units[i].name, last))
			return units[i].unit;
	return PRINT_PLAIN;
}

static void add_number(struct buf *b, enum print_unit unit, const json_t *value)
{
	double v = json_number_value(value);
	char text[32];
	time_t when;
	struct tm tm;

	if (v < 0 || v > 1e18)
		unit = PRINT_PLAIN;
	switch (unit) {
	case PRINT_PLAIN:
		if (json_is_integer(value))
			snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT,
				json_integer_value(value));
		else
			snprintf(text, sizeof text, "%.6g", v);
		break;
	case PRINT_BYTES:
		text_size(text, sizeof text, (uint64_t)v);
		break;
	case PRINT_SECONDS:
		text_duration(text, sizeof text, (uint64_t)(v * 1000));
		break;
	case PRINT_DATE:
		when = (time_t)v;
		if (!localtime_r(&when, &tm) || !strftime(text, sizeof text, "%F %T", &tm))
			snprintf(text, sizeof text, "%.6g", v);
		break;
	}
	buf_adds(b, text);
}

static void add_escaped(struct buf *b, const char *s, size_t len)
{
	_cleanup_(free_ptr) char *safe = NULL;
	size_t i = 0;

	while (i < len && s[i] >= ' ' && s[i] < 0x7f && s[i] != '\\')
		i++;
	if (i == len) {
		buf_add(b, s, len); /* most are plain, and lists are long */
		return;
	}
	safe = text_escape(s, len, false);
	buf_adds(b, safe);
}

static void add_list(struct buf *b, enum print_unit unit, const json_t *list)
{
	size_t i;
	json_t *v;

	json_array_foreach (list, i, v) {
		buf_adds(b, i ? ", " : "");
		print_add(b, unit, v);
	}
}

static void add_members(struct buf *b, const json_t *object)
{
	const char *key, *gap = "";
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)object, key, v) {
		buf_adds(b, gap);
		add_escaped(b, key, strlen(key));
		buf_addc(b, '=');
		print_add(b, print_unit(key), v);
		gap = " ";
	}
}

/* Nothing worth a word: null, "", [] and {}. */
static bool is_empty(const json_t *v)
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

void print_add(struct buf *b, enum print_unit unit, const json_t *value)
{
	if (is_empty(value))
		buf_addc(b, '-');
	else if (json_is_boolean(value))
		buf_adds(b, json_is_true(value) ? "yes" : "no");
	else if (json_is_number(value))
		add_number(b, unit, value);
	else if (json_is_string(value))
		add_escaped(b, json_string_value(value), json_string_length(value));
	else if (json_is_array(value))
		add_list(b, unit, value);
	else
		add_members(b, value);
}

char *print_value(const char *name, const json_t *value)
{
	struct buf b = BUF_INIT;

	print_add(&b, name ? print_unit(name) : PRINT_PLAIN, value);
	return buf_steal(&b);
}
