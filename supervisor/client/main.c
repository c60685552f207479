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
#include "supervisor/client/errors.h"
#include "supervisor/client/help.h"

static int main_print(struct buf *b)
{
	int r = file_write_all(STDOUT_FILENO, b->data, b->len);

	buf_release(b);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int main_run(struct args *a, size_t argc, const char *const *argv)
{
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;

	if (args_parse(a, argc, argv, &e) < 0)
		return errors_print(NULL, &e);
	if (a->given[ARGS_VERSION]) {
		buf_adds(&b, "vmkeep " VMKEEP_VERSION "\n");
		return main_print(&b);
	}
	if (!a->given[ARGS_HELP])
		return command_run(a);
	if (a->verb)
		help_verb(&b, a->verb);
	else
		help_overview(&b, a->topic);
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
