/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/terminal.h - raw mode of the terminal, restored on exit
 */
#ifndef SUPERVISOR_CLIENT_TERMINAL_H
#define SUPERVISOR_CLIENT_TERMINAL_H

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"

/* Raw mode on stdin until terminal_restore() or exit(). */
int terminal_raw(struct err *e);
void terminal_restore(void);

/* Blocks SIGINT, or all signals that would end us, except while the returned mask is passed to
 * ppoll(), so that none is missed. terminal_signal() returns the one received, or 0. */
const sigset_t *terminal_catch(bool all);
int terminal_signal(void);
/* How many there were. */
int terminal_signals(void);

#endif
