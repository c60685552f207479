/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/lost.h - guests whose record, configuration or identity is lost, see lost.c
 */
#ifndef SUPERVISOR_VM_LOST_H
#define SUPERVISOR_VM_LOST_H

#include "supervisor/vm/found.h"
#include "supervisor/vm/record.h"

/* Takes back a process that no record names, under the record that its VM has from now on. */
void lost_adopt(struct vm *vm, const struct found_process *p);
/* Completes what its record did not tell. vm->pid is set. */
void lost_mend(struct vm *vm);
/* Before anything is started, or said to be stopped: has it a process after all? Then it is taken back. */
void lost_look(struct vm *vm);

/* What it runs with is not to be had: its conf_lost, with what its file says to go on with. */
void lost_unknown(struct vm *vm);

/* adopt.c: the process is known and alive; on with it as after any restart. */
bool adopt_process(struct vm *vm, const struct record_process *p);

#endif
