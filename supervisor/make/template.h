/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/template.h - a template's disks as bases: how large disks that are based on them
 * must be
 *
 * Nothing is made: the first start of the new VM creates its disks, as Base= and Size= say. A child
 * looks at the images, see image.h.
 */
#ifndef SUPERVISOR_MAKE_TEMPLATE_H
#define SUPERVISOR_MAKE_TEMPLATE_H

#include "supervisor/vm/vm.h"

/* size: of each disk of the VM's file, in their order; 0: others are not based on it. NULL with e: why
 * not. Called once, possibly before template_ask() returns. */
typedef void template_fn(void *data, const uint64_t *size, const struct err *e);

/* Refuses a VM that is not a template. */
int template_may(const struct vm *vm, struct err *e);

/* The disks that others can be based on: those that the VM writes to. */
bool template_has(const struct conf_disk *disk);

/* path: for each disk, where the new one will be in the same store, and must not be yet; NULL: of no
 * interest. Refuses disks that are in no store, and volumes. vm may be gone when done is called, and it
 * cannot be cancelled. -errno: done is not called. */
int template_ask(
	const struct vm *vm, char *const *path, template_fn *done, void *data, struct err *e);

#endif
