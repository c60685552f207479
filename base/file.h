/* SPDX-License-Identifier: MIT */
/*
 * base/file.h - small files of ours, whole or not at all
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/err.h"

/* Reads the whole of a regular file of at most b->max bytes; dirfd may be AT_FDCWD. */
int file_read(int dirfd, const char *path, struct buf *b, struct err *e);

/* What a small file of the kernel's holds, cut to room; its length, or -1 and "" where it is gone. */
ssize_t file_peek(int dirfd, const char *path, char *text, size_t room);

/* Writes path.tmp, then renames. sync: fsync file and directory (identity only). */
int file_replace(int dirfd, const char *path, mode_t mode, const void *data, size_t len, bool sync,
	struct err *e);

/* The directory that the file stands in, so that its name survives a power cut: 0 or -errno. */
int file_sync_parent(int dirfd, const char *path);

/* mkdir -p with this mode for what is new. */
int file_mkdirs(const char *path, mode_t mode, struct err *e);

/* A directory of ours that nobody else needs to enter: made with mode 0700, or given it where an earlier
 * version made it with another. A link or a mount in its place is somebody's decision and left as it is. */
int file_mkdir_private(int dirfd, const char *name, struct err *e);

/* Opens what an O_PATH descriptor, or one with other rights, stands for. -1 with errno. */
int file_reopen(int fd, int flags);

/* Opens a directory to be read; flags: O_NOFOLLOW, or 0. NULL with errno. */
DIR *file_open_dir(int dirfd, const char *path, int flags);
static inline void close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
	*d = NULL;
}

/* The same file, by whatever name; two nodes of one block device are. */
bool file_same(const struct stat *a, const struct stat *b);

/* Removes a directory of ours and what is in it; follows no symlink. 0 when it was not there. */
int file_remove_tree(int at, const char *path, struct err *e);

/* The address of a socket in a directory, through its descriptor: sun_path has 108 bytes, a path may have
 * more. name NULL: dirfd is the socket's own. False: even so it is too long. */
bool file_socket_address(struct sockaddr_un *a, int dirfd, const char *name);

/* writev/write until all is out (blocking descriptors). */
int file_write_all(int fd, const void *data, size_t len);

#endif
