/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/state.h - what can happen to a VM: rules, pure
 *
 * state and event -> next state and what to do. Verbs, QEMU, the kernel and the clock become events;
 * where policy decides (restart or not, leave or kill) it picks the event, not the rule. Nothing
 * else writes a VM's state; tests walk these very rules. The wish is another variable: see wish.c.
 */
#ifndef SUPERVISOR_VM_STATE_H
#define SUPERVISOR_VM_STATE_H

#include <stdbool.h>
#include <stddef.h>

enum vm_want {
	VM_WANT_STOPPED,
	VM_WANT_RUNNING,
	VM_WANT_RESTART, /* its process is to end, and then it is to run again, however that came */
	VM_WANTS
};

enum vm_state {
	VM_STOPPED,   /* no process */
	VM_PREPARING, /* probe, KVM proof, networks; no process yet */
	VM_SPAWNING,  /* vmkeep-jail works through its plan */
	VM_GREETING,  /* QEMU was executed; its monitor has not answered yet */
	VM_JOINING,   /* monitor answers; queries, network, balloon, cont */
	VM_RUNNING,
	VM_PAUSED,
	VM_STOPPING, /* the guest was asked to power off */
	VM_QUITTING, /* QEMU was told to quit, or killed; its end is awaited */
	VM_BACKOFF,  /* no process; starts again when the timer fires */
	VM_FAILED,   /* no process; the restart budget is used up */
	VM_STATES
};

enum vm_event {
	VM_EV_START,	     /* verb or policy wants it to run */
	VM_EV_STOP,	     /* verb wants it to power off */
	VM_EV_KILL,	     /* verb wants it gone now */
	VM_EV_ADOPT,	     /* a process of ours was found after a restart of the daemon */
	VM_EV_ADOPT_EARLY,   /* the same, and its guest has never run */
	VM_EV_ADOPT_PAUSED,  /* the same, and it was paused when last seen */
	VM_EV_PREPARED,	     /* everything is there to spawn */
	VM_EV_EXECUTED,	     /* the jail became QEMU */
	VM_EV_GREETED,	     /* QMP negotiated */
	VM_EV_JOINED,	     /* runs */
	VM_EV_JOINED_PAUSED, /* set up, and stands still as asked or as found */
	VM_EV_JOINED_ENDED,  /* found as a tombstone */
	VM_EV_RESUMED,	     /* QEMU said RESUME */
	VM_EV_PAUSED,	     /* QEMU said STOP */
	VM_EV_ENDED,	 /* guest powered off, panicked or was bitten: only the tombstone is left */
	VM_EV_BROKEN,	 /* starting went wrong while a process exists */
	VM_EV_GONE_STOP, /* no process (any more); stays down */
	VM_EV_GONE_RESTART, /* no process; policy starts it again */
	VM_EV_GONE_FAIL,    /* no process; the budget is used up */
	VM_EV_STOP_LEAVE,   /* stop timed out, policy leaves it running */
	VM_EV_STOP_KILL,    /* stop timed out, policy ends it */
	VM_EV_TIMER,	    /* the state's timer */
	VM_EVENTS
};

enum vm_action {
	VM_DO_NOTHING,
	VM_DO_PREPARE,
	VM_DO_SPAWN,
	VM_DO_GREET,
	VM_DO_JOIN,
	VM_DO_PRESS,  /* the power button */
	VM_DO_INSIST, /* press again, until the stop's deadline: then policy decides */
	VM_DO_QUIT,   /* QMP quit, then the clock */
	VM_DO_KILL,   /* SIGKILL */
	VM_DO_CLEAN,  /* unmake what was made, or is being prepared */
	VM_DO_EXPIRE, /* a start that took too long: tell why, then SIGKILL */
	VM_ACTIONS
};

struct vm_rule {
	enum vm_event event;
	unsigned in;	  /* states, as bits */
	enum vm_state to; /* VM_STATES: the state stays */
	enum vm_action action;
};

/* No two speak of one state and event. tests/golden/states.txt prints what they come to. */
extern const struct vm_rule vm_rules[];
extern const size_t vm_rules_count;

struct vm_outcome {
	enum vm_state next;
	enum vm_action action;
};

/* What no rule speaks of changes nothing. */
struct vm_outcome vm_outcome(enum vm_state s, enum vm_event ev);

/* The contract's words: stopped starting running paused stopping backoff failed. */
const char *vm_state_name(enum vm_state s);
/* The finer word, for logs: "greeting". */
const char *vm_state_inner_name(enum vm_state s);
const char *vm_event_name(enum vm_event ev);
const char *vm_action_name(enum vm_action a);
/* In ascending order of life; resting is part of down, up part of live. */
bool vm_state_is_down(enum vm_state s);	    /* no process, and none is being prepared */
bool vm_state_is_resting(enum vm_state s);  /* down by policy: backoff, failed */
bool vm_state_is_starting(enum vm_state s); /* a process, whose guest does not run yet */
bool vm_state_is_up(enum vm_state s);	    /* running or paused */
bool vm_state_is_live(enum vm_state s);	    /* up, or asked to power off */
bool vm_state_has_process(enum vm_state s); /* starting, live, or told to quit */
/* "stopped", "running", "restart" */
const char *vm_want_name(enum vm_want want);

#endif
