/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/vm/inside.h"

char *vm_path(const char *name, const char *file)
{
	return file ? xasprintf("vms/%s/%s", name, file) : xasprintf("vms/%s", name);
}

char *vm_state_path(const struct vm *vm, const char *file)
{
	return xasprintf("%s/vms/%s/%s", vm->daemon->dirs.state, vm->name, file);
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

int vm_state_dir(struct vm *vm, struct err *e)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, NULL);

	if (vm->state_fd >= 0)
		return vm->state_fd;
	if (mkdirat(vm->daemon->dirs.state_fd, path, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "make directory '%s/%s'", vm->daemon->dirs.state, path);
	vm->state_fd = vm_state_open(vm->daemon, vm->name);
	if (vm->state_fd < 0)
		return err_errno(e, "open directory '%s/%s'", vm->daemon->dirs.state, path);
	return vm->state_fd;
}

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
	/* gone from the run directory, or another thing stands there: the guest's private root shows it too */
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
