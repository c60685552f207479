/* SPDX-License-Identifier: MIT */
#include "supervisor/host/cgroup.h"

#include <fcntl.h>
#include <mntent.h>
#include <stdint.h>
#include <stdio.h>

#include "base/file.h"
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
		if (access(procs, W_OK) < 0)
			continue;
		c->v1[c->n] = streq(m.mnt_type, "cgroup") ? xstrdup(m.mnt_opts) : NULL;
		c->dir[c->n++] = xasprintf("%s/%s", m.mnt_dir, c->prefix);
	}
	if (f)
		endmntent(f);
}

void cgroups_release(struct cgroups *c)
{
	cgroups_forget(c, NULL);
	while (c->n) {
		free(c->dir[--c->n]);
		free(c->v1[c->n]);
	}
	while (c->scopes)
		free(c->scope[--c->scopes]);
}

/* True if this is one of the words. */
static bool cgroup_names(const char *words, const char *word)
{
	const size_t len = strlen(word);

	for (const char *w = words; w && *w; w += strspn(w, ", \n")) {
		size_t n = strcspn(w, ", \n");

		if (n == len && memcmp(w, word, n) == 0)
			return true;
		w += n;
	}
	return false;
}

static bool cgroup_file_names(const char *mount, const char *file, const char *word)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", mount, file);
	_cleanup_(buf_release) struct buf text = BUF_MAX(4096);

	return file_read(AT_FDCWD, path, &text, NULL) == 0 && cgroup_names(text.data, word);
}

/* In version 2 the groups below get a controller unless this one has processes and is not the
 * root, which has no cgroup.type. */
static bool cgroup_holds(const struct cgroups *c, size_t i, const char *v1, const char *v2)
{
	_cleanup_(free_ptr) char *mount =
					 xstrndup(c->dir[i], strlen(c->dir[i]) - strlen(c->prefix)),
				 *type = xasprintf("%s/cgroup.type", mount);

	if (c->v1[i])
		return cgroup_names(c->v1[i], v1);
	return cgroup_file_names(mount, "cgroup.subtree_control", v2) ||
	       (cgroup_file_names(mount, "cgroup.controllers", v2) && access(type, F_OK) < 0);
}

int cgroups_check(const struct cgroups *c, const struct conf_vm *conf, struct err *e)
{
	const struct {
		const char *key, *v1, *v2;
		bool wanted;
	} limits[] = {
		{ "CPUQuota", "cpu", "cpu", conf->cpu_quota },
		{ "CPUWeight", "cpu", "cpu", conf->cpu_weight },
		{ "IOWeight", "blkio", "io", conf->io_weight },
		{ "TasksMax", "pids", "pids", conf->tasks_max },
		{ "MemoryMax", "memory", "memory", conf->limit_memory },
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits) && !c->systemd; i++) {
		bool holds = !limits[i].wanted;

		for (size_t k = 0; k < c->n && !holds; k++)
			holds = cgroup_holds(c, k, limits[i].v1, limits[i].v2);
		if (holds)
			continue;
		err_set(e, ERR_NO_RESOURCES, "%s=: there is no control group that can hold it",
			limits[i].key);
		return err_hint(e,
			"run vmkeepd under systemd, mount that controller, or take the line out of [Limits]");
	}
	return 0;
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
