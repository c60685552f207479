/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/copy.c - a new image that the program fills, complete or not there at all
 *
 * The image is created under a temporary name. A second process, the keeper, stays outside of the
 * jail: it passes on the program's progress, and does what the daemon says in single bytes: gives the
 * image its name, without replacing anything, or removes it again. If the daemon says nothing because
 * it was killed, an image without its name is removed. Should the keeper be killed too, the next one
 * that makes an image in that directory removes it: base/temporary.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/temporary.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

struct copy {
	struct jail *j;
	const struct jail_file *f;
	int dir, fd;
	uid_t uid;
	gid_t gid;    /* of the image in the end; while it is filled, the guest's */
	int progress; /* the program's output */
	const char *name;
	char temporary[TEMPORARY_NAME_MAX];
};

/* --- the keeper --- */

/* qemu-img -p: "    (12.00/100%)\r". It only grows, so the daemon hears of it a hundred times at most,
 * whatever the program writes. */
static bool copy_pass_progress(const struct copy *c)
{
	static long told = -1;
	char text[4096];
	ssize_t n = read(c->progress, text, sizeof text - 1);
	const char *last;
	long percent;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	text[n] = '\0';
	last = strrchr(text, '(');
	percent = last ? strtol(last + 1, NULL, 10) : told;
	if (percent <= told || percent > 100)
		return true;
	told = percent;
	answer(c->j->sock, json_pack("{s:i}", "progress", (int)percent));
	return true;
}

/* Until the daemon says something; '\0': it is gone. */
static char copy_listen(struct copy *c)
{
	struct pollfd p[] = { { .fd = c->j->sock, .events = POLLIN },
		{ .fd = c->progress, .events = POLLIN } };
	char said;

	while (poll(p, ARRAY_SIZE(p), -1) >= 0 || errno == EINTR) {
		if (p[1].revents && !copy_pass_progress(c))
			p[1].fd = -1;
		if (p[0].revents)
			return read(c->j->sock, &said, 1) == 1 ? said : '\0';
	}
	return '\0';
}

static uint64_t copy_size(const struct jail_file *f, int fd)
{
	const off_t end = lseek(fd, 0, SEEK_END);

	return f->format == JAIL_QCOW2 ? image_size(f) : end > 0 ? (uint64_t)end : 0;
}

/* That the program said so is not enough. The original comes first in the plan. */
static int copy_check(const struct copy *c, struct err *e)
{
	const struct jail_file *from = c->j->file;
	const uint64_t wanted = copy_size(from, from->data), made = copy_size(c->f, c->fd);
	char has[24], whole[24];

	if (c->f->format == JAIL_ANY || made >= wanted)
		return 0;
	return err_set(e, ERR_FAILED,
		"%s: the copy is not complete: qemu-img made an image of %s in place of %s",
		c->f->what, text_size_exact(has, sizeof has, made),
		text_size_exact(whole, sizeof whole, wanted));
}

static int copy_place(const struct copy *c, struct err *e)
{
	int r = fchown(c->fd, c->uid, c->gid) < 0 || fsync(c->fd) < 0
			? -errno
			: path_move_new(c->dir, c->temporary, c->name);

	if (r == 0 && fsync(c->dir) < 0)
		r = -errno;
	errno = -r;
	if (r == -EEXIST)
		return copy_exists(c->f, e);
	return r < 0 ? err_errno(e, "%s: create %s", c->f->what, c->f->shown_path) : 0;
}

/* Not something else that has taken its place. */
static void copy_remove(const struct copy *c, const char *name)
{
	struct stat own, there;

	if (fstat(c->fd, &own) == 0 && fstatat(c->dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		file_same(&own, &there))
		unlinkat(c->dir, name, 0);
}

_Noreturn static void copy_keep(struct copy *c)
{
	struct err e = ERR_INIT;

	setpgid(0, 0); /* the program's group is killed */
	prctl(PR_SET_PDEATHSIG, 0);
	if (copy_listen(c) != PLAN_COPY_PLACE || copy_check(c, &e) < 0 || copy_place(c, &e) < 0) {
		copy_remove(c, c->temporary);
		if (e.number)
			answer_error(c->j->sock, "copy", false, &e);
		_exit(1);
	}
	answer(c->j->sock, json_pack("{s:{}}", "placed"));
	if (copy_listen(c) == PLAN_COPY_DROP)
		copy_remove(c, c->name);
	_exit(0);
}

/* --- the program --- */

int copy_exists(const struct jail_file *f, struct err *e)
{
	err_set(e, ERR_CONFLICT, "%s: %s is there already", f->what, f->shown_path);
	return err_hint(e, "choose another name, or move that image away");
}

static int copy_make(struct copy *c, struct jail_file *f, struct err *e)
{
	c->fd = temporary_make(c->dir, c->temporary);
	if (c->fd < 0) {
		errno = -c->fd;
		return err_errno(e, "%s: create %s", f->what, f->shown_path);
	}
	f->fd = openat(c->dir, c->temporary, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	f->data = file_reopen(c->fd, O_RDONLY);
	if (fstat(c->fd, &f->st) == 0) {
		c->uid = f->st.st_uid;
		c->gid = f->st.st_gid;
	}
	if (f->fd < 0 || f->data < 0 || fchown(c->fd, c->j->uid, c->j->uid) < 0 ||
		fstat(c->fd, &f->st) < 0) {
		err_errno(e, "%s: create %s", f->what, f->shown_path);
		unlinkat(c->dir, c->temporary, 0);
	}
	return e->number;
}

int image_copy(struct jail *j, struct jail_file *f, struct err *e)
{
	struct copy c = { .j = j, .f = f, .fd = -1 };
	int pipes[2];
	pid_t pid;

	c.dir = path_parent(f, &c.name);
	if (c.dir < 0)
		return path_blame(f, errno, e);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(e, "a pipe");
	c.progress = pipes[0];
	if (copy_make(&c, f, e) < 0)
		return e->number;
	pid = fork();
	if (pid == 0) {
		close(pipes[1]);
		close_range(STDIN_FILENO, STDERR_FILENO, 0);
		copy_keep(&c);
	}
	if (pid > 0)
		setpgid(pid, pid); /* before we can end */
	if (pid < 0) {
		err_errno(e, "start a process");
		unlinkat(c.dir, c.temporary, 0);
	} else if (dup2(pipes[1], STDOUT_FILENO) < 0) {
		err_errno(e, "place descriptors");
	}
	close(pipes[0]);
	close(pipes[1]);
	close(c.dir);
	close(c.fd);
	return e->number;
}
