/* SPDX-License-Identifier: MIT */
#include "supervisor/host/cgroup.h"

#include <mntent.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

/* Hierarchies of systemd itself, where a scope is below its slice. */
static bool cgroup_has_scopes(const struct mntent *m)
{
	return streq(m->mnt_type, "cgroup2") ||
	       (streq(m->mnt_type, "cgroup") && hasmntopt(m, "name=systemd"));
}

static bool cgroup_is_useful(const struct mntent *m)
{
	static const char *const controllers[] = { "memory", "cpu", "blkio", "pids" };
	bool useful = streq(m->mnt_type, "cgroup2");

	for (size_t i = 0; !useful && i < ARRAY_SIZE(controllers); i++)
		useful = streq(m->mnt_type, "cgroup") && hasmntopt(m, controllers[i]);
	return useful;
}

void cgroups_find(struct cgroups *c, struct ev_loop *ev, const char *run_dir, const char *mounts,
	bool systemd)
{
	FILE *f = setmntent(mounts, "re");
	struct mntent m;
	char line[4096];

	*c = (struct cgroups){ .ev = ev, .systemd = systemd };
	host_prefix(c->prefix, run_dir);
	while (f && c->n < CGROUP_DIRS_MAX && getmntent_r(f, &m, line, sizeof line)) {
		_cleanup_(free_ptr) char *procs = NULL;

		if (systemd && cgroup_has_scopes(&m) && c->scopes < CGROUP_DIRS_MAX)
			c->scope[c->scopes++] = xasprintf("%s/vmkeep.slice", m.mnt_dir);
		if (!cgroup_is_useful(&m))
			continue;
		/* may be hidden by a later mount */
		procs = xasprintf("%s/cgroup.procs", m.mnt_dir);
		if (access(procs, W_OK) == 0)
			c->dir[c->n++] = xasprintf("%s/%s", m.mnt_dir, c->prefix);
	}
	if (f)
		endmntent(f);
}

void cgroups_release(struct cgroups *c)
{
	cgroups_forget(c, NULL);
	while (c->n)
		free(c->dir[--c->n]);
	while (c->scopes)
		free(c->scope[--c->scopes]);
}

json_t *cgroups_plan(const struct cgroups *c, const char *vm, const struct conf_vm *conf)
{
	json_t *dirs = json_array();
	unsigned long percent = conf->cpu_quota ? strtoul(conf->cpu_quota, NULL, 10) : 0;

	for (size_t i = 0; i < c->n; i++)
		json_array_append_new(dirs, json_sprintf("%s/%s", c->dir[i], vm));
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "unit",
		c->systemd ? json_sprintf("%s-%s.scope", c->prefix, vm) : json_string(""), "dirs",
		dirs, "cpu_quota", (json_int_t)percent, "cpu_weight", (json_int_t)conf->cpu_weight,
		"io_weight", (json_int_t)conf->io_weight, "tasks_max", (json_int_t)conf->tasks_max,
		"memory_max", (json_int_t)conf->limit_memory);
}
