/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/frozen.h - the mark of a guest whose file systems were frozen by us: STATE/vms/NAME/frozen
 *
 * It is there before the guest is asked to freeze, and for the next daemon; a guest that the host takes
 * down with itself is not frozen any more, so that it need not be on the disk.
 */
#ifndef SUPERVISOR_GUEST_FROZEN_H
#define SUPERVISOR_GUEST_FROZEN_H

#include "supervisor/vm/vm.h"

int frozen_mark(struct vm *vm, struct err *e);
void frozen_unmark(struct vm *vm);
bool frozen_is_marked(const struct vm *vm);

#endif
