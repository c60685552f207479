/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/agent_private.h - the agent part's state, for the files of agent.h
 */
#ifndef SUPERVISOR_GUEST_AGENT_PRIVATE_H
#define SUPERVISOR_GUEST_AGENT_PRIVATE_H

#include "supervisor/guest/agent.h"

struct vm_agent {
	struct vm *vm;
	bool open;
	unsigned opened;      /* how often */
	struct agent *conn;   /* NULL while closed */
	bool pinged, answers; /* a ping is in flight; the agent has answered. Both per connection */
	bool frozen;	      /* by us and not thawed yet */
	bool thawing;
	bool unsure;	/* adopted without a mark, which may have been lost: ask the agent */
	double give_up; /* daemon_now() after which the thaw is no longer retried */
	struct loop_timer thaw;
	agent_reply_fn *on_frozen; /* caller of the freeze in flight */
	void *on_frozen_data;
	double hold;
	double thaw_at; /* clock_boot(): keeps counting while we or the host sleep */
};

/* NULL if the VM has no agent port now. */
struct vm_agent *agent_of(const struct vm *vm);
/* Completion of the freeze sent by agent_freeze.c. */
void agent_on_freeze(void *data, const json_t *result, const struct err *e);
void agent_thawed(struct vm_agent *a);

#endif
