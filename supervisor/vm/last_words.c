/* SPDX-License-Identifier: MIT */
#include "base/text.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/said.h"

enum { STDERR_TAIL = 4096, STDERR_LINES = 20 };

char *vm_last_words(struct vm *vm, char **why)
{
	char tail[STDERR_TAIL], *text, *from;
	size_t n = vm_parts_last_words(vm, tail, sizeof tail);
	int lines = 0;

	while (n > 0 && tail[n - 1] == '\n')
		n--;
	*why = said_why(tail, n);
	text = text_escape(tail, n, true);
	for (from = text + strlen(text); from > text && lines < STDERR_LINES; from--)
		lines += from[-1] == '\n';
	if (lines == STDERR_LINES)
		memmove(text, from + 1, strlen(from + 1) + 1);
	return text;
}
