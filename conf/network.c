/* SPDX-License-Identifier: MIT */
#include "conf/parse.h"

void conf_network_parse(struct conf_network *out, const char *name, const struct conf_source *src,
	size_t n, struct conf_problems *problems)
{
	const struct conf_specifiers spec = { .name = name };
	struct conf_parse p;

	conf_parse_init(&p, &conf_network_schema, out, &spec, problems);
	out->name = arena_strdup(&out->arena, name);
	out->place = conf_parse_run(&p, src, n);
	conf_check_name(name, &out->place, problems);
	conf_network_check(out, &p.marks, problems);
	conf_parse_release(&p);
}

void conf_network_release(struct conf_network *c)
{
	arena_release(&c->arena);
	*c = (struct conf_network)CONF_NETWORK_INIT;
}
