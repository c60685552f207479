/* SPDX-License-Identifier: MIT */
#include "supervisor/client/terminal.h"

#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"

static struct termios before;
static bool is_raw;
static volatile sig_atomic_t caught, times;

void terminal_restore(void)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	is_raw = false;
}

int terminal_raw(struct err *e)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return err_errno(e, "ask the terminal for its mode");
	raw = before;
	cfmakeraw(&raw);
	atexit(terminal_restore);
	is_raw = true;
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
		return err_errno(e, "set the terminal to raw mode");
	return 0;
}

static void terminal_on_signal(int signal_number)
{
	caught = signal_number;
	times++;
}

const sigset_t *terminal_catch(bool all)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	static sigset_t mask;
	struct sigaction a = { .sa_handler = terminal_on_signal };
	size_t n = all ? ARRAY_SIZE(ends) : 1;
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < n; i++)
		sigaddset(&block, ends[i]);
	/* first: from the handler on, every signal is one that the caller's first wait returns for */
	sigprocmask(SIG_BLOCK, &block, &mask);
	for (size_t i = 0; i < n; i++)
		sigaction(ends[i], &a, NULL);
	for (size_t i = 0; i < n; i++)
		sigdelset(&mask, ends[i]);
	return &mask;
}

int terminal_signal(void)
{
	return caught;
}

int terminal_signals(void)
{
	return times;
}
