/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/confine.h - runs programs in vmkeep-jail: the daemon's side of jail/plan.h
 *
 * Runs helpers (qemu-img, dnsmasq, a QEMU that is only queried) sandboxed: they see only what the
 * plan shows them. A guest's QEMU is started in the same way: start/spawn.c.
 */
#ifndef SUPERVISOR_CORE_CONFINE_H
#define SUPERVISOR_CORE_CONFINE_H

#include <jansson.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/err.h"
#include "base/file.h"

struct ev_loop;

/* Looks a program up in PATH (ERR_NOT_FOUND). path may be NULL. */
int confine_program(const char *name, char *path, size_t size, struct err *e);

/* The plan for a helper program; argv[0] is looked up so. The caller adds
 * "files" and "paths". root: a directory of ours, see plan.h. */
json_t *confine_plan(const char *role, const char *name, uid_t uid, const char *root,
	const char *const *argv, struct err *e);

struct confine_process {
	pid_t pid;
	int pidfd;
	int sock; /* for its messages and confine_go(); non-blocking */
};

/* Starts vmkeep-jail with a plan and the fds for its "fds" (borrowed), stderr going to `output`
 * (-1: /dev/null). vmkeep-jail waits for confine_go(), so that the caller can save what it must
 * know about the process first. On failure nothing is left behind. */
int confine_spawn(struct confine_process *p, const char *const *argv, json_t *plan /* stolen */,
	const int *fds, size_t n_fds, int output, struct err *e);
/* vmkeep-jail waits for a complete line, and this ends it. */
void confine_go(int sock);

/* Reads what vmkeep-jail has sent and passes on each line, NULL if it is not JSON. said: buffers an
 * incomplete line. fds: takes descriptors that come with a line; NULL: none do. False: no more messages
 * will follow, or some of the descriptors could not be had. */
typedef void confine_line_fn(void *data, const json_t *doc);
bool confine_read(
	int sock, struct buf *said, struct file_fds *fds, confine_line_fn *line, void *data);
/* Its result, after it exited or became the program: 0, or its first error. */
int confine_answer(int sock, struct err *e);
/* Converts the object in "error" or "problem": class, desc and hint. */
void confine_error(const json_t *error, struct err *e);

/* Like child_run(), but in the jail, with fds for the plan's "fds" (borrowed). done is called once,
 * from the loop. Its e is vmkeep-jail's own error; if that is NULL, r is the program's result.
 * options: argv, done, data and more are ignored. NULL on failure. */
struct confined;
typedef void confined_fn(void *data, const struct child_result *r, const struct err *e);
struct confined *confine_run(struct ev_loop *ev, const char *jail, /* stolen */ json_t *plan,
	const int *fds, size_t n_fds, const struct child_options *options, confined_fn *done,
	void *data, struct err *e);
/* A second descriptor, the caller's, of the socket to vmkeep-jail, which may outlive the program;
 * -1: none. The caller then reads all messages, errors included. */
int confine_socket(const struct confined *c);
void confine_cancel(struct confined *c); /* NULL is fine */
/* Kills it; done is still called. */
void confine_kill(struct confined *c);

#endif
