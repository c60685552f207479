/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/hooks.h - runs the operator's programs when something happens to a VM
 *
 * For each event, runs the VM's own program and those in CONFIG/hooks.d: executable files that
 * belong to root and that nobody else may write. argv: VM, event, reason; stdin: one JSON object. A
 * few run at a time, the rest wait in a bounded queue, with one entry per program, VM and event,
 * which then gets the newest data. Each is killed after 30 seconds. Their output is logged. A hook
 * may call vmkeep and so this very daemon: nothing here waits for a hook.
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
	const char *program; /* absolute path of the VM's own program, may be NULL */
};

struct hooks *hooks_new(struct daemon *d);
void hooks_free(struct hooks *h); /* kills running hooks; NULL is fine */
void hooks_run(struct hooks *h, const struct hooks_event *event);
bool hooks_idle(const struct hooks *h);

#endif
