/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/aside.h - sets damaged or misplaced files aside instead of deleting them
 */
#ifndef SUPERVISOR_CORE_ASIDE_H
#define SUPERVISOR_CORE_ASIDE_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"

/* Renames path to PATH.damaged-TIME, stored in name. */
int aside_move(int dirfd, const char *path, char name[PATH_MAX], struct err *e);
/* Sets aside anything that is not a regular file, including a link. True: path is free or a regular
 * file now. Logs it with the VM's name (NULL: none). */
bool aside_clear(int dirfd, const char *path, const char *vm);

#endif
