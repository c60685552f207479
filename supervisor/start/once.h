/* SPDX-License-Identifier: MIT */
/*
 * supervisor/start/once.h - start --iso --once, create --iso --start: one more CD, for one process
 *
 * vm->once is the CD's path from the request until that process has ended, or the start failed. It is
 * in the configuration of the process only: neither the file nor the identity has it, and the next
 * start is without it. The guest may reset itself as often as it likes.
 */
#ifndef SUPERVISOR_START_ONCE_H
#define SUPERVISOR_START_ONCE_H

#include "supervisor/vm/vm.h"

/* Sets the CD for the start that follows; NULL: none. It boots first, or last, after empty disks.
 * Changes nothing if it fails. */
int once_set(struct vm *vm, const char *iso, bool last, struct err *e);
/* to: the configuration of the file, with that CD. */
int once_configuration(const struct vm *vm, struct conf_vm *to, struct err *e);

#endif
