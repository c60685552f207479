/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/lost.h - guests whose record, configuration or identity is lost, see lost.c
 */
#ifndef SUPERVISOR_VM_LOST_H
#define SUPERVISOR_VM_LOST_H

#include "supervisor/vm/vm.h"

/* All that its record would say. vm->proc.pid and its starttime are set. */
void lost_record(struct vm *vm);
/* Completes what its record did not tell. vm->proc.pid is set. */
void lost_repair(struct vm *vm);
/* What it runs with is not to be had: its conf_lost, with what its file says to go on with. */
void lost_unknown(struct vm *vm);

#endif
