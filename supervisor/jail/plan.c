/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/plan.c - receives and parses the plan
 *
 * Strict: an unknown member or kind means that the daemon and vmkeep-jail are of different
 * versions.
 */
#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "supervisor/jail/jail.h"

enum { FD_NUMBER_MAX = 1023, FILES_ARGV_MAX = 4096 };

static const char *const kind_names[] = {
	[JAIL_DISK] = "disk",
	[JAIL_BASE] = "base",
	[JAIL_CDROM] = "cdrom",
	[JAIL_KERNEL] = "kernel",
	[JAIL_FIRMWARE] = "firmware",
	[JAIL_NVRAM] = "nvram",
};
static_assert(ARRAY_SIZE(kind_names) == JAIL_KINDS, "a kind has no name");

static int plan_find_name(const char *s, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(s, names[i]))
			return (int)i;
	return -1;
}

static bool plan_path_is_plain(const char *path)
{
	if (path[0] != '/' || !path[1])
		return false;
	for (const char *p = path; *p; p += strcspn(p, "/")) {
		size_t len = strcspn(++p, "/");

		if (len == 0 || (len == 1 && p[0] == '.') ||
			(len == 2 && p[0] == '.' && p[1] == '.'))
			return false;
	}
	return true;
}

static int plan_parse_path(const char *path, const char *what, struct err *e)
{
	if (!plan_path_is_plain(path))
		return err_set(
			e, ERR_USAGE, "plan: %s: '%s' is not a plain absolute path", what, path);
	return 0;
}

static int plan_parse_file(struct jail_file *f, json_t *o, struct err *e)
{
	const char *kind, *format = "", *by_name = "";
	json_error_t je;
	int k, fmt, named;

	*f = (struct jail_file){
		.id = "", .created = "", .seen = "", .fd = -1, .dir = -1, .data = -1, .tree = -1
	};
	if (json_unpack_ex(o, &je, 0,
		    "{s:s, s:s, s?s, s:s, s?s, s?b, s?b, s?s, s?b, s?b, s?b, s?I, s?s, s?s, s?s, s?o, s?b, s?b, s?s !}",
		    "kind", &kind, "what", &f->what, "id", &f->id, "path", &f->path, "beneath",
		    &f->beneath, "mounted", &f->mounted, "write", &f->write, "format", &format,
		    "format_written", &f->format_written, "direct", &f->direct, "has_base",
		    &f->has_base, "create", &f->create, "created", &f->created, "seen", &f->seen,
		    "by_name", &by_name, "known", &f->known, "copy", &f->copy, "new_volume",
		    &f->new_volume, "volume_of", &f->volume_of) < 0)
		return err_set(e, ERR_USAGE, "plan: file: %s", je.text);
	k = plan_find_name(kind, kind_names, JAIL_KINDS);
	fmt = plan_find_name(format, jail_format_names, JAIL_FORMATS);
	named = plan_find_name(by_name, jail_format_names, JAIL_FORMATS);
	if (k < 0 || fmt < 0 || named < 0 || f->create < 0 ||
		(f->copy && (!f->write || !f->beneath)))
		return err_set(e, ERR_USAGE,
			"plan: %s: unknown kind '%s' or format '%s', or invalid size", f->what,
			kind, format);
	f->kind = (enum jail_kind)k;
	f->format = (enum jail_format)fmt;
	f->by_name = (enum jail_format)named;
	f->shown_path = path_shown(f->path);
	if (f->beneath && plan_parse_path(f->beneath, f->what, e) < 0)
		return e->number;
	if (f->volume_of && plan_parse_path(f->volume_of, f->what, e) < 0)
		return e->number;
	return plan_parse_path(f->path, f->what, e);
}

static int plan_parse_argv(struct jail *j, json_t *list, struct err *e)
{
	size_t n = json_array_size(list);

	if (j->role->run)
		return n ? err_set(e, ERR_USAGE, "plan: role '%s' runs no program", j->role->name)
			 : 0;
	if (n == 0 || n > FILES_ARGV_MAX)
		return err_set(e, ERR_USAGE, "plan: argv has %zu arguments", n);
	j->argv = xcalloc(n + 1, sizeof *j->argv);
	for (size_t i = 0; i < n; i++) {
		j->argv[i] = json_string_value(json_array_get(list, i));
		if (!j->argv[i])
			return err_set(e, ERR_USAGE, "plan: argv[%zu] is not a string", i);
	}
	return plan_parse_path(j->argv[0], "program", e);
}

static int plan_parse_fds(struct jail *j, json_t *list, struct err *e)
{
	size_t n = json_array_size(list);
	bool taken[FD_NUMBER_MAX + 1] = { false };

	if (n != j->n_fds)
		return err_set(
			e, ERR_USAGE, "plan: %zu descriptors named, %zu received", n, j->n_fds);
	for (size_t i = 0; i < n; i++) {
		json_t *o = json_array_get(list, i);
		json_int_t to = json_integer_value(o);

		if (!json_is_integer(o) || to < 0 || to > FD_NUMBER_MAX || taken[to])
			return err_set(
				e, ERR_USAGE, "plan: fds[%zu] is out of range or given twice", i);
		taken[to] = true;
		j->to[i] = (int)to;
	}
	return 0;
}

static int plan_add_node(struct jail *j, const char *path, struct err *e)
{
	if (!path)
		return err_set(e, ERR_USAGE, "plan: a device node is not a string");
	if (j->n_nodes == JAIL_NODES_MAX)
		return err_set(e, ERR_USAGE, "plan: more than %d device nodes", JAIL_NODES_MAX);
	j->node[j->n_nodes++].path = path;
	return plan_parse_path(path, "device node", e);
}

static int plan_parse_nodes(struct jail *j, bool kvm, json_t *list, struct err *e)
{
	int r = 0;

	if (kvm)
		r = plan_add_node(j, "/dev/kvm", e);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = plan_add_node(j, json_string_value(json_array_get(list, i)), e);
	return r;
}

static int plan_parse_group(struct jail *j, json_t *o, struct err *e)
{
	struct jail_group *g = &j->group;
	json_t *dirs = NULL;
	json_error_t je;
	int r = 0;

	if (!o)
		return 0;
	if (json_unpack_ex(o, &je, 0, "{s?s, s?o, s?I, s?I, s?I, s?I, s?I !}", "unit", &g->unit,
		    "dirs", &dirs, "cpu_quota", &g->cpu_quota, "cpu_weight", &g->cpu_weight,
		    "io_weight", &g->io_weight, "tasks_max", &g->tasks_max, "memory_max",
		    &g->memory_max) < 0)
		return err_set(e, ERR_USAGE, "plan: group: %s", je.text);
	if (json_array_size(dirs) > JAIL_GROUP_DIRS_MAX)
		return err_set(
			e, ERR_USAGE, "plan: more than %d control groups", JAIL_GROUP_DIRS_MAX);
	for (size_t i = 0; r == 0 && i < json_array_size(dirs); i++) {
		const char *dir = json_string_value(json_array_get(dirs, i));

		g->dir[g->n++] = dir;
		r = dir ? plan_parse_path(dir, "control group", e)
			: err_set(e, ERR_USAGE, "plan: a control group is not a string");
	}
	return r;
}

static int plan_parse_paths(struct jail *j, json_t *list, struct err *e)
{
	int r = 0;

	if (json_array_size(list) > JAIL_PATHS_MAX)
		return err_set(e, ERR_USAGE, "plan: more than %d paths", JAIL_PATHS_MAX);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		struct jail_path *p = &j->path[j->n_paths++];
		json_error_t je;

		*p = (struct jail_path){ .tree = -1 };
		if (json_unpack_ex(json_array_get(list, i), &je, 0, "{s:s, s?b, s?b !}", "path",
			    &p->path, "write", &p->write, "optional", &p->optional) < 0)
			return err_set(e, ERR_USAGE, "plan: path: %s", je.text);
		r = plan_parse_path(p->path, "path", e);
	}
	return r;
}

static int plan_parse_identity(struct jail *j, json_t *o, struct err *e)
{
	struct jail_identity *id = &j->identity;
	json_error_t je;

	if (!o)
		return 0;
	if (json_unpack_ex(o, &je, 0, "{s:s, s:b, s:o, s?b, s?o, s?o, s?s !}", "dir", &id->dir,
		    "changed", &id->changed, "document", &id->document, "fresh", &id->fresh,
		    "vanished", &id->vanished, "former", &id->former, "damaged", &id->damaged) < 0)
		return err_set(e, ERR_USAGE, "plan: identity: %s", je.text);
	return plan_parse_path(id->dir, "identity", e);
}

static int plan_parse_files(struct jail *j, json_t *list, struct err *e)
{
	int r = 0;

	j->n_files = json_array_size(list);
	if (j->n_files > JAIL_FILES_MAX)
		return err_set(e, ERR_USAGE, "plan: more than %d files", JAIL_FILES_MAX);
	j->file = xcalloc(j->n_files + 1, sizeof *j->file);
	for (size_t i = 0; r == 0 && i < j->n_files; i++)
		r = plan_parse_file(&j->file[i], json_array_get(list, i), e);
	for (size_t i = 1; r == 0 && i < j->n_files; i++) {
		struct jail_file *f = &j->file[i];

		f->above = f->kind == JAIL_BASE && f[-1].has_base ? f - 1 : NULL;
		if (f->above)
			f->above->base = f;
	}
	return r;
}

void plan_release(struct jail *j)
{
	json_decref(j->plan);
	free(j->argv);
	free(j->file);
	j->plan = NULL;
	j->argv = NULL;
	j->file = NULL;
	j->n_files = 0;
}

int plan_parse(struct jail *j, const char *text, size_t len, struct err *e)
{
	json_t *argv = NULL, *fds = NULL, *dev = NULL, *paths = NULL, *files = NULL, *group = NULL,
	       *identity = NULL, *o;
	const char *role = "qemu";
	int version, kvm = 0, r;
	json_int_t uid;
	json_error_t je;

	o = json_loadb(text, len, 0, &je);
	if (!o)
		return err_set(e, ERR_USAGE, "plan: %s", je.text);
	j->plan = o;
	if (json_unpack_ex(o, &je, 0,
		    "{s:i, s:s, s?s, s:I, s?o, s?o, s:s, s?b, s?i, s?b, s?b, s?b, s?s, s?o, s?o, s?o, s?o, s?o, s?b, s?b, s?i !}",
		    "version", &version, "name", &j->name, "role", &role, "uid", &uid, "argv",
		    &argv, "fds", &fds, "root", &j->root, "kvm", &kvm, "oom_score_adj",
		    &j->oom_score_adj, "check", &j->check, "running", &j->running, "io_uring",
		    &j->io_uring, "modules", &j->modules, "dev", &dev, "paths", &paths, "files",
		    &files, "group", &group, "identity", &identity, "space", &j->space,
		    "may_create", &j->may_create, "qemu", &j->qemu) < 0)
		return err_set(e, ERR_USAGE, "plan: %s", je.text);
	if (version != PLAN_VERSION)
		return err_set(e, ERR_USAGE, "plan: version %d, this vmkeep-jail expects %d",
			version, PLAN_VERSION);
	j->role = role_named(role);
	if (!j->role)
		return err_set(e, ERR_USAGE, "plan: no role '%s'", role);
	if (uid < 0 || uid >= UINT32_MAX || (uid == 0) != j->role->volumes)
		return err_set(e, ERR_USAGE, "plan: uid %lld is not a guest's", (long long)uid);
	j->uid = (uid_t)uid;
	r = plan_parse_argv(j, argv, e);
	if (r == 0)
		r = plan_parse_fds(j, fds, e);
	if (r == 0)
		r = plan_parse_path(j->root, "root", e);
	if (r == 0 && j->modules)
		r = plan_parse_path(j->modules, "modules", e);
	if (r == 0)
		r = plan_parse_nodes(j, kvm, dev, e);
	if (r == 0)
		r = plan_parse_paths(j, paths, e);
	if (r == 0)
		r = plan_parse_group(j, group, e);
	if (r == 0)
		r = plan_parse_identity(j, identity, e);
	if (r == 0)
		r = plan_parse_files(j, files, e);
	return r;
}

int plan_receive(struct jail *j, struct err *e)
{
	struct file_fds fds = { .fd = j->fd, .max = PLAN_FDS_MAX };
	struct buf b = BUF_MAX(PLAN_MAX);
	ssize_t n;
	int r;

	do {
		const size_t room = 16384;
		char *to = buf_reserve(&b, room);

		if (!to)
			return err_set(e, ERR_USAGE, "plan: over %d bytes", PLAN_MAX);
		n = file_receive(j->sock, to, room, &fds, 0);
		j->n_fds = fds.n;
		if (n < 0)
			return err_errno(e, "receive the plan");
		if (n == 0)
			return err_set(e, ERR_USAGE, "plan: ends early");
		buf_commit(&b, (size_t)n);
	} while (b.data[b.len - 1] != '\n');
	r = plan_parse(j, b.data, b.len, e);
	buf_release(&b);
	return r;
}
