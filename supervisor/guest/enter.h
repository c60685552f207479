/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/enter.h - files go into the private root of a guest that runs, and out of it
 *
 * The daemon's side of jail/enter.c. A file that has been brought in is locked by descriptors, which
 * its user gives to QEMU (getfd) and closes. It stays only after enter_keep(): if the daemon dies
 * before, it is taken out again.
 */
#ifndef SUPERVISOR_GUEST_ENTER_H
#define SUPERVISOR_GUEST_ENTER_H

#include "supervisor/vm/vm.h"

struct enter;

/* e NULL: the guest sees the files; then x stays valid until enter_keep() or enter_drop(), which
 * must be called. lock: for each file a descriptor of x, or -1. Else x is gone. */
typedef void enter_fn(void *data, struct enter *x, const int *lock, const struct err *e);

/* files: of the plan, see vm_plan_files(). identity: if the files are to be the guest's own, which its
 * identity knows; it is saved as at a start. NULL: they are not. done is called once, from the loop. NULL
 * on failure. */
struct enter *enter_begin(struct vm *vm, json_t *files /* stolen */, json_t *identity /* stolen */,
	enter_fn *done, void *data, struct err *e);
/* What vmkeep-jail says that it has saved ("kept" in plan.h), or NULL. */
const json_t *enter_kept(const struct enter *x);
void enter_keep(struct enter *x);
/* Before done: done is no longer called. dropped: when all of it has been taken out, possibly before
 * this returns. */
void enter_drop(struct enter *x, void (*dropped)(void *data), void *data);

/* Takes files out; what is not there is fine. Locks of the start are released. done is called
 * once, possibly before this returns. */
typedef void leave_fn(void *data, const struct err *e);
void leave_begin(struct vm *vm, json_t *files /* stolen */, leave_fn *done, void *data);

#endif
