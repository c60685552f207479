/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/frozen.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/vm/dirs.h"

static const char file_name[] = "frozen";

int frozen_mark(struct vm *vm, struct err *e)
{
	static const char text[] = "1\n";
	_cleanup_(free_ptr) char *path = vm_path(vm->name, file_name);

	return file_replace(vm->daemon->dirs.state_fd, path, 0600, text, sizeof text - 1, false, e);
}

void frozen_unmark(struct vm *vm)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, file_name);

	if (unlinkat(vm->daemon->dirs.state_fd, path, 0) < 0 && errno != ENOENT &&
		(errno != EISDIR || unlinkat(vm->daemon->dirs.state_fd, path, AT_REMOVEDIR) < 0))
		log_warning(vm->name, "remove '%s': %s", path, strerror(errno));
}

bool frozen_is_marked(const struct vm *vm)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, file_name);

	return faccessat(vm->daemon->dirs.state_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
