/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/check.h - would it start? Everything that can be known before it does
 *
 * Beyond the configuration's text: what VM files claim both, memory, networks and bridges, VNC
 * ports, the QEMU binary and its machines, KVM, and all files as the VM's uid sees them, which
 * vmkeep-jail looks at. Nothing is made and nothing started. VM after VM, so that many VMs are as
 * little load as one.
 */
#ifndef SUPERVISOR_VM_CHECK_H
#define SUPERVISOR_VM_CHECK_H

#include <jansson.h>

#include "supervisor/vm/vms.h"

/* A row of what check returns: file, line, key, reason, severity ("error", "warning"), hint. place
 * and key may be NULL, hint empty. */
void check_row(json_t *rows, const struct conf_place *place, const char *key, const char *severity,
	const char *reason, const char *hint);

struct vm_check;
/* Adds to rows (borrowed) what is wrong with this VM, or with all where name is NULL; then done,
 * from the loop or at once. */
struct vm_check *vm_check_new(
	struct daemon *d, const char *name, json_t *rows, void (*done)(void *data), void *data);
void vm_check_run(struct vm_check *c);
/* Also after done; done is not called any more. */
void vm_check_free(struct vm_check *c);

/* --- check_jail.c: the child that looks at files --- */

struct check_jail;
/* problem: an object as in jail/plan.h; NULL at the end, then e says what kept it from looking, if
 * anything did. The jail is gone with the last call. */
typedef void check_jail_fn(void *data, const json_t *problem, const struct err *e);
struct check_jail *check_jail_run(
	const struct vm *vm, const char *plan, check_jail_fn *tell, void *data, struct err *e);
void check_jail_cancel(struct check_jail *j);

#endif
