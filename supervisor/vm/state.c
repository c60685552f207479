/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/state.h"

#include "base/mem.h"

static const struct {
	const char *name, *inner;
	bool process;
} states[] = {
	[VM_STOPPED]   = { "stopped",  "stopped",   false },
	[VM_PREPARING] = { "starting", "preparing", false },
	[VM_SPAWNING]  = { "starting", "spawning",  true },
	[VM_GREETING]  = { "starting", "greeting",  true },
	[VM_JOINING]   = { "starting", "joining",   true },
	[VM_RUNNING]   = { "running",  "running",   true },
	[VM_PAUSED]    = { "paused",   "paused",    true },
	[VM_STOPPING]  = { "stopping", "stopping",  true },
	[VM_QUITTING]  = { "stopping", "quitting",  true },
	[VM_BACKOFF]   = { "backoff",  "backoff",   false },
	[VM_FAILED]    = { "failed",   "failed",    false },
};
_Static_assert(ARRAY_SIZE(states) == VM_STATES, "a state has no name");

static const char *const events[] = {
	[VM_EV_START]	      = "start",
	[VM_EV_STOP]	      = "stop",
	[VM_EV_KILL]	      = "kill",
	[VM_EV_ADOPT]	      = "adopt",
	[VM_EV_ADOPT_EARLY]   = "adopt-early",
	[VM_EV_ADOPT_PAUSED]  = "adopt-paused",
	[VM_EV_PREPARED]      = "prepared",
	[VM_EV_EXECUTED]      = "executed",
	[VM_EV_GREETED]	      = "greeted",
	[VM_EV_JOINED]	      = "joined",
	[VM_EV_JOINED_PAUSED] = "joined-paused",
	[VM_EV_JOINED_ENDED]  = "joined-ended",
	[VM_EV_RESUMED]	      = "resumed",
	[VM_EV_PAUSED]	      = "paused",
	[VM_EV_ENDED]	      = "ended",
	[VM_EV_BROKEN]	      = "broken",
	[VM_EV_GONE_STOP]     = "gone-stop",
	[VM_EV_GONE_RESTART]  = "gone-restart",
	[VM_EV_GONE_FAIL]     = "gone-fail",
	[VM_EV_STOP_LEAVE]    = "stop-leave",
	[VM_EV_STOP_KILL]     = "stop-kill",
	[VM_EV_TIMER]	      = "timer",
};
_Static_assert(ARRAY_SIZE(events) == VM_EVENTS, "an event has no name");

static const char *const actions[] = {
	[VM_DO_NOTHING] = "nothing",
	[VM_DO_PREPARE] = "prepare",
	[VM_DO_CANCEL]	= "cancel",
	[VM_DO_SPAWN]	= "spawn",
	[VM_DO_GREET]	= "greet",
	[VM_DO_JOIN]	= "join",
	[VM_DO_PRESS]	= "press",
	[VM_DO_QUIT]	= "quit",
	[VM_DO_KILL]	= "kill",
	[VM_DO_CLEAN]	= "clean",
	[VM_DO_WAIT]	= "wait",
	[VM_DO_EXPIRE]	= "expire",
};
_Static_assert(ARRAY_SIZE(actions) == VM_ACTIONS, "an action has no name");

#define GO(next_, action_) { true, VM_##next_, VM_DO_##action_ }
#define STAY(state_)	   { true, VM_##state_, VM_DO_NOTHING }

/* clang-format off */
const struct vm_cell vm_table[VM_STATES][VM_EVENTS] = {
	[VM_STOPPED] = {
		[VM_EV_START]	      = GO(PREPARING, PREPARE),
		[VM_EV_STOP]	      = STAY(STOPPED),
		[VM_EV_KILL]	      = STAY(STOPPED),
		/* as its record says, until its monitor answers */
		[VM_EV_ADOPT]	      = GO(RUNNING, GREET),
		[VM_EV_ADOPT_EARLY]   = GO(GREETING, GREET),
		[VM_EV_ADOPT_PAUSED]  = GO(PAUSED, GREET),
		[VM_EV_PREPARED]      = STAY(STOPPED),
		[VM_EV_EXECUTED]      = STAY(STOPPED),
		[VM_EV_GREETED]	      = STAY(STOPPED),
		[VM_EV_JOINED]	      = STAY(STOPPED),
		[VM_EV_JOINED_PAUSED] = STAY(STOPPED),
		[VM_EV_JOINED_ENDED]  = STAY(STOPPED),
		[VM_EV_RESUMED]	      = STAY(STOPPED),
		[VM_EV_PAUSED]	      = STAY(STOPPED),
		[VM_EV_ENDED]	      = STAY(STOPPED),
		[VM_EV_BROKEN]	      = STAY(STOPPED),
		/* adoption found that the process ended while nobody looked */
		[VM_EV_GONE_STOP]     = GO(STOPPED, CLEAN),
		[VM_EV_GONE_RESTART]  = GO(BACKOFF, WAIT),
		[VM_EV_GONE_FAIL]     = GO(FAILED, CLEAN),
		[VM_EV_STOP_LEAVE]    = STAY(STOPPED),
		[VM_EV_STOP_KILL]     = STAY(STOPPED),
		[VM_EV_TIMER]	      = STAY(STOPPED),
	},
	[VM_PREPARING] = {
		[VM_EV_START]	      = STAY(PREPARING),
		[VM_EV_STOP]	      = GO(STOPPED, CANCEL),
		[VM_EV_KILL]	      = GO(STOPPED, CANCEL),
		[VM_EV_ADOPT]	      = STAY(PREPARING),
		[VM_EV_ADOPT_EARLY]   = STAY(PREPARING),
		[VM_EV_ADOPT_PAUSED]  = STAY(PREPARING),
		[VM_EV_PREPARED]      = GO(SPAWNING, SPAWN),
		[VM_EV_EXECUTED]      = STAY(PREPARING),
		[VM_EV_GREETED]	      = STAY(PREPARING),
		[VM_EV_JOINED]	      = STAY(PREPARING),
		[VM_EV_JOINED_PAUSED] = STAY(PREPARING),
		[VM_EV_JOINED_ENDED]  = STAY(PREPARING),
		[VM_EV_RESUMED]	      = STAY(PREPARING),
		[VM_EV_PAUSED]	      = STAY(PREPARING),
		[VM_EV_ENDED]	      = STAY(PREPARING),
		[VM_EV_BROKEN]	      = STAY(PREPARING),
		[VM_EV_GONE_STOP]     = GO(STOPPED, CANCEL),
		[VM_EV_GONE_RESTART]  = GO(BACKOFF, WAIT),
		[VM_EV_GONE_FAIL]     = GO(FAILED, CANCEL),
		[VM_EV_STOP_LEAVE]    = STAY(PREPARING),
		[VM_EV_STOP_KILL]     = STAY(PREPARING),
		/* preparing has deadlines of its own in each of its steps */
		[VM_EV_TIMER]	      = STAY(PREPARING),
	},
	[VM_SPAWNING] = {
		[VM_EV_START]	      = STAY(SPAWNING),
		[VM_EV_STOP]	      = GO(QUITTING, KILL),
		[VM_EV_KILL]	      = GO(QUITTING, KILL),
		[VM_EV_ADOPT]	      = STAY(SPAWNING),
		[VM_EV_ADOPT_EARLY]   = STAY(SPAWNING),
		[VM_EV_ADOPT_PAUSED]  = STAY(SPAWNING),
		[VM_EV_PREPARED]      = STAY(SPAWNING),
		[VM_EV_EXECUTED]      = GO(GREETING, GREET),
		/* both descriptors became readable in one turn of the loop */
		[VM_EV_GREETED]	      = GO(JOINING, JOIN),
		[VM_EV_JOINED]	      = STAY(SPAWNING),
		[VM_EV_JOINED_PAUSED] = STAY(SPAWNING),
		[VM_EV_JOINED_ENDED]  = STAY(SPAWNING),
		[VM_EV_RESUMED]	      = STAY(SPAWNING),
		[VM_EV_PAUSED]	      = STAY(SPAWNING),
		[VM_EV_ENDED]	      = STAY(SPAWNING),
		[VM_EV_BROKEN]	      = GO(QUITTING, KILL),
		[VM_EV_GONE_STOP]     = GO(STOPPED, CLEAN),
		[VM_EV_GONE_RESTART]  = GO(BACKOFF, WAIT),
		[VM_EV_GONE_FAIL]     = GO(FAILED, CLEAN),
		[VM_EV_STOP_LEAVE]    = STAY(SPAWNING),
		[VM_EV_STOP_KILL]     = STAY(SPAWNING),
		[VM_EV_TIMER]	      = GO(QUITTING, EXPIRE),
	},
	[VM_GREETING] = {
		[VM_EV_START]	      = STAY(GREETING),
		[VM_EV_STOP]	      = GO(QUITTING, KILL),
		[VM_EV_KILL]	      = GO(QUITTING, KILL),
		[VM_EV_ADOPT]	      = STAY(GREETING),
		[VM_EV_ADOPT_EARLY]   = STAY(GREETING),
		[VM_EV_ADOPT_PAUSED]  = STAY(GREETING),
		[VM_EV_PREPARED]      = STAY(GREETING),
		[VM_EV_EXECUTED]      = STAY(GREETING),
		[VM_EV_GREETED]	      = GO(JOINING, JOIN),
		[VM_EV_JOINED]	      = STAY(GREETING),
		[VM_EV_JOINED_PAUSED] = STAY(GREETING),
		[VM_EV_JOINED_ENDED]  = STAY(GREETING),
		[VM_EV_RESUMED]	      = STAY(GREETING),
		[VM_EV_PAUSED]	      = STAY(GREETING),
		[VM_EV_ENDED]	      = STAY(GREETING),
		[VM_EV_BROKEN]	      = GO(QUITTING, KILL),
		[VM_EV_GONE_STOP]     = GO(STOPPED, CLEAN),
		[VM_EV_GONE_RESTART]  = GO(BACKOFF, WAIT),
		[VM_EV_GONE_FAIL]     = GO(FAILED, CLEAN),
		[VM_EV_STOP_LEAVE]    = STAY(GREETING),
		[VM_EV_STOP_KILL]     = STAY(GREETING),
		[VM_EV_TIMER]	      = GO(QUITTING, EXPIRE),
	},
	[VM_JOINING] = {
		[VM_EV_START]	      = STAY(JOINING),
		[VM_EV_STOP]	      = GO(QUITTING, KILL),
		[VM_EV_KILL]	      = GO(QUITTING, KILL),
		[VM_EV_ADOPT]	      = STAY(JOINING),
		[VM_EV_ADOPT_EARLY]   = STAY(JOINING),
		[VM_EV_ADOPT_PAUSED]  = STAY(JOINING),
		[VM_EV_PREPARED]      = STAY(JOINING),
		[VM_EV_EXECUTED]      = STAY(JOINING),
		/* the monitor came back after it was lost */
		[VM_EV_GREETED]	      = GO(JOINING, JOIN),
		[VM_EV_JOINED]	      = STAY(RUNNING),
		[VM_EV_JOINED_PAUSED] = STAY(PAUSED),
		[VM_EV_JOINED_ENDED]  = GO(QUITTING, QUIT),
		[VM_EV_RESUMED]	      = STAY(JOINING),
		[VM_EV_PAUSED]	      = STAY(JOINING),
		[VM_EV_ENDED]	      = GO(QUITTING, QUIT),
		[VM_EV_BROKEN]	      = GO(QUITTING, KILL),
		[VM_EV_GONE_STOP]     = GO(STOPPED, CLEAN),
		[VM_EV_GONE_RESTART]  = GO(BACKOFF, WAIT),
		[VM_EV_GONE_FAIL]     = GO(FAILED, CLEAN),
		[VM_EV_STOP_LEAVE]    = STAY(JOINING),
		[VM_EV_STOP_KILL]     = STAY(JOINING),
		[VM_EV_TIMER]	      = GO(QUITTING, EXPIRE),
	},
	[VM_RUNNING] = {
		[VM_EV_START]	      = STAY(RUNNING),
		[VM_EV_STOP]	      = GO(STOPPING, PRESS),
		[VM_EV_KILL]	      = GO(QUITTING, QUIT),
		[VM_EV_ADOPT]	      = STAY(RUNNING),
		[VM_EV_ADOPT_EARLY]   = STAY(RUNNING),
		[VM_EV_ADOPT_PAUSED]  = STAY(RUNNING),
		[VM_EV_PREPARED]      = STAY(RUNNING),
		[VM_EV_EXECUTED]      = STAY(RUNNING),
		/* the monitor came back: look again */
		[VM_EV_GREETED]	      = GO(RUNNING, JOIN),
		[VM_EV_JOINED]	      = STAY(RUNNING),
		[VM_EV_JOINED_PAUSED] = STAY(PAUSED),
		[VM_EV_JOINED_ENDED]  = GO(QUITTING, QUIT),
		[VM_EV_RESUMED]	      = STAY(RUNNING),
		[VM_EV_PAUSED]	      = STAY(PAUSED),
		[VM_EV_ENDED]	      = GO(QUITTING, QUIT),
		/* adopted before it ran */
		[VM_EV_BROKEN]	      = GO(QUITTING, QUIT),
		[VM_EV_GONE_STOP]     = GO(STOPPED, CLEAN),
		[VM_EV_GONE_RESTART]  = GO(BACKOFF, WAIT),
		[VM_EV_GONE_FAIL]     = GO(FAILED, CLEAN),
		[VM_EV_STOP_LEAVE]    = STAY(RUNNING),
		[VM_EV_STOP_KILL]     = STAY(RUNNING),
		/* armed while the monitor is lost, and after a reset */
		[VM_EV_TIMER]	      = GO(RUNNING, GREET),
	},
	[VM_PAUSED] = {
		[VM_EV_START]	      = STAY(PAUSED),
		[VM_EV_STOP]	      = GO(STOPPING, PRESS),
		[VM_EV_KILL]	      = GO(QUITTING, QUIT),
		[VM_EV_ADOPT]	      = STAY(PAUSED),
		[VM_EV_ADOPT_EARLY]   = STAY(PAUSED),
		[VM_EV_ADOPT_PAUSED]  = STAY(PAUSED),
		[VM_EV_PREPARED]      = STAY(PAUSED),
		[VM_EV_EXECUTED]      = STAY(PAUSED),
		/* the monitor came back: look again */
		[VM_EV_GREETED]	      = GO(PAUSED, JOIN),
		[VM_EV_JOINED]	      = STAY(RUNNING),
		[VM_EV_JOINED_PAUSED] = STAY(PAUSED),
		[VM_EV_JOINED_ENDED]  = GO(QUITTING, QUIT),
		[VM_EV_RESUMED]	      = STAY(RUNNING),
		[VM_EV_PAUSED]	      = STAY(PAUSED),
		[VM_EV_ENDED]	      = GO(QUITTING, QUIT),
		[VM_EV_BROKEN]	      = GO(QUITTING, QUIT),
		[VM_EV_GONE_STOP]     = GO(STOPPED, CLEAN),
		[VM_EV_GONE_RESTART]  = GO(BACKOFF, WAIT),
		[VM_EV_GONE_FAIL]     = GO(FAILED, CLEAN),
		[VM_EV_STOP_LEAVE]    = STAY(PAUSED),
		[VM_EV_STOP_KILL]     = STAY(PAUSED),
		/* armed only while the monitor is lost */
		[VM_EV_TIMER]	      = GO(PAUSED, GREET),
	},
	[VM_STOPPING] = {
		[VM_EV_START]	      = STAY(STOPPING),
		[VM_EV_STOP]	      = GO(STOPPING, PRESS),
		[VM_EV_KILL]	      = GO(QUITTING, QUIT),
		[VM_EV_ADOPT]	      = STAY(STOPPING),
		[VM_EV_ADOPT_EARLY]   = STAY(STOPPING),
		[VM_EV_ADOPT_PAUSED]  = STAY(STOPPING),
		[VM_EV_PREPARED]      = STAY(STOPPING),
		[VM_EV_EXECUTED]      = STAY(STOPPING),
		/* the monitor came back: look again */
		[VM_EV_GREETED]	      = GO(STOPPING, JOIN),
		[VM_EV_JOINED]	      = GO(STOPPING, PRESS),
		[VM_EV_JOINED_PAUSED] = GO(STOPPING, PRESS),
		[VM_EV_JOINED_ENDED]  = GO(QUITTING, QUIT),
		[VM_EV_RESUMED]	      = STAY(STOPPING),
		[VM_EV_PAUSED]	      = STAY(STOPPING),
		[VM_EV_ENDED]	      = GO(QUITTING, QUIT),
		[VM_EV_BROKEN]	      = GO(QUITTING, QUIT),
		[VM_EV_GONE_STOP]     = GO(STOPPED, CLEAN),
		[VM_EV_GONE_RESTART]  = GO(BACKOFF, WAIT),
		[VM_EV_GONE_FAIL]     = GO(FAILED, CLEAN),
		/* it may have been paused meanwhile, or its monitor lost: look again */
		[VM_EV_STOP_LEAVE]    = GO(RUNNING, JOIN),
		[VM_EV_STOP_KILL]     = GO(QUITTING, QUIT),
		[VM_EV_TIMER]	      = GO(STOPPING, PRESS),
	},
	[VM_QUITTING] = {
		/* a start now is kept as the wish and acted on when the process is gone */
		[VM_EV_START]	      = STAY(QUITTING),
		[VM_EV_STOP]	      = STAY(QUITTING),
		[VM_EV_KILL]	      = GO(QUITTING, KILL),
		[VM_EV_ADOPT]	      = STAY(QUITTING),
		[VM_EV_ADOPT_EARLY]   = STAY(QUITTING),
		[VM_EV_ADOPT_PAUSED]  = STAY(QUITTING),
		[VM_EV_PREPARED]      = STAY(QUITTING),
		[VM_EV_EXECUTED]      = STAY(QUITTING),
		[VM_EV_GREETED]	      = GO(QUITTING, QUIT),
		[VM_EV_JOINED]	      = STAY(QUITTING),
		[VM_EV_JOINED_PAUSED] = STAY(QUITTING),
		[VM_EV_JOINED_ENDED]  = STAY(QUITTING),
		[VM_EV_RESUMED]	      = STAY(QUITTING),
		[VM_EV_PAUSED]	      = STAY(QUITTING),
		[VM_EV_ENDED]	      = STAY(QUITTING),
		[VM_EV_BROKEN]	      = STAY(QUITTING),
		[VM_EV_GONE_STOP]     = GO(STOPPED, CLEAN),
		[VM_EV_GONE_RESTART]  = GO(BACKOFF, WAIT),
		[VM_EV_GONE_FAIL]     = GO(FAILED, CLEAN),
		[VM_EV_STOP_LEAVE]    = STAY(QUITTING),
		[VM_EV_STOP_KILL]     = STAY(QUITTING),
		[VM_EV_TIMER]	      = GO(QUITTING, KILL),
	},
	[VM_BACKOFF] = {
		[VM_EV_START]	      = GO(PREPARING, PREPARE),
		[VM_EV_STOP]	      = STAY(STOPPED),
		[VM_EV_KILL]	      = STAY(STOPPED),
		[VM_EV_ADOPT]	      = STAY(BACKOFF),
		[VM_EV_ADOPT_EARLY]   = STAY(BACKOFF),
		[VM_EV_ADOPT_PAUSED]  = STAY(BACKOFF),
		[VM_EV_PREPARED]      = STAY(BACKOFF),
		[VM_EV_EXECUTED]      = STAY(BACKOFF),
		[VM_EV_GREETED]	      = STAY(BACKOFF),
		[VM_EV_JOINED]	      = STAY(BACKOFF),
		[VM_EV_JOINED_PAUSED] = STAY(BACKOFF),
		[VM_EV_JOINED_ENDED]  = STAY(BACKOFF),
		[VM_EV_RESUMED]	      = STAY(BACKOFF),
		[VM_EV_PAUSED]	      = STAY(BACKOFF),
		[VM_EV_ENDED]	      = STAY(BACKOFF),
		[VM_EV_BROKEN]	      = STAY(BACKOFF),
		[VM_EV_GONE_STOP]     = STAY(STOPPED),
		[VM_EV_GONE_RESTART]  = STAY(BACKOFF),
		[VM_EV_GONE_FAIL]     = STAY(FAILED),
		[VM_EV_STOP_LEAVE]    = STAY(BACKOFF),
		[VM_EV_STOP_KILL]     = STAY(BACKOFF),
		[VM_EV_TIMER]	      = GO(PREPARING, PREPARE),
	},
	[VM_FAILED] = {
		[VM_EV_START]	      = GO(PREPARING, PREPARE),
		[VM_EV_STOP]	      = STAY(STOPPED),
		[VM_EV_KILL]	      = STAY(STOPPED),
		[VM_EV_ADOPT]	      = STAY(FAILED),
		[VM_EV_ADOPT_EARLY]   = STAY(FAILED),
		[VM_EV_ADOPT_PAUSED]  = STAY(FAILED),
		[VM_EV_PREPARED]      = STAY(FAILED),
		[VM_EV_EXECUTED]      = STAY(FAILED),
		[VM_EV_GREETED]	      = STAY(FAILED),
		[VM_EV_JOINED]	      = STAY(FAILED),
		[VM_EV_JOINED_PAUSED] = STAY(FAILED),
		[VM_EV_JOINED_ENDED]  = STAY(FAILED),
		[VM_EV_RESUMED]	      = STAY(FAILED),
		[VM_EV_PAUSED]	      = STAY(FAILED),
		[VM_EV_ENDED]	      = STAY(FAILED),
		[VM_EV_BROKEN]	      = STAY(FAILED),
		[VM_EV_GONE_STOP]     = STAY(STOPPED),
		[VM_EV_GONE_RESTART]  = STAY(FAILED),
		[VM_EV_GONE_FAIL]     = STAY(FAILED),
		[VM_EV_STOP_LEAVE]    = STAY(FAILED),
		[VM_EV_STOP_KILL]     = STAY(FAILED),
		[VM_EV_TIMER]	      = STAY(FAILED),
	},
};
/* clang-format on */

const char *vm_state_name(enum vm_state s)
{
	return states[s].name;
}

const char *vm_state_inner_name(enum vm_state s)
{
	return states[s].inner;
}

const char *vm_event_name(enum vm_event ev)
{
	return events[ev];
}

const char *vm_action_name(enum vm_action a)
{
	return actions[a];
}

bool vm_state_has_process(enum vm_state s)
{
	return states[s].process;
}
