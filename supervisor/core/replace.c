/* SPDX-License-Identifier: MIT */
#include "supervisor/core/replace.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/daemon.h"
#include "supervisor/core/replace_private.h"

static const double REPLACE_SECONDS = 120;

struct replacement {
	replace_fn *done;
	void *data;
};

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
	p->done(p->data, r->status ? &e : NULL);
	free(p);
}

int replace(struct daemon *d, const struct replace_file *file, size_t n, replace_fn *done,
	void *data, struct err *e)
{
	struct replacement *p = xcalloc(1, sizeof *p);
	struct buf input = BUF_INIT;
	_cleanup_(free_ptr) char *count = xasprintf("%zu", n), *len = NULL;
	const char *argv[] = { "/proc/self/exe", "--replace", count, NULL, NULL };
	struct child_options o = { .argv = argv,
		.timeout = REPLACE_SECONDS,
		.while_idle = true,
		.done = replace_on_done,
		.data = p };
	int r = 0;

	for (size_t i = 0; i < n; i++)
		buf_printf(&input, "%s\n%zu %zu\n%s%s", file[i].path, strlen(file[i].old),
			strlen(file[i].text), file[i].old, file[i].text);
	len = xasprintf("%zu", input.len);
	argv[3] = len;
	o.input = input.data;
	*p = (struct replacement){ done, data };
	if (!child_run(d->loop.ev, &o, e)) {
		free(p);
		r = e->number;
	}
	buf_release(&input);
	return r;
}
