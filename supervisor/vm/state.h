/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/state.h - the state machine of a VM, pure
 *
 * state and event -> next state and action. Verbs, QEMU, the kernel and timers become events;
 * where policy decides (restart or not, leave or kill) it picks the event, not the rule. Nothing
 * else writes a VM's state; tests walk these very rules. The desired state is a separate
 * variable: wish.c.
 */
#ifndef SUPERVISOR_VM_STATE_H
#define SUPERVISOR_VM_STATE_H

#include <stdbool.h>
#include <stddef.h>

enum vm_want {
	VM_WANT_STOPPED,
	VM_WANT_RUNNING,
	VM_WANT_RESTART, /* end the process, whatever the cause of its end, then start it again */
	VM_WANTS
};

enum vm_state {
	VM_STOPPED,   /* no process */
	VM_PREPARING, /* probe, KVM proof, networks; no process yet */
	VM_SPAWNING,  /* vmkeep-jail executes its plan */
	VM_GREETING,  /* QEMU was executed; its monitor has not answered yet */
	VM_JOINING,   /* monitor answers; queries, network, balloon, cont */
	VM_RUNNING,
	VM_PAUSED,
	VM_STOPPING, /* the guest was asked to power off */
	VM_QUITTING, /* QEMU was told to quit, or killed; waiting for its exit */
	VM_BACKOFF,  /* no process; restarts when the timer fires */
	VM_FAILED,   /* no process; restart limit reached */
	VM_STATES
};

enum vm_event {
	VM_EV_START,	     /* verb or policy wants it running */
	VM_EV_STOP,	     /* verb wants it powered off */
	VM_EV_KILL,	     /* verb wants it gone now */
	VM_EV_ADOPT,	     /* our process was found after a restart of the daemon */
	VM_EV_ADOPT_EARLY,   /* the same, but its guest has never run */
	VM_EV_ADOPT_PAUSED,  /* the same, but it was paused when last seen */
	VM_EV_PREPARED,	     /* ready to spawn */
	VM_EV_EXECUTED,	     /* the jail became QEMU */
	VM_EV_GREETED,	     /* QMP negotiated */
	VM_EV_JOINED,	     /* guest runs */
	VM_EV_JOINED_PAUSED, /* set up, but paused as requested or as found */
	VM_EV_JOINED_ENDED,  /* found as a tombstone */
	VM_EV_RESUMED,	     /* QEMU sent RESUME */
	VM_EV_PAUSED,	     /* QEMU sent STOP */
	/* guest powered off, panicked or its watchdog fired: only the tombstone is left */
	VM_EV_ENDED,
	VM_EV_BROKEN,	    /* start failed while there is a process */
	VM_EV_GONE_STOP,    /* no process (any more); stays down */
	VM_EV_GONE_RESTART, /* no process; policy restarts it */
	VM_EV_GONE_FAIL,    /* no process; restart limit reached */
	VM_EV_STOP_LEAVE,   /* stop timed out, policy leaves it running */
	VM_EV_STOP_KILL,    /* stop timed out, policy kills it */
	VM_EV_TIMER,	    /* the timer of the state fired */
	VM_EVENTS
};

enum vm_action {
	VM_DO_NOTHING,
	VM_DO_PREPARE,
	VM_DO_SPAWN,
	VM_DO_GREET,
	VM_DO_JOIN,
	VM_DO_PRESS,  /* the power button */
	VM_DO_INSIST, /* press again until the deadline of the stop, then policy decides */
	VM_DO_QUIT,   /* QMP quit, then a timeout */
	VM_DO_KILL,   /* SIGKILL */
	VM_DO_CLEAN,  /* undo what was made or is being prepared */
	VM_DO_EXPIRE, /* start timed out: record why, then SIGKILL */
	VM_ACTIONS
};

struct vm_rule {
	enum vm_event event;
	unsigned in;	  /* set of states */
	enum vm_state to; /* VM_STATES: unchanged */
	enum vm_action action;
};

/* At most one rule matches a state and event. tests/golden/states.txt lists the result. */
extern const struct vm_rule vm_rules[];
extern const size_t vm_rules_count;

struct vm_outcome {
	enum vm_state next;
	enum vm_action action;
};

/* An event that no rule matches changes nothing. */
struct vm_outcome vm_outcome(enum vm_state s, enum vm_event ev);

/* Names of the API: stopped starting running paused stopping backoff failed. */
const char *vm_state_name(enum vm_state s);
/* Precise name, for logs: "greeting". */
const char *vm_state_inner_name(enum vm_state s);
const char *vm_event_name(enum vm_event ev);
const char *vm_action_name(enum vm_action a);
/* Sets of states, from down to up; resting is part of down, up part of live. */
bool vm_state_is_down(enum vm_state s);	    /* no process, and no start is being prepared */
bool vm_state_is_resting(enum vm_state s);  /* down by policy: backoff, failed */
bool vm_state_is_starting(enum vm_state s); /* a process, but its guest does not run yet */
bool vm_state_is_up(enum vm_state s);	    /* running or paused */
bool vm_state_is_live(enum vm_state s);	    /* up, or asked to power off */
bool vm_state_has_process(enum vm_state s); /* starting, live or quitting */
/* "stopped", "running", "restart" */
const char *vm_want_name(enum vm_want want);

#endif
