/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/mark.c - tells which VM an image belongs to, even if the state is lost
 *
 * The state directory lists each VM's images, and the images that a guest writes carry its UUID in
 * an attribute that only the host's root can set. So a VM whose state is lost is not mistaken for a
 * new one, and the disk of a VM whose file was renamed is not ignored in favor of a new empty one.
 * File systems without such attributes have no marks; nothing fails because of that.
 */
#include <ctype.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/jail/jail.h"

enum { UUID_LEN = 36, IDENTITY_MAX = 1 << 20 };

static const char mark_name[] = "trusted.vmkeep";

static bool mark_is_markable(const struct jail_file *f)
{
	return f->kind == JAIL_DISK && f->write && !f->again && f->data >= 0 &&
	       S_ISREG(f->st.st_mode);
}

/* False: no mark, or not a valid one. */
static bool mark_read(const struct jail_file *f, char uuid[UUID_LEN + 1])
{
	ssize_t n = fgetxattr(f->data, mark_name, uuid, UUID_LEN);

	if (n != UUID_LEN)
		return false;
	uuid[n] = '\0';
	for (size_t i = 0; i < UUID_LEN; i++)
		if (!isxdigit((unsigned char)uuid[i]) && uuid[i] != '-')
			return false;
	return true;
}

static const char *mark_own_uuid(const struct jail *j)
{
	const char *uuid = json_string_value(json_object_get(j->identity.document, "uuid"));

	return uuid && strlen(uuid) == UUID_LEN ? uuid : NULL;
}

void marks_set(const struct jail *j)
{
	const char *uuid = mark_own_uuid(j);
	char is[UUID_LEN + 1];

	for (size_t i = 0; uuid && i < j->n_files; i++) {
		const struct jail_file *f = &j->file[i];

		if (mark_is_markable(f) && (!mark_read(f, is) || !streq(is, uuid)))
			(void)!fsetxattr(f->data, mark_name, uuid, UUID_LEN, 0);
	}
}

/* The directory with the state of all VMs. */
static DIR *mark_open_states(const struct jail *j)
{
	const char *slash = strrchr(j->identity.dir, '/');
	_cleanup_(free_ptr) char *path =
		xasprintf("%.*s/", (int)(slash - j->identity.dir), j->identity.dir);

	return file_open_dir(AT_FDCWD, path, 0);
}

static json_t *mark_load_identity(int states, const char *vm)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/identity.json", vm);
	_cleanup_(buf_release) struct buf text = BUF_MAX(IDENTITY_MAX);

	if (file_read(states, path, &text, NULL) < 0 || !text.data)
		return NULL;
	return json_loadb(text.data, text.len, 0, NULL);
}

/* The UUID belongs to a VM known here: the image was copied, or the disk passed on. */
static bool mark_is_known(const struct jail *j, const char *uuid)
{
	_cleanup_(close_dir) DIR *dir = mark_open_states(j);
	bool known = false;

	for (struct dirent *d; !known && dir && (d = readdir(dir));) {
		json_auto_t *doc =
			d->d_name[0] == '.' ? NULL : mark_load_identity(dirfd(dir), d->d_name);
		const char *is = json_string_value(json_object_get(doc, "uuid"));

		known = is && strcasecmp(is, uuid) == 0 &&
			(!json_is_true(json_object_get(doc, "draft")) ||
				json_is_true(json_object_get(doc, "ran")));
	}
	return known;
}

int mark_check(struct jail *j, struct jail_file *f, struct err *e)
{
	const char *own = mark_own_uuid(j);
	char uuid[UUID_LEN + 1];

	if (!j->identity.dir || !j->identity.fresh || !mark_is_markable(f) || !mark_read(f, uuid) ||
		(own && strcasecmp(own, uuid) == 0) || mark_is_known(j, uuid))
		return 0;
	err_set(e, ERR_CONFLICT,
		"%s: %s is the disk of a VM with UUID %s, whose state is lost: with a new identity its guest "
		"would see a different machine and other MAC addresses",
		f->what, f->shown_path, uuid);
	return err_hint(e,
		"restore %s from a backup, or write UUID=%s in [VM] to continue as that machine; for a new one "
		"write another UUID=",
		j->identity.dir, uuid);
}

/* Applies even if no image is marked: the damaged file itself proves that there was an identity. */
int mark_lost(struct jail *j, struct err *e)
{
	if (!j->identity.dir || !j->identity.fresh || !j->identity.damaged)
		return 0;
	err_set(e, ERR_CONFLICT,
		"its identity is lost (damaged: %s/%s): with a new one its guest would see a different machine and other "
		"MAC addresses",
		j->identity.dir, j->identity.damaged);
	return err_hint(e,
		"restore identity.json from a backup, or write UUID= in [VM], its own or a new one");
}

/* Replaces the n-th occurrence of the VM's name in path by another name; NULL: there is none. */
static char *mark_with_name(const char *path, const char *name, const char *other, size_t n)
{
	const char *at = strstr(path, name);

	while (at && n--)
		at = strstr(at + 1, name);
	return at ? xasprintf("%.*s%s%s", (int)(at - path), path, other, at + strlen(name)) : NULL;
}

static bool mark_lists(const json_t *doc, const char *list, const char *path)
{
	size_t i;
	json_t *row;

	json_array_foreach (json_object_get(doc, list), i, row)
		if (streq(json_string_value(json_object_get(row, "path")), path))
			return true;
	return false;
}

/* Is this in the same directory of images as f? */
static bool mark_is_there(const struct jail_file *f, const char *path)
{
	struct jail_file other = { .path = path, .beneath = f->beneath };
	const char *rest = path_below(&other);
	_cleanup_(close_fd) int fd = rest ? path_openat2(f->dir, rest, O_PATH, path_beneath) : -1;

	return fd >= 0;
}

/* The path that this disk had under the VM's other name; NULL: none known, or it is gone. Caller
 * frees. */
static char *mark_left_behind(
	const struct jail *j, const struct jail_file *f, const json_t *doc, const char *name)
{
	for (size_t n = 0;; n++) {
		char *path = mark_with_name(f->path, j->name, name, n);

		if (!path || ((mark_lists(doc, "images", path) || mark_lists(doc, "disks", path)) &&
				     mark_is_there(f, path)))
			return path;
		free(path);
	}
}

static int mark_refuse_vanished(const struct jail *j, const struct jail_file *f, const char *vm,
	const char *path, struct err *e)
{
	err_set(e, ERR_CONFLICT,
		"%s would be new and empty, but VM '%s', whose file is gone, left %s behind",
		f->what, vm, path_shown(path));
	return err_hint(e,
		"rename the file back to %s.vm, or write Path=%s; if it is another VM, Path= with another name, "
		"or 'vmkeep forget %s'",
		vm, path + strlen(f->beneath) + 1, vm);
}

static int mark_refuse_renamed(const struct jail *j, const struct jail_file *f, const char *vm,
	const char *path, struct err *e)
{
	err_set(e, ERR_CONFLICT,
		"%s would be new and empty, but %s is its disk from when the VM was called '%s'",
		f->what, path_shown(path), vm);
	return err_hint(e, "rename the image to %s, or write Path=%s", f->shown_path,
		path + strlen(f->beneath) + 1);
}

int mark_new(const struct jail *j, const struct jail_file *f, struct err *e)
{
	_cleanup_(close_dir) DIR *states = j->identity.dir ? mark_open_states(j) : NULL;
	json_t *name;
	size_t i;

	json_array_foreach (j->identity.former, i, name) {
		const char *vm = json_string_value(name);
		_cleanup_(free_ptr) char *path =
			vm ? mark_left_behind(j, f, j->identity.document, vm) : NULL;

		if (path)
			return mark_refuse_renamed(j, f, vm, path, e);
	}
	json_array_foreach (j->identity.vanished, i, name) {
		const char *vm = json_string_value(name);
		json_auto_t *doc = vm && states ? mark_load_identity(dirfd(states), vm) : NULL;
		_cleanup_(free_ptr) char *path = doc ? mark_left_behind(j, f, doc, vm) : NULL;

		if (path)
			return mark_refuse_vanished(j, f, vm, path, e);
	}
	return 0;
}
