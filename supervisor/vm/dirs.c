/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/mem.h"
#include "supervisor/vm/inside.h"

int vm_state_dir(struct vm *vm, struct err *e)
{
	_cleanup_(free_ptr) char *path = xasprintf("vms/%s", vm->name);

	if (vm->state_fd >= 0)
		return vm->state_fd;
	if (mkdirat(vm->daemon->dirs.state_fd, path, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "make directory '%s/%s'", vm->daemon->dirs.state, path);
	vm->state_fd = openat(
		vm->daemon->dirs.state_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (vm->state_fd < 0)
		return err_errno(e, "open directory '%s/%s'", vm->daemon->dirs.state, path);
	return vm->state_fd;
}

/* Through the directory's descriptor: sun_path has 108 bytes, a path may have more. */
static socklen_t socket_address(struct sockaddr_un *to, int dirfd, const char *name)
{
	to->sun_family = AF_UNIX;
	snprintf(to->sun_path, sizeof to->sun_path, "/proc/self/fd/%d/%s", dirfd, name);
	return sizeof *to;
}

int vm_socket_connect(const struct vm *vm, const char *name, struct err *e)
{
	_cleanup_(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	_cleanup_(close_fd) int inside = -1;
	struct sockaddr_un to = { 0 };
	socklen_t len = socket_address(&to, vm->proc.run_fd, name);
	int r;

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, len) == 0)
		return steal_fd(&fd);
	r = err_errno(e, "connect to '%s'", name);
	/* gone from the run directory, or another thing stands there: the guest's private root shows it too */
	inside = fd >= 0 && errno != EAGAIN ? inside_open(vm, name) : -1;
	if (inside < 0)
		return r;
	snprintf(to.sun_path, sizeof to.sun_path, "/proc/self/fd/%d", inside);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		return r;
	err_clear(e);
	return steal_fd(&fd);
}

int vm_socket_listen(const struct vm *vm, const char *name, struct err *e)
{
	_cleanup_(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un to = { 0 };
	socklen_t len = socket_address(&to, vm->proc.run_fd, name);

	unlinkat(vm->proc.run_fd, name, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, len) < 0 ||
		fchmodat(vm->proc.run_fd, name, 0600, 0) < 0 || listen(fd, 4) < 0)
		return err_errno(e, "listen on '%s'", name);
	return steal_fd(&fd);
}
