/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/cgroup.h - a guest's cgroup: where it is, and cleaning it up
 *
 * Under systemd, a scope below vmkeep.slice; otherwise directories vmkeep/NAME in the mounted
 * hierarchies, v1 or v2; or none. Chosen here; vmkeep-jail creates and joins it. After the guest
 * has ended, remaining processes are killed and the directory is removed, here. A daemon with
 * another run directory uses other names.
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
	char *scope[CGROUP_DIRS_MAX]; /* where systemd creates the scopes */
	size_t scopes;
	struct cgroup_end *ends;
};

/* mounts: /proc/self/mounts, or a file in that format. */
void cgroups_find(struct cgroups *c, struct ev_loop *ev, const char *run_dir, const char *mounts,
	bool systemd);
void cgroups_release(struct cgroups *c);
/* The plan's "group", see supervisor/jail/plan.h. A cleanup in progress must be called off first. */
json_t *cgroups_plan(const struct cgroups *c, const char *vm, const struct conf_vm *conf);
/* The VM's process is gone: starts killing whatever is left in its cgroup, without waiting for
 * it. */
void cgroups_end(struct cgroups *c, const char *vm);
void cgroups_forget(struct cgroups *c, const char *vm); /* calls off the cleanup; NULL: of all */

#endif
