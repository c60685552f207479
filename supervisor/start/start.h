/* SPDX-License-Identifier: MIT */
/*
 * supervisor/start/start.h - the steps of a start, in the order of the table in start.c
 */
#ifndef SUPERVISOR_START_START_H
#define SUPERVISOR_START_START_H

#include "supervisor/vm/start_state.h"

/* --- start.c --- */
/* The actions of the state table. The daemon passes them to vm_event(), which calls none of them by
 * name. NULL: VM_DO_NOTHING. */
extern void (*const vm_actions[VM_ACTIONS])(struct vm *vm);

/* --- engine.c --- */
void start_at(struct vm_start *s, const struct start_step *step); /* continues there */
void start_next(struct vm_start *s);
void start_failed(struct vm_start *s, const struct err *e);
/* What a part's start waited for is ready, or failed. Not from within that start. */
void vm_part_started(struct vm *vm, const struct err *e);

/* --- prepare.c --- */
/* Fills in what is missing (uid, UUID, MAC addresses, ...); also for `cmdline` and `check`. */
int vm_complete_identity(struct vm *vm, const struct conf_vm *c, struct err *e);
void start_make_nics(struct vm *vm); /* vm->proc.nic, from vm->proc.conf and the identity */
void start_make_nic(struct vm *vm, const struct conf_nic *c); /* one more; the identity knows it */
int start_claim_nic(struct vm *vm, struct network_nic *n, struct err *e);

/* --- the steps --- */
start_step_fn start_permission, start_configuration, start_memory, start_qemu, start_kvm,
	start_identity, start_volumes, start_nvram, start_networks, start_addresses, start_run_dir,
	start_socket, start_parts, start_taps, start_seed, start_plan, start_record, start_jail,
	start_monitor, start_status, start_bridges, start_run;

#endif
