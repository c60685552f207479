/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "base/file.h"
#include "base/mem.h"
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
