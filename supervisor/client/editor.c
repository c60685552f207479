/* SPDX-License-Identifier: MIT */
/*
 * vmkeep edit: runs an editor on a private copy of a VM's file, as visudo does. The daemon writes a
 * valid text; one that it refuses is edited again or kept, never lost.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/mem.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"

enum { EDITOR_TEXT_MAX = 700 << 10 }; /* its base64 fits into a request */

struct editor {
	struct command *c;
	const char *name; /* of the VM */
	char *dir, *path; /* of the copy */
	char *version;
	struct buf before; /* what the file holds */
	bool told;	   /* whether the last error was printed */
};

/* $VISUAL and $EDITOR may contain options: the shell splits them. */
static void editor_exec(const char *path)
{
	const char *visual = getenv("VISUAL"), *editor = getenv("EDITOR");
	const char *chosen = visual && *visual ? visual : editor && *editor ? editor : NULL;

	if (chosen)
		execl("/bin/sh", "sh", "-c", xasprintf("%s \"$1\"", chosen), "sh", path,
			(char *)NULL);
	execlp("editor", "editor", path, (char *)NULL); /* Debian's alternative */
	execlp("vi", "vi", path, (char *)NULL);
	fprintf(stderr, "vmkeep: run vi: %s\n", strerror(errno));
	_exit(127);
}

static int editor_run_once(const struct editor *ed, struct err *e)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, was[2];
	int status = 0;
	pid_t pid;

	/* Ctrl-C is for the editor */
	sigaction(SIGINT, &ignore, &was[0]);
	sigaction(SIGQUIT, &ignore, &was[1]);
	pid = fork();
	if (pid == 0) {
		sigaction(SIGINT, &was[0], NULL);
		sigaction(SIGQUIT, &was[1], NULL);
		signal(SIGPIPE, SIG_DFL);
		editor_exec(ed->path);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &was[0], NULL);
	sigaction(SIGQUIT, &was[1], NULL);
	if (pid < 0)
		return err_errno(e, "run an editor");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	err_set(e, ERR_FAILED, "the editor failed, nothing was written");
	return err_hint(e, "VISUAL or EDITOR in the environment names another editor");
}

static int editor_fetch(struct editor *ed, struct err *e)
{
	json_t *force = json_object_get(ed->c->args->arguments, "force");
	json_t *arguments = json_pack("{s:s, s:O*}", "name", ed->name, "force", force);
	json_t *file = conn_call(&ed->c->conn, "vm-file", arguments, e);
	const char *text = json_string_value(json_object_get(file, "text")),
		   *version = json_string_value(json_object_get(file, "version"));
	int r = file ? 0 : e->number;

	if (r == 0 && text && version) {
		base64_decode(text, &ed->before);
		ed->version = xstrdup(version);
	} else if (r == 0) {
		r = err_set(e, ERR_FAILED, "the daemon's answer has no text");
	}
	json_decref(arguments);
	json_decref(file);
	return r;
}

/* The name ends in .vm, by which editors recognise the format. */
static int editor_make_copy(struct editor *ed, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	ed->dir = xasprintf("%s/vmkeep-edit-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(ed->dir)) {
		err_errno(e, "create directory '%s'", ed->dir);
		free_ptr(&ed->dir);
		return e->number;
	}
	ed->path = xasprintf("%s/%s.vm", ed->dir, ed->name);
	return file_replace(AT_FDCWD, ed->path, 0600, ed->before.data ? ed->before.data : "",
		ed->before.len, false, e);
}

static int editor_read_copy(const struct editor *ed, struct buf *text, struct err *e)
{
	text->max = EDITOR_TEXT_MAX;
	return file_read(AT_FDCWD, ed->path, text, e);
}

static bool editor_is_same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

/* Editing may take hours, and the daemon may have been replaced: if the socket is readable, the
 * connection was closed. */
static int editor_connect_again(struct command *c, struct err *e)
{
	struct pollfd p = { .fd = c->conn.fd, .events = POLLIN };

	if (poll(&p, 1, 0) == 0)
		return 0;
	conn_release(&c->conn);
	c->conn = (struct conn)CONN_INIT;
	return conn_open(&c->conn, conn_run_dir(c->args->run), e);
}

static json_t *editor_send(struct editor *ed, const struct buf *text, struct err *e)
{
	struct command *c = ed->c;
	_cleanup_(free_ptr) char *encoded = base64_encode(text->data ? text->data : "", text->len);
	json_t *arguments = json_copy(c->args->arguments), *result = NULL;

	json_object_set_new(arguments, "name", json_string(ed->name));
	json_object_set_new(arguments, "version", json_string(ed->version));
	json_object_set_new(arguments, "text", json_string(encoded));
	/* a daemon that is being replaced closes the connection; a text cannot be written twice */
	for (int tries = 0; !result && tries < 2; tries++) {
		err_clear(e);
		if (editor_connect_again(c, e) == 0)
			result = conn_call(&c->conn, c->verb->execute, arguments, e);
		if (e->class != ERR_UNREACHABLE)
			break;
	}
	json_decref(arguments);
	return result;
}

/* Editing again helps only if the text is at fault. */
static bool editor_may_again(const struct err *e)
{
	return (e->class == ERR_INVALID_CONFIG || e->class == ERR_PERMISSION) &&
	       isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static bool editor_is_again(void)
{
	char line[16];

	fputs("Edit again? [Y/n] ", stderr);
	return fgets(line, sizeof line, stdin) && tolower((unsigned char)line[0]) != 'n';
}

/* Returns 0 when done; result is NULL if there was nothing to do. */
static int editor_work(struct editor *ed, json_t **result, struct err *e)
{
	int r = editor_fetch(ed, e);

	if (r == 0)
		r = editor_make_copy(ed, e);
	while (r == 0) {
		struct buf text = BUF_INIT;

		r = editor_run_once(ed, e);
		if (r == 0)
			r = editor_read_copy(ed, &text, e);
		ed->told = false;
		if (r < 0 || editor_is_same(&text, &ed->before)) {
			buf_release(&text);
			return r;
		}
		*result = editor_send(ed, &text, e);
		buf_release(&text);
		if (*result)
			return 0;
		r = e->number;
		ed->told = editor_may_again(e);
		if (!ed->told)
			return r;
		errors_print(ed->name, e);
		if (!editor_is_again())
			return r;
		err_clear(e);
		r = 0;
	}
	return r;
}

static bool editor_is_worth_keeping(const struct editor *ed)
{
	struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;
	bool worth = ed->path && editor_read_copy(ed, &text, &ignored) == 0 &&
		     !editor_is_same(&text, &ed->before);

	buf_release(&text);
	return worth;
}

static void editor_end(struct editor *ed, bool keep)
{
	if (keep && editor_is_worth_keeping(ed))
		errors_note("your text is kept in %s", ed->path);
	else if (ed->dir)
		file_remove_tree(AT_FDCWD, ed->dir, NULL); /* with the editor's own files */
	free(ed->dir);
	free(ed->path);
	free(ed->version);
	buf_release(&ed->before);
}

int editor_run(struct command *c)
{
	struct editor ed = { .c = c };
	struct err e = ERR_INIT;
	json_t *result = NULL;
	int r = command_open(c, &e), code = 0;

	if (r == 0) {
		ed.name = c->target[0];
		r = editor_work(&ed, &result, &e);
	}
	if (r < 0)
		code = ed.told ? api_class(e.class)->exit : errors_print(ed.name, &e);
	else if (result)
		code = command_result(c, ed.name, result);
	else if (!c->quiet && !c->json)
		buf_printf(&c->out, "%s: the text is the same, nothing was written\n", ed.name);
	if (r < 0 && c->json)
		command_add_json_error(c, ed.name, &e);
	editor_end(&ed, r < 0);
	json_decref(result);
	command_flush_json(c);
	command_flush(c);
	return code;
}
