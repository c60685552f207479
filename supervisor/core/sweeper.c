/* SPDX-License-Identifier: MIT */
#include "supervisor/core/sweeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/child.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/core/daemon.h"

static const char place[] = "gone";

struct sweeper {
	struct daemon *daemon;
	unsigned serial;
	struct loop_task task;
	struct child *child;
	bool more; /* came since the child began */
};

static void begin(struct loop_task *t);

static void done(void *data, const struct child_result *r)
{
	struct sweeper *s = data;

	s->child = NULL;
	if (r->status != 0)
		log_warning(NULL, "remove what is left in %s/%s: %s", s->daemon->dirs.run, place,
			r->err_len ? r->err : "failed");
	if (s->more)
		loop_later(s->daemon->loop.ev, &s->task, begin);
}

static void begin(struct loop_task *t)
{
	struct sweeper *s = container_of(t, struct sweeper, task);
	_cleanup_(free_ptr) char *dir = xasprintf("%s/%s", s->daemon->dirs.run, place);
	const char *argv[] = { "/proc/self/exe", "--sweep", dir, NULL };
	struct child_options o = { .argv = argv, .done = done, .data = s };
	struct err e = ERR_INIT;

	s->more = false;
	s->child = child_run(s->daemon->loop.ev, &o, &e);
	if (!s->child)
		log_warning(NULL, "remove what is left in %s: %s", dir, e.text);
}

static void want(struct sweeper *s)
{
	s->more = true;
	if (!s->child)
		loop_later(s->daemon->loop.ev, &s->task, begin);
}

int sweeper_take(struct sweeper *s, const char *path, struct err *e)
{
	int fd = s->daemon->dirs.run_fd;
	const char *name = strrchr(path, '/');
	char to[96];

	do {
		snprintf(to, sizeof to, "%s/%.64s.%u", place, name ? name + 1 : path, s->serial++);
		if (renameat(fd, path, fd, to) == 0) {
			want(s);
			return 0;
		}
		/* the number is a former daemon's */
	} while (errno == EEXIST || errno == ENOTEMPTY);
	return errno == ENOENT ? 0 : err_errno(e, "move '%s/%s' away", s->daemon->dirs.run, path);
}

struct sweeper *sweeper_new(struct daemon *d, struct err *e)
{
	struct sweeper *s;

	if (mkdirat(d->dirs.run_fd, place, 0700) < 0 && errno != EEXIST) {
		err_errno(e, "make directory '%s/%s'", d->dirs.run, place);
		return NULL;
	}
	s = xcalloc(1, sizeof *s);
	s->daemon = d;
	/* removed only when it is empty: then there is nothing to do */
	if (unlinkat(d->dirs.run_fd, place, AT_REMOVEDIR) < 0)
		want(s);
	else
		mkdirat(d->dirs.run_fd, place, 0700);
	return s;
}

void sweeper_free(struct sweeper *s)
{
	if (!s)
		return;
	loop_cancel(s->daemon->loop.ev, &s->task);
	child_cancel(s->child);
	free(s);
}
