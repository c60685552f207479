/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/record.h - the run record of a VM's process, see record.c
 */
#ifndef SUPERVISOR_VM_RECORD_H
#define SUPERVISOR_VM_RECORD_H

#include "supervisor/vm/vm.h"

enum { RECORD_VERSION = 1, RECORD_MAX = 1 << 20 };

/* the members of a record that only apply to struct vm once the process is found */
struct record_process {
	pid_t pid; /* 0: the daemon died before the spawn */
	uint64_t starttime;
	enum vm_state state;   /* VM_BACKOFF, VM_FAILED: no process, policy waits or gave up */
	bool newer;	       /* written by a newer vmkeep */
	bool same_boot, early; /* early: the guest has not run */
	/* input for other members of struct vm */
	char boot_id[PROC_BOOT_ID];
	bool wanted;
	int ending;
	double stop_deadline;
	json_int_t stop_left; /* seconds; 0: unknown */
};

/* As vm_record_write(), but returns the error: nothing may continue without a record, because
 * the next daemon would not know the process. */
int vm_record_save(struct vm *vm, struct err *e);
/* Creates RUN/vms/NAME for a new process, with both files in it, and opens it as
 * vm->proc.run_fd. */
int vm_record_begin(struct vm *vm, struct err *e);
int vm_record_save_conf(struct vm *vm, struct err *e); /* effective.vm, once per process */
/* Fills vm from its record; vm->proc.run_fd is open. Even on error, out names the process if the
 * record does. */
int vm_record_read(struct vm *vm, struct record_process *out, struct err *e);

/* --- again.c --- */

/* After RUN or RUN/vms was lost: rewrites what is missing of all run records. */
struct vms;
void vms_record_again(struct vms *vms);

#endif
