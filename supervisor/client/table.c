/* SPDX-License-Identifier: MIT */
#include "supervisor/client/print.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "supervisor/client/value.h"

enum { GAP = 2, CELL_MIN = 12 };

struct column {
	size_t width;
	bool numbers, others; /* what is in it beside null */
	bool right;	      /* numbers only */
	bool hidden;
	const struct api_field *field;
	const char *name;
};

struct table {
	size_t rows, columns, last /* column that is shown */;
	struct column *column;
	struct buf text; /* all cells, each with its NUL */
	size_t *cell;	 /* rows * columns, where in text */
};

/* Terminal columns: what is not ASCII is one per code point, which suits what people name VMs. */
static size_t table_text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool table_is_silent(
	const json_t *rows, size_t c, const char *column, print_silent_fn *silent)
{
	size_t r;
	json_t *row;

	json_array_foreach (rows, r, row)
		if (!silent || !silent(column, json_array_get(row, c)))
			return false;
	return json_array_size(rows) > 0;
}

static void table_head(struct table *t, const struct api_field *fields, const json_t *table,
	print_silent_fn *silent)
{
	size_t c;
	json_t *name;

	json_array_foreach (json_object_get(table, "columns"), c, name) {
		struct column *col = &t->column[c];

		col->name = json_string_value(name) ? json_string_value(name) : "";
		col->field = value_field(fields, col->name);
		col->width = table_text_width(col->name);
		col->hidden = table_is_silent(json_object_get(table, "rows"), c, col->name, silent);
		if (!col->hidden)
			t->last = c;
	}
}

static void table_fill(struct table *t, const json_t *rows)
{
	size_t r;
	json_t *row;

	json_array_foreach (rows, r, row)
		for (size_t c = 0; c < t->columns; c++) {
			const json_t *v = json_array_get(row, c);
			struct column *col = &t->column[c];
			size_t at = t->text.len, width;

			if (col->hidden)
				continue;
			value_add(&t->text, col->field, v);
			width = table_text_width(t->text.data + at);
			buf_addc(&t->text, '\0');
			t->cell[r * t->columns + c] = at;
			if (width > col->width)
				col->width = width;
			if (json_is_number(v))
				col->numbers = true;
			else if (!json_is_null(v))
				col->others = true;
		}
	for (size_t c = 0; c < t->columns; c++)
		t->column[c].right = t->column[c].numbers && !t->column[c].others;
}

/* Too wide for the terminal: the widest column of text gives way. */
static void table_fit(struct table *t, size_t indent, size_t width)
{
	size_t sum = indent, widest = t->columns;

	for (size_t c = 0; c < t->columns; c++) {
		if (t->column[c].hidden)
			continue;
		sum += t->column[c].width + (c < t->last ? GAP : 0);
		if (!t->column[c].right &&
			(widest == t->columns || t->column[c].width >= t->column[widest].width))
			widest = c;
	}
	if (!width || sum <= width || widest == t->columns)
		return;
	sum -= width;
	if (t->column[widest].width < sum + CELL_MIN)
		t->column[widest].width =
			CELL_MIN < t->column[widest].width ? CELL_MIN : t->column[widest].width;
	else
		t->column[widest].width -= sum;
}

static void table_add_blanks(struct buf *b, size_t n)
{
	char *p = buf_reserve(b, n);

	if (!p || !n)
		return;
	memset(p, ' ', n);
	buf_commit(b, n);
}

static void table_add_cell(struct buf *b, const struct column *c, const char *text, bool last)
{
	size_t width = table_text_width(text), pad = width < c->width ? c->width - width : 0;

	if (c->right)
		table_add_blanks(b, pad);
	if (width > c->width) {
		size_t keep = c->width - 3;

		while (*text && keep) {
			do
				buf_addc(b, *text++);
			while (((unsigned char)*text & 0xc0) == 0x80);
			keep--;
		}
		buf_adds(b, "...");
	} else {
		buf_adds(b, text);
	}
	if (!last)
		table_add_blanks(b, (c->right ? 0 : pad) + GAP);
}

static void table_add_heading(struct buf *b, const struct table *t)
{
	for (size_t c = 0; c < t->columns; c++) {
		_cleanup_(free_ptr) char *name = xstrdup(t->column[c].name);

		if (t->column[c].hidden)
			continue;
		for (char *p = name; *p; p++)
			*p = *p == '_' || *p == '-' ? ' ' : (char)toupper((unsigned char)*p);
		table_add_cell(b, &t->column[c], name, c == t->last);
	}
	buf_addc(b, '\n');
}

void print_table(struct buf *b, const struct api_field *fields, const json_t *table,
	print_silent_fn *silent, size_t indent, size_t width)
{
	const json_t *rows = json_object_get(table, "rows");
	struct table t = { .rows = json_array_size(rows),
		.columns = json_array_size(json_object_get(table, "columns")) };

	t.column = xcalloc(t.columns, sizeof *t.column);
	t.cell = xcalloc(t.rows * t.columns, sizeof *t.cell);
	table_head(&t, fields, table, silent);
	buf_adds(&t.text, ""); /* cells point into it, also where there are none */
	table_fill(&t, rows);
	table_fit(&t, indent, width);
	table_add_blanks(b, indent);
	table_add_heading(b, &t);
	for (size_t r = 0; r < t.rows; r++) {
		table_add_blanks(b, indent);
		for (size_t c = 0; c < t.columns; c++)
			if (!t.column[c].hidden)
				table_add_cell(b, &t.column[c],
					t.text.data + t.cell[r * t.columns + c], c == t.last);
		buf_addc(b, '\n');
	}
	buf_release(&t.text);
	free(t.cell);
	free(t.column);
}
