/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/start_state.h - a start in progress: its step and its data
 *
 * A step does its work, or sends a request and waits; then a callback calls start_next() or
 * start_failed(). vm->start exists from the first step to the last, and while a reconnected
 * monitor is queried. start_free() cancels any pending request, at any time.
 */
#ifndef SUPERVISOR_VM_START_STATE_H
#define SUPERVISOR_VM_START_STATE_H

#include "supervisor/core/volume.h"
#include "supervisor/qemu/probe.h"
#include "supervisor/vm/part.h"

struct start_check;
struct vm_start;

/* STEP_DONE, STEP_WAITS or -errno */
typedef int start_step_fn(struct vm_start *s, struct err *e);

/* STEP_DONE or STEP_WAITS */
typedef int start_check_fn(struct start_check *c);

struct start_step {
	const char *name; /* for people */
	/* state of the VM during the step; an event leads from one state to the next */
	enum vm_state state;
	start_step_fn *run;
	start_check_fn *check; /* start/check.h; NULL: nothing to check in advance */
	enum vm_ending fault;  /* who is at fault, unless the error's class tells: policy.h */
	/* run from a new loop iteration, since many may have waited for the same thing */
	bool later;
};

struct vm_start {
	struct vm *vm;
	const struct start_step *step;
	enum vm_ending fault; /* of the step, unless it sets another, which holds for any class */
	struct loop_task task;

	const struct probe *probe;
	size_t nic;  /* the NIC whose network we wait for */
	size_t part; /* being started */
	struct network_wait *net;
	struct confined *tool;
	struct child *child; /* of ours */
	size_t disk;	     /* the volume that its store is asked for */
	struct volume_call *volume;

	struct fd_list fds; /* for QEMU */
	json_t *plan;	    /* for the jail */
	int plan_fd;	    /* socket on which it answers */
	ev_io plan_io;
	struct buf reply;
	bool prepared; /* the jail announced its exec */
	/* the error it sent instead; reported when it exits, since that changes the VM's state */
	json_t *refused;
	void (*on_exit)(struct vm_start *s); /* the process exited: reads its remaining messages */
	/* the identity changed, and the jail has not confirmed yet that it is on disk */
	bool unkept;
};

struct vm_start *start_new(struct vm *vm);			       /* becomes vm->start */
void start_free(struct vm *vm);					       /* sets vm->start to NULL */
enum vm_ending start_jail_error(const json_t *refused, struct err *e); /* who is at fault */
void start_close_jail(struct vm_start *s); /* its answer is complete, or no longer wanted */

#endif
