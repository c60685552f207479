/* SPDX-License-Identifier: MIT */
/* Helpers for all host checks. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/check/host.h"

const char *host_verdict_name(enum host_verdict v)
{
	static const char *const names[] = {
		[HOST_SILENT] = "",
		[HOST_PASS] = "PASS",
		[HOST_WARN] = "WARN",
		[HOST_FAIL] = "FAIL",
	};
	_Static_assert(ARRAY_SIZE(names) == HOST_VERDICTS, "a verdict has no name");

	return names[v];
}

void host_row(struct host_row *row, enum host_verdict v, const char *cure, const char *fmt, ...)
{
	va_list ap;

	row->verdict = v;
	snprintf(row->cure, sizeof row->cure, "%s", cure ? cure : "");
	va_start(ap, fmt);
	vsnprintf(row->text, sizeof row->text, fmt, ap);
	va_end(ap);
	/* messages of programs may have several lines */
	for (char *s = row->text; (s = strchr(s, '\n')); s++)
		*s = ' ';
}

bool host_exists(const struct host_facts *f, const char *path)
{
	return faccessat(f->root, path, F_OK, 0) == 0;
}

bool host_read(const struct host_facts *f, const char *path, char *text, size_t size)
{
	ssize_t len = file_peek(f->root, path, text, size);

	for (ssize_t end = len; end > 0 && text[end - 1] == '\n';)
		text[--end] = '\0';
	return len >= 0;
}
