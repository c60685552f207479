/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/core/sweeper.h"
#include "supervisor/vm/inside.h"

char *vm_path(const char *name, const char *file)
{
	return file ? xasprintf("vms/%s/%s", name, file) : xasprintf("vms/%s", name);
}

char *vm_state_path(const struct vm *vm, const char *file)
{
	return xasprintf("%s/vms/%s%s%s", vm->daemon->dirs.state, vm->name, file ? "/" : "",
		file ? file : "");
}

char *vm_run_path(const struct vm *vm, const char *file)
{
	return xasprintf("%s/vms/%s/%s", vm->daemon->dirs.run, vm->name, file);
}

int vm_state_open(const struct daemon *d, const char *name)
{
	_cleanup_(free_ptr) char *path = vm_path(name, NULL);

	return openat(d->dirs.state_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* For the result of file_room(). */
static int dirs_room_hint(int r, const char *dir, struct err *e)
{
	if (r == -ENOSPC)
		err_hint(e, "make room on the file system of %s", dir);
	else if (r == -EROFS)
		err_hint(e, "findmnt -T %s shows how it is mounted", dir);
	return r;
}

int vm_state_may(const struct vm *vm, struct err *e)
{
	const struct daemon_dirs *dirs = &vm->daemon->dirs;
	_cleanup_(free_ptr) char *path = vm_path(vm->name, NULL);
	_cleanup_(close_fd) int fd = vm_state_open(vm->daemon, vm->name);
	const bool there = fd >= 0;
	int r;

	if (!there && errno != ENOENT)
		return err_errno(e, "open directory '%s/%s'", dirs->state, path);
	if (there && !vm->identity.dirty)
		return 0;
	if (!there)
		fd = openat(dirs->state_fd, "vms", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : file_room(fd);
	errno = -r;
	if (r < 0)
		err_errno(e, "save its identity in '%s/%s'", dirs->state, path);
	return dirs_room_hint(r, dirs->state, e);
}

int vm_state_dir(struct vm *vm, struct err *e)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, NULL);

	if (vm->state_fd >= 0)
		return vm->state_fd;
	if (mkdirat(vm->daemon->dirs.state_fd, path, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "create directory '%s/%s'", vm->daemon->dirs.state, path);
	vm->state_fd = vm_state_open(vm->daemon, vm->name);
	if (vm->state_fd < 0)
		return err_errno(e, "open directory '%s/%s'", vm->daemon->dirs.state, path);
	return vm->state_fd;
}

/* --- RUN/vms/NAME --- */

static int dirs_open_run(struct vm *vm, const char *path, struct err *e)
{
	vm->proc.run_fd = openat(
		vm->daemon->dirs.run_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return vm->proc.run_fd < 0
		       ? err_errno(e, "open directory '%s/%s'", vm->daemon->dirs.run, path)
		       : 0;
}

int vm_run_dir(struct vm *vm, struct err *e)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, NULL);
	int run = vm->daemon->dirs.run_fd;

	close_fd(&vm->proc.run_fd);
	vm->proc.recorded = 0;
	mkdirat(run, path, 0700);
	if (dirs_open_run(vm, path, NULL) == 0)
		return 0;
	if (sweeper_take(vm->daemon->sweeper, path, e) < 0)
		return e->number;
	mkdirat(run, path, 0700);
	return dirs_open_run(vm, path, e);
}

static char *dirs_new_path(const struct vm *vm)
{
	return xasprintf("vms/" VM_RUN_NEW "%s", vm->name);
}

int vm_run_dir_may(const struct vm *vm, struct err *e)
{
	const struct daemon_dirs *dirs = &vm->daemon->dirs;
	_cleanup_(close_fd) int vms = openat(dirs->run_fd, "vms", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const int r = vms < 0 ? -errno : file_room(vms);

	errno = -r;
	if (r < 0)
		err_errno(e, "create directory '%s/vms/%s'", dirs->run, vm->name);
	return dirs_room_hint(r, dirs->run, e);
}

int vm_run_dir_new(struct vm *vm, struct err *e)
{
	_cleanup_(free_ptr) char *path = dirs_new_path(vm);
	int run = vm->daemon->dirs.run_fd;

	close_fd(&vm->proc.run_fd);
	vm->proc.recorded = 0;
	if (sweeper_take(vm->daemon->sweeper, path, e) < 0)
		return e->number;
	if (mkdirat(run, path, 0700) < 0)
		return err_errno(e, "create directory '%s/%s'", vm->daemon->dirs.run, path);
	return dirs_open_run(vm, path, e);
}

int vm_run_dir_place(struct vm *vm, struct err *e)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, NULL), *from = dirs_new_path(vm);
	int run = vm->daemon->dirs.run_fd;

	if (renameat2(run, from, run, path, RENAME_EXCHANGE) == 0)
		return sweeper_take(vm->daemon->sweeper, from, e);
	/* not every file system supports RENAME_EXCHANGE */
	if (errno != ENOENT && sweeper_take(vm->daemon->sweeper, path, e) < 0)
		return e->number;
	if (renameat(run, from, run, path) < 0)
		return err_errno(e, "move '%s/%s' into its place", vm->daemon->dirs.run, from);
	return 0;
}

void vm_run_dir_remove(struct vm *vm)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, NULL);
	struct err e = ERR_INIT;

	close_fd(&vm->proc.run_fd);
	vm->proc.recorded = 0;
	if (sweeper_take(vm->daemon->sweeper, path, &e) < 0)
		log_warning(vm->name, "%s", e.text);
}

/* sweeper_take() moves any type of file. */
void vm_run_dir_clear(struct vm *vm, const char *file)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, file);
	struct err e = ERR_INIT;
	struct stat st;

	if (fstatat(vm->proc.run_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) &&
		sweeper_take(vm->daemon->sweeper, path, &e) < 0)
		log_warning(vm->name, "%s", e.text);
}

/* --- sockets --- */

int vm_socket_connect(const struct vm *vm, const char *name, struct err *e)
{
	_cleanup_(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	_cleanup_(close_fd) int inside = -1;
	struct sockaddr_un to;
	int r;

	file_socket_address(&to, vm->proc.run_fd, name);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return steal_fd(&fd);
	r = err_errno(e, "connect to '%s'", name);
	/* missing or replaced in the run directory: try the guest's private root */
	inside = fd >= 0 && errno != EAGAIN ? inside_open(vm, name) : -1;
	if (inside < 0)
		return r;
	file_socket_address(&to, inside, NULL);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		return r;
	err_clear(e);
	return steal_fd(&fd);
}

int vm_socket_listen(const struct vm *vm, const char *name, struct err *e)
{
	_cleanup_(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un to;

	file_socket_address(&to, vm->proc.run_fd, name);
	unlinkat(vm->proc.run_fd, name, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) < 0 ||
		fchmodat(vm->proc.run_fd, name, 0600, 0) < 0 || listen(fd, 16) < 0)
		return err_errno(e, "listen on '%s'", name);
	return steal_fd(&fd);
}
