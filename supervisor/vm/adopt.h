/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/adopt.h - processes of a former daemon, see adopt.c
 */
#ifndef SUPERVISOR_VM_ADOPT_H
#define SUPERVISOR_VM_ADOPT_H

#include "supervisor/vm/vms.h"

/* Takes back the processes of a former daemon. After vms_reload(). */
void vms_adopt(struct vms *vms);
/* Before anything is started, or said to be stopped: has it a process after all? Then it is taken back. */
void adopt_unrecorded(struct vm *vm);

#endif
