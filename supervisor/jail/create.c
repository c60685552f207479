/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/create.c - creates the images that Size= asks for, once, when a person starts the
 * VM
 *
 * Only beneath the directory of relative paths, and only if nothing is there: the image is created under a
 * temporary name and renamed without replacing, so the name appears with a complete file or not at
 * all. qemu-img fills it in a jail of its own that can access nothing but that file; the file
 * belongs to the guest's uid while it runs. A check has it fill a stand-in, which tells whether it
 * works.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "base/temporary.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

enum { TOOL_TEXT_MAX = 1024 };

static const char image_inside[] = "/image";

/* What qemu-img sees as the image. */
static int create_mount(struct jail *own, int fd, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					       MOUNT_ATTR_NOEXEC };
	struct jail_path *p = &own->path[0];

	p->tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (p->tree < 0 || mount_setattr(p->tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return err_errno(e, "mount the new image");
	return 0;
}

/* For a check, an empty file that nobody else sees, and that is gone with this process. It takes
 * metadata only: 64 TiB, the most that Size= may be, have a table of 1 MiB. */
static int create_stand_in(struct jail *own, struct err *e)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s%s", own->root, image_inside);
	_cleanup_(close_fd) int fd = -1;

	if (mount("vmkeep", own->root, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=16m") < 0)
		return err_errno(e, "mount a file system for a trial");
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fchown(fd, own->uid, own->uid) < 0)
		return err_errno(e, "create a file for a trial");
	if (create_mount(own, fd, e) == 0 && umount2(own->root, MNT_DETACH) < 0)
		err_errno(e, "unmount the file system of a trial");
	return e->number;
}

/* A private root with nothing but the system directories and this one file. qemu-img is given the
 * size, so it needs no limit. */
static int create_confine(const struct jail *j, int fd, struct err *e)
{
	struct jail_role role = *role_named("tool");
	struct jail own = {
		.name = j->name, .root = j->root, .uid = j->uid, .role = &role, .n_paths = 1
	};
	static jail_step *const steps[] = { root_build, root_enter, privileges_drop, landlock_enter,
		filter_load, limits_set };
	int r;

	role.growth = 0;
	own.path[0] = (struct jail_path){ .path = image_inside, .write = true, .tree = -1 };
	/* fd belongs to the mounts before, the stand-in to those after */
	r = fd < 0 ? 0 : create_mount(&own, fd, e);
	if (r == 0)
		r = namespaces_enter(&own, e);
	if (r == 0 && fd < 0)
		r = create_stand_in(&own, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
		r = steps[i](&own, e);
	return r;
}

/* NULL: there is none. */
static const char *create_program(void)
{
	static const char *const places[] = { "/usr/sbin/qemu-img", "/usr/bin/qemu-img",
		"/sbin/qemu-img", "/bin/qemu-img" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/* Else it would hold the lock on a file that nobody else waits for any more. */
static bool create_ends_with(pid_t parent)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

_Noreturn static void create_child_run(
	const struct jail *j, pid_t parent, int fd, int out, const char *const *argv)
{
	const char *program = create_program();
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", NULL };
	struct err e = ERR_INIT;

	/* twice: a change of the uid ends it */
	if (!create_ends_with(parent) || dup2(out, STDOUT_FILENO) < 0 ||
		dup2(out, STDERR_FILENO) < 0)
		err_errno(&e, "place descriptors");
	else if (create_confine(j, fd, &e) == 0 && create_ends_with(parent)) {
		execve(program, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
		err_errno(&e, "run '%s'", program);
	}
	dprintf(STDERR_FILENO, "%s", e.text);
	_exit(127);
}

/* Runs argv with fd, -1: with a stand-in. Returns its exit status or -1; text gets its output. */
static int create_tool_run(const struct jail *j, int fd, const char *const *argv, char *text)
{
	_cleanup_(close_fd) int in = -1;
	char rest[TOOL_TEXT_MAX];
	int pipes[2], status;
	size_t len = 0;
	ssize_t n;
	const pid_t own = getpid();
	pid_t pid;

	text[0] = '\0';
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -1;
	in = pipes[0];
	pid = fork();
	if (pid == 0)
		create_child_run(j, own, fd, pipes[1], argv);
	close(pipes[1]);
	if (pid < 0)
		return -1;
	while ((n = read(in, rest, sizeof rest)) > 0) {
		size_t take =
			(size_t)n < TOOL_TEXT_MAX - 1 - len ? (size_t)n : TOOL_TEXT_MAX - 1 - len;

		memcpy(text + len, rest, take);
		len += take;
		text[len] = '\0';
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static bool create_is_full(int dir)
{
	struct statvfs v;

	return fstatvfs(dir, &v) == 0 && (v.f_bavail < 64 || (v.f_files && !v.f_favail));
}

/* The last line of its output, without its name and the file's internal one. An earlier line may
 * say that it could not remove the file, which is our job. */
static const char *create_message(char *text)
{
	const char *const before[] = { "qemu-img: ", image_inside, ": " };
	char *end = text + strlen(text), *newline;

	while (end > text && end[-1] == '\n')
		*--end = '\0';
	newline = strrchr(text, '\n');
	text = newline ? newline + 1 : text;
	for (size_t i = 0; i < ARRAY_SIZE(before); i++)
		if (strncmp(text, before[i], strlen(before[i])) == 0)
			text += strlen(before[i]);
	return *text ? text : "qemu-img failed";
}

/* The base's name for the header: in the same directory just that, so that both can move. */
static const char *create_base_name(const struct jail_file *f, const struct jail_file *base)
{
	const char *slash = strrchr(base->path, '/');
	size_t dir = (size_t)(slash + 1 - base->path);

	return streq(f->beneath, base->beneath) && strncmp(f->path, base->path, dir) == 0 &&
			       !strchr(f->path + dir, '/') && !strchr(slash, ':')
		       ? slash + 1
		       : base->path;
}

/* qemu-img is told what it needs of a base (-u), and opens none. */
static void create_argv(const struct jail_file *f, const char *size, const char **argv)
{
	const char *const begin[] = { "qemu-img", "create", "-q", "-f",
		jail_format_names[f->format] };
	const struct jail_file *base = f->base;

	for (size_t i = 0; i < ARRAY_SIZE(begin); i++)
		*argv++ = begin[i];
	if (base) {
		*argv++ = "-u";
		*argv++ = "-b";
		*argv++ = create_base_name(f, base);
		*argv++ = "-F";
		/* not known yet in a check, which reads bases one by one */
		*argv++ = jail_format_names[base->format == JAIL_ANY ? JAIL_RAW : base->format];
	}
	*argv++ = image_inside;
	*argv++ = size;
	*argv = NULL;
}

static int create_fill(
	const struct jail *j, const struct jail_file *f, int dir, int fd, struct err *e)
{
	char text[TOOL_TEXT_MAX] = "", size[24];
	const char *argv[16];
	_cleanup_(free_ptr) char *said = NULL;
	const char *last;

	snprintf(size, sizeof size, "%lld", f->create);
	create_argv(f, size, argv);
	if (create_tool_run(j, fd, argv, text) == 0)
		return 0;
	last = create_message(text);
	said = text_escape(last, strlen(last), false);
	err_set(e, create_is_full(dir) ? ERR_NO_RESOURCES : ERR_FAILED, "%s: create %s: %s",
		f->what, f->shown_path, said);
	if (e->class == ERR_NO_RESOURCES)
		return err_hint(e, "make room on the file system of %s", f->beneath);
	return e->number;
}

/* What can be known before anything is made; for a check, too. */
static int create_can(struct jail *j, const struct jail_file *f, int dir, struct err *e)
{
	if (!create_program()) {
		j->stays = true; /* somebody must install it */
		err_set(e, ERR_NOT_FOUND, "%s: create %s: there is no qemu-img", f->what,
			f->shown_path);
		return err_hint(e, "install qemu-utils");
	}
	if (faccessat(dir, ".", W_OK, 0) < 0) {
		err_errno(e, "%s: create %s", f->what, f->shown_path);
		return err_hint(e, "findmnt -T %s shows how it is mounted", f->beneath);
	}
	if (!create_is_full(dir))
		return 0;
	err_set(e, ERR_NO_RESOURCES, "%s: create %s: No space left on device", f->what,
		f->shown_path);
	return err_hint(e, "make room on the file system of %s", f->beneath);
}

static int create_make(
	const struct jail *j, const struct jail_file *f, int dir, int fd, struct err *e)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0 || fchown(fd, j->uid, j->uid) < 0)
		return err_errno(e, "%s: create %s", f->what, f->shown_path);
	r = create_fill(j, f, dir, fd, e);
	if (r == 0 && (fchown(fd, st.st_uid, st.st_gid) < 0 || fsync(fd) < 0))
		r = err_errno(e, "%s: create %s", f->what, f->shown_path);
	return r;
}

static int create_new(
	struct jail *j, const struct jail_file *f, int dir, const char *name, struct err *e)
{
	char temporary[TEMPORARY_NAME_MAX];
	_cleanup_(close_fd) int fd = temporary_make(dir, temporary);
	int r;

	if (fd < 0) {
		errno = -fd;
		return err_errno(e, "%s: create %s", f->what, f->shown_path);
	}
	r = create_make(j, f, dir, fd, e);
	if (r == 0) {
		r = path_move_new(dir, temporary, name);
		errno = -r;
		/* sync the name too: what the identity records as created must survive a power
		 * cut */
		if (r < 0 || fsync(dir) < 0)
			r = err_errno(e, "%s: create %s", f->what, f->shown_path);
	}
	if (r < 0)
		unlinkat(dir, temporary, 0);
	return r;
}

int image_uncreated(const struct jail *j, const struct jail_file *f, struct err *e)
{
	err_set(e, ERR_NOT_FOUND, "%s does not exist yet: 'vmkeep start %s' creates it", f->what,
		j->name);
	return err_hint(e,
		"only a start or reboot that a user requests creates %s, not the host's boot or Restart=",
		f->shown_path);
}

int image_create(struct jail *j, struct jail_file *f, struct err *e)
{
	_cleanup_(close_fd) int dir = -1;
	const char *name;
	int r;

	if (f->fd >= 0)
		return 0;
	if (f->copy)
		return image_copy(j, f, e);
	if (!f->beneath || f->format == JAIL_ANY) {
		err_set(e, ERR_NOT_FOUND, "%s: %s: No such file", f->what, f->shown_path);
		return err_hint(
			e, "Size= creates images in a store only; create this one with qemu-img");
	}
	dir = path_parent(f, &name);
	if (dir < 0)
		return path_blame(f, errno, e);
	r = mark_new(j, f, e);
	j->stays = r < 0; /* somebody must name the right image */
	if (r == 0)
		r = create_can(j, f, dir, e);
	if (r == 0 && !j->check && !j->may_create) {
		j->stays = true; /* or start it */
		r = image_uncreated(j, f, e);
	}
	if (r < 0 || j->check)
		return r < 0 ? r : create_fill(j, f, dir, -1, e);
	r = create_new(j, f, dir, name, e);
	if (r < 0)
		return r;
	f->made = true;
	return file_open(j, f, e);
}
