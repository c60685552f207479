/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/confine.h - programs that run in vmkeep-jail: the daemon's side of jail/plan.h
 *
 * The one way to qemu-img and dnsmasq, who see nothing of the host but what the plan shows them. (A
 * QEMU has descriptors and a record beside: vm/spawn.c.)
 */
#ifndef SUPERVISOR_CORE_CONFINE_H
#define SUPERVISOR_CORE_CONFINE_H

#include <jansson.h>
#include <sys/types.h>

#include "base/child.h"
#include "base/err.h"

struct ev_loop;

/* The plan of a program that helps; argv[0] is looked up in PATH (ERR_NOT_FOUND). The caller adds
 * "files" and "paths". root: a directory of ours, see plan.h. */
json_t *confine_plan(const char *role, const char *name, uid_t uid, const char *root,
	const char *const *argv, struct err *e);

/* Sends all but the end of the plan's line over a new pair, pair[0] of which is ours and does not
 * block, and with it the descriptors that the plan's "fds" number. Plan and descriptors stay the caller's. */
int confine_send(int pair[2], const json_t *plan, const int *fds, size_t n_fds, struct err *e);

/* What vmkeep-jail said on it once it has ended or became the program: 0, or its error. */
int confine_answer(int sock, struct err *e);
/* The object behind "error" or "problem": class, desc and hint. */
void confine_error(const json_t *error, struct err *e);

/* child_run() in the jail. e: vmkeep-jail's own error, else NULL and r is the program's. Called
 * once, from the loop. options: argv, done, data and more are not looked at. NULL on failure. */
struct confined;
typedef void confined_fn(void *data, const struct child_result *r, const struct err *e);
struct confined *confine_run(struct ev_loop *ev, const char *jail, /* stolen */ json_t *plan,
	const struct child_options *options, confined_fn *done, void *data, struct err *e);
/* The same with descriptors for the plan's "fds", borrowed. */
struct confined *confine_run_with(struct ev_loop *ev, const char *jail, /* stolen */ json_t *plan,
	const int *fds, size_t n_fds, const struct child_options *options, confined_fn *done, void *data,
	struct err *e);
void confine_cancel(struct confined *c); /* NULL is fine */
/* Kills it; done is still called. */
void confine_kill(struct confined *c);

/* All of a plan at once, with descriptors, into one end of a fresh socket pair. */
int confine_write(int sock, char *text, size_t len, const int *fds, size_t n, struct err *e);

#endif
