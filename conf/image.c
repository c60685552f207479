/* SPDX-License-Identifier: MIT */
#include "conf/image.h"

#include "conf/parse.h"

static void image_problem(const struct conf_image *c, const struct conf_marks *m, const char *key,
	const char *why, struct conf_problems *p)
{
	const struct conf_mark *mark = conf_mark_find(m, "Image", NULL, key);

	conf_problem(p, mark ? &mark->place : &c->place, key, "%s", why);
}

/* An image is checked by a digest that is known, or by one that a server states, signed or not. */
static void image_check(
	const struct conf_image *c, const struct conf_marks *m, struct conf_problems *p)
{
	if (!c->url)
		image_problem(c, m, "URL", "missing in [Image]", p);
	if (!c->digest && !c->checksums)
		image_problem(c, m, "Checksums", "[Image] needs it, or Digest=", p);
	if (c->digest && c->checksums)
		image_problem(c, m, "Digest", "has no effect with Checksums=", p);
	if (c->keyring && !c->checksums)
		image_problem(c, m, "Keyring", "has no effect without Checksums=", p);
	if (c->signature && !c->keyring)
		image_problem(c, m, "Signature", "needs Keyring=", p);
}

void conf_image_parse(struct conf_image *out, const char *name, const struct conf_source *src,
	size_t n, struct conf_problems *problems)
{
	const struct conf_specifiers spec = { .name = name };
	const size_t before = problems->count;
	struct conf_parse p;

	conf_parse_init(&p, &conf_image_schema, out, &spec, problems);
	out->name = arena_strdup(&out->arena, name);
	out->place = conf_parse_run(&p, src, n);
	conf_check_name(name, &out->place, problems);
	if (problems->count == before)
		image_check(out, &p.marks, problems);
	conf_parse_release(&p);
}

void conf_image_release(struct conf_image *c)
{
	arena_release(&c->arena);
	*c = (struct conf_image)CONF_IMAGE_INIT;
}
