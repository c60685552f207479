/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/check/security.h"
#include "supervisor/check/security_private.h"
#include "supervisor/vm/vm.h"

char *security_proc(const struct look *l, const char *name)
{
	_cleanup_(free_ptr) char *path = xasprintf("/proc/%d/%s", (int)l->vm->proc.pid, name);
	struct buf b = BUF_MAX(PROC_MAX);

	if (file_read(AT_FDCWD, path, &b, NULL) < 0)
		buf_clear(&b);
	return buf_steal(&b);
}

bool vm_outdated(const struct vm *vm)
{
	static const char gone[] = " (deleted)";
	char link[32], path[PATH_MAX];
	ssize_t n;

	/* until then it is vmkeep-jail */
	if (!vm_state_has_process(vm->st.state) || vm->st.state == VM_SPAWNING)
		return false;
	snprintf(link, sizeof link, "/proc/%d/exe", (int)vm->proc.pid);
	n = readlink(link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	return n > (ssize_t)strlen(gone) && streq(path + n - strlen(gone), gone);
}
