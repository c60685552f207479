/* SPDX-License-Identifier: MIT */
#include "supervisor/core/aside.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"

int aside_move(int dirfd, const char *path, char name[PATH_MAX], struct err *e)
{
	const double now = clock_wall();
	const long long seconds = (long long)now;

	if (snprintf(name, PATH_MAX, "%s.damaged-%lld.%06ld", path, seconds,
		    (long)((now - (double)seconds) * 1e6)) >= PATH_MAX)
		return err_set(e, ERR_FAILED, "set '%.200s' aside: its name is too long", path);
	return renameat(dirfd, path, dirfd, name) < 0 ? err_errno(e, "set '%s' aside", path) : 0;
}

bool aside_clear(int dirfd, const char *path, const char *vm)
{
	struct err e = ERR_INIT;
	char name[PATH_MAX];
	struct stat st;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(st.st_mode))
		return true;
	if (aside_move(dirfd, path, name, &e) < 0) {
		log_warning(vm, "'%s' is not a regular file: %s", path, e.text);
		return false;
	}
	log_warning(vm, "'%s' is not a regular file: set aside as '%s'", path, name);
	return true;
}
