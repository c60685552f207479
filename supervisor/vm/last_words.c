/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/part.h"
#include "supervisor/vm/said.h"

char *vm_last_words(struct vm *vm, char **why)
{
	char tail[SAID_MAX];
	size_t n = vm_parts_last_words(vm, tail, sizeof tail);

	*why = said_why(tail, n);
	return said_lines(tail, n);
}
