/* SPDX-License-Identifier: MIT */
#include "base/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* QEMU's locks are bytes 100 to 203. */
enum { LOCKED_BYTE = 300, TRIES = 100 };

static bool temporary_lock(int fd, int how)
{
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCKED_BYTE, .l_len = 1
	};

	return fcntl(fd, how, &l) == 0;
}

void temporary_sweep(int dir)
{
	_cleanup_(close_dir) DIR *d = file_open_dir(dir, ".", 0);

	for (const struct dirent *entry; d && (entry = readdir(d));) {
		_cleanup_(close_fd) int fd = -1;
		struct stat st;

		if (strncmp(entry->d_name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) != 0)
			continue;
		fd = openat(dir, entry->d_name,
			O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
			temporary_lock(fd, F_OFD_SETLK))
			unlinkat(dir, entry->d_name, 0);
	}
}

int temporary_make(int dir, char name[TEMPORARY_NAME_MAX])
{
	temporary_sweep(dir);
	for (unsigned n = 0; n < TRIES; n++) {
		struct stat st;
		int fd;

		snprintf(name, TEMPORARY_NAME_MAX, TEMPORARY_PREFIX "%d-%u", getpid(), n);
		fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return -errno;
		/* somebody who sweeps may have had the lock first, and then it is gone */
		temporary_lock(fd, F_OFD_SETLKW);
		if (fstat(fd, &st) == 0 && st.st_nlink > 0)
			return fd;
		close(fd);
	}
	return -EEXIST;
}
