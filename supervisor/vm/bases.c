/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/bases.h"

#include <limits.h>

#include "supervisor/qemu/device.h"
#include "supervisor/vm/uuid.h"

/* The disk of other that has run on this image as a base; NULL: none. */
static const struct conf_disk *bases_disk_on(const struct vm *other, const char *image)
{
	const struct conf_vm *c = &other->file.conf;
	char path[PATH_MAX];

	for (size_t i = 0; other->file.have_conf && i < c->disks; i++)
		for (size_t k = 0; k < c->disk[i].base.n; k++) {
			const char *base = c->disk[i].base.item[k];

			if (streq(device_disk_path(
					  &c->disk[i], base, other->daemon->image_dir, path),
				    image) &&
				identity_base(&other->identity, path, base))
				return &c->disk[i];
		}
	return NULL;
}

static int bases_check_disk(const struct vm *vm, const struct conf_disk *d, struct err *e)
{
	const struct vms *vms = vm->daemon->vms;
	char path[PATH_MAX];

	device_disk_path(d, d->path, vm->daemon->image_dir, path);
	for (size_t i = 0; i < vms->n; i++) {
		const struct vm *other = vms->vm[i];
		const struct conf_disk *on =
			streq(other->name, vm->name) ? NULL : bases_disk_on(other, path);

		if (!on || uuid_file_is_gone(other))
			continue;
		err_set(e, ERR_CONFLICT,
			"disk '%s': %s is a base of VM '%s', disk '%s': writing to it ruins that disk",
			d->id, path, other->name, on->id);
		return err_hint(e, "write ReadOnly=yes, or give this VM a copy of the image");
	}
	return 0;
}

int vm_bases_check(const struct vm *vm, const struct conf_vm *c, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->disks; i++)
		if (c->disk[i].path && !c->disk[i].read_only)
			r = bases_check_disk(vm, &c->disk[i], e);
	return r;
}
