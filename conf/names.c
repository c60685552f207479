/* SPDX-License-Identifier: MIT */
#include "conf/names.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

void conf_names_add(struct conf_names *l, char *name /* stolen */)
{
	GROW(l->name, l->n, l->cap);
	l->name[l->n++] = name;
}

void conf_names_release(struct conf_names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->name[i]);
	free(l->name);
}

static bool names_has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	return len > n && strcmp(name + len - n, suffix) == 0;
}

bool conf_name_is_leftover(const char *name)
{
	return *name == '.' || names_has_suffix(name, "~") || names_has_suffix(name, ".bak") ||
	       strstr(name, ".dpkg-");
}

bool conf_name_is_misspelt(const char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	return len > n && strcasecmp(name + len - n, suffix) == 0 &&
	       !names_has_suffix(name, suffix);
}

static int names_by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int conf_names_read(struct conf_names *l, const char *dir, const char *suffix)
{
	const struct dirent *entry;
	DIR *d = opendir(dir);

	if (!d)
		return -errno;
	while (errno = 0, entry = readdir(d))
		if (!conf_name_is_leftover(entry->d_name) &&
			names_has_suffix(entry->d_name, suffix))
			conf_names_add(l, xstrdup(entry->d_name));
	if (l->n)
		qsort(l->name, l->n, sizeof *l->name, names_by_name);
	closedir(d);
	return 0;
}
