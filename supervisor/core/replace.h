/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/replace.h - replaces configuration files on request
 *
 * The daemon cannot wait for fsync: vmkeepd runs itself as a child, which writes each new file
 * beside the old one, with its owner, mode, access list and other attributes, syncs it, and renames
 * it. Nothing changes if one of them cannot be written, or is no longer what was read. Files are
 * replaced one after another: if the child is killed between two, the first is new and the second
 * is not. Its temporary files are dot files, which nothing reads; the next child removes them.
 *
 * A file can also be new; then nothing may be there, whoever comes first. It has the owner, mode and
 * attributes of another one, if that is named. Or it is removed, which
 * happens in the order given, as a rename does: copies that are to be kept come before. A symlink
 * is not removed.
 *
 * A symlink is followed if nobody but root or our own user could have placed it or what it leads
 * to; the link stays. A file with several names is refused: one of them would keep the old text.
 */
#ifndef SUPERVISOR_CORE_REPLACE_H
#define SUPERVISOR_CORE_REPLACE_H

#include <stddef.h>

#include "base/err.h"

struct daemon;

struct replace_file { /* texts without NUL; borrowed for the call */
	const char *path;
	const char *old, *text; /* old NULL: the file is new; text NULL: it is removed */
	const char *like;	/* of a new file: one that is there; or NULL */
};

/* e NULL: the files are on disk. Called once, from the loop. */
typedef void replace_fn(void *data, const struct err *e);

/* -errno: done is not called. Cannot be cancelled. ERR_CONFLICT: a file is not the old text. */
int replace(struct daemon *d, const struct replace_file *file, size_t n, replace_fn *done,
	void *data, struct err *e);

/* In the child: vmkeepd --replace N LENGTH, with N files of LENGTH bytes in all on stdin: if there
 * are fewer, because the daemon died, nothing changes. Returns the exit status. */
int replace_main(const char *n, const char *len);

#endif
