/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/trouble.h"

#include "base/mem.h"

/* The first problem, without the path of the directory that all VMs share. */
static char *trouble_invalid(const struct vm *vm)
{
	const char *text = vm->file.problems, *dir = vm->daemon->dirs.config;
	size_t len = strcspn(text, "\n"), more = 0;

	for (const char *p = text; *p; p++)
		more += *p == '\n' && p[1];
	if (strncmp(text, dir, strlen(dir)) == 0 && text[strlen(dir)] == '/') {
		len -= strlen(dir) + 1;
		text += strlen(dir) + 1;
	}
	return more ? xasprintf("invalid: %.*s (and %zu more)", (int)len, text, more)
		    : xasprintf("invalid: %.*s", (int)len, text);
}

char *vm_file_trouble(const struct vm *vm)
{
	if (vm->file.orphan)
		return xstrdup("file missing");
	return vm->file.problems ? trouble_invalid(vm) : NULL;
}

char *vm_reason_text(const struct vm *vm)
{
	_cleanup_(free_ptr) char *file = vm_file_trouble(vm);

	return xasprintf(
		"%s%s%s", file ? file : "", file && vm->st.reason[0] ? "; " : "", vm->st.reason);
}

bool vm_conf_is_known(const struct vm *vm)
{
	return vm->file.have_conf || vm->file.orphan;
}
