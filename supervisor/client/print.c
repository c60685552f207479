/* SPDX-License-Identifier: MIT */
#include "supervisor/client/print.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/value.h"

enum { INDENT = 2 };

size_t print_width(void)
{
	struct winsize w;

	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

static bool print_is_text(const json_t *v)
{
	return json_is_string(v) && strchr(json_string_value(v), '\n');
}

/* [{"a": 1}, {"a": 2, "b": 3}] as a table; NULL if it is not an array of objects. */
static json_t *print_table_of(const json_t *list)
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

static void print_object(struct buf *b, const struct api_field *fields, const json_t *object,
	size_t indent, size_t width);
static void print_lines(struct buf *b, const char *text, size_t indent);

/* Prints what needs lines of its own below "key:". Returns false if it fits on the key's line. */
static bool print_nested(
	struct buf *b, const struct api_field *fields, const json_t *v, size_t indent, size_t width)
{
	json_t *table = NULL;

	if (value_is_table(v))
		print_table(b, fields, v, NULL, indent, width);
	else if (print_is_text(v))
		print_lines(b, json_string_value(v), indent);
	else if (json_is_object(v) && json_object_size(v))
		print_object(b, fields, v, indent, width);
	else if ((table = print_table_of(v)))
		print_table(b, fields, table, NULL, indent, width);
	else
		return false;
	json_decref(table);
	return true;
}

static bool print_is_nested(const json_t *v)
{
	return print_is_text(v) || (json_is_object(v) && json_object_size(v)) ||
	       json_is_object(json_array_get(v, 0));
}

/* Multi-line text, each line escaped. */
static void print_lines(struct buf *b, const char *text, size_t indent)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		_cleanup_(free_ptr) char *safe = text_escape(text, len, false);

		buf_printf(b, "%*s%s\n", (int)indent, "", safe);
		text += len + (text[len] == '\n');
	}
}

/* The name of a member for people. */
static char *print_label(const struct api_field *f, const char *key)
{
	return f && f->head ? xstrdup(f->head) : text_escape(key, strlen(key), false);
}

static void print_object(struct buf *b, const struct api_field *fields, const json_t *object,
	size_t indent, size_t width)
{
	json_t *o = (json_t *)(uintptr_t)object, *v;
	size_t widest = 0;
	const char *key;

	json_object_foreach (o, key, v) {
		_cleanup_(free_ptr) char *label = print_label(value_field(fields, key), key);

		if (!print_is_nested(v) && strlen(label) > widest)
			widest = strlen(label);
	}
	json_object_foreach (o, key, v) {
		const struct api_field *f = value_field(fields, key);
		_cleanup_(free_ptr) char *label = print_label(f, key), *text = NULL;

		if (print_is_nested(v)) {
			buf_printf(b, "%*s%s:\n", (int)indent, "", label);
			print_nested(b, f ? f->of : NULL, v, indent + INDENT, width);
			continue;
		}
		text = value_text(f, v);
		buf_printf(b, "%*s%s:%*s %s\n", (int)indent, "", label,
			(int)(widest - strlen(label)), "", text);
	}
}

void print_result(struct buf *b, const struct api_field *fields, const json_t *result, size_t width)
{
	if (!print_nested(b, fields, result, 0, width)) {
		_cleanup_(free_ptr) char *text = value_text(NULL, result);

		buf_printf(b, "%s\n", text);
	}
}

/* Number of final bytes that may be an incomplete character. */
static size_t print_unfinished(const char *data, size_t len)
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
	size_t len = held->len - (end ? 0 : print_unfinished(held->data, held->len)), n = 0;

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
