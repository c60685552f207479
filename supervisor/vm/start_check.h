/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/start_check.h - what each step of a start would refuse, told beforehand: the check column
 * of start.c's table
 *
 * Nothing is made and nothing is kept. A check that waits goes on with start_check_next(), as steps do.
 */
#ifndef SUPERVISOR_VM_START_CHECK_H
#define SUPERVISOR_VM_START_CHECK_H

#include "supervisor/vm/start.h"

struct start_check {
	struct vm *vm; /* a copy, with its files as they are now */
	const struct start_step *step;
	const struct probe *probe; /* of its QEMU; NULL: there is none */
	bool uuid_told;		   /* that another file has its UUID */
	bool kvm_asked;		   /* once for many VMs, for a failure takes seconds */
	struct err kvm;
	/* One row. severity: "error", "warning"; key may be NULL, hint empty. */
	void (*tell)(void *data, const struct conf_place *place, const char *key,
		const char *severity, const char *reason, const char *hint);
	/* Has vmkeep-jail look at all files, and goes on then; STEP_DONE where it cannot, which was told. */
	int (*files)(void *data);
	void (*done)(void *data); /* after the last one */
	void *data;
};

void vm_start_check(struct start_check *c); /* start.c: from the first step on */
void start_check_at(struct start_check *c, const struct start_step *step);
void start_check_next(struct start_check *c);

start_check_fn start_check_permission, start_check_memory, start_check_qemu, start_check_kvm,
	start_check_identity, start_check_nvram, start_check_networks, start_check_parts,
	start_check_files;

#endif
