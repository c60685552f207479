/* SPDX-License-Identifier: MIT */
/*
 * The child's side of trash.h. On stdin:
 *
 *   {"move": bool, "time": N, "uuid": "",
 *    "stores": [{"id", "path", "mounted": bool}],   searched for overlays
 *    "others": [{"path", "of": "VM 'b'"}],          images that are needed
 *    "images": [{"path", "store", "name", "volume", "why"}]}  as of trash_images()
 *
 * On stdout {"images": [..]} as for trash_fn, or {"error": {..}}.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"
#include "supervisor/make/asked.h"
#include "supervisor/make/trash_private.h"

enum { INPUT_MAX = 16 << 20, UUID_LEN = 36 };

static const char mark_name[] = "trusted.vmkeep"; /* jail/mark.c */

/* --- the images --- */

static bool trash_is_anothers(int fd, const char *uuid, char mark[UUID_LEN + 1])
{
	ssize_t n = fgetxattr(fd, mark_name, mark, UUID_LEN);

	mark[n == UUID_LEN ? n : 0] = '\0';
	return *mark && !streq(mark, uuid);
}

/* Beneath its store, without links, and not on another file system, to which nothing can be
 * renamed. */
static int trash_open_parent(const struct trash_image *m)
{
	const char *slash = strrchr(m->name, '/');
	_cleanup_(free_ptr) char *dir =
		slash ? xasprintf("%.*s", (int)(slash - m->name), m->name) : xstrdup(".");
	_cleanup_(close_fd) int store = open(m->store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV };

	return store < 0 ? -1 : (int)syscall(SYS_openat2, store, dir, &how, sizeof how);
}

static void trash_look_volume(struct trash_image *m)
{
	if (stat(m->path, &m->st) < 0)
		trash_keep(m, "it cannot be looked at: %s", strerror(errno));
}

static void trash_look(struct trash *t, struct trash_image *m)
{
	const char *slash = strrchr(m->name, '/'), *base = slash ? slash + 1 : m->name;
	_cleanup_(close_fd) int fd = -1;
	char mark[UUID_LEN + 1];

	m->dir = trash_open_parent(m);
	if (m->dir >= 0)
		fd = openat(
			m->dir, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &m->st) < 0)
		trash_keep(m, "it cannot be opened: %s",
			errno == ELOOP ? "a link is in the way" : strerror(errno));
	else if (!S_ISREG(m->st.st_mode))
		trash_keep(m, "it is not a regular file");
	else if (m->st.st_nlink != 1)
		trash_keep(m, "it has another name, a hard link");
	else if (trash_is_anothers(fd, t->uuid, mark))
		trash_keep(m, "it is marked as a disk of the VM with UUID %s", mark);
}

static int trash_read_images(struct trash *t, struct err *e)
{
	const json_t *images = json_object_get(t->doc, "images");
	size_t i;
	json_t *one;

	if (json_array_size(images) > TRASH_IMAGES_MAX)
		return err_set(e, ERR_FAILED, "more than %d images", TRASH_IMAGES_MAX);
	json_array_foreach (images, i, one) {
		struct trash_image *m = &t->image[t->images++];

		*m = (struct trash_image){ .dir = -1,
			.path = asked_text(one, "path"),
			.store = asked_text(one, "store"),
			.name = asked_text(one, "name"),
			.volume = json_is_true(json_object_get(one, "volume")) };
		if (*asked_text(one, "why"))
			trash_keep(m, "%s", asked_text(one, "why"));
		else if (m->volume)
			trash_look_volume(m);
		else
			trash_look(t, m);
	}
	return 0;
}

static int trash_check(struct trash *t, struct err *e)
{
	bool some = false;

	if (trash_read_images(t, e) < 0)
		return e->number;
	for (size_t k = 0; k < t->images; k++)
		some = some || !t->image[k].why;
	return some ? trash_search(t, e) : 0;
}

/* --- to the trash --- */

/* Its place in the store in one name, and the time. */
static char *trash_name(const struct trash *t, const struct trash_image *m)
{
	struct buf b = BUF_INIT;

	for (const char *s = m->name; *s; s++) {
		if (*s == '/' || *s == '%')
			buf_printf(&b, "%%%02X", *s);
		else
			buf_addc(&b, *s);
	}
	buf_printf(&b, ".%" JSON_INTEGER_FORMAT, t->time);
	return buf_steal(&b);
}

/* NFS knows no rename that replaces nothing. A link replaces nothing either; killed in the middle,
 * there are two names. */
static int trash_rename(int from, const char *name, int to, const char *new)
{
	if (renameat2(from, name, to, new, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	return linkat(from, name, to, new, 0) < 0 ? -1 : unlinkat(from, name, 0);
}

static void trash_move(struct trash *t, struct trash_image *m, bool move)
{
	const char *slash = strrchr(m->name, '/'), *base = slash ? slash + 1 : m->name;
	_cleanup_(free_ptr) char *name = trash_name(t, m);
	struct err e = ERR_INIT;
	_cleanup_(close_fd) int to = trash_open(m->store, move, &e);

	if (to < 0 && (move || e.class != ERR_NOT_FOUND)) {
		trash_keep(m, "%s", e.text);
		return;
	}
	if (move && trash_rename(m->dir, base, to, name) < 0) {
		trash_keep(m, "it cannot be moved to the trash: %s", strerror(errno));
		return;
	}
	m->to = xasprintf("%s/" TRASH_DIR "/%s", m->store, name);
	if (move && (fsync(to) < 0 || fsync(m->dir) < 0))
		fprintf(stderr, "sync the trash: %s\n", strerror(errno));
}

static json_t *trash_answer(struct trash *t)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < t->images; i++) {
		const struct trash_image *m = &t->image[i];

		json_array_append_new(rows, json_pack("{s:s, s:o, s:o}", "path", m->path, "to",
						    m->to ? api_text(m->to) : json_null(), "why",
						    m->why ? api_text(m->why) : json_null()));
	}
	return json_pack("{s:o}", "images", rows);
}

static void trash_release(struct trash *t)
{
	for (size_t i = 0; i < t->images; i++) {
		close_fd(&t->image[i].dir);
		free(t->image[i].to);
		free(t->image[i].why);
	}
	json_decref(t->doc);
}

int trash_main(void)
{
	static struct trash t;
	struct err e = ERR_INIT;
	int r;

	t.doc = asked_read(INPUT_MAX, &e);
	t.uuid = asked_text(t.doc, "uuid");
	t.time = json_integer_value(json_object_get(t.doc, "time"));
	r = t.doc ? trash_check(&t, &e) : e.number;
	for (size_t i = 0; r == 0 && i < t.images; i++)
		if (t.image[i].dir >= 0)
			trash_move(&t, &t.image[i], json_is_true(json_object_get(t.doc, "move")));
	r = asked_answer(r == 0 ? trash_answer(&t) : NULL, &e);
	trash_release(&t);
	return r;
}
