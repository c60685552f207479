/* SPDX-License-Identifier: MIT */
#include "supervisor/control/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/core/aside.h"

static int listener_open_directory(struct listener *l, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(free_ptr) char *dir = NULL;

	dir = !slash ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
	l->name = xstrdup(slash ? slash + 1 : path);
	l->dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return l->dirfd < 0 ? err_errno(e, "open directory '%s'", dir) : 0;
}

/* Uses the path itself if it fits, so that ss(8) shows it. */
static int listener_address(
	const struct listener *l, const char *path, struct sockaddr_un *a, struct err *e)
{
	int n = snprintf(a->sun_path, sizeof a->sun_path, "%s", path);

	a->sun_family = AF_UNIX;
	if (n < (int)sizeof a->sun_path)
		return 0;
	return file_socket_address(a, l->dirfd, l->name)
		       ? 0
		       : err_set(e, ERR_INVALID_CONFIG, "name '%s' is too long for a socket",
				 l->name);
}

static int listener_set_aside(const struct listener *l, struct err *e)
{
	char aside[PATH_MAX];

	if (aside_move(l->dirfd, l->name, aside, e) < 0)
		return err_wrap(e, e->number, "'%s' is not a socket", l->name);
	log_warning(NULL, "'%s' is not a socket: set aside as '%s'", l->name, aside);
	return 0;
}

/* Clears the path for a new socket: removes a stale one. */
static int listener_clear_path(const struct listener *l, const struct sockaddr_un *a, struct err *e)
{
	_cleanup_(close_fd) int fd = -1;
	struct stat st;

	if (fstatat(l->dirfd, l->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "look at '%s'", l->name);
	if (!S_ISSOCK(st.st_mode))
		return listener_set_aside(l, e);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, "make a socket");
	/* EAGAIN: there is a listener, too busy to accept */
	if (connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN) {
		err_set(e, ERR_CONFLICT, "another vmkeepd is listening there");
		return err_hint(e, "stop it first, or start this one with another --run directory");
	}
	if (errno != ECONNREFUSED)
		return err_errno(e, "check whether anybody is listening");
	if (unlinkat(l->dirfd, l->name, 0) < 0)
		return err_errno(e, "remove a stale socket");
	return 0;
}

static int listener_note_path(struct listener *l, struct err *e)
{
	struct stat st;

	if (fstatat(l->dirfd, l->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "look at it");
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

static int listener_bind_path(struct listener *l, const struct sockaddr_un *a, struct err *e)
{
	int r;

	if (bind(l->fd, (const struct sockaddr *)a, sizeof *a) < 0)
		return err_errno(e, "bind");
	r = listener_note_path(l, e);
	if (r < 0)
		return r;
	l->ours = true;
	if (fchmodat(l->dirfd, l->name, 0666, 0) < 0)
		return err_errno(e, "set its mode");
	if (listen(l->fd, SOMAXCONN) < 0)
		return err_errno(e, "listen");
	return 0;
}

static int listener_open_one(struct listener *l, const char *path, struct err *e)
{
	struct sockaddr_un a = { 0 };
	int r;

	r = listener_open_directory(l, path, e);
	if (r < 0)
		return r;
	r = listener_address(l, path, &a, e);
	if (r < 0)
		return r;
	r = listener_clear_path(l, &a, e);
	if (r < 0)
		return r;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return err_errno(e, "make a socket");
	return listener_bind_path(l, &a, e);
}

int listener_open(struct listener *l, const char *path, struct err *e)
{
	int r;

	*l = (struct listener)LISTENER_INIT;
	r = listener_open_one(l, path, e);
	if (r == 0)
		return 0;
	listener_close(l);
	return err_wrap(e, r, "control socket '%s'", path);
}

/* True if any process is listening there. That may be ourselves, with this as a client that leaves at
 * once. */
static bool listener_is_answered(const struct listener *l, const char *path)
{
	_cleanup_(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { 0 };

	return fd >= 0 && listener_address(l, path, &a, NULL) == 0 &&
	       (connect(fd, (const struct sockaddr *)&a, sizeof a) == 0 || errno == EAGAIN);
}

int listener_inherit(
	struct listener *l, const char *path, const struct inherited_socket *from, struct err *e)
{
	int on = 0, r;
	socklen_t len = sizeof on;

	*l = (struct listener)LISTENER_INIT;
	if (getsockopt(from->fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) < 0 || !on)
		return err_set(e, ERR_FAILED, "descriptor %d is not a listening socket", from->fd);
	l->fd = from->fd;
	fcntl(l->fd, F_SETFD, FD_CLOEXEC);
	fcntl(l->fd, F_SETFL, fcntl(l->fd, F_GETFL) | O_NONBLOCK);
	l->ours = from->ours;
	r = listener_open_directory(l, path, e);
	/* if nothing answers, listener_is_lost() will say so */
	if (r == 0 && listener_is_answered(l, path))
		listener_note_path(l, NULL);
	if (r == 0)
		return 0;
	listener_close(l);
	return err_wrap(e, r, "control socket '%s'", path);
}

bool listener_is_lost(const struct listener *l, const char *path)
{
	_cleanup_(free_ptr) char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	struct stat st, there, here;

	return !l->ino || fstatat(l->dirfd, l->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	       st.st_dev != l->dev || st.st_ino != l->ino || stat(dir, &there) < 0 ||
	       fstat(l->dirfd, &here) < 0 || there.st_dev != here.st_dev ||
	       there.st_ino != here.st_ino;
}

struct inherited_socket listener_hand_over(struct listener *l)
{
	struct inherited_socket to = { .fd = fcntl(l->fd, F_DUPFD, 3), .ours = l->ours };

	if (to.fd >= 0)
		l->ours = false;
	return to;
}

void listener_close(struct listener *l)
{
	struct stat st;

	if (l->ours && l->ino && fstatat(l->dirfd, l->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_dev == l->dev && st.st_ino == l->ino)
		unlinkat(l->dirfd, l->name, 0);
	close_fd(&l->fd);
	close_fd(&l->dirfd);
	free(l->name);
	*l = (struct listener)LISTENER_INIT;
}
