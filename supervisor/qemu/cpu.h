/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/cpu.h - the guest's vCPUs: model, features and number. Pure.
 *
 * QEMU takes a model or feature that the host lacks with a warning, and leaves it out. What the
 * operator asked for must be there, so QEMU is told to enforce it, and then does not start.
 */
#ifndef SUPERVISOR_QEMU_CPU_H
#define SUPERVISOR_QEMU_CPU_H

#include "base/buf.h"
#include "base/err.h"
#include "conf/vm.h"
#include "supervisor/qemu/probe.h"

/* Refuses names that this QEMU does not know, and more CPUs than the (versioned) machine has. key:
 * the one at fault. */
int cpu_check(const struct conf_vm *c, const struct probe *p, const char *machine,
	enum conf_accel accel, const char **key, struct err *e);
/* The value of -cpu. */
void cpu_option(const struct conf_vm *c, enum conf_accel accel, struct buf *out);

#endif
