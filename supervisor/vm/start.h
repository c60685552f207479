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

struct start_step {
	const char *name;    /* for people */
	enum vm_state state; /* the VM's meanwhile; an event leads from one to the next */
	int (*run)(struct vm_start *s, struct err *e); /* as above, or -errno */
	int (*check)(struct start_check *c); /* start_check.h; NULL: nothing is known beforehand */
	enum vm_ending fault;		     /* whose a failure is */
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
int start_permission(struct vm_start *s, struct err *e);
int start_configuration(struct vm_start *s, struct err *e);
int start_memory(struct vm_start *s, struct err *e);
int start_qemu(struct vm_start *s, struct err *e);
int start_kvm(struct vm_start *s, struct err *e);
int start_identity(struct vm_start *s, struct err *e);
int start_nvram(struct vm_start *s, struct err *e);
int start_networks(struct vm_start *s, struct err *e);
int start_addresses(struct vm_start *s, struct err *e);

int start_run_dir(struct vm_start *s, struct err *e);
int start_socket(struct vm_start *s, struct err *e);
int start_parts(struct vm_start *s, struct err *e);
int start_taps(struct vm_start *s, struct err *e);
int start_plan(struct vm_start *s, struct err *e);
int start_record(struct vm_start *s, struct err *e);
int start_jail(struct vm_start *s, struct err *e);

int start_monitor(struct vm_start *s, struct err *e);
int start_status(struct vm_start *s, struct err *e);
int start_bridges(struct vm_start *s, struct err *e);
int start_run(struct vm_start *s, struct err *e);

#endif
