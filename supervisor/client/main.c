/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/client/args.h"
#include "supervisor/client/command.h"
#include "supervisor/client/complete.h"
#include "supervisor/client/conn.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/help.h"

static int main_print(struct buf *b)
{
	int r = file_write_all(STDOUT_FILENO, b->data, b->len);

	buf_release(b);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The hint that args_parse() leaves out: only the daemon knows where its files are. */
static void main_explain_foreign(const struct args *a, struct err *e)
{
	const char *run = conn_run_dir(a->run), *dir = NULL;
	struct conn conn = CONN_INIT;
	struct buf way = BUF_INIT;
	struct err ignored = ERR_INIT;
	json_t *version = NULL;

	if (!streq(run, CONN_RUN_DIR) && conn_open(&conn, run, &ignored) == 0)
		version = conn_call(&conn, "query-version", NULL, &ignored);
	dir = json_string_value(json_object_get(version, "config"));
	foreign_way(a->foreign, dir ? dir : "/etc/vmkeep", a->foreign_vm, &way);
	err_hint(e, "%s", way.data);
	buf_release(&way);
	json_decref(version);
	conn_release(&conn);
}

static int main_run(struct args *a, size_t argc, const char *const *argv)
{
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	int code;

	if (args_parse(a, argc, argv, &e) < 0) {
		if (a->foreign)
			main_explain_foreign(a, &e);
		code = errors_print(NULL, &e);
		return a->verb && a->verb->traits & API_RUNS ? API_EXIT_OWN : code;
	}
	if (a->given[ARGS_VERSION]) {
		buf_adds(&b, "vmkeep " VMKEEP_VERSION "\n");
		return main_print(&b);
	}
	if (!a->given[ARGS_HELP])
		return command_run(a);
	if (a->verb)
		help_verb(&b, a->verb);
	else if (a->topic || a->all)
		help_overview(&b, a->topic);
	else
		help_short(&b);
	return main_print(&b);
}

/* Our files must not end up as closed standard descriptors. Writing to one must succeed: a
 * service whose stop command has no output must not fail because of it. */
static void main_fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", O_WRONLY);
}

int main(int argc, char **argv)
{
	const char *const *words = (const char *const *)argv + 1;
	size_t n = argc > 1 ? (size_t)argc - 1 : 0;
	struct args a = ARGS_INIT;
	int code;

	main_fill_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	if (n && streq(words[0], COMPLETE_WORD))
		return complete_run(words + 1, n - 1);
	code = main_run(&a, n, words);
	args_release(&a);
	return code;
}
