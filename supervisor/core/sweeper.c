/* SPDX-License-Identifier: MIT */
#include "supervisor/core/sweeper.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "supervisor/core/daemon.h"

static const char place[] = "gone";

/* A delay, so that clients waiting for a guest are answered first; short, because the guest's file
 * systems are in use until then. */
#define SOON_SECONDS  0.002
#define AGAIN_SECONDS 5.0

struct sweeper {
	struct daemon *daemon;
	unsigned serial;
	struct loop_timer timer;
	struct child *child;
	bool soon; /* the timer runs with the short delay */
	bool more; /* more work came since the child started */
	/* The fds to close are queued in this socketpair. The next child inherits it and never
	 * reads it, so they are closed when it exits. -1: nothing is queued. */
	int way[2];
};

static void sweeper_want(struct sweeper *s)
{
	s->more = true;
	if (s->child || s->soon)
		return;
	s->soon = true;
	loop_timer_start(&s->timer, SOON_SECONDS);
}

static void sweeper_done(void *data, const struct child_result *r)
{
	struct sweeper *s = data;

	char late[CHILD_LATE];

	s->child = NULL;
	if (r->status != 0)
		log_warning(NULL, "remove leftovers in %s/%s: the child %s", s->daemon->dirs.run,
			place,
			r->status == -ETIMEDOUT ? child_late(r, late)
			: r->err_len		? r->err
						: "failed");
	if (s->more)
		sweeper_want(s);
}

static void sweeper_begin(void *data)
{
	struct sweeper *s = data;
	_cleanup_(free_ptr) char *dir = xasprintf("%s/%s", s->daemon->dirs.run, place);
	_cleanup_(free_ptr) char *kept = xasprintf("%s/%s", s->daemon->dirs.state, place);
	const char *argv[] = { "/proc/self/exe", "--sweep", dir, kept, NULL };
	const struct child_fd way = { s->way[1], STDERR_FILENO + 1 };
	struct child_options o = {
		.argv = argv, .done = sweeper_done, .data = s, .more = way.from < 0 ? NULL : &way
	};
	struct err e = ERR_INIT;

	s->soon = s->more = false;
	s->child = child_run(s->daemon->loop.ev, &o, &e);
	if (s->child) {
		close_fd(&s->way[0]);
		close_fd(&s->way[1]);
		return;
	}
	log_warning(NULL, "remove leftovers in %s: %s; will be retried", dir, e.text);
	s->more = true;
	loop_timer_start(&s->timer, AGAIN_SECONDS);
}

static int core_sweeper_take(
	struct sweeper *s, int fd, const char *top, const char *path, struct err *e)
{
	const char *name = strrchr(path, '/');
	char to[96];

	do {
		snprintf(to, sizeof to, "%s/%.64s.%u", place, name ? name + 1 : path, s->serial++);
		if (renameat(fd, path, fd, to) == 0) {
			sweeper_want(s);
			return 0;
		}
		/* the number was used by a previous daemon */
	} while (errno == EEXIST || errno == ENOTEMPTY);
	return errno == ENOENT ? 0 : err_errno(e, "move '%s/%s' away", top, path);
}

int sweeper_take(struct sweeper *s, const char *path, struct err *e)
{
	return core_sweeper_take(s, s->daemon->dirs.run_fd, s->daemon->dirs.run, path, e);
}

int sweeper_take_state(struct sweeper *s, const char *path, struct err *e)
{
	const struct daemon_dirs *d = &s->daemon->dirs;

	if (mkdirat(d->state_fd, place, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "create directory '%s/%s'", d->state, place);
	return core_sweeper_take(s, d->state_fd, d->state, path, e);
}

void sweeper_close(struct sweeper *s, int fd)
{
	if (fd < 0)
		return;
	if (s->way[0] >= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->way) == 0)
		file_send(s->way[0], (char[]){ 0 }, 1, &fd, 1, MSG_DONTWAIT);
	close(fd);
	sweeper_want(s);
}

struct sweeper *sweeper_new(struct daemon *d, struct err *e)
{
	struct sweeper *s;

	if (mkdirat(d->dirs.run_fd, place, 0700) < 0 && errno != EEXIST) {
		err_errno(e, "create directory '%s/%s'", d->dirs.run, place);
		return NULL;
	}
	s = xcalloc(1, sizeof *s);
	s->daemon = d;
	s->way[0] = s->way[1] = -1;
	loop_timer_init(&s->timer, d->loop.ev, sweeper_begin, s);
	/* rmdir succeeds only if it is empty: then there is nothing to do */
	if (unlinkat(d->dirs.run_fd, place, AT_REMOVEDIR) < 0)
		sweeper_want(s);
	else
		mkdirat(d->dirs.run_fd, place, 0700);
	if (unlinkat(d->dirs.state_fd, place, AT_REMOVEDIR) < 0 && errno != ENOENT)
		sweeper_want(s);
	return s;
}

void sweeper_free(struct sweeper *s)
{
	if (!s)
		return;
	loop_timer_stop(&s->timer);
	child_cancel(s->child);
	close_fd(&s->way[0]);
	close_fd(&s->way[1]);
	free(s);
}
