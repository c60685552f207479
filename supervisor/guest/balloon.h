/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/balloon.h - the balloon: a guest's memory while it runs
 *
 * QEMU answers success at once and for every size; done here means that the guest's actual size
 * moved to the target. A floor keeps the guest alive; a guest without driver is told as such. What
 * failed has no later effect: the target becomes what the guest has then, and after a cancel, or where
 * the daemon or the monitor went away, what it had before.
 */
#ifndef SUPERVISOR_GUEST_BALLOON_H
#define SUPERVISOR_GUEST_BALLOON_H

#include "supervisor/vm/vm.h"

enum {
	MEMORY_FLOOR = 64 << 20,       /* bytes, where [Memory] Min= says nothing else */
	MEMORY_FORCED_FLOOR = 16 << 20 /* below it no guest lives */
};

/* Ends with job_finish(): {"actual": bytes}. ERR_USAGE outside floor and maximum, ERR_GUEST_REFUSED
 * when the guest did not follow within timeout seconds: target and actual are told. */
void memory_set(struct vm *vm, uint64_t bytes, bool force, double timeout, struct job *j);
/* What was cut short is taken back, perhaps by another daemon. */
void memory_restore(struct vm *vm);

/* As QEMU says it; 0: something that cannot be, which is as good as nothing. */
json_int_t memory_parse(const struct conf_vm *c, const json_t *data);

/* The bounds alone, pure; c is what the guest was started with. */
int memory_check(const struct conf_vm *c, uint64_t bytes, bool force, struct err *e);

#endif
