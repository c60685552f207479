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
	struct agent *conn;   /* while it is open */
	bool pinged, answers; /* of this connection: was asked, and has answered */
	bool frozen;	      /* by us, and not thawed yet */
	bool thawing;
	bool unsure;	/* taken back without a mark, which may be lost: its agent knows */
	double give_up; /* daemon_now() until which a thaw is tried */
	struct loop_timer thaw;
	agent_reply_fn *on_frozen; /* who asked for the freeze under way */
	void *on_frozen_data;
	double hold;
	double thaw_at; /* clock_boot(): nobody waits longer because we or the host slept */
};

/* NULL: the VM has no such port now. */
struct vm_agent *agent_of(const struct vm *vm);
/* How the freeze ended that agent_freeze.c asked for. */
void agent_on_freeze(void *data, const json_t *result, const struct err *e);
void agent_thawed(struct vm_agent *a);

#endif
