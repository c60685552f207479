/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/duplicates.h - conflicts between VM files: shared disks, MACs, addresses, ports
 *
 * UUIDs, images that at least one of the VMs writes, MAC addresses, IP addresses, VNC ports, vsock
 * CIDs. Compared by name, nothing is opened: a link to the same image is only detected at start, by
 * its lock. Pure.
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

/* A claim of this VM that conflicts with that of another, which text names. Strings are valid during
 * the call. */
typedef void duplicates_fn(void *data, const char *vm, const char *other,
	const struct conf_place *place, const char *key, const char *text, const char *hint);

/* Calls found once for each claim with a conflict, in the order of the VMs. */
void duplicates_find(const struct duplicates_vm *vm, size_t n, const char *image_dir,
	duplicates_fn *found, void *data);

#endif
