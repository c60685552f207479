/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/keep.h - writes our files durably before the next step
 *
 * The daemon cannot wait for fsync: vmkeepd runs itself as a child that writes a temporary file,
 * syncs it, renames it and syncs the directory. Writes to one file are done one after another.
 */
#ifndef SUPERVISOR_CORE_KEEP_H
#define SUPERVISOR_CORE_KEEP_H

#include "base/err.h"

struct daemon;

/* e NULL: the file is on disk, or durably removed. Called once, from the loop. */
typedef void keep_fn(void *data, const struct err *e);

/* path: relative to the state directory, in an existing directory. text NULL: remove the file.
 * -errno: done is not called. Cannot be cancelled: a caller that is no longer interested must check
 * that in done. */
int keep(struct daemon *d, const char *path, const char *text, keep_fn *done, void *data,
	struct err *e);

/* The same without a callback: errors are logged. data: the struct daemon. */
void keep_unwatched(void *data, const char *path, const char *text);

/* Syncs a file that was just replaced, and its directory, without a callback: errors are logged. One
 * child at a time does it for all files. path: as above. */
void keep_sync(struct daemon *d, const char *path);

/* In that child: vmkeepd --sync DIRECTORY. Reads the files, one a line, from stdin. One that is gone by
 * now is no error. Returns the exit status. */
int keep_sync_main(const char *dir);

/* In the child: vmkeepd --keep DIRECTORY FILE LENGTH|none. Reads LENGTH bytes from stdin: if there
 * are fewer, because the daemon died, nothing changes; "none" removes the file. A directory in its
 * place is renamed to FILE.damaged-TIME. Returns the exit status. */
int keep_main(const char *dir, const char *file, const char *len);

#endif
