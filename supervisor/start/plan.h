/* SPDX-License-Identifier: MIT */
/*
 * supervisor/start/plan.h - input of the command line, and the plan for vmkeep-jail
 */
#ifndef SUPERVISOR_START_PLAN_H
#define SUPERVISOR_START_PLAN_H

#include "supervisor/qemu/argv.h"
#include "supervisor/vm/vm.h"

/* The firmware this configuration asks for, NULL for BIOS; the caller frees it. */
int vm_firmware(
	const struct conf_vm *c, const struct probe *p, struct firmware **out, struct err *e);

/* Everything argv_build() needs. Strings live in the arena; the caller frees firmware. */
int vm_argv_context(struct vm *vm, const struct conf_vm *c, const struct probe *p,
	enum conf_accel accel, bool paste, struct arena *a, struct argv_context *ctx,
	struct firmware **firmware, struct err *e);

/* The files of this configuration, as the plan describes them. */
json_t *vm_plan_files(
	struct vm *vm, const struct conf_vm *c, const struct argv_context *ctx, struct arena *a);

/* The "identity" member of the plan, see jail/plan.h. */
json_t *vm_identity_plan(const struct vm *vm, const struct conf_vm *c);

#endif
