/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/frozen.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

static void frozen_path(const struct vm *vm, char path[VM_PATH_MAX])
{
	snprintf(path, VM_PATH_MAX, "vms/%s/frozen", vm->name);
}

int frozen_mark(struct vm *vm, struct err *e)
{
	static const char text[] = "1\n";
	char path[VM_PATH_MAX];

	frozen_path(vm, path);
	return file_replace(vm->daemon->dirs.state_fd, path, 0600, text, sizeof text - 1, false, e);
}

void frozen_unmark(struct vm *vm)
{
	char path[VM_PATH_MAX];

	frozen_path(vm, path);
	if (unlinkat(vm->daemon->dirs.state_fd, path, 0) < 0 && errno != ENOENT &&
		(errno != EISDIR || unlinkat(vm->daemon->dirs.state_fd, path, AT_REMOVEDIR) < 0))
		log_warning(vm->name, "remove '%s': %s", path, strerror(errno));
}

bool frozen_is_marked(const struct vm *vm)
{
	char path[VM_PATH_MAX];

	frozen_path(vm, path);
	return faccessat(vm->daemon->dirs.state_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
