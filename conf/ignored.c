/* SPDX-License-Identifier: MIT */
/*
 * Warnings about files in the configuration directory that look like configuration but are never
 * read, although their author thinks that they are.
 */
#include <dirent.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/load.h"
#include "conf/names.h"

struct ignored {
	const char *dir;
	struct conf_problems *p;
};

static void ignored_tell(const struct ignored *i, const char *name, const char *hint,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void ignored_tell(
	const struct ignored *i, const char *name, const char *hint, const char *fmt, ...)
{
	_cleanup_(free_ptr) char *safe = text_escape(name, strlen(name), false);
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", i->dir, safe), *why = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&why, fmt, ap) < 0)
		why = NULL;
	va_end(ap);
	conf_problem_add(i->p, &(struct conf_problem){ .place.file = path,
				       .reason = why ? why : fmt,
				       .hint = hint,
				       .warning = true });
}

static bool ignored_ends(const char *name, const char *suffix)
{
	const size_t len = strlen(name), n = strlen(suffix);

	return len > n && strcasecmp(name + len - n, suffix) == 0;
}

typedef void ignored_fn(const struct ignored *i, const char *name);

static void ignored_each(const struct ignored *i, ignored_fn *f)
{
	_cleanup_(close_dir) DIR *d = opendir(i->dir);

	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (!conf_name_is_leftover(entry->d_name))
			f(i, entry->d_name);
}

static void ignored_drop_in(const struct ignored *i, const char *name)
{
	if (conf_name_is_misspelt(name, ".conf"))
		ignored_tell(
			i, name, "rename it", "is ignored, for its name does not end in .conf");
}

static void ignored_drop_ins(const struct ignored *i, const char *name)
{
	const int file = (int)(strlen(name) - strlen(".d"));
	_cleanup_(free_ptr) char *vm = xasprintf("%s/%.*s", i->dir, file, name),
				 *dir = xasprintf("%s/%s", i->dir, name);
	const struct ignored inside = { dir, i->p };

	if (access(vm, F_OK) < 0)
		ignored_tell(i, name, NULL, "is ignored, for there is no %.*s", file, name);
	else
		ignored_each(&inside, ignored_drop_in);
}

static void ignored_file(const struct ignored *i, const char *name)
{
	static const char *const endings[] = { ".vm", ".network", ".vm.d" };

	for (size_t k = 0; k < ARRAY_SIZE(endings); k++)
		if (conf_name_is_misspelt(name, endings[k]))
			ignored_tell(i, name, "rename it",
				"is ignored, for its name does not end in %s", endings[k]);
	if ((strcasecmp(name, "vmkeep.conf") == 0 && !streq(name, "vmkeep.conf")) ||
		strcasecmp(name, "vmkeepd.conf") == 0)
		ignored_tell(
			i, name, "rename it", "is ignored, for the daemon's file is vmkeep.conf");
	else if (ignored_ends(name, ".network.d") || strcasecmp(name, "vmkeep.conf.d") == 0)
		ignored_tell(i, name, "write the lines in the file itself",
			"is ignored, for only VMs have drop-ins");
	else if (ignored_ends(name, ".vm.d") && !conf_name_is_misspelt(name, ".vm.d"))
		ignored_drop_ins(i, name);
}

void conf_list_ignored(const char *dir, struct conf_problems *p)
{
	const struct ignored i = { dir, p };

	ignored_each(&i, ignored_file);
}
