/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/ended.h - STATE/vms/NAME/ended.json: how the VM ended, or that it has a process
 *
 * What list, info and `list --problems` tell of a VM that is down has to outlive the daemon, and
 * unlike the run record also the host's boot; so has whether the VM was up (`wanted`), by which
 * Enable=last goes. Written at each end and at each start of a process, and when `wanted` changes.
 * A child syncs it if the VM has Enable=last. Otherwise it may be missing or old after a power loss,
 * which only costs the reason. What cannot be read was not up: nothing is started on a guess.
 */
#ifndef SUPERVISOR_VM_ENDED_H
#define SUPERVISOR_VM_ENDED_H

#include "supervisor/vm/vm.h"

/* After any change of the state, or of what is told of a VM that is down. */
void ended_save(struct vm *vm);
/* dir: STATE/vms/NAME. Whether there is a process is not known yet: adoption finds it. */
void ended_read(struct vm *vm, int dir);

#endif
