/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/plan.h - what a command line is made of, and what vmkeep-jail is told of its files
 */
#ifndef SUPERVISOR_VM_PLAN_H
#define SUPERVISOR_VM_PLAN_H

#include "supervisor/qemu/argv.h"
#include "supervisor/vm/vm.h"

/* The firmware that this configuration asks for, NULL for BIOS; the caller frees it. */
int vm_firmware(
	const struct conf_vm *c, const struct probe *p, struct firmware **out, struct err *e);

/* Everything that argv_build() needs; strings live in the arena, firmware is the caller's to free. */
int vm_argv_context(struct vm *vm, const struct conf_vm *c, const struct probe *p,
	enum conf_accel accel, bool paste, struct arena *a, struct argv_context *ctx,
	struct firmware **firmware, struct err *e);

/* What the jail's plan says of this configuration's files. */
json_t *vm_plan_files(
	struct vm *vm, const struct conf_vm *c, const struct argv_context *ctx, struct arena *a);

/* The identity's part of it, see jail/plan.h. */
json_t *vm_identity_plan(const struct vm *vm, const struct conf_vm *c);

#endif
