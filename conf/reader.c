/* SPDX-License-Identifier: MIT */
#include "conf/reader.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "conf/schema.h"

struct reader {
	const struct conf_reader_calls *calls;
	void *data;
	struct conf_problems *problems;
	size_t before;		 /* problems found before this source */
	struct conf_place place; /* of the line in text */
	const char *next, *end;
	char text[CONF_LINE_MAX + 1];
	const char *header; /* points into text; NULL: malformed */
	const char *value;  /* points into text */
	bool begun;	    /* the header was passed to inih, its section not yet announced */
};

static const char key_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";

static bool reader_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Trims blanks at both ends, in place. */
static char *reader_trim(char *s)
{
	size_t len;

	while (reader_is_blank(*s))
		s++;
	len = strlen(s);
	while (len && reader_is_blank(s[len - 1]))
		len--;
	s[len] = '\0';
	return s;
}

bool conf_is_printable(const char *text)
{
	const char *end = text + strlen(text);
	uint32_t c;

	for (size_t n; text < end; text += n) {
		n = text_utf8(text, (size_t)(end - text), &c);
		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0))
			return false;
	}
	return true;
}

/* Reads the next valid line into r->text; false at the end. Stops once there are more problems
 * than are shown: a megabyte of garbage would hold up the loop. */
static bool reader_take_line(struct reader *r)
{
	while (r->next < r->end && r->problems->count - r->before <= CONF_PROBLEMS_MAX) {
		const char *start = r->next;
		const char *nl = memchr(start, '\n', (size_t)(r->end - start));
		size_t len = (size_t)((nl ? nl : r->end) - start);

		r->next = nl ? nl + 1 : r->end;
		if (r->place.line++ == 0 && len >= 3 && memcmp(start, "\xef\xbb\xbf", 3) == 0) {
			start += 3;
			len -= 3;
		}
		if (len && start[len - 1] == '\r')
			len--;
		if (len > CONF_LINE_MAX) {
			conf_problem(r->problems, &r->place, NULL,
				"line of %zu bytes, at most %d are possible", len, CONF_LINE_MAX);
		} else if (memchr(start, '\0', len)) {
			conf_problem(r->problems, &r->place, NULL, "NUL byte");
		} else {
			memcpy(r->text, start, len);
			r->text[len] = '\0';
			return true;
		}
	}
	return false;
}

/* s begins with '['. */
static void reader_take_header(struct reader *r, char *s)
{
	char *end = strchr(s, ']');

	r->header = NULL;
	if (!end)
		conf_problem(r->problems, &r->place, NULL, "section header without ']'");
	else if (end[1])
		conf_problem(r->problems, &r->place, NULL, "text after the section header");
	else if (end - s > CONF_HEADER_MAX)
		conf_problem(r->problems, &r->place, NULL, "section header of more than %d bytes",
			CONF_HEADER_MAX);
	else if (strcspn(s + 1, "[=") < (size_t)(end - s - 1))
		conf_problem(r->problems, &r->place, NULL, "'[' or '=' in the section header");
	else {
		*end = '\0';
		r->header = reader_trim(s + 1);
		if (!conf_is_printable(r->header)) {
			conf_problem(r->problems, &r->place, NULL,
				"control character or bad UTF-8 in the section header");
			r->header = NULL;
		}
	}
}

/* Splits s; returns the key, or NULL after reporting what is wrong. */
static const char *reader_take_key(struct reader *r, char *s)
{
	char *equals = strchr(s, '=');
	const char *key;

	if (!equals) {
		conf_problem(r->problems, &r->place, NULL, "no '=' here; lines are Key=value");
		return NULL;
	}
	*equals = '\0';
	key = reader_trim(s);
	r->value = reader_trim(equals + 1);
	if (!*key || strlen(key) > CONF_KEY_MAX || key[strspn(key, key_chars)]) {
		conf_problem(r->problems, &r->place, NULL,
			"invalid key: letters, digits, '-' and '.', at "
			"most %d",
			CONF_KEY_MAX);
		return NULL;
	}
	if (!conf_is_printable(r->value)) {
		conf_problem(
			r->problems, &r->place, key, "control character or bad UTF-8 in the value");
		return NULL;
	}
	return key;
}

/* inih's fgets: for each non-empty line of ours, one line that it cannot misread. A section is
 * announced by a key of its own, "@", because inih does not report empty ones. */
static char *reader_feed(char *line, int size, void *stream)
{
	struct reader *r = stream;

	if (r->begun) {
		r->begun = false;
		snprintf(line, (size_t)size, "@=%u\n", r->place.line);
		return line;
	}
	while (reader_take_line(r)) {
		char *s = reader_trim(r->text);
		const char *key;

		if (*s == '\0' || *s == '#' || *s == ';')
			continue;
		if (*s == '[') {
			reader_take_header(r, s);
			r->begun = true;
			snprintf(line, (size_t)size, "[%u]\n", r->place.line);
			return line;
		}
		key = reader_take_key(r, s);
		if (key) {
			snprintf(line, (size_t)size, "%s=%u\n", key, r->place.line);
			return line;
		}
	}
	return NULL;
}

static int reader_handle(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;

	(void)value; /* the line number: same as r->place, because inih does not read ahead */
	if (strcmp(name, "@") == 0)
		r->calls->section(r->data, &r->place, r->header);
	else if (*section)
		r->calls->key(r->data, &r->place, name, r->value);
	else
		conf_problem(r->problems, &r->place, name, "comes before the first [section]");
	return 1;
}

void conf_read(const struct conf_source *src, const struct conf_reader_calls *calls, void *data,
	struct conf_problems *p)
{
	struct reader r = {
		.calls = calls,
		.data = data,
		.problems = p,
		.before = p->count,
		.place.file = src->file,
		.next = src->text,
		.end = src->text + src->len,
	};

	if (src->len > CONF_TEXT_MAX)
		conf_problem(p, &r.place, NULL, "larger than %d bytes", CONF_TEXT_MAX);
	else if (src->len)
		ini_parse_stream(reader_feed, &r, reader_handle, &r);
}
