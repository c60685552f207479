/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/confine.h - programs that run in vmkeep-jail: the daemon's side of jail/plan.h
 *
 * Runs helpers (qemu-img, dnsmasq, a QEMU that is only asked) sandboxed: they see only what the plan
 * shows them. A guest's QEMU begins so too: vm/start_spawn.c.
 */
#ifndef SUPERVISOR_CORE_CONFINE_H
#define SUPERVISOR_CORE_CONFINE_H

#include <jansson.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/err.h"

struct ev_loop;

/* The plan of a program that helps; argv[0] is looked up in PATH (ERR_NOT_FOUND). The caller adds
 * "files" and "paths". root: a directory of ours, see plan.h. */
json_t *confine_plan(const char *role, const char *name, uid_t uid, const char *root,
	const char *const *argv, struct err *e);

struct confine_process {
	pid_t pid;
	int pidfd;
	int sock; /* to hear it, and to let it go; does not block */
};

/* Starts vmkeep-jail with a plan and the descriptors of its "fds", which stay the caller's; its standard error going to `output` (-1: nowhere). It waits for
 * confine_go(): what must be known of the process is on disk by then. Nothing is left on failure. */
int confine_spawn(struct confine_process *p, const char *const *argv, json_t *plan /* stolen */,
	const int *fds, size_t n_fds, int output, struct err *e);
/* vmkeep-jail acts on a whole line, and this is its end. */
void confine_go(int sock);

/* Takes what vmkeep-jail has said and hands over each line, NULL for one that is not JSON. said: keeps what is not
 * a whole line yet. False: it will say no more that counts. */
typedef void confine_line_fn(void *data, const json_t *doc);
bool confine_read(int sock, struct buf *said, confine_line_fn *line, void *data);
/* What it said once it has ended or became the program: 0, or its first error. */
int confine_answer(int sock, struct err *e);
/* The object behind "error" or "problem": class, desc and hint. */
void confine_error(const json_t *error, struct err *e);

/* child_run() in the jail, with descriptors for the plan's "fds", borrowed. e: vmkeep-jail's own error, else NULL and r is the program's. Called
 * once, from the loop. options: argv, done, data and more are not looked at. NULL on failure. */
struct confined;
typedef void confined_fn(void *data, const struct child_result *r, const struct err *e);
struct confined *confine_run(struct ev_loop *ev, const char *jail, /* stolen */ json_t *plan,
	const int *fds, size_t n_fds, const struct child_options *options, confined_fn *done,
	void *data, struct err *e);
void confine_cancel(struct confined *c); /* NULL is fine */
/* Kills it; done is still called. */
void confine_kill(struct confined *c);

#endif
