/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/medium.h - changes the medium in a CD drive of a guest that runs
 *
 * The new medium is checked, shown to the guest and opened by QEMU before the tray opens; if the
 * guest keeps that locked, or anything fails, the drive has its old medium again. The last medium
 * leaves the guest's private root, and nothing of ours locks it any more. The configuration of the
 * process tells what is in the drive, and the run record what was under way when a daemon died.
 */
#ifndef SUPERVISOR_GUEST_MEDIUM_H
#define SUPERVISOR_GUEST_MEDIUM_H

#include "supervisor/vm/vm.h"

struct medium_change {
	const struct conf_disk *to; /* the drive with what it is to have; path NULL: nothing */
	bool force;		    /* opens the tray even if the guest has locked it */
	double timeout;		    /* seconds that the guest may take to open it */
};

/* done is called once, possibly before this returns. j: told what happens, and may be cancelled
 * while the guest is waited for. */
typedef void medium_fn(void *data, const struct err *e);
void medium_begin(
	struct vm *vm, const struct medium_change *c, struct job *j, medium_fn *done, void *data);

#endif
