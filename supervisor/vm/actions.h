/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/actions.h - what the rules of state.h order
 *
 * On top of this room: the daemon hands the table to vm_event(), which calls none of its siblings.
 */
#ifndef SUPERVISOR_VM_ACTIONS_H
#define SUPERVISOR_VM_ACTIONS_H

#include "supervisor/vm/state.h"

struct vm;

extern void (*const vm_actions[VM_ACTIONS])(struct vm *vm); /* NULL: VM_DO_NOTHING */

#endif
