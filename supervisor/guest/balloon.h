/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/balloon.h - memory ballooning of a running guest
 *
 * QEMU reports success at once, for any size; we report it only when the guest's actual size has
 * reached the target. A floor keeps the guest alive; a guest without a balloon driver gets its own
 * error. A failed change must have no later effect: on timeout the target is set to the size
 * reached so far; after a cancel, or if the daemon or the monitor went away, it is set back to the
 * size before the change.
 */
#ifndef SUPERVISOR_GUEST_BALLOON_H
#define SUPERVISOR_GUEST_BALLOON_H

#include "supervisor/vm/vm.h"

enum {
	MEMORY_FLOOR = 64 << 20,       /* bytes, unless [Memory] Min= is set */
	MEMORY_FORCED_FLOOR = 16 << 20 /* no guest survives below this */
};

/* Ends with job_finish(): {"actual": bytes}. ERR_USAGE outside floor and maximum; ERR_GUEST_REFUSED
 * if the guest did not follow within timeout seconds (the text has target and actual size). */
void memory_set(struct vm *vm, uint64_t bytes, bool force, double timeout, struct job *j);
/* Reverts a change that was cut short, possibly under a previous daemon. */
void memory_restore(struct vm *vm);

/* The size that QEMU reported; 0 if it is impossible, which is treated as unknown. */
json_int_t memory_parse(const struct conf_vm *c, const json_t *data);

/* Checks the bounds only; pure. c is the configuration the guest was started with. */
int memory_check(const struct conf_vm *c, uint64_t bytes, bool force, struct err *e);

#endif
