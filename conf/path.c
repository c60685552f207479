/* SPDX-License-Identifier: MIT */
#include "conf/path.h"

#include <limits.h>

/* Writes the normalised path to out, which is as large as path; false if there is none. */
static bool path_write(const char *path, char *out)
{
	char *to = out;
	size_t len;

	if (*path == '/')
		*to++ = '/';
	for (path += strspn(path, "/"); *path; path += len, path += strspn(path, "/")) {
		len = strcspn(path, "/");
		if (len == 2 && path[0] == '.' && path[1] == '.')
			return false;
		if (len == 1 && path[0] == '.')
			continue;
		if (to > out && to[-1] != '/')
			*to++ = '/';
		memcpy(to, path, len);
		to += len;
	}
	*to = '\0';
	return *out && strcmp(out, "/") != 0;
}

bool conf_path_climbs(const char *path)
{
	for (const char *s = path; (s = strstr(s, "..")); s += 2)
		if ((s == path || s[-1] == '/') && (!s[2] || s[2] == '/'))
			return true;
	return false;
}

bool conf_path_ok(const char *path)
{
	char out[PATH_MAX];

	return strlen(path) < sizeof out && path_write(path, out);
}

const char *conf_path_plain(const char *path, struct arena *a)
{
	char out[PATH_MAX];

	return strlen(path) < sizeof out && path_write(path, out) ? arena_strdup(a, out) : NULL;
}
