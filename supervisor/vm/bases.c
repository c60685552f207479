/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/bases.h"

#include <limits.h>

#include "base/mem.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/uuid.h"

/* In Base=, and, if ran, as it was when the VM last started. */
static bool bases_has(
	const struct vm *other, const struct conf_disk *disk, const char *image, bool ran)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < disk->base.n; i++) {
		const char *base = disk->base.item[i];

		if (streq(device_disk_path(disk, base, other->daemon->image_dir, path), image) &&
			(!ran || identity_base(&other->identity, path, base)))
			return true;
	}
	return false;
}

/* The disk of other that is based on this image: its id; "": it ran with it, and its file does not tell;
 * NULL: none. ran: only if it has. */
static const char *bases_disk_on(const struct vm *other, const char *image, bool ran)
{
	const bool known = other->file.have_conf && !other->file.orphan;
	const struct conf_vm *c = &other->file.conf;

	for (size_t i = 0; known && i < c->disks; i++)
		if (bases_has(other, &c->disk[i], image, ran))
			return c->disk[i].id;
	for (size_t i = 0; !known && i < other->identity.bases; i++)
		if (streq(other->identity.base[i].path, image))
			return "";
	return NULL;
}

/* The next refresh forgets it. */
static bool bases_is_gone(const struct vm *other)
{
	return !vm_state_has_process(other->st.state) && uuid_file_is_gone(other);
}

/* --- writing --- */

int vm_template_check(const struct vm *vm, struct err *e)
{
	if (!vm->file.have_conf || !vm->file.conf.template)
		return 0;
	err_set(e, ERR_WRONG_STATE, "is a template (Template=yes in [VM])");
	return err_hint(e,
		"vmkeep clone %s NEW --linked makes a VM from it; vmkeep set %s VM.Template=no makes it an ordinary one",
		vm->name, vm->name);
}

static bool bases_is_of_template(const struct vm *other, const char *image)
{
	const struct conf_vm *c = &other->file.conf;
	char path[PATH_MAX];

	for (size_t i = 0; other->file.have_conf && c->template && i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];

		if (d->path && !d->cdrom &&
			streq(device_disk_path(d, d->path, other->daemon->image_dir, path), image))
			return true;
	}
	return false;
}

static int bases_check_against(
	const struct vm *other, const char *disk, const char *path, struct err *e)
{
	const char *on = bases_disk_on(other, path, true);
	const bool template = !on && bases_is_of_template(other, path);

	if ((!on && !template) || bases_is_gone(other))
		return 0;
	if (template)
		err_set(e, ERR_CONFLICT,
			"disk '%s': %s is a disk of VM '%s', a template: nothing writes to it",
			disk, path, other->name);
	else
		err_set(e, ERR_CONFLICT,
			"disk '%s': %s is a base of VM '%s'%s%s%s: writing to it ruins that disk",
			disk, path, other->name, *on ? ", disk '" : "", on, *on ? "'" : "");
	return err_hint(e, "write ReadOnly=yes, or give this VM a copy of the image");
}

static int bases_check_disk(const struct vm *vm, const struct conf_disk *d, struct err *e)
{
	const struct vms *vms = vm->daemon->vms;
	char path[PATH_MAX];
	int r = 0;

	device_disk_path(d, d->path, vm->daemon->image_dir, path);
	for (size_t i = 0; r == 0 && i < vms->n; i++)
		if (!streq(vms->vm[i]->name, vm->name))
			r = bases_check_against(vms->vm[i], d->id, path, e);
	return r;
}

int vm_bases_check(const struct vm *vm, const struct conf_vm *c, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->disks; i++)
		if (c->disk[i].path && !c->disk[i].read_only)
			r = bases_check_disk(vm, &c->disk[i], e);
	return r;
}

/* --- overlays --- */

static bool bases_is_on(const struct vm *other, const struct conf_vm *c)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];

		if (d->path && !d->cdrom &&
			bases_disk_on(other,
				device_disk_path(d, d->path, other->daemon->image_dir, path),
				false))
			return true;
	}
	return false;
}

json_t *vm_overlays(const struct vms *vms, const char *name, const struct conf_vm *c)
{
	json_t *names = json_array();

	for (size_t i = 0; i < vms->n; i++) {
		const struct vm *other = vms->vm[i];

		if (!streq(other->name, name) && bases_is_on(other, c) && !bases_is_gone(other))
			json_array_append_new(names, json_string(other->name));
	}
	return names;
}

static bool bases_names(const json_t *names, const char *name)
{
	size_t i;
	json_t *one;

	json_array_foreach (names, i, one)
		if (streq(json_string_value(one), name))
			return true;
	return false;
}

static bool bases_has_disk(const struct conf_vm *c, const char *image, const char *image_dir)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < c->disks; i++)
		if (c->disk[i].path && !c->disk[i].cdrom &&
			streq(device_disk_path(&c->disk[i], c->disk[i].path, image_dir, path),
				image))
			return true;
	return false;
}

/* What is being made is no VM yet, which could be named. */
static int bases_check_lent(
	const struct vm *vm, const struct conf_vm *from, const struct conf_vm *to, struct err *e)
{
	const char *dir = vm->daemon->image_dir;
	char path[PATH_MAX];
	bool stays = to != NULL;

	for (size_t i = 0; stays && i < from->disks; i++)
		if (from->disk[i].path && !from->disk[i].cdrom)
			stays = bases_has_disk(to,
				device_disk_path(&from->disk[i], from->disk[i].path, dir, path),
				dir);
	if (stays || !vm->lent)
		return 0;
	err_set(e, ERR_CONFLICT, "clones of it are being made");
	return err_hint(e, "vmkeep jobs shows them");
}

static const struct vm *bases_of(const struct vms *vms, const char *name)
{
	for (size_t i = 0; i < vms->n; i++)
		if (streq(vms->vm[i]->name, name))
			return vms->vm[i];
	return NULL;
}

int vm_overlays_check(const struct vms *vms, const char *name, const struct conf_vm *from,
	const struct conf_vm *to, struct err *e)
{
	json_auto_t *before = vm_overlays(vms, name, from),
		    *after = to ? vm_overlays(vms, name, to) : NULL;
	const struct vm *vm = bases_of(vms, name);
	const char *first = NULL;
	struct buf names = BUF_INIT;
	size_t i;
	json_t *one;

	json_array_foreach (before, i, one)
		if (!bases_names(after, json_string_value(one))) {
			buf_printf(&names, "%s%s", first ? ", " : "", json_string_value(one));
			first = first ? first : json_string_value(one);
		}
	if (first) {
		err_set(e, ERR_CONFLICT, "its disks are bases of other VMs: %s", names.data);
		err_hint(e,
			"vmkeep delete %s, if it is not needed any more; or change a copy: vmkeep clone %s NEW",
			first, name);
	}
	buf_release(&names);
	return e->number || !vm ? e->number : bases_check_lent(vm, from, to, e);
}
