/* SPDX-License-Identifier: MIT */
#include "supervisor/core/replace.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/daemon.h"
#include "supervisor/core/replace_private.h"

static const double REPLACE_SECONDS = 120;

struct replacement {
	struct replacement *next;
	struct ev_loop *ev;
	char *count;
	struct buf input;
	replace_fn *done;
	void *data;
	bool runs;
};

/* The child at work, then those that wait: each child removes what others have left. */
static struct replacement *first;

static void replace_begin_next(void);

static void replace_free(struct replacement *p)
{
	buf_release(&p->input);
	free(p->count);
	free(p);
}

static void replace_end(struct replacement *p, const struct err *e)
{
	first = p->next;
	p->done(p->data, e);
	replace_free(p);
}

/* The child's exit status tells the class of its error. */
static void replace_on_done(void *data, const struct child_result *r)
{
	struct replacement *p = data;
	_cleanup_(free_ptr) char *said = text_escape(r->err, strcspn(r->err, "\n"), false);
	struct err e = ERR_INIT;
	char late[CHILD_LATE];
	int class = r->status - REPLACE_FAILED;

	if (r->status == -ETIMEDOUT)
		err_set(&e, ERR_TIMEOUT,
			"its file system does not respond: the child that writes it %s",
			child_late(r, late));
	else if (r->status)
		err_set(&e, class > 0 && class < ERR_CLASSES ? (enum err_class) class : ERR_FAILED,
			"%s", *said ? said : "the child that writes the file was killed");
	replace_end(p, r->status ? &e : NULL);
	replace_begin_next();
}

static int replace_run(struct replacement *p, struct err *e)
{
	_cleanup_(free_ptr) char *len = xasprintf("%zu", p->input.len);
	const char *argv[] = { "/proc/self/exe", "--replace", p->count, len, NULL };
	const struct child_options o = { .argv = argv,
		.input = p->input.data,
		.timeout = REPLACE_SECONDS,
		.while_idle = true,
		.done = replace_on_done,
		.data = p };

	p->runs = child_run(p->ev, &o, e) != NULL;
	return p->runs ? 0 : e->number;
}

static void replace_begin_next(void)
{
	struct err e = ERR_INIT;

	while (first && !first->runs && replace_run(first, &e) < 0) {
		replace_end(first, &e);
		err_clear(&e);
	}
}

static void replace_add(struct buf *input, const struct replace_file *f)
{
	const char *old = f->old ? f->old : "", *text = f->text ? f->text : "";

	buf_printf(input, "%s\n", f->path);
	if (f->like)
		buf_printf(input, REPLACE_LIKE "%s\n", f->like);
	buf_printf(input, "%s%zu %zu\n%s%s",
		!f->old	   ? REPLACE_NEW
		: !f->text ? REPLACE_GONE
			   : "",
		strlen(old), strlen(text), old, text);
}

int replace(struct daemon *d, const struct replace_file *file, size_t n, replace_fn *done,
	void *data, struct err *e)
{
	struct replacement *p = xcalloc(1, sizeof *p), **end = &first;

	p->ev = d->loop.ev;
	p->count = xasprintf("%zu", n);
	p->done = done;
	p->data = data;
	for (size_t i = 0; i < n; i++)
		replace_add(&p->input, &file[i]);
	if (!first && replace_run(p, e) < 0) {
		replace_free(p);
		return e->number;
	}
	while (*end)
		end = &(*end)->next;
	*end = p;
	return 0;
}
