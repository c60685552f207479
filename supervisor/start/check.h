/* SPDX-License-Identifier: MIT */
/*
 * supervisor/start/check.h - preflight: what each step of a start would refuse; the check
 * column of the table in start.c
 *
 * Creates nothing and stores nothing. A check that waits continues with start_check_next(), like
 * a step.
 */
#ifndef SUPERVISOR_START_CHECK_H
#define SUPERVISOR_START_CHECK_H

#include "supervisor/start/plan.h"
#include "supervisor/start/start.h"

struct start_check {
	struct vm *vm; /* a copy, with its files as they are now */
	const struct start_step *step;
	const struct probe *probe; /* of its QEMU; NULL: none */
	struct vm_plan plan;
	struct networks_trial *networks;
	struct confined *trial; /* QEMU, or qemu-img */
	struct child *child;	/* of ours */
	struct volume_call *volume;
	size_t disk;		       /* whose volume */
	struct firmware *new_firmware; /* of a VM without UEFI variables; NULL: none needed */
	bool memory_told;	       /* there is too little: the trial goes without */
	bool files_told;	       /* set by files(): an error was reported */
	bool nameless;		       /* its identity cannot be completed, so there is no plan */
	bool many;	/* of all VMs: that nobody can start a template is no fault */
	bool uuid_told; /* a duplicate UUID was reported already */
	bool kvm_asked; /* once for many VMs, since a failure takes seconds */
	struct err kvm;
	/* Reports one row. severity: "error", what a start would end with; or "warning", then only
	 * the texts count. key may be NULL. */
	void (*tell)(void *data, const struct conf_place *place, const char *key,
		const char *severity, const struct err *e);
	/* Lets vmkeep-jail check all files and continues then; STEP_DONE: it could not, which
	 * was reported. */
	int (*files)(void *data);
	void (*done)(void *data); /* after the last check */
	void *data;
};

void vm_start_check(struct start_check *c); /* start.c: from the first step */
void start_check_at(struct start_check *c, const struct start_step *step);
void start_check_next(struct start_check *c);
/* A row for what is wrong with the whole VM, or with a key of it. */
void start_check_error(const struct start_check *c, const char *key, const struct err *e);

start_check_fn start_check_permission, start_check_configuration, start_check_memory,
	start_check_qemu, start_check_kvm, start_check_identity, start_check_volumes,
	start_check_nvram, start_check_networks, start_check_run_dir, start_check_parts,
	start_check_seed, start_check_plan, start_check_files, start_check_trial;

#endif
