/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/agent.h - the guest agent of a running VM
 *
 * The port is open while an agent in the guest holds it: QEMU's VSERPORT_CHANGE tells, and
 * query-chardev after adoption. Only then is there a connection; a closed port means at once that
 * there is no agent. Who freezes file systems leaves a mark in STATE/vms/NAME before; every way out
 * of a freeze, a new daemon's included, ends in a thaw, which is tried for a minute. The mark goes
 * with the thaw or with the process. Where a new daemon finds none, it asks the agent.
 */
#ifndef SUPERVISOR_GUEST_AGENT_H
#define SUPERVISOR_GUEST_AGENT_H

#include "qmp/agent.h"
#include "supervisor/vm/vm.h"

enum {
	VM_AGENT_FREEZE_SECONDS = 5, /* that a guest may take to freeze */
	VM_AGENT_THAW_SECONDS = 60,  /* that a thaw is tried again */
};

bool vm_agent_is_open(const struct vm *vm);
/* It has answered since its port was opened. Asks, when that is not known yet: look again. */
bool vm_agent_answers(struct vm *vm);

/* An agent_call(); without an agent ERR_WRONG_STATE in words, and no callback. */
int vm_agent_call(struct vm *vm, const char *command, json_t *arguments /* stolen */,
	double timeout, agent_reply_fn *reply, void *data, struct err *e);

/* agent_freeze.c. Freezes for that many seconds at most; result: how many file systems. -errno: no callback. */
int vm_agent_freeze(
	struct vm *vm, double seconds, agent_reply_fn *reply, void *data, struct err *e);
int vm_agent_thaw(struct vm *vm, agent_reply_fn *reply, void *data, struct err *e);

#endif
