/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

#include "base/mem.h"

int file_read(int dirfd, const char *path, struct buf *b, struct err *e)
{
	_cleanup_(close_fd) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 ? errno != ENXIO : fstat(fd, &st) < 0)
		return err_errno(e, "read '%s'", path);
	if (fd < 0 || !S_ISREG(st.st_mode)) /* ENXIO: a socket */
		return err_set(e, ERR_FAILED, "read '%s': not a regular file", path);
	for (;;) {
		char chunk[8192];
		ssize_t n = read(fd, chunk, sizeof chunk);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "read '%s'", path);
		if (n == 0)
			return 0;
		if (buf_add(b, chunk, (size_t)n) < 0)
			return err_set(
				e, ERR_FAILED, "read '%s': larger than %zu bytes", path, b->max);
	}
}

ssize_t file_peek(int dirfd, const char *path, char *text, size_t size)
{
	_cleanup_(close_fd) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : 1;
	size_t len = 0;

	for (; n > 0 && len < size - 1; len += n > 0 ? (size_t)n : 0)
		n = read(fd, text + len, size - 1 - len);
	text[len] = '\0';
	return n < 0 ? -1 : (ssize_t)len;
}

bool file_socket_address(struct sockaddr_un *a, int dirfd, const char *name)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d%s%s", dirfd,
		       name ? "/" : "", name ? name : "") < (int)sizeof a->sun_path;
}

int file_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_room(int dirfd)
{
	struct statvfs v;

	if (faccessat(dirfd, ".", W_OK, 0) < 0)
		return -errno;
	if (fstatvfs(dirfd, &v) < 0)
		return 0;
	/* a file system without limits may count nothing */
	return (v.f_blocks && !v.f_bfree) || (v.f_files && !v.f_ffree) ? -ENOSPC : 0;
}

int file_sync_parent(int dirfd, const char *path)
{
	_cleanup_(free_ptr) char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	_cleanup_(close_fd) int fd = -1;

	if (slash)
		slash[slash == dir] = '\0';
	fd = openat(dirfd, slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int file_replace(int dirfd, const char *path, mode_t mode, const void *data, size_t len, bool sync,
	struct err *e)
{
	_cleanup_(free_ptr) char *tmp = xasprintf("%s.tmp", path);
	_cleanup_(close_fd) int fd = -1;
	int r;

	unlinkat(dirfd, tmp, 0);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno(e, "write '%s'", path);
	r = file_write_all(fd, data, len);
	if (r == 0 && sync && fsync(fd) < 0)
		r = -errno;
	close_fd(&fd); /* who watches the directory sees it written under its temporary name */
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r == 0 && sync)
		r = file_sync_parent(dirfd, path);
	if (r == 0)
		return 0;
	unlinkat(dirfd, tmp, 0);
	errno = -r;
	return err_errno(e, "write '%s'", path);
}

int file_mkdirs(const char *path, mode_t mode, struct err *e)
{
	_cleanup_(free_ptr) char *p = xstrdup(path);

	for (char *s = p + 1;; s++) {
		char c = *s;

		if (c && c != '/')
			continue;
		*s = '\0';
		if (mkdir(p, c ? 0755 : mode) < 0 && errno != EEXIST)
			return err_errno(e, "create directory '%s'", p);
		if (!c)
			return 0;
		*s = c;
	}
}

int file_mkdir_private(int dirfd, const char *name, struct err *e)
{
	_cleanup_(close_fd) int fd = -1;
	struct statx sx;
	struct stat st;

	if (mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "create directory '%s'", name);
	/* a mounted file system may hang: neither query nor enter it */
	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, 0, &sx) <
			0 ||
		(sx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !(st.st_mode & 077))
		return 0;
	return fchmod(fd, 0700) < 0 ? err_errno(e, "change the mode of directory '%s'", name) : 0;
}

bool file_is_mounted(int dir)
{
	struct statx sx;

	return statx(dir, "", AT_EMPTY_PATH, STATX_TYPE, &sx) == 0 &&
	       (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

uint64_t file_be(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

ssize_t file_send(int sock, char *bytes, size_t len, const int *fds, size_t n_fds, int flags)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FILE_FDS_MAX * sizeof(int))] = { 0 };
	struct iovec part = { bytes, len };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *c = (void *)control;

	if (n_fds > FILE_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (n_fds) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL | flags);
}

ssize_t file_receive(int sock, char *bytes, size_t len, struct file_fds *fds, int flags)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FILE_FDS_MAX * sizeof(int))];
	struct iovec part = { bytes, len };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control };
	const ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | flags);

	fds->lost |= n >= 0 && m.msg_flags & MSG_CTRUNC;
	for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		size_t got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < got; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (fds->n < fds->max) {
				fds->fd[fds->n++] = fd;
			} else {
				close(fd);
				fds->lost = true;
			}
		}
	}
	if (n < 0 || !fds->lost)
		return n;
	errno = EMFILE;
	return -1;
}

int file_reopen(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

DIR *file_open_dir(int at, const char *path, int flags)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		close_fd(&fd);
	return dir;
}

bool file_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int file_remove_tree(int at, const char *path, struct err *e)
{
	_cleanup_(close_dir) DIR *dir = NULL;
	int r = 0;

	if (unlinkat(at, path, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR || errno == EPERM)
		dir = file_open_dir(at, path, O_NOFOLLOW);
	if (!dir)
		return err_errno(e, "remove '%s'", path);
	for (const struct dirent *d; r == 0 && (d = readdir(dir));)
		if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
			r = file_remove_tree(dirfd(dir), d->d_name, e);
	if (r < 0)
		return err_wrap(e, r, "in '%s'", path);
	return unlinkat(at, path, AT_REMOVEDIR) < 0 ? err_errno(e, "remove '%s'", path) : 0;
}
