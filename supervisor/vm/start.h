/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/start.h - a start under way: the steps of start.c's table, and what they hold
 *
 * A step does its work, or asks for it and waits; then a callback goes on with start_next() or
 * start_failed(). vm->start is there from the first step to the last, and while a monitor that came back
 * is asked. start_free() cancels whatever is waited for, at any time.
 */
#ifndef SUPERVISOR_VM_START_H
#define SUPERVISOR_VM_START_H

#include "supervisor/qemu/probe.h"
#include "supervisor/vm/part.h"

struct start_check;
struct vm_start;

/* STEP_DONE, STEP_WAITS or -errno */
typedef int start_step_fn(struct vm_start *s, struct err *e);

/* STEP_DONE or STEP_WAITS */
typedef int start_check_fn(struct start_check *c);

struct start_step {
	const char *name;    /* for people */
	enum vm_state state; /* the VM's meanwhile; an event leads from one to the next */
	start_step_fn *run;
	start_check_fn *check; /* start_check.h; NULL: nothing is known beforehand */
	enum vm_ending fault;  /* whose a failure is */
	bool later; /* in a turn of the loop of its own, as many may have waited for the same */
};

struct vm_start {
	struct vm *vm;
	const struct start_step *step;
	enum vm_ending fault; /* the step's, unless it knows better */
	struct loop_task task;

	const struct probe *probe;
	size_t nic;  /* whose network is waited for */
	size_t part; /* that starts */
	struct network_wait *net;
	struct confined *tool;

	struct fd_list fds; /* for QEMU */
	json_t *plan;	    /* for the jail */
	int plan_fd;	    /* where it answers */
	ev_io plan_io;
	struct buf reply;
	bool prepared;	 /* it said that exec comes next */
	json_t *refused; /* or why not: told when it ends, which is when the VM's state changes */
	void (*on_exit)(struct vm_start *s); /* the process ended: what it still had to say */
	bool unkept; /* the identity had changed, and the jail has not said yet that it is on disk */
};

/* --- start_state.c --- */
struct vm_start *start_new(struct vm *vm); /* becomes vm->start */
void start_free(struct vm *vm);		   /* NULL afterwards */
void start_close_jail(struct vm_start *s); /* its answer is read, or nobody waits for it */

/* --- start_engine.c --- */
void start_at(struct vm_start *s, const struct start_step *step); /* goes on from there */
void start_next(struct vm_start *s);
void start_failed(struct vm_start *s, const struct err *e);

/* --- the steps --- */
start_step_fn start_permission, start_configuration, start_memory, start_qemu, start_kvm,
	start_identity, start_nvram, start_networks, start_addresses, start_run_dir, start_socket,
	start_parts, start_taps, start_plan, start_record, start_jail, start_monitor, start_status,
	start_bridges, start_run;

#endif
