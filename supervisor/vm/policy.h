/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/policy.h - what an ending leads to, pure
 *
 * QEMU's exit status does not distinguish a power-off from a panic or a quit; events and queries
 * do. This file maps ending and configuration to an event for the state table.
 */
#ifndef SUPERVISOR_VM_POLICY_H
#define SUPERVISOR_VM_POLICY_H

#include "base/err.h"
#include "conf/vm.h"
#include "supervisor/vm/state.h"

enum vm_ending {
	VM_END_NONE,	  /* still running, or cause unknown */
	VM_END_POWER_OFF, /* the guest powered off */
	VM_END_REBOOT,	  /* the guest rebooted, and OnReboot= makes that an ending */
	VM_END_PANIC,
	VM_END_WATCHDOG,
	VM_END_HOST_SIGNAL,  /* QEMU got TERM, INT or HUP */
	VM_END_QUIT,	     /* our quit, or kill */
	VM_END_CRASH,	     /* exited on its own, or killed from outside */
	VM_END_START_FAILED, /* it must be repaired: configuration, image, permission */
	VM_END_HOST_CAUSE,   /* it may pass: path, network, memory, lock */
	VM_END_QMP_QUIT,     /* somebody sent a quit over QMP */
	VM_END_HOST_DOWN,    /* the host went down under it */
	VM_ENDINGS
};

enum { POLICY_PAST = 64, POLICY_MANY = 100000 /* maximum of StartLimitPerDay= */ };

/* History of restarts. Up to POLICY_PAST entries; beyond that, neighbouring restarts are merged
 * under the time of the last one, so that the count of a day is complete for any
 * StartLimitPerDay=. */
struct policy_memory {
	struct policy_past {
		double at; /* boot-time seconds */
		unsigned n;
	} past[POLICY_PAST]; /* oldest first */
	unsigned n;
	unsigned in_row; /* exponent of the restart delay */
};

struct policy_verdict {
	enum vm_event event; /* VM_EV_GONE_* */
	double delay;	     /* seconds until the restart */
	/* of a failure: "restart limit of StartLimitBurst= reached", else NULL */
	const char *why;
};

/* wanted: the VM is still supposed to run. by_policy: the start that ended was not requested by
 * a verb. */
struct policy_verdict policy_gone(const struct conf_vm *c, enum vm_ending ending, bool wanted,
	bool by_policy, struct policy_memory *m, double now);
/* What to do with the tombstone of a guest that ended by itself. */
enum conf_ending policy_ended(const struct conf_vm *c, enum vm_ending ending);
/* It has been up long enough: the delay after the next crash is short again. */
void policy_settled(struct policy_memory *m);
/* "guest-shutdown", "guest-panicked": the name in the API. */
const char *vm_ending_name(enum vm_ending ending);
/* For run records: unlike the names above, unique. */
const char *vm_ending_word(enum vm_ending ending);
/* Who is at fault for a start that failed with an error of that class in a step whose errors are
 * usually the fault of step: what a person must repair is the VM's failure, with its limits; what
 * passes by itself is the host's, and retried for ever. */
enum vm_ending policy_start_fault(enum vm_ending step, enum err_class class);
/* While the host boots, what a start lacks may come at any moment: the start is repeated soon, and
 * nobody needs to be told. */
bool policy_is_eager(enum vm_ending ending, double until, double now);
/* It ended by itself, and abnormally. */
bool vm_ending_is_wrong(enum vm_ending ending);

#endif
