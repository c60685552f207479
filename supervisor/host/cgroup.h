/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/cgroup.h - where a guest's control group is
 *
 * Under systemd a scope of its own below vmkeep.slice; else directories vmkeep/NAME in the
 * hierarchies that are mounted, v1 or v2; or none. Decided here, joined by vmkeep-jail, which also
 * makes them; directories are removed here. A daemon with another run directory uses other names.
 */
#ifndef SUPERVISOR_HOST_CGROUP_H
#define SUPERVISOR_HOST_CGROUP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "conf/vm.h"
#include "supervisor/host/prefix.h"

enum { CGROUP_DIRS_MAX = 8 };

struct cgroups {
	bool systemd;
	char prefix[HOST_PREFIX_MAX]; /* "vmkeep" */
	char *dir[CGROUP_DIRS_MAX];
	size_t n;
};

/* mounts: /proc/self/mounts, or a file like it. */
void cgroups_find(struct cgroups *c, const char *run_dir, const char *mounts, bool systemd);
void cgroups_release(struct cgroups *c);
/* The plan's "group", see supervisor/jail/plan.h. */
json_t *cgroups_plan(const struct cgroups *c, const char *vm, const struct conf_vm *conf);
/* The process is gone. */
void cgroups_clean(const struct cgroups *c, const char *vm);

#endif
