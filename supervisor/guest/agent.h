/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/agent.h - the guest agent of a running VM
 *
 * The port is open while an agent in the guest holds it, as reported by QEMU's VSERPORT_CHANGE
 * event and, after adoption or a reconnect, by query-chardev. A connection exists only while the
 * port is open; when it closes we know at once that there is no agent.
 *
 * A freeze first creates STATE/vms/NAME/frozen, so that even a new daemon knows to thaw. Every way
 * out of a freeze ends in a thaw, which is retried for a minute. The mark is removed by the thaw or
 * when the process ends. A new daemon that finds no mark asks the agent.
 */
#ifndef SUPERVISOR_GUEST_AGENT_H
#define SUPERVISOR_GUEST_AGENT_H

#include "qmp/agent.h"
#include "supervisor/vm/vm.h"

enum {
	VM_AGENT_FREEZE_SECONDS = 5, /* limit for the freeze command */
	VM_AGENT_THAW_SECONDS = 60,  /* how long a failed thaw is retried */
};

bool vm_agent_is_open(const struct vm *vm);
/* How often the port was opened since QEMU's start, as far as we know: what an agent was told is
 * unknown to the next one. */
unsigned vm_agent_opened(const struct vm *vm);
/* Its file systems are frozen by us, and the agent does little else than thaw them. */
bool vm_agent_is_frozen(const struct vm *vm);
/* Could an agent answer? The error says why not. */
int vm_agent_check(struct vm *vm, struct err *e);
/* The agent has answered since its port was opened. If not known yet, sends a ping: call again. */
bool vm_agent_answers(struct vm *vm);

/* As agent_call(). Without an agent: ERR_WRONG_STATE with an explanation, and no callback. */
int vm_agent_call(struct vm *vm, const char *command, json_t *arguments /* stolen */,
	double timeout, agent_reply_fn *reply, void *data, struct err *e);

/* As agent_extend(). */
void vm_agent_extend(struct vm *vm, const void *data, double seconds);

/* agent_run.c. Runs a program in the guest and polls it until it exits; the agent keeps the output until
 * then. command: array of strings, the first one the program. The result is that of guest-exec-status.
 * -errno: no callback. */
int vm_agent_run(struct vm *vm, json_t *command /* stolen */, double timeout, agent_reply_fn *done,
	void *data, struct err *e);

/* agent_freeze.c. Freezes for at most that many seconds; the result is the number of file systems.
 * -errno: no callback. */
int vm_agent_freeze(
	struct vm *vm, double seconds, agent_reply_fn *reply, void *data, struct err *e);
int vm_agent_thaw(struct vm *vm, agent_reply_fn *reply, void *data, struct err *e);

#endif
