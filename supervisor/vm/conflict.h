/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/conflict.h - an image that QEMU itself found in use
 *
 * vmkeep-jail looks before, and names the holder; two that start at the same moment can both get
 * past it. Then QEMU's own locks decide, and what QEMU says is compared with what we know: nothing
 * is opened.
 */
#ifndef SUPERVISOR_VM_CONFLICT_H
#define SUPERVISOR_VM_CONFLICT_H

#include <stdbool.h>

#include "base/err.h"
#include "supervisor/vm/vm.h"

/* Is this, QEMU's last words, that somebody else has an image? Then e says whose, in vmkeep-jail's
 * words. */
bool conflict_found(const struct vm *vm, const char *said, struct err *e);

#endif
