/* SPDX-License-Identifier: MIT */
#include "supervisor/make/asked.h"

#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "supervisor/api/api.h"

enum { CHUNK = 1 << 16 };

json_t *asked_read(size_t max, struct err *e)
{
	struct buf input = BUF_MAX(max);
	json_t *request = NULL;
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf_reserve(&input, CHUNK), CHUNK)) > 0)
		buf_commit(&input, (size_t)n);
	/* if the daemon died before it sent everything, this is no JSON */
	if (n == 0 && input.data)
		request = json_loadb(input.data, input.len, 0, NULL);
	buf_release(&input);
	if (!request)
		err_set(e, ERR_FAILED, "the request is incomplete");
	return request;
}

const char *asked_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

int asked_answer(json_t *answer, const struct err *e)
{
	if (!answer)
		answer = json_pack("{s:o}", "error", api_error_json(e));
	json_dumpf(answer, stdout, JSON_COMPACT);
	json_decref(answer);
	return fflush(stdout) < 0;
}
