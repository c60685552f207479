/* SPDX-License-Identifier: MIT */
/* Rewrites records of guests whose directory below RUN was removed, moved or replaced while they
 * run. */
#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/core/sweeper.h"
#include "supervisor/vm/record.h"
#include "supervisor/vm/vms.h"
#include "supervisor/vm/dirs.h"

/* If the directory was only moved: links its sockets and files into the new one. */
static void again_link(int from, int to)
{
	_cleanup_(close_dir) DIR *dir = file_open_dir(from, ".", 0);

	for (struct dirent *d; dir && (d = readdir(dir));)
		if (d->d_type == DT_SOCK || d->d_type == DT_REG)
			(void)!linkat(from, d->d_name, to, d->d_name, 0);
}

/* 1: the directory was lost. */
static int again_directory(struct vm *vm, const char *path, struct err *e)
{
	int run = vm->daemon->dirs.run_fd, fd;
	struct stat there, here;

	if (fstatat(run, path, &there, AT_SYMLINK_NOFOLLOW) == 0) {
		if (fstat(vm->proc.run_fd, &here) == 0 && file_same(&there, &here))
			return 0;
		if (!S_ISDIR(there.st_mode) && sweeper_take(vm->daemon->sweeper, path, e) < 0)
			return e->number;
	}
	if (mkdirat(run, path, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "create directory '%s/%s'", vm->daemon->dirs.run, path);
	fd = openat(run, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "open directory '%s/%s'", vm->daemon->dirs.run, path);
	again_link(vm->proc.run_fd, fd);
	close_fd(&vm->proc.run_fd);
	vm->proc.run_fd = fd;
	return 1;
}

static int again_guest(struct vm *vm, const char *path, struct err *e)
{
	int lost = again_directory(vm, path, e);

	if (lost < 0)
		return lost;
	/* a guess must not look like what the guest was started with */
	if (!vm->proc.conf_lost &&
		(lost || faccessat(vm->proc.run_fd, "effective.vm", F_OK, AT_SYMLINK_NOFOLLOW) < 0))
		if (vm_record_save_conf(vm, e) < 0)
			return e->number;
	if (!lost && faccessat(vm->proc.run_fd, "record.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	vm->proc.recorded = 0;
	return vm_record_save(vm, e) < 0 ? e->number : 1;
}

void vms_record_again(struct vms *vms)
{
	for (size_t i = 0; i < vms->n; i++) {
		struct vm *vm = vms->vm[i];
		_cleanup_(free_ptr) char *path = vm_path(vm->name, NULL);
		struct err e = ERR_INIT;
		int r = 0;

		if (vm->proc.run_fd >= 0 && vm_state_has_process(vm->st.state)) {
			r = again_guest(vm, path, &e);
		} else if (vm_state_is_resting(vm->st.state) &&
			   faccessat(vm->daemon->dirs.run_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) <
				   0) {
			vm->proc.recorded = 0;
			vm_record_write_resting(vm);
		}
		if (r > 0)
			log_warning(vm->name, "its run record was lost and is rewritten");
		if (r < 0)
			log_error(vm->name, "%s", e.text);
	}
}
