/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/identity.c - saves the VM's identity before its guest can run
 *
 * UUID, uid, MACs and addresses of a guest that ran must be the same after a power cut, so the file
 * and its directory are fsynced. The daemon cannot wait for that, we can. If nothing changed,
 * nothing is written. A check only looks whether it could be.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "supervisor/jail/jail.h"

enum { DAY = 86400, BASES_MAX = 1024 };

/* Records in the document which disks we created, so that they are never created again. Returns
 * them for the daemon. */
static json_t *identity_mark_made(const struct jail *j, json_int_t now)
{
	json_t *made = json_array(), *disk;
	size_t n;

	for (size_t i = 0; i < j->n_files; i++) {
		if (!j->file[i].made && !j->file[i].new_volume)
			continue;
		json_array_append_new(
			made, json_pack("{s:s, s:I}", "id", j->file[i].id, "created", now));
		json_array_foreach (json_object_get(j->identity.document, "disks"), n, disk)
			if (streq(json_string_value(json_object_get(disk, "id")), j->file[i].id))
				json_object_set_new(disk, "created", json_integer(now));
	}
	return made;
}

/* Recorded once per day, so that most starts write nothing. */
static void jail_identity_saw(struct jail *j, json_t *images, const char *path, json_int_t now)
{
	json_t *image, *known = NULL;
	size_t n;

	json_array_foreach (images, n, image)
		if (streq(json_string_value(json_object_get(image, "path")), path))
			known = image;
	if (known && json_integer_value(json_object_get(known, "seen")) / DAY == now / DAY)
		return;
	if (known)
		json_object_set_new(known, "seen", json_integer(now));
	else
		json_array_append_new(images, json_pack("{s:s, s:I}", "path", path, "seen", now));
	j->identity.changed = true;
}

/* Records every disk, whoever created it: if it is gone later, it is reported as missing. */
static void identity_mark_seen(struct jail *j, json_int_t now)
{
	json_t *images = json_object_get(j->identity.document, "images");

	if (!images) {
		images = json_array();
		json_object_set_new(j->identity.document, "images", images);
	}
	for (size_t i = 0; i < j->n_files; i++)
		if (j->file[i].kind == JAIL_DISK && j->file[i].fd >= 0)
			jail_identity_saw(j, images, j->file[i].path, now);
}

static size_t identity_find_path(const json_t *rows, const char *path)
{
	size_t n = 0;

	while (n < json_array_size(rows) &&
		!streq(json_string_value(json_object_get(json_array_get(rows, n), "path")), path))
		n++;
	return n;
}

struct json_t *base_row(const struct jail_file *f)
{
	const char *stated =
		f->known ? json_string_value(json_object_get(f->known, "stated")) : f->states;

	return json_pack("{s:s, s:s, s:s, s:I, s:I}", "path", f->path, "format",
		jail_format_names[f->format], "stated", stated ? stated : "", "size",
		(json_int_t)f->st.st_size, "mtime", (json_int_t)f->st.st_mtime);
}

/* Records what each base is, and how it was. */
static void identity_mark_bases(struct jail *j)
{
	json_t *bases = json_object_get(j->identity.document, "bases");

	for (size_t i = 0; i < j->n_files; i++) {
		const struct jail_file *f = &j->file[i];
		size_t n = identity_find_path(bases, f->path);
		json_auto_t *row = NULL;

		if (f->kind != JAIL_BASE || f->fd < 0 || f->again)
			continue;
		row = base_row(f);
		if (json_equal(row, json_array_get(bases, n)))
			continue;
		if (!bases) {
			bases = json_array();
			json_object_set_new(j->identity.document, "bases", bases);
		}
		if (n < json_array_size(bases))
			json_array_set(bases, n, row);
		else
			json_array_append(bases, row);
		if (json_array_size(bases) > BASES_MAX)
			json_array_remove(bases, 0);
		j->identity.changed = true;
	}
}

static int identity_has_room(const struct jail_identity *id, int dir, struct err *e)
{
	const int r = file_room(dir);

	errno = -r;
	if (r < 0)
		err_errno(e, "write 'identity.json'");
	if (r == -ENOSPC)
		err_hint(e, "make room on the file system of %s", id->dir);
	else if (r == -EROFS)
		err_hint(e, "findmnt -T %s shows how it is mounted", id->dir);
	return r;
}

static int identity_write_out(const struct jail *j, struct err *e)
{
	const struct jail_identity *id = &j->identity;
	_cleanup_(close_fd) int dir =
		open(id->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(free_ptr) char *text = json_dumps(id->document, JSON_INDENT(1));

	if (dir < 0 && errno == ENOENT && j->check) /* a start makes it first */
		return 0;
	if (dir < 0)
		return err_errno(e, "open '%s'", id->dir);
	if (!text)
		return err_set(e, ERR_FAILED, "save the identity: it is not JSON");
	if (identity_has_room(id, dir, e) < 0 || j->check)
		return e->number;
	return file_replace(dir, "identity.json", 0600, text, strlen(text), true, e);
}

/* Will an image be created? Only a check comes here before that. */
static bool identity_makes_image(const struct jail *j)
{
	for (size_t i = 0; i < j->n_files; i++)
		if (j->file[i].fd < 0 && j->file[i].create)
			return true;
	return false;
}

int identity_keep(struct jail *j, struct err *e)
{
	json_int_t now = (json_int_t)clock_wall();
	json_auto_t *made = NULL;
	bool told;

	if (!j->identity.dir)
		return 0;
	made = identity_mark_made(j, now);
	identity_mark_seen(j, now);
	identity_mark_bases(j);
	told = j->identity.changed || json_array_size(made) > 0 || identity_makes_image(j);
	if (told && identity_write_out(j, e) < 0)
		return err_wrap(e, e->number, "%s", j->identity.dir);
	if (j->check)
		return 0;
	marks_set(j);
	return told ? answer(j->sock,
			      json_pack("{s:{s:O, s:I, s:O*}}", "kept", "disks", made, "seen", now,
				      "bases", json_object_get(j->identity.document, "bases")))
		    : 0;
}
