/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/probe_lab.h - a loop, a directory with scripts in place of QEMU, and the last answer
 */
#ifndef TESTS_UNIT_PROBE_LAB_H
#define TESTS_UNIT_PROBE_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "supervisor/host/uids.h"
#include "supervisor/qemu/probe.h"
#include "tests/unit/slow.h"
#include "tests/unit/stand_in_jail.h"

static struct uids uids;

struct fixture {
	struct loop loop;
	char dir[64];
	int dirfd;
	struct probes *probes;
	unsigned calls;
	bool ok;
	struct err err;
	char machine[64];
	unsigned major;
};

static inline int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	signal(SIGPIPE, SIG_IGN);
	strcpy(f->dir, "/tmp/vmkeep-probe-XXXXXX");
	if (loop_init(&f->loop) < 0 || !mkdtemp(f->dir))
		return -1;
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->probes = probes_new(f->loop.ev, f->dirfd, stand_in_jail(), f->dir, &uids);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	probes_free(f->probes);
	loop_release(&f->loop);
	close(f->dirfd);
	file_remove_tree(AT_FDCWD, f->dir, NULL);
	free(f);
	return 0;
}

static inline void answered(struct fixture *f, const struct err *e)
{
	f->calls++;
	f->ok = !e;
	if (e)
		err_copy(&f->err, e);
	ev_break(f->loop.ev, EVBREAK_ALL);
}

static inline void give_up(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)t, (void)revents;
	ev_break(ev, EVBREAK_ALL);
}

static inline void wait_for(struct fixture *f, unsigned calls)
{
	ev_timer t;

	ev_timer_init(&t, give_up, stretched(30), 0);
	ev_timer_start(f->loop.ev, &t);
	while (f->calls < calls && ev_is_active(&t))
		ev_run(f->loop.ev, 0);
	assert_int_equal(f->calls, calls);
	ev_timer_stop(f->loop.ev, &t);
}

/* A script that counts its runs and then runs the given commands. */
static inline char *script(struct fixture *f, const char *name, const char *rest)
{
	char *path = xasprintf("%s/%s", f->dir, name);
	char *text = xasprintf("#!/bin/sh\necho run >>%s/runs\n%s\n", f->dir, rest);

	assert_int_equal(file_replace(AT_FDCWD, path, 0755, text, strlen(text), false, NULL), 0);
	free(text);
	return path;
}

static inline size_t runs(struct fixture *f)
{
	struct buf b = BUF_MAX(4096);
	size_t n;

	file_read(f->dirfd, "runs", &b, &(struct err)ERR_INIT);
	n = b.len / strlen("run\n");
	buf_release(&b);
	return n;
}

#endif
