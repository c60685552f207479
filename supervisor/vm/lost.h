/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/lost.h - guests whose record, configuration or identity is lost, see lost.c
 */
#ifndef SUPERVISOR_VM_LOST_H
#define SUPERVISOR_VM_LOST_H

#include "supervisor/vm/vm.h"

/* Rebuilds everything a record would have. vm->proc.pid and starttime are set. */
void lost_record(struct vm *vm);
/* Fills in what the record lacks. vm->proc.pid is set. */
void lost_repair(struct vm *vm);
/* Its configuration cannot be recovered: sets conf_lost and uses the current file instead. */
void lost_unknown(struct vm *vm);

#endif
