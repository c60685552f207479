/* SPDX-License-Identifier: MIT */
/* Guest verbs beyond request and reply: a program, a password. */
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/mem.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/exec.h"
#include "supervisor/client/print.h"

enum { PASSWORD_MAX = 1024 };

int guest_exec_status(const json_t *result)
{
	const json_t *signal_number = json_object_get(result, "signal"),
		     *code = json_object_get(result, "exit");

	return (int)(signal_number ? 128 + json_integer_value(signal_number)
				   : json_integer_value(code)) &
	       0xff;
}

/* On a terminal the guest's bytes are escaped. */
static void guest_put(const json_t *data, bool tty, struct buf *out)
{
	struct buf raw = BUF_INIT;

	if (json_is_string(data))
		base64_decode(json_string_value(data), &raw);
	if (tty)
		print_bytes(&raw, true, out);
	else
		buf_add(out, raw.data, raw.len);
	buf_release(&raw);
}

void guest_exec_print(struct command *c, const char *target, const json_t *result)
{
	const json_t *code = json_object_get(result, "exit"),
		     *sig = json_object_get(result, "signal");
	struct buf err = BUF_INIT;

	guest_put(json_object_get(result, "out-data"), c->tty, &c->out);
	command_flush(c);
	guest_put(json_object_get(result, "err-data"), isatty(STDERR_FILENO), &err);
	file_write_all(STDERR_FILENO, err.data, err.len);
	buf_release(&err);
	if (json_is_true(json_object_get(result, "truncated")))
		errors_note("%s: the guest agent dropped some of the output", target);
	if (sig)
		errors_note("%s: killed by signal %d", target, (int)json_integer_value(sig));
	else if (json_integer_value(code))
		errors_note("%s: exit status %d", target, (int)json_integer_value(code));
}

static bool guest_is_given(const struct command *c, const char *option)
{
	return json_is_true(json_object_get(c->args->own, option));
}

int guest_exec_run(struct command *c)
{
	const json_t *timeout = json_object_get(c->args->arguments, "timeout");
	int in = guest_is_given(c, "no-input") ? -1 : STDIN_FILENO,
	    out = c->quiet ? -1 : STDOUT_FILENO, err = c->quiet ? -1 : STDERR_FILENO, r;
	struct err e = ERR_INIT;

	if (c->json || guest_is_given(c, "collect"))
		return calls_run(c);
	r = exec_command(conn_run_dir(c->args->run), c->args->target[0],
		json_object_get(c->args->arguments, "command"), timeout, in, out, err, &e);
	return r < 0 ? command_failed(c, errors_print(c->args->target[0], &e)) : r;
}

/* Reads one line; from a terminal without echo. */
static int guest_read_password(char *line, struct err *e)
{
	struct termios was, silent;
	bool tty = tcgetattr(STDIN_FILENO, &was) == 0;
	const char *got;

	if (tty) {
		fputs("New password: ", stderr);
		silent = was;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	}
	got = fgets(line, PASSWORD_MAX, stdin);
	if (tty) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	if (!got)
		return err_set(e, ERR_USAGE, "no password was given");
	line[strcspn(line, "\r\n")] = '\0';
	if (!*line)
		return err_set(e, ERR_USAGE, "the password is empty");
	return 0;
}

int guest_passwd_run(struct command *c)
{
	char line[PASSWORD_MAX];
	struct err e = ERR_INIT;
	int r;

	if (guest_read_password(line, &e) < 0)
		return errors_print(NULL, &e);
	r = json_object_set_new(c->args->arguments, "password", json_string(line));
	explicit_bzero(line, sizeof line);
	if (r < 0) {
		err_set(&e, ERR_USAGE, "the password is not valid UTF-8");
		return errors_print(NULL, &e);
	}
	return calls_run(c);
}
