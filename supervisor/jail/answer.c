/* SPDX-License-Identifier: MIT */
/* Sends vmkeep-jail's messages to the daemon, one line each; see plan.h. */
#include <errno.h>
#include <jansson.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/api/api.h"
#include "supervisor/jail/jail.h"

int answer_with(int sock, void *o, const int *fds, size_t n_fds)
{
	_cleanup_(free_ptr) char *line = NULL;
	char *text = json_dumps(o, JSON_COMPACT);
	size_t done = 0, len;
	ssize_t n;

	json_decref(o);
	if (!text)
		return -ENOMEM;
	line = xasprintf("%s\n", text);
	free(text);
	for (len = strlen(line); done < len; done += (size_t)n) {
		n = file_send(sock, line + done, len - done, fds, done ? 0 : n_fds, 0);
		if (n < 0)
			return -errno;
	}
	return 0;
}

int answer(int sock, void *o)
{
	return answer_with(sock, o, NULL, 0);
}

int answer_error(int sock, const char *step, bool stays, const struct err *e)
{
	return answer(sock, json_pack("{s:{s:s, s:o, s:o, s:s, s:b}}", "error", "class",
				    api_class(e->class)->name, "desc", api_text(e->text), "hint",
				    api_text(e->hint), "step", step, "stays", stays));
}

const char *answer_key(const struct jail_file *f)
{
	static const char *const keys[] = {
		[JAIL_DISK] = "Path",
		[JAIL_BASE] = "Base",
		[JAIL_CDROM] = "Path",
		[JAIL_KERNEL] = "Kernel",
		[JAIL_FIRMWARE] = "Firmware",
		[JAIL_NVRAM] = "Firmware",
	};
	_Static_assert(ARRAY_SIZE(keys) == JAIL_KINDS, "a kind has no key");

	return f->kind == JAIL_KERNEL && streq(f->what, "initrd") ? "Initrd" : keys[f->kind];
}

void answer_once(
	const struct jail *j, const char *id, const char *key, const char *has, const struct err *e)
{
	answer(j->sock, json_pack("{s:{s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s}}", "problem",
				"severity", "warning", "class", api_class(e->class)->name, "desc",
				api_text(e->text), "hint", api_text(e->hint), "step", "once", "id",
				id, "key", key, "has", has));
}

void answer_problem(const struct jail *j, const char *severity, const char *step,
	const struct jail_file *f, const struct err *e)
{
	answer(j->sock, json_pack("{s:{s:s, s:s, s:o, s:o, s:s, s:s, s:s}}", "problem", "severity",
				severity, "class", api_class(e->class)->name, "desc",
				api_text(e->text), "hint", api_text(e->hint), "step", step, "id",
				f ? f->id : "", "key", f ? answer_key(f) : ""));
}

void answer_warning(
	const struct jail *j, const char *step, const struct jail_file *f, const struct err *e)
{
	answer_problem(j, "warning", step, f, e);
}
