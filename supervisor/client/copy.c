/* SPDX-License-Identifier: MIT */
/* Files, into a guest and out of it: vmkeep guest push, guest pull. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/exec.h"
#include "supervisor/client/terminal.h"

static const char *copy_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The program in the guest failed: its first line says why. */
static int copy_refused(int code, const struct buf *complaint, struct err *e)
{
	const char *text = complaint->data ? complaint->data : "";
	_cleanup_(free_ptr) char *line = text_escape(text, strcspn(text, "\n"), false);

	if (*line)
		return err_set(e, ERR_GUEST_REFUSED, "the guest says: %s", line);
	return err_set(
		e, ERR_GUEST_REFUSED, "the copy failed in the guest with exit code %d", code);
}

static int copy_stream(struct exec x, struct err *e)
{
	_cleanup_(buf_release) struct buf complaint = BUF_INIT;
	int r;

	x.complaint = &complaint;
	x.err = -1;
	r = exec_stream(&x, e);
	return r > 0 ? copy_refused(r, &complaint, e) : r;
}

int exec_push(const char *run, const char *vm, const char *local, const char *remote, struct err *e)
{
	_cleanup_(close_fd) int fd = open(local, O_RDONLY | O_CLOEXEC);
	json_auto_t *arguments = NULL;
	struct exec x = { .run = run, .execute = "guest-push", .in = fd, .out = -1 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "open '%s'", local);
	if (S_ISDIR(st.st_mode))
		return err_set(e, ERR_USAGE, "'%s' is a directory, not a file", local);
	arguments = json_pack("{s:s, s:s, s:s, s:i}", "name", vm, "path", remote, "as",
		copy_name(local), "mode", (int)(st.st_mode & 0777));
	if (!arguments)
		return err_set(e, ERR_USAGE, "'%s': the path is not valid UTF-8", local);
	x.arguments = arguments;
	return copy_stream(x, e);
}

static int copy_pull_to(struct exec *x, const char *local, struct err *e)
{
	_cleanup_(free_ptr) char *part = xasprintf("%s.vmkeepXXXXXX", local);
	_cleanup_(close_fd) int fd = -1;
	mode_t mask = umask(0);
	int r;

	umask(mask);
	terminal_catch(true); /* from here on there is something to remove */
	fd = mkostemp(part, O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "make a file beside '%s'", local);
	x->out = fd;
	r = copy_stream(*x, e);
	if (r == 0 && (fchmod(fd, 0666 & ~mask) < 0 || fsync(fd) < 0 || rename(part, local) < 0))
		r = err_errno(e, "write '%s'", local);
	if (r < 0)
		unlink(part);
	return r;
}

int exec_pull(const char *run, const char *vm, const char *remote, const char *local, struct err *e)
{
	json_auto_t *arguments = json_pack("{s:s, s:s}", "name", vm, "path", remote);
	struct exec x = { .run = run, .execute = "guest-pull", .in = -1, .arguments = arguments };
	_cleanup_(free_ptr) char *inside = NULL;
	struct stat st;

	if (!arguments)
		return err_set(e, ERR_USAGE, "'%s': the path is not valid UTF-8", remote);
	if (stat(local, &st) == 0 && S_ISDIR(st.st_mode)) {
		inside = xasprintf("%s/%s", local, copy_name(remote));
		local = inside;
	}
	if (stat(local, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "'%s' is not a file", local);
	return copy_pull_to(&x, local, e);
}

/* --- commands --- */

static int copy_run(struct command *c, bool push)
{
	const char *run = conn_run_dir(c->args->run), *vm = c->args->target[0],
		   *here = json_string_value(json_object_get(c->args->own, "file")),
		   *there = json_string_value(json_object_get(c->args->arguments, "path"));
	struct err e = ERR_INIT;
	json_t *nothing;
	int code;

	if ((push ? exec_push(run, vm, here, there, &e) : exec_pull(run, vm, there, here, &e)) <
		0) {
		if (c->json)
			command_add_json_error(c, vm, &e);
		command_flush_json(c);
		return errors_print(vm, &e);
	}
	nothing = json_object();
	code = c->json ? command_result(c, vm, nothing) : 0;
	command_flush_json(c);
	json_decref(nothing);
	return code;
}

int copy_push_run(struct command *c)
{
	return copy_run(c, true);
}

int copy_pull_run(struct command *c)
{
	return copy_run(c, false);
}
