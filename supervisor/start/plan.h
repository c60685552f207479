/* SPDX-License-Identifier: MIT */
/*
 * supervisor/start/plan.h - input of the command line, and the plan for vmkeep-jail
 */
#ifndef SUPERVISOR_START_PLAN_H
#define SUPERVISOR_START_PLAN_H

#include "supervisor/qemu/argv.h"
#include "supervisor/vm/part.h"

/* The firmware this configuration asks for, NULL for BIOS; the caller frees it. */
int vm_firmware(
	const struct conf_vm *c, const struct probe *p, struct firmware **out, struct err *e);

/* Everything argv_build() needs besides ctx->accel and ctx->paste, which the caller sets. Strings
 * live in the arena; the caller frees firmware. */
int vm_argv_context(struct vm *vm, const struct conf_vm *c, const struct probe *p, struct arena *a,
	struct argv_context *ctx, struct firmware **firmware, struct err *e);

/* "files" of the plan: disks of c with their bases and, if ctx has them, firmware and kernel. */
json_t *vm_plan_files(const struct conf_vm *c, const struct identity *id,
	const struct argv_context *ctx, struct arena *a);

/* "identity" of the plan. */
json_t *vm_plan_identity(const struct vm *vm, const struct conf_vm *c);

/* The command line, and the plan for vmkeep-jail (jail/plan.h), of vm->proc.conf and vm->proc.accel.
 * For a start, and for a check on a copy of the VM: changes nothing but the identity's slots. */
struct vm_plan {
	struct argv argv; /* see its key for what was refused */
	json_t *json;	  /* also if there is no command line: a check wants its files */
};
#define VM_PLAN_INIT { .argv = ARGV_INIT }
/* p may be NULL for a check: there is no QEMU, which was reported. */
int vm_plan_make(struct vm_plan *out, struct vm *vm, const struct probe *p,
	const struct fd_list *fds, struct err *e);
void vm_plan_release(struct vm_plan *plan);

#endif
