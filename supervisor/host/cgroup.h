/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/cgroup.h - where a guest's control group is, and its end
 *
 * Under systemd a scope of its own below vmkeep.slice; else directories vmkeep/NAME in the
 * hierarchies that are mounted, v1 or v2; or none. Decided here, joined by vmkeep-jail, which also
 * makes them; what is left in one when its guest has ended is killed, and the directory removed, here. A daemon with another run directory uses other names.
 */
#ifndef SUPERVISOR_HOST_CGROUP_H
#define SUPERVISOR_HOST_CGROUP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "conf/vm.h"
#include "supervisor/host/prefix.h"

enum { CGROUP_DIRS_MAX = 8 };

struct cgroup_end;
struct ev_loop;

struct cgroups {
	struct ev_loop *ev;
	bool systemd;
	char prefix[HOST_PREFIX_MAX]; /* "vmkeep" */
	char *dir[CGROUP_DIRS_MAX];
	size_t n;
	char *scope[CGROUP_DIRS_MAX]; /* where systemd keeps the scopes */
	size_t scopes;
	struct cgroup_end *ends;
};

/* mounts: /proc/self/mounts, or a file like it. */
void cgroups_find(struct cgroups *c, struct ev_loop *ev, const char *run_dir, const char *mounts,
	bool systemd);
void cgroups_release(struct cgroups *c);
/* The plan's "group", see supervisor/jail/plan.h; from now on it is not ended. */
json_t *cgroups_plan(struct cgroups *c, const char *vm, const struct conf_vm *conf);
/* The process is gone: nothing outlives it in its group. Does not wait for that. */
void cgroups_end(struct cgroups *c, const char *vm);
void cgroups_forget(struct cgroups *c, const char *vm); /* calls it off, NULL: all */

#endif
