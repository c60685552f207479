/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/create.c - makes the images that Size= asks for, once
 *
 * Only below the image directory, only where nothing is: made under a temporary name and moved into
 * place without replacing, so that the name appears whole or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

enum { TOOL_TEXT_MAX = 1024 };

static void child_run(int dir, int out, const char *const *argv) __attribute__((noreturn));
static void child_run(int dir, int out, const char *const *argv)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	umask(077);
	if (fchdir(dir) == 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0)
		execvpe(argv[0], jail_words(argv), jail_words(env));
	dprintf(out, "run %s: %s", argv[0], strerror(errno));
	_exit(127);
}

/* Runs argv in dir; returns its exit status, or -1 with what it said in text. */
static int tool_run(int dir, const char *const *argv, char *text)
{
	_cleanup_(close_fd) int in = -1;
	char rest[TOOL_TEXT_MAX];
	int pipes[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	text[0] = '\0';
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -1;
	in = pipes[0];
	pid = fork();
	if (pid == 0)
		child_run(dir, pipes[1], argv);
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

static bool is_full(int dir)
{
	struct statvfs v;

	return fstatvfs(dir, &v) == 0 && (v.f_bavail < 64 || (v.f_files && !v.f_favail));
}

static int make(const struct jail *j, const struct jail_file *f, int dir, const char *temporary,
	struct err *e)
{
	char text[TOOL_TEXT_MAX], size[24];
	const char *argv[] = { j->qemu_img, "create", "-q", "-f", jail_format_names[f->format],
		temporary, size, NULL };
	_cleanup_(free_ptr) char *said = NULL;
	int r;

	snprintf(size, sizeof size, "%llu", (unsigned long long)f->create);
	r = tool_run(dir, argv, text);
	if (r == 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	said = text_escape(text, strlen(text), false);
	err_set(e, is_full(dir) ? ERR_NO_RESOURCES : ERR_FAILED, "%s: create %s: %s", f->what,
		f->shown_path, said[0] ? said : "qemu-img failed");
	if (e->class == ERR_NO_RESOURCES)
		return err_hint(e, "make room on the file system of %s", j->image_dir);
	return e->number;
}

/* File systems without RENAME_NOREPLACE have hard links, which do not replace either. */
static int move_new(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL || linkat(dir, from, dir, to, 0) < 0)
		return -errno;
	return unlinkat(dir, from, 0) < 0 ? -errno : 0;
}

int image_create(struct jail *j, struct jail_file *f, struct err *e)
{
	_cleanup_(close_fd) int dir = -1;
	const char *name;
	char temporary[32];
	int r;

	if (f->fd >= 0)
		return 0;
	if (!f->beneath || f->format == JAIL_ANY || !j->qemu_img) {
		err_set(e, ERR_NOT_FOUND, "%s: %s: No such file", f->what, f->shown_path);
		return err_hint(
			e, "Size= creates in the image directory only: create it with qemu-img");
	}
	dir = path_parent(j, f, &name);
	if (dir < 0)
		return path_blame(j, f, errno, e);
	if (j->check)
		return 0;
	/* short, because the name itself may have all of the 255 bytes; ./ because of colons */
	snprintf(temporary, sizeof temporary, "./.vmkeep-new-%d", getpid());
	r = make(j, f, dir, temporary, e);
	if (r == 0) {
		r = move_new(dir, temporary, name);
		errno = -r;
		if (r < 0)
			r = err_errno(e, "%s: create %s", f->what, f->shown_path);
	}
	if (r < 0) {
		unlinkat(dir, temporary, 0);
		return r;
	}
	f->made = true;
	return file_open(j, f, e);
}
