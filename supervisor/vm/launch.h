/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/launch.h - between prepare.c, spawn.c and `cmdline`: what a command line is made of
 */
#ifndef SUPERVISOR_VM_LAUNCH_H
#define SUPERVISOR_VM_LAUNCH_H

#include "supervisor/qemu/firmware.h"
#include "supervisor/qemu/argv.h"
#include "supervisor/vm/vm.h"

/* The probe that this start uses; valid from PREPARING to SPAWNING. */
const struct probe *vm_probe(const struct vm *vm);

/* The firmware that this configuration asks for, NULL for BIOS; the caller frees it. */
int vm_firmware(const struct conf_vm *c, const struct probe *p, struct firmware **out, struct err *e);

/* Everything that argv_build() needs; strings live in the arena, firmware is the caller's to free. */
int vm_argv_context(struct vm *vm, const struct conf_vm *c, const struct probe *p, enum conf_accel accel,
	bool paste, struct arena *a, struct argv_context *ctx, struct firmware **firmware, struct err *e);

#endif
