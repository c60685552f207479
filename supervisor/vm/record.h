/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/record.h - the run record of a VM's process, see record.c
 */
#ifndef SUPERVISOR_VM_RECORD_H
#define SUPERVISOR_VM_RECORD_H

#include "supervisor/vm/vm.h"

enum { RECORD_VERSION = 1 };

struct record_process {
	pid_t pid; /* 0: died before the spawn */
	uint64_t starttime;
	bool same_boot, early, paused, stopping, quitting; /* early: its guest has not run */
	bool backoff, failed; /* no process: policy waits, or gave up */
};

void vm_record_write_conf(struct vm *vm); /* effective.vm, once per process */
/* Fills vm from its record; vm->run_fd is open. */
int vm_record_read(struct vm *vm, struct record_process *out, struct err *e);

#endif
