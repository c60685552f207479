/* SPDX-License-Identifier: MIT */
#include "supervisor/client/print.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

enum { INDENT = 2 };

/* A name counts when it is the whole key or its last word. */
static const struct {
	const char *name;
	enum print_unit unit;
} units[] = {
	{"memory",    PRINT_BYTES	},
	{ "size",	  PRINT_BYTES  },
	{ "bytes",	   PRINT_BYTES  },
	{ "rss",	 PRINT_BYTES  },
	{ "used",	  PRINT_BYTES  },
	{ "actual",   PRINT_BYTES	},
	{ "uptime",   PRINT_SECONDS},
	{ "age",	 PRINT_SECONDS},
	{ "elapsed",  PRINT_SECONDS},
	{ "duration", PRINT_SECONDS},
	{ "timeout",  PRINT_SECONDS},
	{ "seconds",  PRINT_SECONDS},
	{ "created",  PRINT_DATE	},
	{ "date",	  PRINT_DATE   },
	{ "time",	  PRINT_DATE   },
	{ "since",	   PRINT_DATE   },
	{ "started",  PRINT_DATE	},
	{ "ended",	   PRINT_DATE   },
	{ "expires",  PRINT_DATE	},
	{ "last_reset", PRINT_DATE	},
};

size_t print_width(void)
{
	struct winsize w;

	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

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

static bool is_text(const json_t *v)
{
	return json_is_string(v) && strchr(json_string_value(v), '\n');
}

static bool is_table(const json_t *v)
{
	return json_is_array(json_object_get(v, "columns")) &&
	       json_is_array(json_object_get(v, "rows"));
}

/* [{"a": 1}, {"a": 2, "b": 3}] as a table; NULL when it is no array of objects. */
static json_t *table_of(const json_t *list)
{
	json_t *columns, *rows, *object, *row, *v;
	size_t i;
	const char *key;

	if (json_array_size(list) == 0 || !json_is_object(json_array_get(list, 0)))
		return NULL;
	columns = json_object();
	json_array_foreach (list, i, object) {
		json_object_foreach (object, key, v)
			json_object_set_new(columns, key, json_null());
	}
	rows = json_array();
	json_array_foreach (list, i, object) {
		row = json_array();
		json_object_foreach (columns, key, v) {
			json_t *cell = json_object_get(object, key);

			json_array_append(row, cell ? cell : v);
		}
		json_array_append_new(rows, row);
	}
	row = json_array();
	json_object_foreach (columns, key, v)
		json_array_append_new(row, json_string(key));
	json_decref(columns);
	return json_pack("{s:o, s:o}", "columns", row, "rows", rows);
}

static void print_object(struct buf *b, const json_t *object, size_t indent, size_t width);
static void print_lines(struct buf *b, const char *text, size_t indent);

/* What stands below "key:" in lines of its own. Returns false when it fits on the key's line. */
static bool print_nested(struct buf *b, const json_t *v, size_t indent, size_t width)
{
	json_t *table = NULL;

	if (is_table(v))
		print_table(b, v, NULL, indent, width);
	else if (is_text(v))
		print_lines(b, json_string_value(v), indent);
	else if (json_is_object(v) && json_object_size(v))
		print_object(b, v, indent, width);
	else if ((table = table_of(v)))
		print_table(b, table, NULL, indent, width);
	else
		return false;
	json_decref(table);
	return true;
}

static bool is_nested(const json_t *v)
{
	return is_text(v) || (json_is_object(v) && json_object_size(v)) ||
	       json_is_object(json_array_get(v, 0));
}

/* A text of several lines, each escaped. */
static void print_lines(struct buf *b, const char *text, size_t indent)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		buf_printf(b, "%*s", (int)indent, "");
		add_escaped(b, text, len);
		buf_addc(b, '\n');
		text += len + (text[len] == '\n');
	}
}

static void print_object(struct buf *b, const json_t *object, size_t indent, size_t width)
{
	json_t *o = (json_t *)(uintptr_t)object, *v;
	size_t widest = 0;
	const char *key;

	json_object_foreach (o, key, v)
		if (!is_nested(v) && strlen(key) > widest)
			widest = strlen(key);
	json_object_foreach (o, key, v) {
		_cleanup_(free_ptr) char *safe = text_escape(key, strlen(key), false);
		_cleanup_(free_ptr) char *text = NULL;

		if (is_nested(v)) {
			buf_printf(b, "%*s%s:\n", (int)indent, "", safe);
			print_nested(b, v, indent + INDENT, width);
			continue;
		}
		text = print_value(key, v);
		buf_printf(b, "%*s%s:%*s %s\n", (int)indent, "", safe,
			(int)(widest > strlen(safe) ? widest - strlen(safe) : 0), "", text);
	}
}

void print_result(struct buf *b, const json_t *result, size_t width)
{
	if (!print_nested(b, result, 0, width)) {
		_cleanup_(free_ptr) char *text = print_value(NULL, result);

		buf_printf(b, "%s\n", text);
	}
}

/* Bytes at the end that may begin a character whose rest has not come. */
static size_t unfinished(const char *data, size_t len)
{
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = (unsigned char)data[len - back];
		size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if (c == '\r' && back == 1)
			return 1;
		if ((c & 0xc0) != 0x80)
			return need > back ? back : 0;
	}
	return 0;
}

void print_bytes(struct buf *held, bool end, struct buf *out)
{
	_cleanup_(free_ptr) char *plain = NULL, *safe = NULL;
	size_t len = held->len - (end ? 0 : unfinished(held->data, held->len)), n = 0;

	if (len == 0)
		return;
	plain = xcalloc(len, 1);
	for (size_t i = 0; i < len; i++)
		if (held->data[i] != '\r' || i + 1 == len || held->data[i + 1] != '\n')
			plain[n++] = held->data[i];
	safe = text_escape(plain, n, true);
	buf_adds(out, safe);
	buf_drop(held, len);
}
