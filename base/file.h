/* SPDX-License-Identifier: MIT */
/*
 * base/file.h - small files of ours, read and replaced whole
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/err.h"

/* Reads a whole regular file of at most b->max bytes; dirfd may be AT_FDCWD. */
int file_read(int dirfd, const char *path, struct buf *b, struct err *e);

/* Reads a small kernel file (proc, sysfs), truncated to size; returns its length, or -1 and "" if
 * it cannot be read. */
ssize_t file_peek(int dirfd, const char *path, char *text, size_t size);

/* Writes path.tmp, then renames it. sync: also fsync the file and its directory. */
int file_replace(int dirfd, const char *path, mode_t mode, const void *data, size_t len, bool sync,
	struct err *e);

/* 0, or the -errno with which a new file in this directory would be refused, as far as its file
 * system tells without making one: read-only, or full. */
int file_room(int dirfd);

/* Syncs the directory that contains path, so that the entry survives a power cut: 0 or -errno. */
int file_sync_parent(int dirfd, const char *path);

/* mkdir -p; the last directory gets mode, missing parents 0755. */
int file_mkdirs(const char *path, mode_t mode, struct err *e);

/* Makes a private directory with mode 0700, or sets that mode on one that an earlier version made
 * with another. A symlink or a mount in its place is the admin's decision and left alone. */
int file_mkdir_private(int dirfd, const char *name, struct err *e);

/* Is the directory itself, however it was reached, the root of a mounted file system? */
bool file_is_mounted(int dir);

/* A number in a file's header, big-endian. */
uint64_t file_be(const uint8_t *p, size_t len);

/* Reopens the file behind a descriptor that is O_PATH or has other access rights. -1 with errno. */
int file_reopen(int fd, int flags);

/* Opens a directory for reading; flags: O_NOFOLLOW, or 0. NULL with errno. */
DIR *file_open_dir(int dirfd, const char *path, int flags);
static inline void close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
	*d = NULL;
}

enum { FILE_FDS_MAX = 253 }; /* SCM_MAX_FD of the kernel */
/* Sends bytes to a unix socket, and descriptors with the first of them. How many were sent; -1 with errno.
 * flags: of send(2); no SIGPIPE in any case. */
ssize_t file_send(int sock, char *bytes, size_t len, const int *fds, size_t n_fds, int flags);

struct file_fds {
	int *fd;
	size_t n, max;
	bool lost; /* not all of them could be had */
};
/* As recv(2), with the descriptors that come with the bytes. EMFILE: some of them were lost. */
ssize_t file_receive(int sock, char *bytes, size_t len, struct file_fds *fds, int flags);

/* The same file, under any name. Two nodes of one block device count as the same. */
bool file_same(const struct stat *a, const struct stat *b);

/* Removes a file, or a directory and its contents; follows no symlink. 0 if it did not exist. */
int file_remove_tree(int at, const char *path, struct err *e);

/* The address of a socket in a directory, by way of the directory's descriptor: sun_path has 108
 * bytes, a path may be longer. name NULL: dirfd is the socket itself. False if still too long. */
bool file_socket_address(struct sockaddr_un *a, int dirfd, const char *name);

/* Writes all of it to a blocking descriptor: 0 or -errno. */
int file_write_all(int fd, const void *data, size_t len);

#endif
