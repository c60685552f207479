/* SPDX-License-Identifier: MIT */
#include "supervisor/check/outdated.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/vm/vm.h"

bool vm_outdated(const struct vm *vm)
{
	static const char gone[] = " (deleted)";
	char link[32], path[PATH_MAX];
	ssize_t n;

	/* before, it is vmkeep-jail still */
	if (!vm_state_has_process(vm->st.state) || vm->st.state == VM_SPAWNING)
		return false;
	snprintf(link, sizeof link, "/proc/%d/exe", (int)vm->proc.pid);
	n = readlink(link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	return n > (ssize_t)strlen(gone) && streq(path + n - strlen(gone), gone);
}
