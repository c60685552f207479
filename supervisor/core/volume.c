/* SPDX-License-Identifier: MIT */
#include "supervisor/core/volume.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/core/daemon.h"
#include "supervisor/jail/plan.h"

enum { ASK_SECONDS = 30, CHANGE_SECONDS = 300, OUTPUT_MAX = 4096, SAYS_MAX = 400 };

struct volume_call {
	struct confined *run;
	char *what; /* "store 'fast': lvmthin path web1-root" */
	char *path; /* expected of the verb path, else NULL */
	volume_fn *done;
	void *data;
};

/* What lvm and zfs need of the host. */
static const struct {
	const char *path;
	int write;
} volume_paths[] = {
	/* clang-format off */
	{ "/dev",      1 },
	{ "/proc",     0 },
	{ "/sys",      0 },
	{ "/run/udev", 0 },
	{ "/run/lvm",  1 },
	{ "/run/lock", 1 },
	{ "/etc/lvm",  1 },
	{ "/etc/zfs",  1 },
	/* clang-format on */
};

static json_t *volume_plan_paths(const struct conf_store *s, const char *program)
{
	json_t *paths = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(volume_paths); i++)
		json_array_append_new(
			paths, json_pack("{s:s, s:b, s:b}", "path", volume_paths[i].path, "write",
				       volume_paths[i].write, "optional", 1));
	if (strncmp(s->path, "/dev/", 5) != 0)
		json_array_append_new(paths,
			json_pack("{s:s, s:b, s:b}", "path", s->path, "write", 1, "optional", 1));
	json_array_append_new(paths, json_pack("{s:s}", "path", program));
	return paths;
}

static json_t *volume_plan(const struct daemon *d, const struct volume_request *r)
{
	const struct conf_store *s = r->store;
	_cleanup_(free_ptr) char *program =
		*s->program == '/'
			? xstrdup(s->program)
			: xasprintf("%.*s/stores/%s", (int)(strrchr(d->jail, '/') - d->jail),
				  d->jail, s->program);

	return json_pack("{s:i, s:s, s:s, s:i, s:s, s:[s, s, s, s, s, s*, s*], s:o}", "version",
		PLAN_VERSION, "role", "store", "name", s->id, "uid", 0, "root", d->dirs.run, "argv",
		program, r->verb, s->path, s->pool ? s->pool : "", "--", r->name, r->more, "paths",
		volume_plan_paths(s, program));
}

/* The reason comes last. */
static char *volume_last_line(const char *said, size_t len)
{
	const char *newline;

	while (len && isspace((unsigned char)said[len - 1]))
		len--;
	newline = memrchr(said, '\n', len);
	len -= newline ? (size_t)(newline + 1 - said) : 0;
	for (said = newline ? newline + 1 : said; len && *said == ' '; len--)
		said++;
	return text_escape(said, len < SAYS_MAX ? len : SAYS_MAX, false);
}

static enum volume_answer volume_failed(
	const struct volume_call *c, const struct child_result *r, struct err *e)
{
	_cleanup_(free_ptr) char *safe = volume_last_line(r->err, r->err_len);
	char late[CHILD_LATE];

	if (r->status == -ETIMEDOUT)
		err_set(e, ERR_TIMEOUT, "%s: it %s", c->what, child_late(r, late));
	else if (r->status < 0)
		err_set(e, ERR_FAILED, "%s: it was killed by signal %d", c->what, -r->status);
	else if (*safe)
		err_set(e, ERR_FAILED, "%s: %s", c->what, safe);
	else
		err_set(e, ERR_FAILED, "%s: it failed with status %d", c->what, r->status);
	if (r->status == 3)
		err_class(e, ERR_NOT_FOUND);
	if (r->status == 4)
		err_class(e, ERR_CONFLICT);
	return r->status == 3 ? VOLUME_NONE : r->status == 4 ? VOLUME_EXISTS : VOLUME_FAILED;
}

/* The first line, if it is the only one; its newline is cut off. */
static const char *volume_line(const struct child_result *r, char line[OUTPUT_MAX + 1])
{
	const size_t len = strcspn(r->out, "\n");

	snprintf(line, OUTPUT_MAX + 1, "%.*s", (int)len, r->out);
	return r->out_len == len + 1 || r->out_len == len ? line : "";
}

static enum volume_answer volume_judge(
	const struct volume_call *c, const struct child_result *r, const char *line, struct err *e)
{
	_cleanup_(free_ptr) char *safe = NULL;

	if (r->status != 0)
		return volume_failed(c, r, e);
	if (!c->path || streq(line, c->path))
		return VOLUME_DONE;
	safe = text_escape(r->out, r->out_len < SAYS_MAX ? r->out_len : SAYS_MAX, false);
	err_set(e, ERR_FAILED, "%s: it printed '%s' in place of '%s'", c->what, safe, c->path);
	return VOLUME_FAILED;
}

static void volume_on_done(void *data, const struct child_result *r, const struct err *refused)
{
	struct volume_call *c = data;
	enum volume_answer answer = VOLUME_FAILED;
	char line[OUTPUT_MAX + 1] = "";
	struct err e = ERR_INIT;

	c->run = NULL;
	if (refused) {
		err_copy(&e, refused);
		err_wrap(&e, 0, "%s", c->what);
	} else {
		answer = volume_judge(c, r, volume_line(r, line), &e);
	}
	c->done(c->data, answer, line, answer == VOLUME_DONE ? NULL : &e);
	volume_cancel(c);
}

static bool volume_changes(const char *verb)
{
	return !streq(verb, "path") && !streq(verb, "list") && !streq(verb, "usage");
}

struct volume_call *volume_ask(struct daemon *d, const struct volume_request *r, volume_fn *done,
	void *data, struct err *e)
{
	const char *program = strrchr(r->store->program, '/');
	const struct child_options o = { .out_max = OUTPUT_MAX,
		.timeout = volume_changes(r->verb) ? CHANGE_SECONDS : ASK_SECONDS };
	struct volume_call *c = xcalloc(1, sizeof *c);

	*c = (struct volume_call){ .done = done, .data = data };
	c->what = xasprintf("store '%s': %s %s%s%s", r->store->id,
		program ? program + 1 : r->store->program, r->verb, r->name ? " " : "",
		r->name ? r->name : "");
	if (streq(r->verb, "path"))
		c->path = xasprintf("%s/%s", r->store->path, r->name);
	c->run = confine_run(
		d->loop.ev, d->jail, volume_plan(d, r), NULL, 0, &o, volume_on_done, c, e);
	if (c->run)
		return c;
	err_wrap(e, e->number, "%s", c->what);
	volume_cancel(c);
	return NULL;
}

void volume_cancel(struct volume_call *c)
{
	if (!c)
		return;
	confine_cancel(c->run);
	free(c->what);
	free(c->path);
	free(c);
}

bool volume_usage(const char *said, uint64_t *size, uint64_t *room, int *metadata)
{
	static const uint64_t max[] = { INT64_MAX, INT64_MAX, 100 };
	uint64_t n[ARRAY_SIZE(max)];
	size_t words = 0;

	for (; *(said += strspn(said, " ")); said += strcspn(said, " ")) {
		char word[24];

		snprintf(word, sizeof word, "%.*s", (int)strcspn(said, " "), said);
		if (words == ARRAY_SIZE(n) || text_parse_uint(word, 0, max[words], &n[words]) < 0)
			return false;
		words++;
	}
	if (words < 2 || !n[0] || n[1] > n[0])
		return false;
	*size = n[0];
	*room = n[1];
	*metadata = words == 3 ? (int)n[2] : -1;
	return true;
}
