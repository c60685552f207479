/* SPDX-License-Identifier: MIT */
#include "base/buf.h"
#include "base/text.h"
#include "supervisor/qemu/argv.h"

char *argv_shell(const struct argv *a)
{
	struct buf t = BUF_INIT;

	for (size_t i = 0; i < a->n; i++) {
		char *word = text_shell_quote(a->word[i]);

		buf_printf(&t, "%s%s", i == 0 ? "" : a->word[i][0] == '-' ? " \\\n  " : " ", word);
		free(word);
	}
	return buf_steal(&t);
}
