/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/effective.h - a configuration with everything that is derived, for people
 *
 * For `cat --effective`. Pure. What a start decides again each time stays: Port=auto, and Accel=auto
 * of a VM that is not running.
 */
#ifndef SUPERVISOR_QEMU_EFFECTIVE_H
#define SUPERVISOR_QEMU_EFFECTIVE_H

#include "supervisor/qemu/device.h"
#include "supervisor/qemu/identity.h"

/* c: a copy. machine: versioned, or NULL: unknown. Strings live in c's arena. */
void effective_fill(struct conf_vm *c, const struct identity *id, const char *machine,
	enum conf_accel accel, const char *image_dir);

/* Derives the values that are not given; conf/ has checked that the others divide CPUs. */
void effective_topology(
	const struct conf_vm *c, uint64_t *sockets, uint64_t *cores, uint64_t *threads);

#endif
