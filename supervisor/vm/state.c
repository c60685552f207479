/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/state.h"

#include "base/mem.h"

static const char *const wants[] = {
	[VM_WANT_STOPPED] = "stopped",
	[VM_WANT_RUNNING] = "running",
	[VM_WANT_RESTART] = "restart",
};
_Static_assert(ARRAY_SIZE(wants) == VM_WANTS, "a wish has no name");

#define S(state_) (1u << VM_##state_)
#define STARTING  (S(SPAWNING) | S(GREETING) | S(JOINING))
#define UP	  (S(RUNNING) | S(PAUSED))
#define LIVE	  (UP | S(STOPPING))
#define RESTING	  (S(BACKOFF) | S(FAILED))
#define DOWN	  (S(STOPPED) | RESTING)

/* clang-format off */
static const struct {
	const char *name, *inner;
} states[] = {
	[VM_STOPPED]   = { "stopped",  "stopped" },
	[VM_PREPARING] = { "starting", "preparing" },
	[VM_SPAWNING]  = { "starting", "spawning" },
	[VM_GREETING]  = { "starting", "greeting" },
	[VM_JOINING]   = { "starting", "joining" },
	[VM_RUNNING]   = { "running",  "running" },
	[VM_PAUSED]    = { "paused",   "paused" },
	[VM_STOPPING]  = { "stopping", "stopping" },
	[VM_QUITTING]  = { "stopping", "quitting" },
	[VM_BACKOFF]   = { "backoff",  "backoff" },
	[VM_FAILED]    = { "failed",   "failed" },
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(states) == VM_STATES, "a state has no name");

/* clang-format off */
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
/* clang-format on */
_Static_assert(ARRAY_SIZE(events) == VM_EVENTS, "an event has no name");

/* clang-format off */
static const char *const actions[] = {
	[VM_DO_NOTHING] = "nothing",
	[VM_DO_PREPARE] = "prepare",
	[VM_DO_SPAWN]	= "spawn",
	[VM_DO_GREET]	= "greet",
	[VM_DO_JOIN]	= "join",
	[VM_DO_PRESS]	= "press",
	[VM_DO_INSIST]	= "insist",
	[VM_DO_QUIT]	= "quit",
	[VM_DO_KILL]	= "kill",
	[VM_DO_CLEAN]	= "clean",
	[VM_DO_EXPIRE]	= "expire",
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(actions) == VM_ACTIONS, "an action has no name");

/* clang-format off */
const struct vm_rule vm_rules[] = {
	/* verbs and policy. A start in QUITTING only sets want, until the process is gone. */
	{ VM_EV_START,         DOWN,                          VM_PREPARING, VM_DO_PREPARE },
	{ VM_EV_STOP,          LIVE,                          VM_STOPPING,  VM_DO_PRESS },
	{ VM_EV_STOP,          STARTING,                      VM_QUITTING,  VM_DO_KILL },
	{ VM_EV_STOP,          S(PREPARING),                  VM_STOPPED,   VM_DO_CLEAN },
	{ VM_EV_STOP,          RESTING,                       VM_STOPPED,   VM_DO_NOTHING },
	{ VM_EV_KILL,          LIVE,                          VM_QUITTING,  VM_DO_QUIT },
	{ VM_EV_KILL,          STARTING | S(QUITTING),        VM_QUITTING,  VM_DO_KILL },
	{ VM_EV_KILL,          S(PREPARING),                  VM_STOPPED,   VM_DO_CLEAN },
	{ VM_EV_KILL,          RESTING,                       VM_STOPPED,   VM_DO_NOTHING },
	{ VM_EV_STOP_LEAVE,    S(STOPPING),                   VM_RUNNING,   VM_DO_JOIN },
	{ VM_EV_STOP_KILL,     S(STOPPING),                   VM_QUITTING,  VM_DO_QUIT },

	/* adoption: the recorded state, until the monitor answers */
	{ VM_EV_ADOPT,         S(STOPPED),                    VM_RUNNING,   VM_DO_GREET },
	{ VM_EV_ADOPT_EARLY,   S(STOPPED),                    VM_GREETING,  VM_DO_GREET },
	{ VM_EV_ADOPT_PAUSED,  S(STOPPED),                    VM_PAUSED,    VM_DO_GREET },

	/* a start, step by step. GREETED: both fds may become readable in one loop iteration,
	 * and a lost monitor may come back in any state. */
	{ VM_EV_PREPARED,      S(PREPARING),                  VM_SPAWNING,  VM_DO_SPAWN },
	{ VM_EV_EXECUTED,      S(SPAWNING),                   VM_GREETING,  VM_DO_GREET },
	{ VM_EV_GREETED,       STARTING,                      VM_JOINING,   VM_DO_JOIN },
	{ VM_EV_GREETED,       LIVE,                          VM_STATES,    VM_DO_JOIN },
	{ VM_EV_GREETED,       S(QUITTING),                   VM_QUITTING,  VM_DO_QUIT },
	{ VM_EV_JOINED,        S(JOINING) | S(PAUSED),        VM_RUNNING,   VM_DO_NOTHING },
	{ VM_EV_JOINED,        S(STOPPING),                   VM_STOPPING,  VM_DO_PRESS },
	{ VM_EV_JOINED_PAUSED, S(JOINING) | S(RUNNING),       VM_PAUSED,    VM_DO_NOTHING },
	{ VM_EV_JOINED_PAUSED, S(STOPPING),                   VM_STOPPING,  VM_DO_PRESS },
	{ VM_EV_JOINED_ENDED,  S(JOINING) | LIVE,             VM_QUITTING,  VM_DO_QUIT },
	{ VM_EV_BROKEN,        STARTING,                      VM_QUITTING,  VM_DO_KILL },
	{ VM_EV_BROKEN,        LIVE,                          VM_QUITTING,  VM_DO_QUIT },

	/* QMP events */
	{ VM_EV_RESUMED,       S(PAUSED),                     VM_RUNNING,   VM_DO_NOTHING },
	{ VM_EV_PAUSED,        S(RUNNING),                    VM_PAUSED,    VM_DO_NOTHING },
	{ VM_EV_ENDED,         S(JOINING) | LIVE,             VM_QUITTING,  VM_DO_QUIT },

	/* the process is gone; in STOPPED: it ended while there was no daemon */
	{ VM_EV_GONE_STOP,     ~RESTING,                      VM_STOPPED,   VM_DO_CLEAN },
	{ VM_EV_GONE_STOP,     RESTING,                       VM_STOPPED,   VM_DO_NOTHING },
	{ VM_EV_GONE_RESTART,  ~RESTING,                      VM_BACKOFF,   VM_DO_CLEAN },
	{ VM_EV_GONE_FAIL,     ~RESTING,                      VM_FAILED,    VM_DO_CLEAN },
	{ VM_EV_GONE_FAIL,     S(BACKOFF),                    VM_FAILED,    VM_DO_NOTHING },

	/* the timer of the state; each step in PREPARING has its own timeout */
	{ VM_EV_TIMER,         STARTING,                      VM_QUITTING,  VM_DO_EXPIRE },
	{ VM_EV_TIMER,         S(STOPPING),                   VM_STOPPING,  VM_DO_INSIST },
	{ VM_EV_TIMER,         S(QUITTING),                   VM_QUITTING,  VM_DO_KILL },
	{ VM_EV_TIMER,         S(BACKOFF),                    VM_PREPARING, VM_DO_PREPARE },
};
/* clang-format on */
const size_t vm_rules_count = ARRAY_SIZE(vm_rules);

struct vm_outcome vm_outcome(enum vm_state s, enum vm_event ev)
{
	for (size_t i = 0; i < ARRAY_SIZE(vm_rules); i++) {
		const struct vm_rule *r = &vm_rules[i];

		if (r->event == ev && r->in & 1u << s)
			return (struct vm_outcome){ r->to == VM_STATES ? s : r->to, r->action };
	}
	return (struct vm_outcome){ s, VM_DO_NOTHING };
}

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
	return 1u << s & (STARTING | LIVE | S(QUITTING));
}

bool vm_state_is_starting(enum vm_state s)
{
	return 1u << s & STARTING;
}

bool vm_state_is_up(enum vm_state s)
{
	return 1u << s & UP;
}

bool vm_state_is_live(enum vm_state s)
{
	return 1u << s & LIVE;
}

bool vm_state_is_resting(enum vm_state s)
{
	return 1u << s & RESTING;
}

bool vm_state_is_down(enum vm_state s)
{
	return 1u << s & DOWN;
}

const char *vm_want_name(enum vm_want want)
{
	return wants[want];
}
