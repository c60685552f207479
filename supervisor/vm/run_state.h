/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/run_state.h - what each of QEMU's run states means for a VM
 *
 * The states of RunState in QEMU's qapi/run-state.json, up to QEMU 10. A start, an adoption and a
 * guest that stopped all look up the same table.
 */
#ifndef SUPERVISOR_VM_RUN_STATE_H
#define SUPERVISOR_VM_RUN_STATE_H

#include "supervisor/vm/policy.h"

enum run_kind {
	RUN_GOES,     /* the guest runs, or sleeps by itself */
	RUN_FRESH,    /* it has never run */
	RUN_PAUSED,   /* cont goes on */
	RUN_IO_ERROR, /* likewise, once the disk's trouble is over */
	RUN_BUSY,     /* a snapshot is under way, and its job changes the state when done */
	RUN_ENDED,    /* only the process is left */
	RUN_UNKNOWN   /* of a newer QEMU: taken as paused */
};

struct run_state {
	const char *name;
	enum run_kind kind;
	enum vm_ending ending; /* of RUN_ENDED */
	const char *why;       /* the reason that users see */
};

/* Never NULL. */
const struct run_state *run_state_find(const char *name);

#endif
