/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/conflict.h"

#include <limits.h>

#include "base/mem.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/vms.h"

/* "Is another process using the image [PATH]?" */
static char *conflict_path(const char *said)
{
	static const char before[] = "using the image [";
	const char *from = strstr(said, before), *end;

	from = from ? from + strlen(before) : NULL;
	end = from ? strstr(from, "]?") : NULL;
	return end ? xstrndup(from, (size_t)(end - from)) : NULL;
}

static bool conflict_has(
	const struct conf_vm *c, const char *image_dir, const char *path, const char **disk)
{
	char buf[PATH_MAX];

	for (size_t i = 0; i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];
		bool has = d->path && streq(device_disk_path(d, image_dir, buf), path);

		for (size_t k = 0; !has && k < d->base.n; k++)
			has = streq(device_path(d->base.item[k], image_dir, buf), path);
		if (has) {
			*disk = d->id;
			return true;
		}
	}
	return false;
}

bool conflict_found(const struct vm *vm, const char *said, struct err *e)
{
	const struct daemon *d = vm->daemon;
	const char *lock = strstr(said, "Failed to get "), *disk = NULL, *ignored;
	_cleanup_(free_ptr) char *path = NULL;

	if (!lock || !strstr(lock, " lock"))
		return false;
	path = conflict_path(lock);
	if (!path || !conflict_has(&vm->proc.conf, d->image_dir, path, &disk)) {
		err_set(e, ERR_CONFLICT, "an image is in use by another process: %s", lock);
		return true;
	}
	err_set(e, ERR_CONFLICT, "disk '%s': %s is in use by another process", disk, path);
	for (size_t i = 0; i < d->vms->n; i++) {
		const struct vm *other = d->vms->vm[i];

		if (other != vm && other->proc.pid > 0 && vm_state_has_process(other->st.state) &&
			conflict_has(&other->proc.conf, d->image_dir, path, &ignored))
			err_set(e, ERR_CONFLICT, "disk '%s': %s is in use by VM '%s' (pid %d)",
				disk, path, other->name, (int)other->proc.pid);
	}
	err_hint(e, "stop that one first");
	return true;
}
