/* SPDX-License-Identifier: MIT */
/* The texts as lines, read as conf/reader.c reads them. */
#include "conf/edit_private.h"

struct edit_parts { /* of a line; pointers into it */
	enum { EDIT_BLANK, EDIT_HEADER, EDIT_KEY, EDIT_OTHER } kind;
	const char *name; /* of the header or key */
	size_t name_len;
	const char *rest; /* id or value */
	size_t rest_len;
};

static bool edit_lines_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Without blanks at both ends. */
static void edit_lines_trim(const char **s, size_t *len)
{
	while (*len && edit_lines_is_blank(**s)) {
		(*s)++;
		(*len)--;
	}
	while (*len && edit_lines_is_blank((*s)[*len - 1]))
		(*len)--;
}

/* The length of its end of line: 0, 1 or 2. */
static size_t edit_lines_end(const struct edit_line *l)
{
	if (!l->len || l->text[l->len - 1] != '\n')
		return 0;
	return l->len > 1 && l->text[l->len - 2] == '\r' ? 2 : 1;
}

static void edit_lines_header(struct edit_parts *p, const char *s, size_t len)
{
	const char *end = memchr(s, ']', len), *space;

	p->kind = EDIT_OTHER;
	if (!end || end != s + len - 1)
		return;
	s++;
	len -= 2;
	edit_lines_trim(&s, &len);
	space = memchr(s, ' ', len);
	p->kind = EDIT_HEADER;
	p->name = s;
	p->name_len = space ? (size_t)(space - s) : len;
	p->rest = s + p->name_len;
	p->rest_len = len - p->name_len;
	edit_lines_trim(&p->rest, &p->rest_len);
}

static struct edit_parts edit_lines_parts(const struct edit_line *l)
{
	struct edit_parts p = { .kind = EDIT_OTHER };
	const char *s = l->text, *equals;
	size_t len = l->len - edit_lines_end(l);

	if (l->was == 1 && len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) {
		s += 3;
		len -= 3;
	}
	if (len && s[len - 1] == '\r') /* of a last line */
		len--;
	edit_lines_trim(&s, &len);
	if (!len) {
		p.kind = EDIT_BLANK;
	} else if (*s == '[') {
		edit_lines_header(&p, s, len);
	} else if (*s != '#' && *s != ';' && (equals = memchr(s, '=', len))) {
		p.kind = EDIT_KEY;
		p.name = s;
		p.name_len = (size_t)(equals - s);
		p.rest = equals + 1;
		p.rest_len = len - p.name_len - 1;
		edit_lines_trim(&p.name, &p.name_len);
		edit_lines_trim(&p.rest, &p.rest_len);
	}
	return p;
}

static bool edit_lines_is(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(s, word, len) == 0;
}

static bool edit_lines_opens(const struct edit_parts *p, const struct edit_key *t)
{
	return p->kind == EDIT_HEADER && edit_lines_is(p->name, p->name_len, t->section) &&
	       edit_lines_is(p->rest, p->rest_len, t->id ? t->id : "");
}

struct conf_edit *conf_edit_new(
	const struct conf_source *src, size_t n, const struct conf_daemon *defaults)
{
	struct conf_edit *ed = xcalloc(1, sizeof *ed);

	ed->file = xcalloc(n ? n : 1, sizeof *ed->file);
	ed->files = n;
	ed->defaults = defaults;
	for (size_t i = 0; i < n; i++) {
		struct edit_file *f = &ed->file[i];
		const char *text = arena_strndup(&ed->arena, src[i].text, src[i].len);
		const char *end = text + src[i].len;

		while (text < end) {
			const char *nl = memchr(text, '\n', (size_t)(end - text));
			size_t len = nl ? (size_t)(nl - text) + 1 : (size_t)(end - text);

			GROW(f->line, f->n, f->cap);
			f->line[f->n] =
				(struct edit_line){ text, len, (unsigned)f->n + 1, ++ed->serial };
			f->n++;
			text += len;
		}
	}
	return ed;
}

void conf_edit_free(struct conf_edit *ed)
{
	if (!ed)
		return;
	for (size_t i = 0; i < ed->files; i++)
		free(ed->file[i].line);
	free(ed->file);
	free(ed->row);
	arena_release(&ed->arena);
	free(ed);
}

bool conf_edit_text(const struct conf_edit *ed, size_t file, struct buf *b)
{
	const struct edit_file *f = &ed->file[file];

	for (size_t i = 0; f->changed && i < f->n; i++)
		buf_add(b, f->line[i].text, f->line[i].len);
	return f->changed;
}

const struct conf_edit_row *conf_edit_rows(struct conf_edit *ed, size_t *n)
{
	for (size_t i = 0; i < ed->rows; i++) {
		struct conf_edit_row *row = &ed->row[i];

		for (size_t k = 0; row->serial && k < ed->file[row->file].n; k++)
			if (ed->file[row->file].line[k].serial == row->serial)
				row->line = (unsigned)k + 1;
	}
	*n = ed->rows;
	return ed->row;
}

void edit_find(const struct conf_edit *ed, const struct edit_key *t, struct edit_found *found)
{
	for (size_t i = 0; i < ed->files; i++) {
		const struct edit_file *f = &ed->file[i];
		bool inside = false;

		for (size_t k = 0; k < f->n; k++) {
			struct edit_parts p = edit_lines_parts(&f->line[k]);

			if (p.kind == EDIT_HEADER)
				inside = edit_lines_opens(&p, t);
			if (!inside || p.kind != EDIT_KEY ||
				!edit_lines_is(p.name, p.name_len, t->key))
				continue;
			GROW(found->at, found->n, found->cap);
			found->at[found->n++] = (struct edit_at){ i, k };
		}
	}
}

void edit_found_release(struct edit_found *found)
{
	free(found->at);
	*found = (struct edit_found){ 0 };
}

char *edit_value_at(struct conf_edit *ed, struct edit_at at)
{
	struct edit_parts p = edit_lines_parts(&ed->file[at.file].line[at.line]);

	return arena_strndup(&ed->arena, p.rest ? p.rest : "", p.rest_len);
}

void edit_change(struct conf_edit *ed, struct edit_at at, const char *value)
{
	struct edit_line *l = &ed->file[at.file].line[at.line];
	struct edit_parts p = edit_lines_parts(l);
	const char *end = l->text + l->len - edit_lines_end(l);
	const char *text = arena_printf(&ed->arena, "%.*s%s%.*s", (int)(p.rest - l->text), l->text,
		value, (int)edit_lines_end(l), end);

	l->len = strlen(text);
	l->text = text;
	ed->file[at.file].changed = true;
}

void edit_delete(struct conf_edit *ed, struct edit_at at)
{
	struct edit_file *f = &ed->file[at.file];

	f->n--;
	memmove(&f->line[at.line], &f->line[at.line + 1], (f->n - at.line) * sizeof *f->line);
	f->changed = true;
}

/* The line ending that the file uses. */
static const char *edit_lines_newline(const struct edit_file *f)
{
	return f->n && edit_lines_end(&f->line[0]) == 2 ? "\r\n" : "\n";
}

/* text: without a line ending */
static void edit_lines_put(struct conf_edit *ed, struct edit_at at, const char *text)
{
	struct edit_file *f = &ed->file[at.file];
	const char *nl = edit_lines_newline(f);
	struct edit_line *before = at.line ? &f->line[at.line - 1] : NULL;
	const char *whole = arena_printf(&ed->arena, "%s%s", text, nl);

	if (before && !edit_lines_end(before)) {
		before->text =
			arena_printf(&ed->arena, "%.*s%s", (int)before->len, before->text, nl);
		before->len += strlen(nl);
	}
	f->cap = f->n + 1;
	f->line = xrealloc(f->line, f->cap, sizeof *f->line);
	if (at.line < f->n)
		memmove(&f->line[at.line + 1], &f->line[at.line],
			(f->n - at.line) * sizeof *f->line);
	f->line[at.line] = (struct edit_line){ whole, strlen(whole), 0, ++ed->serial };
	f->n++;
	f->changed = true;
}

struct edit_at edit_insert_beside(
	struct conf_edit *ed, struct edit_at at, bool after, const char *key, const char *value)
{
	const struct edit_line *l = &ed->file[at.file].line[at.line];
	const struct edit_parts p = edit_lines_parts(l);
	const char *s = l->text;
	int indent = 0;

	while (p.kind == EDIT_KEY && s + indent < p.name && edit_lines_is_blank(s[indent]))
		indent++;
	at.line += after;
	edit_lines_put(ed, at, arena_printf(&ed->arena, "%.*s%s=%s", indent, s, key, value));
	return at;
}

/* The last line of the section that is neither blank nor a comment: its header at least. */
static bool edit_lines_tail(
	const struct conf_edit *ed, const struct edit_key *t, struct edit_at *tail)
{
	for (size_t i = 0; i < ed->files; i++) {
		const struct edit_file *f = &ed->file[i];
		bool inside = false, there = false;

		for (size_t k = 0; k < f->n; k++) {
			struct edit_parts p = edit_lines_parts(&f->line[k]);

			if (p.kind == EDIT_HEADER)
				inside = edit_lines_opens(&p, t);
			if (!inside || (p.kind != EDIT_HEADER && p.kind != EDIT_KEY))
				continue;
			*tail = (struct edit_at){ i, k };
			there = true;
		}
		if (there)
			return true;
	}
	return false;
}

struct edit_at edit_insert(
	struct conf_edit *ed, const struct edit_key *t, const char *value, bool *new_section)
{
	const struct edit_file *f = &ed->file[0];
	struct edit_at at = { 0, f->n };

	*new_section = !edit_lines_tail(ed, t, &at);
	if (*new_section) {
		if (f->n && edit_lines_parts(&f->line[f->n - 1]).kind != EDIT_BLANK)
			edit_lines_put(ed, (struct edit_at){ 0, f->n }, "");
		at.line = f->n;
		edit_lines_put(ed, at,
			arena_printf(&ed->arena, "[%s%s%s]", t->section, t->id ? " " : "",
				t->id ? t->id : ""));
	}
	return edit_insert_beside(ed, at, true, t->key, value);
}

size_t edit_section_at(const struct conf_edit *ed, const struct edit_key *t, struct edit_at *at)
{
	const struct edit_file *f = &ed->file[at->file];
	size_t end = 0;

	for (size_t k = 0; k < f->n; k++) {
		struct edit_parts p = edit_lines_parts(&f->line[k]);

		if (end && p.kind == EDIT_HEADER)
			break;
		if (!end && edit_lines_opens(&p, t))
			at->line = k;
		else if (!end || p.kind != EDIT_KEY)
			continue;
		end = k + 1;
	}
	if (end && end < f->n && edit_lines_parts(&f->line[end]).kind == EDIT_BLANK)
		end++;
	return end ? end - at->line : 0;
}
