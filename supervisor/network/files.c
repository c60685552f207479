/* SPDX-License-Identifier: MIT */
#include "supervisor/network/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/core/aside.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

bool network_set_aside(const char *path, const char *why)
{
	char aside[PATH_MAX];
	const bool done = aside_move(AT_FDCWD, path, aside, NULL) == 0;

	if (done)
		log_error(NULL, "'%s' is %s: set aside as '%s'", path, why, aside);
	return done;
}

int network_put(const char *path, mode_t mode, const void *data, size_t len, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		network_set_aside(path, "a directory");
	return file_replace(AT_FDCWD, path, mode, data, len, false, e);
}

bool network_file_is(const char *path, const char *text)
{
	_cleanup_(buf_release) struct buf b = BUF_MAX(65536);

	return file_read(AT_FDCWD, path, &b, NULL) == 0 && streq(b.data, text);
}

int network_dir(const char *path, mode_t mode, struct err *e)
{
	struct stat st;
	const bool there = lstat(path, &st) == 0;
	const bool good = there && S_ISDIR(st.st_mode);

	if (there && !good && unlink(path) < 0)
		return err_errno(e, "remove '%s'", path);
	if (!good && file_mkdirs(path, mode, e) < 0)
		return e->number;
	if (chmod(path, mode) < 0)
		return err_errno(e, "make '%s' accessible to all", path);
	return !good;
}
