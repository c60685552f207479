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
#include "supervisor/api/result.h"

enum { FIELDS = 4, READ_MAX = 2 * HISTORY_MAX };
static const char version[] = "vmkeep-history 1\n";

static void history_add_field(struct buf *out, const char *text)
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
	history_add_field(out, r->event);
	history_add_field(out, r->who);
	history_add_field(out, r->why);
	buf_addc(out, '\n');
}

bool history_is_asked(const char *who)
{
	return who && *who && !streq(who, "policy");
}

/* Splits a line in place; false: not a record. */
static bool history_split(char *line, char *field[FIELDS])
{
	size_t n = 0;
	char *p = line;

	while (p && n < FIELDS)
		field[n++] = strsep(&p, "\t");
	return n == FIELDS && field[0][0] >= '0' && field[0][0] <= '9';
}

/* Does this line record a requested event? */
static bool history_line_asked(const char *line, size_t len)
{
	_cleanup_(free_ptr) char *copy = xstrndup(line, len);
	char *field[FIELDS];

	return history_split(copy, field) && history_is_asked(field[2]);
}

/* Keeps the newest records of both kinds, in file order. */
static void history_newest(const char *text, size_t len, struct buf *out)
{
	const char *end = text + len, *line;
	size_t room[] = { HISTORY_OWN, HISTORY_ASKED };
	_cleanup_(buf_release) struct buf dropped =
		BUF_INIT; /* one byte per line, starting with the last line */

	for (; end > text; end = line) {
		size_t n;
		bool asked;

		line = memrchr(text, '\n', (size_t)(end - text - 1));
		line = line ? line + 1 : text;
		n = (size_t)(end - line);
		asked = history_line_asked(line, n);
		if (*line < '0' || *line > '9' || end[-1] != '\n') {
			buf_addc(&dropped, 1);
			continue;
		}
		/* a record that does not fit causes all older ones to be dropped too */
		room[asked] = n <= room[asked] ? room[asked] - n : 0;
		buf_addc(&dropped, room[asked] == 0);
	}
	for (line = text; line < text + len; line = end) {
		end = memchr(line, '\n', (size_t)(text + len - line));
		end = end ? end + 1 : text + len;
		if (dropped.len && !dropped.data[--dropped.len])
			buf_add(out, line, (size_t)(end - line));
	}
}

/* A file that is far too long was not written by us: read only its beginning and end, in whole
 * lines. */
static int history_load(int dirfd, const char *path, struct buf *out, struct err *e)
{
	enum { HALF = READ_MAX / 2 };
	_cleanup_(close_fd) int fd =
		openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_(free_ptr) char *half = NULL;
	const char *cut;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= READ_MAX)
		return file_read(dirfd, path, out, e);
	half = xcalloc(1, HALF);
	n = pread(fd, half, HALF, 0);
	cut = n > 0 ? memrchr(half, '\n', (size_t)n) : NULL;
	if (cut)
		buf_add(out, half, (size_t)(cut + 1 - half));
	n = pread(fd, half, HALF, st.st_size - HALF);
	cut = n > 0 ? memchr(half, '\n', (size_t)n) : NULL;
	if (cut)
		buf_add(out, cut + 1, (size_t)(half + n - cut - 1));
	return 0;
}

static int history_drop_older(int dirfd, const char *path, struct err *e)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(READ_MAX), kept = BUF_INIT;

	if (history_load(dirfd, path, &text, e) < 0)
		return e->number;
	buf_adds(&kept, version);
	if (text.len)
		history_newest(text.data, text.len, &kept);
	return file_replace(dirfd, path, 0600, kept.data, kept.len, false, e);
}

int history_append(int dirfd, const char *path, const struct history_record *r, struct err *e)
{
	_cleanup_(close_fd) int fd = openat(dirfd, path,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	_cleanup_(buf_release) struct buf line = BUF_INIT;
	struct stat st;
	int rc = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "open '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FAILED, "'%s' is not a regular file", path);
	if (st.st_size == 0)
		buf_adds(&line, version);
	history_line(r, &line);
	if (file_write_all(fd, line.data, line.len) < 0) {
		rc = err_errno(e, "write '%s'", path);
		/* a partial line would corrupt the next one */
		(void)!ftruncate(fd, st.st_size);
	} else if ((uint64_t)st.st_size + line.len > HISTORY_MAX) {
		rc = history_drop_older(dirfd, path, e);
	}
	return rc;
}

json_t *history_table(const char *text, size_t len, size_t last)
{
	json_t *rows = json_array();
	const char *from = text + len;

	/* the newline at the end of the last line does not count */
	for (size_t lines = 0; from > text; from--)
		if (from < text + len && from[-1] == '\n' && ++lines == last)
			break;
	while (from < text + len) {
		const char *end = memchr(from, '\n', (size_t)(text + len - from));
		_cleanup_(free_ptr) char *line =
			xstrndup(from, (size_t)((end ? end : text + len) - from));
		char *field[FIELDS];
		json_t *row = NULL;

		if (history_split(line, field))
			row = json_pack("[f, s, s, s]", strtod(field[0], NULL), field[1], field[2],
				field[3]);
		/* invalid UTF-8 was not written by us */
		if (row)
			json_array_append_new(rows, row);
		from = end ? end + 1 : text + len;
	}
	return api_table(api_history_row, rows);
}

json_t *history_read(int dirfd, const char *path, size_t last, struct err *e)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(READ_MAX);

	if (faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return history_table("", 0, last);
	if (history_load(dirfd, path, &text, e) < 0)
		return NULL;
	return history_table(text.data ? text.data : "", text.len, last);
}
