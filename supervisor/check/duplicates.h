/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/duplicates.h - what two VM files claim both, though only one VM can have it
 *
 * UUIDs, disk images that one of them writes, MAC addresses, IP addresses, VNC ports. By name: nothing is
 * opened, so a link to an image is found at start only, by its lock. Pure.
 */
#ifndef SUPERVISOR_CHECK_DUPLICATES_H
#define SUPERVISOR_CHECK_DUPLICATES_H

#include <stddef.h>

#include "conf/vm.h"
#include "supervisor/qemu/identity.h"

struct duplicates_vm { /* borrowed */
	const struct conf_vm *conf;
	const struct identity *identity;
};

/* A claim of this VM that another has too; text says who. Strings live for the call. */
typedef void duplicates_fn(void *data, const char *vm, const struct conf_place *place,
	const char *key, const char *text, const char *hint);

/* Calls found once for each such claim, VM by VM in their order. */
void duplicates_find(const struct duplicates_vm *vm, size_t n, const char *image_dir,
	duplicates_fn *found, void *data);

#endif
