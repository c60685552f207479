/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/frozen.h - the mark of a guest whose file systems we froze:
 * STATE/vms/NAME/frozen
 *
 * It is written before the guest is asked to freeze, for the next daemon. It is not synced to disk:
 * a host crash takes the frozen guest down too.
 */
#ifndef SUPERVISOR_GUEST_FROZEN_H
#define SUPERVISOR_GUEST_FROZEN_H

#include "supervisor/vm/vm.h"

int frozen_mark(struct vm *vm, struct err *e);
void frozen_unmark(struct vm *vm);
bool frozen_is_marked(const struct vm *vm);

#endif
