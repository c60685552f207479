/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/forget.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "conf/load.h"
#include "supervisor/core/sweeper.h"
#include "supervisor/vm/found.h"
#include "supervisor/vm/dirs.h"

/* Refuses if the VM's file, or its drop-in directory, still exists. */
static int forget_file(const struct daemon *d, const char *name, struct err *e)
{
	_cleanup_(free_ptr) char *file = xasprintf("%s/%s.vm", d->dirs.config, name);
	_cleanup_(free_ptr) char *dropins = xasprintf("%s.d", file);
	struct stat st;
	const char *left = lstat(file, &st) == 0 ? file : lstat(dropins, &st) == 0 ? dropins : NULL;

	if (!left)
		return 0;
	err_set(e, ERR_WRONG_STATE, "'%s' is there", left);
	return err_hint(e, "forget is for VMs whose file is gone: remove the file first");
}

static int forget_process(const struct vm *vm, const struct identity *id, struct err *e)
{
	if (vm && !vm_state_is_down(vm->st.state)) {
		err_set(e, ERR_WRONG_STATE, "is %s", vm_state_name(vm->st.state));
		return err_hint(e, "vmkeep kill %s", vm->name);
	}
	if (id->uid && found_uid_lives(id->uid)) {
		err_set(e, ERR_WRONG_STATE, "a process has its uid %u", id->uid);
		return err_hint(e, "pgrep -U %u", id->uid);
	}
	return 0;
}

static json_t *forget_disks(const struct identity *id)
{
	json_t *disks = json_array();

	for (size_t i = 0; i < id->disks; i++)
		if (id->disk[i].path)
			json_array_append_new(disks, json_string(id->disk[i].path));
	return disks;
}

/* Logs are kept: they hold what the guest said. Failed starts only left empty ones. */
static void forget_empty_logs(const struct daemon *d, const char *name)
{
	_cleanup_(close_dir) DIR *dir = file_open_dir(d->dirs.log_fd, name, O_NOFOLLOW);
	struct stat st;

	for (const struct dirent *f; dir && (f = readdir(dir));)
		if (fstatat(dirfd(dir), f->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode) && st.st_size == 0)
			unlinkat(dirfd(dir), f->d_name, 0);
	(void)!unlinkat(d->dirs.log_fd, name, AT_REMOVEDIR);
}

/* The identity in its state directory; damaged: it has no uid to check. */
static void forget_read(const struct daemon *d, const char *name, struct identity *id)
{
	_cleanup_(close_fd) int fd = vm_state_open(d, name);
	struct err unread = ERR_INIT;

	if (fd >= 0)
		identity_load(id, fd, &unread);
}

/* Moves its state away, and frees it. */
static int forget_all(struct vms *vms, const char *name, const struct identity *id, struct err *e)
{
	_cleanup_(free_ptr) char *path = vm_path(name, NULL);
	struct vm *vm = vms_find(vms, name);

	if (forget_process(vm, id, e) < 0 || sweeper_take_state(vms->daemon->sweeper, path, e) < 0)
		return e->number;
	networks_forget(vms->daemon->networks, name);
	if (vm)
		vms_forget(vms, vm);
	return 0;
}

int vm_discard(struct vms *vms, const char *name, struct err *e)
{
	_cleanup_(identity_release) struct identity id = IDENTITY_INIT;

	forget_read(vms->daemon, name, &id);
	/* its state goes last: whoever comes after a kill finds it by that */
	if (forget_process(vms_find(vms, name), &id, e) < 0 ||
		file_remove_tree(vms->daemon->dirs.log_fd, name, e) < 0)
		return e->number;
	return forget_all(vms, name, &id, e);
}

int vm_forget(struct vms *vms, const char *name, const char *who, json_t **disks, struct err *e)
{
	struct daemon *d = vms->daemon;
	_cleanup_(free_ptr) char *path = vm_path(name, NULL);
	_cleanup_(identity_release) struct identity id = IDENTITY_INIT;
	int r;

	vms_refresh(vms);
	if (!conf_name_ok(name))
		return err_set(e, ERR_USAGE, "'%s' is not a VM's name", name);
	r = forget_file(d, name, e);
	if (r < 0)
		return r;
	if (faccessat(d->dirs.state_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		!vms_find(vms, name) && !networks_claimed(d->networks, name)) {
		err_set(e, ERR_NOT_FOUND, "nothing is stored for a VM '%s'", name);
		return err_hint(e, "vmkeep check names those whose file is gone");
	}
	forget_read(d, name, &id);
	r = forget_all(vms, name, &id, e);
	if (r == 0) {
		log_info(name, "forgotten by %s", who);
		*disks = forget_disks(&id);
		forget_empty_logs(d, name);
	}
	return r;
}
