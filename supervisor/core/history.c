/* SPDX-License-Identifier: MIT */
#include "supervisor/core/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

enum { FIELDS = 4, READ_MAX = 2 * HISTORY_MAX };
static const char version[] = "vmkeep-history 1\n";

static void add_field(struct buf *out, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	_cleanup_(free_ptr) char *safe = text_escape(
		text ? text : "", len < HISTORY_FIELD_MAX ? len : HISTORY_FIELD_MAX, false);

	buf_addc(out, '\t');
	buf_adds(out, safe);
}

void history_line(const struct history_record *r, struct buf *out)
{
	buf_printf(out, "%.3f", r->time);
	add_field(out, r->event);
	add_field(out, r->who);
	add_field(out, r->why);
	buf_addc(out, '\n');
}

/* The newer half, from the start of a line on. */
static int drop_older(int dirfd, const char *path, struct err *e)
{
	struct buf text = BUF_MAX(READ_MAX), kept = BUF_INIT;
	const char *from = NULL;
	int r = file_read(dirfd, path, &text, e);

	if (r == 0 && text.len)
		from = memchr(text.data + text.len / 2, '\n', text.len - text.len / 2);
	if (r == 0) {
		buf_adds(&kept, version);
		if (from)
			buf_add(&kept, from + 1, text.len - (size_t)(from + 1 - text.data));
		r = file_replace(dirfd, path, 0600, kept.data, kept.len, false, e);
	}
	buf_release(&text);
	buf_release(&kept);
	return r;
}

int history_append(int dirfd, const char *path, const struct history_record *r, struct err *e)
{
	_cleanup_(close_fd) int fd = openat(dirfd, path,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct buf line = BUF_INIT;
	struct stat st;
	int rc = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "open '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FAILED, "'%s' is no regular file", path);
	if (st.st_size == 0)
		buf_adds(&line, version);
	history_line(r, &line);
	if (file_write_all(fd, line.data, line.len) < 0) {
		rc = err_errno(e, "write '%s'", path);
		/* half a line would spoil the next one */
		(void)!ftruncate(fd, st.st_size);
	} else if ((uint64_t)st.st_size + line.len > HISTORY_MAX) {
		rc = drop_older(dirfd, path, e);
	}
	buf_release(&line);
	return rc;
}

/* Splits a line in place; false: no record. */
static bool split(char *line, char *field[FIELDS])
{
	size_t n = 0;
	char *p = line;

	while (p && n < FIELDS)
		field[n++] = strsep(&p, "\t");
	return n == FIELDS && field[0][0] >= '0' && field[0][0] <= '9';
}

json_t *history_table(const char *text, size_t len, size_t last)
{
	json_t *rows = json_array();
	const char *from = text + len;

	/* the newline that ends the last line counts for none */
	for (size_t lines = 0; from > text; from--)
		if (from < text + len && from[-1] == '\n' && ++lines == last)
			break;
	while (from < text + len) {
		const char *end = memchr(from, '\n', (size_t)(text + len - from));
		_cleanup_(free_ptr) char *line =
			xstrndup(from, (size_t)((end ? end : text + len) - from));
		char *field[FIELDS];
		json_t *row = NULL;

		if (split(line, field))
			row = json_pack("[f, s, s, s]", strtod(field[0], NULL), field[1], field[2],
				field[3]);
		/* bytes that are no UTF-8 were not written by us */
		if (row)
			json_array_append_new(rows, row);
		from = end ? end + 1 : text + len;
	}
	return json_pack(
		"{s:[s,s,s,s], s:o}", "columns", "time", "event", "who", "reason", "rows", rows);
}

json_t *history_read(int dirfd, const char *path, size_t last, struct err *e)
{
	struct buf text = BUF_MAX(READ_MAX);
	json_t *table = NULL;

	if (faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		table = history_table("", 0, last);
	else if (file_read(dirfd, path, &text, e) == 0)
		table = history_table(text.data ? text.data : "", text.len, last);
	buf_release(&text);
	return table;
}
