/* SPDX-License-Identifier: MIT */
/* Sends vmkeep-jail's messages to the daemon, one line each; see plan.h. */
#include <errno.h>
#include <jansson.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "supervisor/api/api.h"
#include "supervisor/jail/jail.h"

int answer(int sock, void *o)
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
		n = send(sock, line + done, len - done, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
	}
	return 0;
}

int answer_error(int sock, const char *step, const struct err *e)
{
	return answer(sock,
		json_pack("{s:{s:s, s:o, s:o, s:s}}", "error", "class", api_class(e->class)->name,
			"desc", api_text(e->text), "hint", api_text(e->hint), "step", step));
}

void answer_problem(const struct jail *j, const char *severity, const char *step, const char *id,
	const struct err *e)
{
	answer(j->sock,
		json_pack("{s:{s:s, s:s, s:o, s:o, s:s, s:s}}", "problem", "severity", severity,
			"class", api_class(e->class)->name, "desc", api_text(e->text), "hint",
			api_text(e->hint), "step", step, "id", id));
}

void answer_once(
	const struct jail *j, const char *id, const char *key, const char *has, const struct err *e)
{
	answer(j->sock, json_pack("{s:{s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s}}", "problem",
				"severity", "warning", "class", api_class(e->class)->name, "desc",
				api_text(e->text), "hint", api_text(e->hint), "step", "once", "id",
				id, "key", key, "has", has));
}

void answer_warning(const struct jail *j, const char *step, const char *id, const struct err *e)
{
	answer_problem(j, "warning", step, id, e);
}
