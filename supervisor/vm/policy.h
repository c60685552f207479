/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/policy.h - what an ending means, pure
 *
 * QEMU's exit status cannot tell a power-off from a panic or a quit; events and queries did. Here the
 * ending and the configuration become the event for the rules.
 */
#ifndef SUPERVISOR_VM_POLICY_H
#define SUPERVISOR_VM_POLICY_H

#include "conf/vm.h"
#include "supervisor/vm/state.h"

enum vm_ending {
	VM_END_NONE,	  /* still there, or not known why */
	VM_END_POWER_OFF, /* the guest powered off */
	VM_END_REBOOT,	  /* the guest rebooted and OnReboot= ends it */
	VM_END_PANIC,
	VM_END_WATCHDOG,
	VM_END_HOST_SIGNAL,  /* somebody sent QEMU a TERM, INT or HUP */
	VM_END_QUIT,	     /* our quit, or kill */
	VM_END_CRASH,	     /* vanished by itself, or killed by somebody else */
	VM_END_START_FAILED, /* QEMU or the jail did not come up */
	VM_END_HOST_CAUSE,   /* path, network, memory, lock: the host's fault */
	VM_END_QMP_QUIT,     /* a quit that somebody sent by hand */
	VM_ENDINGS
};

enum { POLICY_PAST = 64, POLICY_MANY = 100000 /* the most StartLimitPerDay= can be */ };

/* Restarts. Up to POLICY_PAST each has its time; of more, some that followed each other have the time
 * of the last of them: none is forgotten within a day, whatever StartLimitPerDay= is. */
struct policy_memory {
	struct policy_past {
		double at; /* boot-time seconds */
		unsigned n;
	} past[POLICY_PAST]; /* oldest first */
	unsigned n;
	unsigned in_row; /* for the doubling delay */
};

struct policy_verdict {
	enum vm_event event; /* VM_EV_GONE_* */
	double delay;	     /* seconds until the restart */
	const char *why;     /* of a failure: "5 restarts in 10min", else NULL */
};

/* wanted: the wish is still to run. by_policy: the start that ended was not asked for by a verb. */
struct policy_verdict policy_gone(const struct conf_vm *c, enum vm_ending ending, bool wanted,
	bool by_policy, struct policy_memory *m, double now);
/* What to do with the tombstone of a guest that ended by itself. */
enum conf_ending policy_ended(const struct conf_vm *c, enum vm_ending ending);
/* It has been up long enough: a later crash starts with the short delay again. */
void policy_settled(struct policy_memory *m);
/* "guest-shutdown", "guest-panicked": the contract's word. */
const char *vm_ending_name(enum vm_ending ending);
/* For run records: unlike the names above, no two are the same. */
const char *vm_ending_word(enum vm_ending ending);
/* It ended by itself, and not well. */
bool vm_ending_is_wrong(enum vm_ending ending);

#endif
