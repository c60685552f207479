/* SPDX-License-Identifier: MIT */
/* Finds VMs whose file is gone: those that run, and the state of others that were not forgotten. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/load.h"
#include "supervisor/check/vm.h"

/* True if the state has moved, or will move, to a VM file with the same UUID. */
static bool gone_moved(const struct vms *files, int states, const char *name)
{
	_cleanup_(close_fd) int fd =
		openat(states, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct identity id = IDENTITY_INIT;
	struct err unread = ERR_INIT;
	bool yes = false;

	if (fd >= 0 && identity_look(&id, fd, &unread) == 0)
		for (size_t i = 0; !yes && i < files->n; i++)
			yes = files->vm[i]->identity.kept &&
			      streq(files->vm[i]->identity.uuid, id.uuid);
	identity_release(&id);
	return yes;
}

static void gone_tell(
	const struct daemon *d, const char *name, bool runs, struct conf_problems *rows)
{
	struct err e = ERR_INIT;

	if (runs) {
		err_set(&e, ERR_NOT_FOUND,
			"the file of VM '%s' is gone; the guest keeps running, and cannot be started again",
			name);
		err_hint(&e, "restore the file; or shut the guest down with vmkeep stop %s", name);
	} else {
		err_set(&e, ERR_NOT_FOUND,
			"the file of VM '%s' is gone; its identity and history are kept in %s/vms/%s",
			name, d->dirs.state, name);
		err_hint(&e, "restore the file, or: vmkeep forget %s", name);
	}
	check_row(rows, NULL, NULL, "warning", &e);
}

void check_gone(
	struct daemon *d, const struct vms *files, const char *only, struct conf_problems *rows)
{
	_cleanup_(close_dir) DIR *dir = file_open_dir(d->dirs.state_fd, "vms", O_NOFOLLOW);

	for (struct dirent *f; dir && (f = readdir(dir));) {
		const struct vm *vm = vms_find(d->vms, f->d_name);

		if ((!only || streq(only, f->d_name)) && conf_name_ok(f->d_name) &&
			!conf_vm_stamp(vms_dir(d->vms, f->d_name), f->d_name) &&
			!gone_moved(files, dirfd(dir), f->d_name))
			gone_tell(d, f->d_name, vm && vm_state_has_process(vm->st.state), rows);
	}
}
