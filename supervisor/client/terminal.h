/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/terminal.h - the terminal in raw mode, and back whatever happens
 */
#ifndef SUPERVISOR_CLIENT_TERMINAL_H
#define SUPERVISOR_CLIENT_TERMINAL_H

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"

/* Raw mode on stdin until terminal_restore() or exit(). */
int terminal_raw(struct err *e);
void terminal_restore(void);

/* From here on SIGINT, or all the signals that would end us, only come through while the returned mask is
 * given to ppoll(), so that no moment is missed; terminal_signal() tells which one came, or 0. */
const sigset_t *terminal_catch(bool all);
int terminal_signal(void);

#endif
