/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/uuid.h"

#include <fcntl.h>
#include <limits.h>

#include "base/file.h"
#include "conf/load.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/revert.h"
#include "supervisor/vm/vanished.h"

bool uuid_file_is_gone(const struct vm *vm)
{
	const struct daemon_dirs *dirs = &vm->daemon->dirs;

	return vm->file.orphan ||
	       !conf_vm_stamp(vm->file.throwaway ? dirs->throwaways : dirs->config, vm->name);
}

static bool uuid_is_of(const struct vm *o, const char *uuid)
{
	return (o->file.have_conf && o->file.conf.uuid &&
		       strcasecmp(o->file.conf.uuid, uuid) == 0) ||
	       (o->identity.kept && strcasecmp(o->identity.uuid, uuid) == 0);
}

const struct vm *uuid_holder(const struct vm *vm, const char *uuid)
{
	const struct vms *vms = vm->daemon->vms;

	for (size_t i = 0; i < vms->n; i++) {
		const struct vm *o = vms->vm[i];

		if (streq(o->name, vm->name) ||
			(uuid_file_is_gone(o) && !vm_state_has_process(o->st.state)))
			continue;
		if (uuid_is_of(o, uuid))
			return o;
	}
	return NULL;
}

/* --- may it run? --- */

static int uuid_taken(const struct vm *other, const char *uuid, struct err *e)
{
	if (uuid_file_is_gone(other)) {
		err_set(e, ERR_CONFLICT,
			"UUID=%s is VM '%s', whose file is gone and which is still running", uuid,
			other->name);
		return err_hint(e, "stop that VM first; its state then moves here");
	}
	err_set(e, ERR_CONFLICT, "UUID=%s is VM '%s' already (%s/%s.vm)", uuid, other->name,
		other->daemon->dirs.config, other->name);
	return err_hint(
		e, "remove UUID= from the copy; if the VM was renamed, remove the old file");
}

static int uuid_check(const struct vm *vm, const struct conf_vm *c, struct err *e)
{
	const struct vm *other;

	if (vm->identity.kept && strcasecmp(vm->identity.uuid, c->uuid) == 0)
		return 0;
	if (vm->identity.kept) {
		err_set(e, ERR_CONFLICT,
			"UUID=%s is not this VM's, which is %s since its first start", c->uuid,
			vm->identity.uuid);
		return err_hint(e,
			"write UUID=%s, or remove the line; another machine needs a file of another name",
			vm->identity.uuid);
	}
	other = uuid_holder(vm, c->uuid);
	return other ? uuid_taken(other, c->uuid, e) : 0;
}

int vm_uuid_free(const struct vm *vm, const struct vm *other, struct err *e)
{
	const char *uuid = vm->file.conf.uuid;

	return uuid && !vm->identity.kept && uuid_is_of(other, uuid) ? uuid_taken(other, uuid, e)
								     : 0;
}

static int uuid_check_disks_of(const struct identity *id, const char *name, const char *why,
	const char *hint, const struct vm *vm, const struct conf_vm *c, struct err *e)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < c->disks; i++)
		for (size_t k = 0; c->disk[i].path && !c->disk[i].read_only && k < id->disks; k++)
			if (streq(id->disk[k].path, device_disk_path(&c->disk[i], c->disk[i].path,
							    vm->daemon->image_dir, path))) {
				err_set(e, ERR_WRONG_STATE,
					"disk '%s' is one of VM '%s', %s did not finish",
					c->disk[i].id, name, why);
				return err_hint(
					e, "%svmkeep start %s says how to fix it", hint, name);
			}
	return 0;
}

/* Checks existing VMs and vanished ones: a new VM may be a vanished one under another name. */
static int uuid_check_torn(const struct vm *vm, const struct conf_vm *c, struct err *e)
{
	struct vms *vms = vm->daemon->vms;
	_cleanup_(close_dir) DIR *dir =
		vm->identity.kept ? NULL : file_open_dir(vm->daemon->dirs.state_fd, "vms", 0);
	int r = 0;

	for (size_t i = 0; r == 0 && i < vms->n; i++)
		if (vms->vm[i]->revert && !streq(vms->vm[i]->name, vm->name))
			r = uuid_check_disks_of(&vms->vm[i]->identity, vms->vm[i]->name,
				"whose revert", "", vm, c, e);
	for (const char *name; dir && r == 0 && (name = vanished_next(dir, vms, true));) {
		_cleanup_(close_fd) int fd = vm_state_open(vm->daemon, name);
		_cleanup_(free_ptr) char *hint = xasprintf("rename the file back to %s.vm: ", name);
		_cleanup_(identity_release) struct identity id = IDENTITY_INIT;

		if (fd >= 0 && vm_revert_there(fd) && identity_look(&id, fd, NULL) == 0)
			r = uuid_check_disks_of(
				&id, name, "whose file is gone and whose revert", hint, vm, c, e);
	}
	return r;
}

int vm_identity_check(const struct vm *vm, const struct conf_vm *c, struct err *e)
{
	const struct identity *id = &vm->identity;

	if (uuid_check_torn(vm, c, e) < 0)
		return e->number;
	if (c->uuid)
		return uuid_check(vm, c, e);
	/* without damaged_uuid the images may have it, which vmkeep-jail checks */
	if (id->kept || !id->damaged_uuid[0])
		return 0;
	err_set(e, ERR_CONFLICT,
		"its identity is lost (damaged: %s/vms/%s/%s): with a new one its guest would see a different machine and "
		"other MAC addresses",
		vm->daemon->dirs.state, vm->name, id->damaged);
	return err_hint(e,
		"restore identity.json from a backup, or write UUID=%s in [VM] to continue as that machine",
		id->damaged_uuid);
}

bool vm_is_forgotten(const struct vm *vm, const struct conf_vm *c)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/console.log", vm->name);
	struct stat st;

	if (vm->identity.kept || c->uuid)
		return false;
	/* only a running guest writes this log: a failed start leaves it empty */
	return vm->identity.damaged[0] ||
	       (fstatat(vm->daemon->dirs.log_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		       S_ISREG(st.st_mode) && st.st_size > 0);
}
