/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/aside.h - what is damaged, or stands in the place of a file of ours, is kept and named
 */
#ifndef SUPERVISOR_CORE_ASIDE_H
#define SUPERVISOR_CORE_ASIDE_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"

/* Renames path to PATH.damaged-TIME, which name gets. */
int aside_move(int dirfd, const char *path, char name[PATH_MAX], struct err *e);
/* The same for whatever is no regular file, also a link: true when path is free or a file now. Tells it with the
 * VM's name, NULL: none. */
bool aside_clear(int dirfd, const char *path, const char *vm);

#endif
