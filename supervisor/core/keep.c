/* SPDX-License-Identifier: MIT */
#include "supervisor/core/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/daemon.h"

enum { KEEP_SECONDS = 120, TEXT_MAX = 16 << 20 };

struct kept {
	struct kept *next;
	struct daemon *daemon;
	keep_fn *done;
	void *data;
	bool begun;
	char *text;
	char path[];
};

static struct kept *first; /* not done yet, in order */

static struct kept *keep_first_of(const char *path)
{
	struct kept *k = first;

	while (k && !streq(k->path, path))
		k = k->next;
	return k;
}

static void keep_kept_free(struct kept *k)
{
	struct kept **at = &first;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	free(k->text);
	free(k);
}

static void keep_on_done(void *data, const struct child_result *r);

static int keep_begin(struct kept *k, struct err *e)
{
	struct daemon *d = k->daemon;
	_cleanup_(free_ptr) char *len = xasprintf("%zu", k->text ? strlen(k->text) : 0);
	const char *argv[] = { "/proc/self/exe", "--keep", d->dirs.state, k->path,
		k->text ? len : "none", NULL };
	struct child_options o = { .argv = argv,
		.input = k->text,
		.timeout = KEEP_SECONDS,
		.while_idle = true,
		.done = keep_on_done,
		.data = k };

	k->begun = true;
	return child_run(d->loop.ev, &o, e) ? 0 : err_wrap(e, e->number, "keep '%s'", k->path);
}

/* Starts the next write queued for this file; reports those that fail to start. */
static void keep_begin_next(const char *path)
{
	struct kept *k;
	struct err e = ERR_INIT;

	while ((k = keep_first_of(path)) && !k->begun && keep_begin(k, &e) < 0) {
		k->done(k->data, &e);
		keep_kept_free(k);
		e = (struct err)ERR_INIT;
	}
}

static void keep_on_done(void *data, const struct child_result *r)
{
	struct kept *k = data;
	_cleanup_(free_ptr) char *said = text_escape(r->err, strcspn(r->err, "\n"), false);
	_cleanup_(free_ptr) char *path = xstrdup(k->path);
	struct err e = ERR_INIT;
	char late[CHILD_LATE];

	if (r->status == -ETIMEDOUT)
		err_set(&e, ERR_TIMEOUT,
			"keep '%s': its file system does not respond: the child that writes it %s",
			k->path, child_late(r, late));
	else if (r->status)
		err_set(&e, strstr(r->err, strerror(ENOSPC)) ? ERR_NO_RESOURCES : ERR_FAILED,
			"keep '%s': %s", k->path, *said ? said : "the child was killed");
	k->done(k->data, r->status ? &e : NULL);
	keep_kept_free(k);
	keep_begin_next(path);
}

int keep(struct daemon *d, const char *path, const char *text, keep_fn *done, void *data,
	struct err *e)
{
	struct kept *k = xcalloc(1, sizeof *k + strlen(path) + 1);
	bool alone = !keep_first_of(path);
	struct kept **end = &first;

	*k = (struct kept){ .daemon = d, .done = done, .data = data, .text = xstrdup(text) };
	memcpy(k->path, path, strlen(path));
	while (*end)
		end = &(*end)->next;
	*end = k;
	if (!alone || keep_begin(k, e) == 0)
		return 0;
	keep_kept_free(k);
	return e->number;
}

static void keep_on_unwatched(void *data, const struct err *e)
{
	if (e)
		log_error(NULL, "%s", e->text);
}

void keep_unwatched(void *data, const char *path, const char *text)
{
	struct err e = ERR_INIT;

	if (keep(data, path, text, keep_on_unwatched, NULL, &e) < 0)
		keep_on_unwatched(NULL, &e);
}

/* --- files to sync --- */

static struct buf unsynced = BUF_INIT; /* paths, one a line */
static bool syncing;

static void keep_sync_begin(struct daemon *d);

static void keep_on_synced(void *data, const struct child_result *r)
{
	_cleanup_(free_ptr) char *said = text_escape(r->err, strcspn(r->err, "\n"), false);
	char late[CHILD_LATE];

	if (r->status)
		log_error(NULL, "sync the state: %s",
			r->status == -ETIMEDOUT ? child_late(r, late)
			: *said			? said
						: "the child was killed");
	syncing = false;
	keep_sync_begin(data);
}

static void keep_sync_begin(struct daemon *d)
{
	_cleanup_(free_ptr) char *paths = syncing || !unsynced.len ? NULL : buf_steal(&unsynced);
	const char *argv[] = { "/proc/self/exe", "--sync", d->dirs.state, NULL };
	struct child_options o = { .argv = argv,
		.timeout = KEEP_SECONDS,
		.while_idle = true,
		.done = keep_on_synced,
		.data = d };
	struct err e = ERR_INIT;

	if (!paths)
		return;
	o.input = paths;
	syncing = child_run(d->loop.ev, &o, &e);
	if (!syncing)
		log_error(NULL, "sync the state: %s", e.text);
}

void keep_sync(struct daemon *d, const char *path)
{
	buf_printf(&unsynced, "%s\n", path);
	keep_sync_begin(d);
}

/* --- the children --- */

static int keep_read_all(struct buf *b, struct err *e)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0)
		if (buf_add(b, chunk, (size_t)n) < 0)
			return err_set(e, ERR_FAILED, "larger than %d bytes", TEXT_MAX);
	return n < 0 ? err_errno(e, "read") : 0;
}

/* A directory in a file's place is the only thing that neither rename() nor unlink() removes. */
static void keep_set_directory_aside(int fd, const char *file)
{
	_cleanup_(free_ptr) char *aside =
		xasprintf("%s.damaged-%lld", file, (long long)clock_wall());
	struct stat st;

	if (fstatat(fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		(void)!renameat(fd, file, fd, aside);
}

int keep_main(const char *dir, const char *file, const char *len)
{
	_cleanup_(close_fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct buf text = BUF_MAX(TEXT_MAX);
	struct err e = ERR_INIT;
	bool removes = streq(len, "none");
	int r;

	r = fd < 0 ? err_errno(&e, "open '%s'", dir) : keep_read_all(&text, &e);
	/* EOF does not tell whether the daemon died before it had sent everything */
	if (r == 0 && text.len != (removes ? 0 : strtoull(len, NULL, 10)))
		r = err_set(&e, ERR_FAILED, "the text is incomplete");
	if (r == 0)
		keep_set_directory_aside(fd, file);
	if (r == 0 && !removes)
		r = file_replace(fd, file, 0600, text.data, text.len, true, &e);
	else if (r == 0 && unlinkat(fd, file, 0) < 0 && errno != ENOENT)
		r = err_errno(&e, "remove");
	else if (r == 0 && file_sync_parent(fd, file) < 0)
		r = err_errno(&e, "sync");
	buf_release(&text);
	if (r == 0)
		return 0;
	fprintf(stderr, "%s\n", e.text);
	return 1;
}

static int keep_sync_file(int dir, const char *file)
{
	_cleanup_(close_fd) int fd =
		openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = fsync(fd) < 0 ? -errno : file_sync_parent(dir, file);
	return r == -ENOENT ? 0 : r;
}

int keep_sync_main(const char *dir)
{
	_cleanup_(close_fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(buf_release) struct buf paths = BUF_MAX(TEXT_MAX);
	struct err e = ERR_INIT;
	int failed = fd < 0 ? err_errno(&e, "open '%s'", dir) : keep_read_all(&paths, &e);

	if (failed)
		fprintf(stderr, "%s\n", e.text);
	for (char *line = failed ? NULL : paths.data, *end; line && (end = strchr(line, '\n'));
		line = end + 1) {
		int r;

		*end = '\0';
		r = keep_sync_file(fd, line);
		if (r < 0)
			fprintf(stderr, "'%s': %s\n", line, strerror(-r));
		failed |= r;
	}
	return failed ? 1 : 0;
}
