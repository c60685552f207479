/* SPDX-License-Identifier: MIT */
#include "conf/parse.h"

void conf_daemon_parse(struct conf_daemon *out, const struct conf_source *src, size_t n,
	struct conf_problems *problems)
{
	const struct conf_specifiers spec = { 0 };
	size_t before = problems->count;
	struct conf_parse p;

	conf_parse_init(&p, &conf_daemon_schema, out, &spec, problems);
	conf_parse_run(&p, src, n);
	conf_daemon_check(out, &p.marks, problems->count == before, problems);
	out->shutdown_place = conf_marks_place(&p.marks, "Shutdown", "TimeoutSec");
	conf_parse_release(&p);
}

void conf_daemon_release(struct conf_daemon *c)
{
	arena_release(&c->arena);
	*c = (struct conf_daemon)CONF_DAEMON_INIT;
}
