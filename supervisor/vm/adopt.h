/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/adopt.h - processes of a previous daemon, see adopt.c
 */
#ifndef SUPERVISOR_VM_ADOPT_H
#define SUPERVISOR_VM_ADOPT_H

#include "supervisor/vm/vms.h"

/* Adopts the processes of a previous daemon. After vms_reload(). */
void vms_adopt(struct vms *vms);
/* Before a start, or before reporting the VM as stopped: adopts a process of the VM that has no
 * record, if there is one. */
void adopt_unrecorded(struct vm *vm);

#endif
