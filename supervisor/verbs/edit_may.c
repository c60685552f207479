/* SPDX-License-Identifier: MIT */
/* Who may change what in a VM's files. */
#include "base/mem.h"
#include "conf/schema.h"
#include "supervisor/control/peer.h"
#include "supervisor/control/request.h"
#include "supervisor/verbs/edit.h"

void edit_by_init(struct edit_by *by, const struct request *r)
{
	*by = (struct edit_by){ .role = request_role(r),
		.peer = peer_ref(request_peer(r)),
		.who = xstrdup(request_who(r)),
		.force = request_bool(r, "force", false) };
}

void edit_by_release(struct edit_by *by)
{
	peer_unref(by->peer);
	free_ptr(&by->who);
}

struct may {
	const struct conf_vm *to;
	enum api_role role;
	const struct conf_section *section;
	const struct conf_key *key; /* the first key that is not theirs */
};

static bool edit_may_is_written(
	const struct conf_vm *c, const struct conf_change *in, const char *key)
{
	for (size_t i = 0; i < c->lines; i++)
		if (streq(c->line[i].section, in->section) && streq(c->line[i].id, in->id) &&
			streq(c->line[i].key, key))
			return true;
	return false;
}

/* No section with an id has a key reserved to root: tests/unit/conf_schema.c. In a new one, each
 * line is a change. */
static void edit_may_on_change(void *data, const struct conf_change *c)
{
	struct may *m = data;
	const struct conf_section *s = conf_section_find(&conf_vm_schema, c->section);

	for (size_t i = 0; !m->key && s && i < s->keys; i++) {
		const struct conf_key *k = &s->key[i];

		if ((k->root || (k->operators && m->role < API_ROLE_OPERATOR)) &&
			(c->key ? streq(c->key, k->name)
				: c->to && edit_may_is_written(m->to, c, k->name))) {
			m->section = s;
			m->key = k;
		}
	}
}

/* The disk itself, not one of its bases. */
static bool edit_may_writes(const struct conf_disk *disk, const char *path)
{
	return path == disk->path && !disk->cdrom && !disk->read_only;
}

/* Has it the same image, one that it may write to? A relative path is another one in another store. */
static bool edit_may_has_path(
	const struct conf_vm *c, const struct conf_disk *disk, const char *path, bool writes)
{
	for (size_t i = 0; path && i < c->disks; i++) {
		const struct conf_disk *was = &c->disk[i];

		if (*path != '/' && !streq(was->store, disk->store))
			continue;
		if (streq(was->path, path) && (!writes || edit_may_writes(was, was->path)))
			return true;
		for (size_t k = 0; !writes && k < was->base.n; k++)
			if (streq(was->base.item[k], path))
				return true;
	}
	return false;
}

bool edit_is_outside(const struct daemon *d, const char *path)
{
	size_t len = strlen(d->image_dir);

	return *path == '/' && (strncmp(path, d->image_dir, len) != 0 || path[len] != '/');
}

/* The name of a new image that no other VM has or had, because it is made of this VM's random UUID. */
static bool edit_may_is_own(const struct conf_vm *c, const struct conf_disk *disk, const char *path)
{
	_cleanup_(free_ptr) char *own =
		xasprintf("%s-%s.%.8s.qcow2", c->name, disk->id, c->uuid ? c->uuid : "");

	return c->uuid && !disk->cdrom && streq(path, own);
}

/* Media, which are only read: CDs by their ending, and images/ for bases. */
static bool edit_may_is_medium(const struct conf_disk *disk, const char *path)
{
	static const char dir[] = "images/", end[] = ".iso";
	const size_t len = strlen(path);

	if (disk->cdrom)
		return len > strlen(end) && streq(path + len - strlen(end), end);
	return path != disk->path && strncmp(path, dir, strlen(dir)) == 0;
}

/* An image in a store may belong to another VM, and one that was only read may be shared with others. */
static int edit_may_path(const struct daemon *d, enum api_role role, const struct conf_vm *from,
	const struct conf_vm *to, const struct conf_disk *disk, const char *path, struct err *e)
{
	if (!path || edit_may_has_path(from, disk, path, edit_may_writes(disk, path)))
		return 0;
	if (!edit_is_outside(d, path) &&
		(role >= API_ROLE_OPERATOR || (streq(disk->store, CONF_STORE_DEFAULT) &&
						      (edit_may_is_own(to, disk, path) ||
							      edit_may_is_medium(disk, path)))))
		return 0;
	if (edit_may_has_path(from, disk, path, false))
		return err_set(e, ERR_PERMISSION,
			"only %s may let disk '%s' write to '%s', which this VM only reads",
			edit_is_outside(d, path) ? "root" : "an operator", disk->id, path);
	if (edit_is_outside(d, path))
		return err_set(e, ERR_PERMISSION,
			"only root may use '%s' for disk '%s': it is outside of the stores", path,
			disk->id);
	return err_set(e, ERR_PERMISSION,
		"only an operator may use another image, '%s', for disk '%s'", path, disk->id);
}

static bool edit_may_same_list(const struct conf_list *a, const struct conf_list *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = streq(a->item[i], b->item[i]);
	return same;
}

/* A quota counts what the files say, so they say all that is there. */
static bool edit_may_shrinks(const struct conf_vm *from, const struct conf_vm *to)
{
	for (size_t i = 0; i < from->disks; i++) {
		const struct conf_disk *was = &from->disk[i], *is = NULL;

		for (size_t k = 0; k < to->disks; k++)
			if (streq(to->disk[k].id, was->id) && to->disk[k].cdrom == was->cdrom)
				is = &to->disk[k];
		if (!was->cdrom && was->size &&
			(!is || is->size < was->size || !streq(is->path, was->path)))
			return true;
	}
	return false;
}

int edit_may_keys(
	enum api_role role, const struct conf_vm *from, const struct conf_vm *to, struct err *e)
{
	struct may m = { .to = to, .role = role };

	if (role < API_ROLE_ROOT)
		conf_vm_diff(from, to, edit_may_on_change, &m);
	return m.key ? err_set(e, ERR_PERMISSION, "only %s may change %s= in [%s]",
			       m.key->root ? "root" : "an operator", m.key->name, m.section->name)
		     : 0;
}

int edit_may(const struct daemon *d, enum api_role role, const struct conf_vm *from,
	const struct conf_vm *to, struct err *e)
{
	int r = edit_may_keys(role, from, to, e);

	if (role >= API_ROLE_ROOT)
		return 0;
	for (size_t i = 0; r == 0 && i < to->disks; i++) {
		const struct conf_disk *disk = &to->disk[i];

		r = edit_may_path(d, role, from, to, disk, disk->path, e);
		for (size_t k = 0; r == 0 && k < disk->base.n; k++)
			r = edit_may_path(d, role, from, to, disk, disk->base.item[k], e);
	}
	if (r < 0 || role >= API_ROLE_OPERATOR)
		return r;
	if (!streq(from->uuid, to->uuid)) /* it could take the identity of another VM */
		return err_set(e, ERR_PERMISSION, "only an operator may change UUID= in [VM]");
	if (edit_may_shrinks(from, to))
		return err_set(e, ERR_PERMISSION,
			"only an operator may remove a disk, or make its Size= less");
	if (!edit_may_same_list(&from->ignored, &to->ignored))
		return err_set(e, ERR_PERMISSION, "only an operator may change keys X-...");
	return 0;
}

const char *edit_managed(const struct conf_vm *c)
{
	static const char key[] = ".X-Managed=";

	for (size_t i = 0; i < c->ignored.n; i++) {
		const char *at = strstr(c->ignored.item[i], key);

		if (at && at + strcspn(at, "=") == strchr(c->ignored.item[i], '=') &&
			at[strlen(key)])
			return at + strlen(key);
	}
	return NULL;
}

int edit_refuse(const struct conf_vm *c, struct err *e)
{
	const char *by = edit_managed(c);

	if (!by)
		return 0;
	err_set(e, ERR_CONFLICT,
		"its file is managed by '%s' (X-Managed=), which may undo a change", by);
	return err_hint(e, "--force changes it all the same");
}
