/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/keep.h - files of ours that must be on disk before the next step
 *
 * The daemon cannot wait for fsync: vmkeepd runs itself as a child that writes the file aside,
 * syncs it, renames it and syncs the directory. Those for one file are done one after another.
 */
#ifndef SUPERVISOR_CORE_KEEP_H
#define SUPERVISOR_CORE_KEEP_H

#include "base/err.h"

struct daemon;

/* e NULL: it is on disk, or gone from it. Called once, from the loop. */
typedef void keep_fn(void *data, const struct err *e);

/* path: below the state directory, whose directory exists. text NULL: the file goes away. -errno: done is not
 * called. Whoever cannot wait for it any more finds out in done. */
int keep(struct daemon *d, const char *path, const char *text, keep_fn *done, void *data,
	struct err *e);

/* The same where nobody waits for it: what fails is logged. data: the struct daemon. */
void keep_unwatched(void *data, const char *path, const char *text);

/* In the child: vmkeepd --keep DIRECTORY FILE LENGTH|none. LENGTH bytes come on stdin: fewer,
 * because the daemon died, change nothing; none removes the file. A directory in its place is
 * renamed to FILE.damaged-TIME. Its exit status. */
int keep_main(const char *dir, const char *file, const char *len);

#endif
