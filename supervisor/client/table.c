/* SPDX-License-Identifier: MIT */
#include "supervisor/client/print.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "supervisor/client/value.h"

enum { GAP = 2, CELL_MIN = 8, ADDRESS = 15 /* width of an address, never shortened */ };

struct column {
	size_t width;
	bool numbers, others; /* contents besides null */
	bool right;	      /* numbers only */
	bool hidden;
	const struct api_field *field;
	const char *heading;
};

struct table {
	size_t rows, columns, last /* visible column */, gap;
	struct column *column;
	struct buf text; /* all cells, NUL terminated */
	size_t *cell;	 /* rows * columns offsets into text */
};

/* Terminal columns: counts one per code point, good enough for VM names. */
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
	return json_array_size(rows) > 0 || (silent && silent(column, NULL));
}

static void table_head(struct table *t, const struct api_field *fields, const json_t *table,
	print_silent_fn *silent)
{
	size_t c;
	json_t *name;

	json_array_foreach (json_object_get(table, "columns"), c, name) {
		struct column *col = &t->column[c];

		const char *s = json_string_value(name) ? json_string_value(name) : "";

		col->field = value_field(fields, s);
		col->heading = col->field && col->field->head ? col->field->head : s;
		col->width = table_text_width(col->heading);
		col->hidden = table_is_silent(json_object_get(table, "rows"), c, s, silent);
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

static size_t table_width(const struct table *t)
{
	size_t sum = 0;

	for (size_t c = 0; c < t->columns; c++)
		if (!t->column[c].hidden)
			sum += t->column[c].width + (c < t->last ? t->gap : 0);
	return sum;
}

/* Too wide for the terminal: narrows the gaps, then shortens the widest texts. */
static void table_fit(struct table *t, size_t width)
{
	if (table_width(t) > width)
		t->gap = 1;
	for (;;) {
		size_t now = table_width(t), cut = now - width;
		struct column *widest = NULL;

		for (struct column *c = t->column; c < t->column + t->columns; c++)
			if (!c->hidden && !c->right && c->width > ADDRESS &&
				(!widest || c->width >= widest->width))
				widest = c;
		if (now <= width || !widest)
			return;
		widest->width = widest->width < cut + CELL_MIN ? CELL_MIN : widest->width - cut;
	}
}

static void table_add_blanks(struct buf *b, size_t n)
{
	char *p = buf_reserve(b, n);

	if (!p || !n)
		return;
	memset(p, ' ', n);
	buf_commit(b, n);
}

static void table_add_cell(struct buf *b, const struct table *t, size_t column, const char *text)
{
	const struct column *c = &t->column[column];
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
	if (column != t->last)
		table_add_blanks(b, (c->right ? 0 : pad) + t->gap);
}

static void table_add_heading(struct buf *b, const struct table *t)
{
	for (size_t c = 0; c < t->columns; c++) {
		_cleanup_(free_ptr) char *name = xstrdup(t->column[c].heading);

		if (t->column[c].hidden)
			continue;
		for (char *p = name; *p; p++)
			*p = *p == '_' || *p == '-' ? ' ' : (char)toupper((unsigned char)*p);
		table_add_cell(b, t, c, name);
	}
	buf_addc(b, '\n');
}

void print_table(struct buf *b, const struct api_field *fields, const json_t *table,
	print_silent_fn *silent, size_t indent, size_t width)
{
	const json_t *rows = json_object_get(table, "rows");
	struct table t = { .gap = GAP,
		.rows = json_array_size(rows),
		.columns = json_array_size(json_object_get(table, "columns")) };

	t.column = xcalloc(t.columns, sizeof *t.column);
	t.cell = xcalloc(t.rows * t.columns, sizeof *t.cell);
	table_head(&t, fields, table, silent);
	buf_adds(&t.text, ""); /* cells point into it, even if there are none */
	table_fill(&t, rows);
	if (width)
		table_fit(&t, width > indent ? width - indent : 0);
	table_add_blanks(b, indent);
	table_add_heading(b, &t);
	for (size_t r = 0; r < t.rows; r++) {
		table_add_blanks(b, indent);
		for (size_t c = 0; c < t.columns; c++)
			if (!t.column[c].hidden)
				table_add_cell(b, &t, c, t.text.data + t.cell[r * t.columns + c]);
		buf_addc(b, '\n');
	}
	buf_release(&t.text);
	free(t.cell);
	free(t.column);
}
