/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/hooks.h - programs of the operator's that are told of trouble
 *
 * For each event runs the VM's own program and what stands in CONFIG/hooks.d: executable files of
 * root's that nobody else may write. argv: VM, event, reason; standard input: one JSON object.
 * A few at a time, the others wait in a bounded line, one for each event of a VM, and then tell the
 * newest; each has 30 seconds. Their output is logged.
 * A hook may call vmkeep, which finds this very daemon: nothing here waits for it.
 */
#ifndef SUPERVISOR_CORE_HOOKS_H
#define SUPERVISOR_CORE_HOOKS_H

#include <stdbool.h>
#include <sys/types.h>

enum { HOOKS_AT_ONCE = 4, HOOKS_WAITING_MAX = 64 };

struct daemon;
struct hooks;

struct hooks_event {
	const char *vm, *event, *state, *reason;
	pid_t pid;	     /* 0: no process */
	const char *program; /* absolute path of the VM's own, may be NULL */
};

struct hooks *hooks_new(struct daemon *d);
void hooks_free(struct hooks *h); /* ends those that run; NULL is fine */
void hooks_run(struct hooks *h, const struct hooks_event *event);
bool hooks_idle(const struct hooks *h);

#endif
