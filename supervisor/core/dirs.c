/* SPDX-License-Identifier: MIT */
#include "supervisor/core/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "supervisor/core/aside.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum { LOCK_WAIT_US = 20000, LOCK_TRIES = 15, LOCK_TRIES_LEFT = 500 };
enum { LOCK_FILE_MAX = PATH_MAX + 32, LOCKS_MAX = 4 << 20 };

static const char lock_name[] = "lock";

/* --- locks inherited from the daemon that we replace: a lock released even briefly could be lost
 * --- */

#define INHERITED_ENV "VMKEEP_DIRS"
enum { INHERITED = 5 };

void dirs_hand_over(const struct daemon_dirs *d)
{
	/* duplicates, because the originals are CLOEXEC */
	_cleanup_(free_ptr) char *text =
		xasprintf("%d:%d:%d:%d:%d:%d", (int)getpid(), dup(d->state_fd), dup(d->run_fd),
			dup(d->log_fd), dup(d->state_lock), dup(d->run_lock));

	setenv(INHERITED_ENV, text, 1);
}

static void dirs_inherited_read(int fd[INHERITED])
{
	const char *text = getenv(INHERITED_ENV);
	int pid = 0;
	bool ours = text &&
		    sscanf(text, "%d:%d:%d:%d:%d:%d", &pid, &fd[0], &fd[1], &fd[2], &fd[3],
			    &fd[4]) == 6 &&
		    pid == (int)getpid();

	for (size_t i = 0; i < INHERITED; i++)
		if (!ours || fd[i] <= STDERR_FILENO || fcntl(fd[i], F_SETFD, FD_CLOEXEC) < 0)
			fd[i] = -1;
	unsetenv(INHERITED_ENV);
}

/* If fd refers to the same file as an inherited fd, replaces it with that one, to get its lock. */
static void dirs_inherited_take(const int from[INHERITED], int fd)
{
	struct stat here, there;

	for (size_t i = 0; i < INHERITED; i++)
		if (from[i] >= 0 && fstat(from[i], &there) == 0 && fstat(fd, &here) == 0 &&
			file_same(&there, &here))
			dup3(from[i], fd, O_CLOEXEC);
}

/* The pid of the process that holds this flock, according to the kernel; 0: unknown. */
static int dirs_lock_holder(int fd)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(LOCKS_MAX);
	struct stat st;
	int found = 0;

	if (fstat(fd, &st) == 0)
		file_read(AT_FDCWD, "/proc/locks", &text, NULL);
	for (const char *line = text.data; line && *line && !found;) {
		const char *end = strchrnul(line, '\n');
		unsigned long long ino = 0;
		unsigned major = 0, minor = 0;
		int pid = 0;

		if (sscanf(line, "%*d: FLOCK %*s WRITE %d %x:%x:%llu ", &pid, &major, &minor,
			    &ino) == 4 &&
			ino == st.st_ino && makedev(major, minor) == st.st_dev)
			found = pid;
		line = *end ? end + 1 : end;
	}
	return found > 0 ? found : 0;
}

/* What the lock file says about the other daemon: pid and run directory, if plausible. */
static void dirs_lock_read(int dirfd, int *pid, char **run)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(LOCK_FILE_MAX);
	char *second, *end;

	*run = NULL;
	file_read(dirfd, lock_name, &text, NULL);
	if (!*pid && text.data)
		*pid = atoi(text.data);
	second = text.data ? strchr(text.data, '\n') : NULL;
	if (second && second[1] == '/') {
		end = strchrnul(second + 1, '\n');
		*run = xstrndup(second + 1, (size_t)(end - second - 1));
	}
}

static int dirs_lock_taken(int dirfd, int fd, const char *path, const char *option, struct err *e)
{
	int pid = dirs_lock_holder(fd);
	char who[32] = "";
	char *run;

	dirs_lock_read(dirfd, &pid, &run);
	if (pid > 0)
		snprintf(who, sizeof who, "pid %d", pid);
	err_set(e, ERR_CONFLICT, "another vmkeepd%s%s%s%s%s uses '%s'", pid > 0 || run ? " (" : "",
		who, run ? (pid > 0 ? ", --run " : "--run ") : "", run ? run : "",
		pid > 0 || run ? ")" : "", path);
	free(run);
	return err_hint(e, "systemctl status vmkeepd, or start this one with another %s", option);
}

/* A killed daemon's child shares its locks until it has executed its program, which a busy disk
 * delays. */
static bool dirs_lock_is_left(int dirfd, int fd)
{
	_cleanup_(free_ptr) char *run = NULL;
	int pid = dirs_lock_holder(fd);

	dirs_lock_read(dirfd, &pid, &run);
	return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

/* 0: locked. 1: this cannot be locked. */
static int dirs_lock_one(int dirfd, int fd, const char *path, const char *option, struct err *e)
{
	/* a daemon that was just killed may still be exiting */
	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return 1;
		if (tries >= LOCK_TRIES &&
			(tries >= LOCK_TRIES_LEFT || !dirs_lock_is_left(dirfd, fd)))
			return dirs_lock_taken(dirfd, fd, path, option, e);
		usleep(LOCK_WAIT_US);
	}
	return 0;
}

static int dirs_set_aside(int dirfd, const char *name, const char *shown, struct err *e)
{
	char aside[PATH_MAX];

	if (aside_move(dirfd, name, aside, e) < 0)
		return err_wrap(e, e->number, "'%s' is not the original", shown);
	log_warning(NULL, "'%s' is not the original: set aside as '%s'", shown, aside);
	return 0;
}

/* Anything else in its place is set aside. */
static int dirs_lock_open(int dirfd, const char *path, struct err *e)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	_cleanup_(free_ptr) char *shown = xasprintf("%s/%s", path, lock_name);
	struct stat st;
	int fd;

	if (fstatat(dirfd, lock_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) &&
		dirs_set_aside(dirfd, lock_name, shown, e) < 0)
		return e->number;
	fd = openat(dirfd, lock_name, flags, 0600);
	return fd < 0 ? err_errno(e, "open '%s/%s'", path, lock_name) : fd;
}

/* The file that shows which daemon owns a directory. It stays open for the lock. */
static int dirs_lock_file(int dirfd, const char *path, const char *option, const char *run,
	bool alone, int *keep, const int inherited[INHERITED], struct err *e)
{
	_cleanup_(free_ptr) char *text = xasprintf("%d\n%s\n", (int)getpid(), run);
	_cleanup_(close_fd) int fd = dirs_lock_open(dirfd, path, e);
	int r;

	if (fd >= 0 && inherited)
		dirs_inherited_take(inherited, fd);
	r = fd < 0 ? 1 : dirs_lock_one(dirfd, fd, path, option, e);
	if (r < 0)
		return r;
	if (r > 0 && !alone)
		return fd < 0 ? e->number : err_errno(e, "lock '%s/%s'", path, lock_name);
	/* the content is only informative: a full disk must not keep a daemon from its guests */
	if (fd < 0)
		log_warning(NULL, "%s", e->text);
	else if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) < 0)
		log_warning(NULL, "write '%s/%s': %s", path, lock_name, strerror(errno));
	err_clear(e);
	close_fd(keep);
	*keep = steal_fd(&fd);
	return 0;
}

static int dirs_lock_state(struct daemon_dirs *d, const int inherited[INHERITED], struct err *e)
{
	int r = dirs_lock_one(d->state_fd, d->state_fd, d->state, "--state", e);

	return r < 0 ? r
		     : dirs_lock_file(d->state_fd, d->state, "--state", d->run, r == 0,
			       &d->state_lock, inherited, e);
}

static int dirs_lock_run(struct daemon_dirs *d, const int inherited[INHERITED], struct err *e)
{
	return dirs_lock_file(
		d->run_fd, d->run, "--run", d->run, false, &d->run_lock, inherited, e);
}

/* A dangling link shows where the directory should be; most likely that is not mounted. */
static int dirs_make_way(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : dirs_set_aside(AT_FDCWD, path, path, e);
	if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode))
		return 0;
	err_set(e, ERR_NOT_FOUND, "'%s' is a dangling symbolic link", path);
	return err_hint(e, "is its target mounted? If that is lost for good, remove the link");
}

/* Not refused, as in earlier versions: guests matter more than their logs. */
static void dirs_lock_log(const struct daemon_dirs *d)
{
	struct err e = ERR_INIT;

	/* it may be the same directory as one of the others */
	if (dirs_lock_holder(d->log_fd) != getpid() &&
		dirs_lock_one(d->log_fd, d->log_fd, d->log, "--log", &e) < 0)
		log_warning(NULL, "%s: logs of VMs with the same name will be mixed; %s", e.text,
			e.hint);
}

static int dirs_open_one(const char *path, mode_t mode, char **absolute, int *fd, struct err *e)
{
	int r = fd ? dirs_make_way(path, e) : 0;

	if (r == 0)
		r = file_mkdirs(path, mode, e);
	if (r < 0)
		return r;
	*absolute = realpath(path, NULL);
	if (!*absolute)
		return err_errno(e, "directory '%s'", path);
	if (!fd)
		return 0;
	*fd = open(*absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return err_errno(e, "open directory '%s'", path);
	return 0;
}

int dirs_open(struct daemon_dirs *d, const struct daemon_options *o, struct err *e)
{
	const struct {
		const char *path;
		mode_t mode;
		char **absolute;
		int *fd;
	} dirs[] = {
		{ o->config, 0755, &d->config, NULL },
		{ o->state, 0700, &d->state, &d->state_fd },
		{ o->run, 0755, &d->run, &d->run_fd },
		{ o->log, 0750, &d->log, &d->log_fd },
	};
	int r = 0, inherited[INHERITED];

	*d = (struct daemon_dirs)DIRS_INIT;
	dirs_inherited_read(inherited);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++) {
		r = dirs_open_one(dirs[i].path, dirs[i].mode, dirs[i].absolute, dirs[i].fd, e);
		if (r == 0 && dirs[i].fd)
			dirs_inherited_take(inherited, *dirs[i].fd);
	}
	if (r == 0)
		d->throwaways = xasprintf("%s/run", d->run);
	/* in this order, so that a daemon with the same STATE does not touch RUN */
	if (r == 0)
		r = dirs_lock_state(d, inherited, e);
	if (r == 0)
		r = dirs_lock_run(d, inherited, e);
	if (r == 0)
		dirs_lock_log(d);
	for (size_t i = 0; i < INHERITED; i++)
		close_fd(&inherited[i]);
	return r;
}

/* Does the path no longer lead to what is open as fd? */
static bool dirs_is_lost(int dirfd, const char *path, int flags, int fd)
{
	struct stat there, here;

	return fstatat(dirfd, path, &there, flags) < 0 || fstat(fd, &here) < 0 ||
	       !file_same(&there, &here);
}

/* Opens, or creates, our directory at path; fd keeps its number. */
static int dirs_reopen(const char *path, mode_t mode, int fd, struct err *e)
{
	_cleanup_(close_fd) int fresh = -1;
	struct stat st;
	int r;

	if ((stat(path, &st) < 0 ? lstat(path, &st) == 0 : !S_ISDIR(st.st_mode)) &&
		dirs_set_aside(AT_FDCWD, path, path, e) < 0)
		return e->number;
	r = file_mkdirs(path, mode, e);
	if (r < 0)
		return r;
	fresh = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fresh < 0 || dup3(fresh, fd, O_CLOEXEC) < 0)
		return err_errno(e, "open directory '%s'", path);
	return 0;
}

int dirs_run_again(struct daemon_dirs *d, struct err *e)
{
	bool lost = dirs_is_lost(AT_FDCWD, d->run, 0, d->run_fd);
	int r = lost ? dirs_reopen(d->run, 0755, d->run_fd, e) : 0;

	if (r == 0 && dirs_is_lost(d->run_fd, lock_name, AT_SYMLINK_NOFOLLOW, d->run_lock))
		r = dirs_lock_run(d, NULL, e);
	return r < 0 ? r : lost;
}

static int core_dirs_kept_again(const char *path, mode_t mode, int fd, struct err *e)
{
	struct stat st, here;

	if (!dirs_is_lost(AT_FDCWD, path, 0, fd))
		return 0;
	if ((stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) &&
		(fstat(fd, &here) < 0 || here.st_nlink > 0))
		return err_set(
			e, ERR_NOT_FOUND, "directory '%s' was moved away: move it back", path);
	return dirs_reopen(path, mode, fd, e) < 0 ? e->number : 1;
}

int dirs_kept_again(struct daemon_dirs *d, struct err *e)
{
	int state = core_dirs_kept_again(d->state, 0700, d->state_fd, e), log;

	if (state == 1 && dirs_lock_state(d, NULL, e) < 0)
		state = e->number;
	if (state >= 0 && mkdirat(d->state_fd, "vms", 0700) < 0 && errno != EEXIST)
		state = err_errno(e, "create directory '%s/vms'", d->state);
	log = core_dirs_kept_again(d->log, 0750, d->log_fd, e);
	return state < 0 ? state : log < 0 ? log : state + log;
}

/* 1: it was missing. */
static int dirs_need_part(const struct daemon_dirs *d, const char *name, struct err *e)
{
	_cleanup_(free_ptr) char *shown = xasprintf("%s/%s", d->run, name);
	struct stat st;

	if (fstatat(d->run_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(st.st_mode))
			return 0;
		if (dirs_set_aside(d->run_fd, name, shown, e) < 0)
			return e->number;
	}
	if (mkdirat(d->run_fd, name, 0700) < 0)
		return err_errno(e, "create directory '%s/%s'", d->run, name);
	return 1;
}

int dirs_run_parts(struct daemon_dirs *d, struct err *e)
{
	static const char *const parts[] = { "vms", "gone", "run" };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(parts); i++) {
		int part = dirs_need_part(d, parts[i], e);

		r = part < 0 ? part : r || part;
	}
	return r;
}

void dirs_release(struct daemon_dirs *d)
{
	free(d->config);
	free(d->state);
	free(d->run);
	free(d->log);
	free(d->throwaways);
	close_fd(&d->state_lock);
	close_fd(&d->run_lock);
	close_fd(&d->state_fd);
	close_fd(&d->run_fd);
	close_fd(&d->log_fd);
	*d = (struct daemon_dirs)DIRS_INIT;
}
