/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/record.h - the run record of a VM's process, see record.c
 */
#ifndef SUPERVISOR_VM_RECORD_H
#define SUPERVISOR_VM_RECORD_H

#include "supervisor/vm/vm.h"

enum { RECORD_VERSION = 1, RECORD_MAX = 1 << 20 };

struct record_process { /* what a record says, and no struct vm may before the process is found */
	pid_t pid;	/* 0: died before the spawn */
	uint64_t starttime;
	enum vm_state state;   /* VM_BACKOFF, VM_FAILED: no process, policy waits or gave up */
	bool newer;	       /* of a newer vmkeep */
	bool same_boot, early; /* early: its guest has not run */
	/* which go into struct vm as other members */
	char boot_id[PROC_BOOT_ID];
	bool wanted;
	int ending;
	double stop_deadline;
	json_int_t stop_left; /* seconds; 0: unknown */
};

/* As vm_record_write(), where nothing may go on without it: a process that no record names is lost to the
 * next daemon. */
int vm_record_save(struct vm *vm, struct err *e);
/* Makes RUN/vms/NAME for a new process, with both files in it; vm->run_fd is open on it then. */
int vm_record_begin(struct vm *vm, struct err *e);
int vm_record_save_conf(struct vm *vm, struct err *e); /* effective.vm, once per process */
/* Fills vm from its record; vm->run_fd is open. On an error out still names the process, if the record
 * does. */
int vm_record_read(struct vm *vm, struct record_process *out, struct err *e);

/* --- again.c --- */

/* Writes again what is missing of the records of all VMs, after RUN or RUN/vms was lost. */
struct vms;
void vms_record_again(struct vms *vms);

#endif
