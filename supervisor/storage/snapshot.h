/* SPDX-License-Identifier: MIT */
/*
 * supervisor/storage/snapshot.h - QEMU internal snapshots of a running or stopped guest
 *
 * The snapshots are in the disks' own qcow2 files, with memory if the guest runs. We make the
 * checks that QEMU omits (it silently skips a disk that is not named, and loading a tag that does
 * not exist stops the guest): all writable disks are qcow2 and named, UEFI variables included;
 * the tag exists or does not, as required; after a failed load the guest is never resumed.
 */
#ifndef SUPERVISOR_STORAGE_SNAPSHOT_H
#define SUPERVISOR_STORAGE_SNAPSHOT_H

#include <jansson.h>

#include "supervisor/core/job.h"
#include "supervisor/vm/vm.h"

enum snapshot_verb { SNAPSHOT_CREATE, SNAPSHOT_REVERT, SNAPSHOT_DELETE, SNAPSHOT_LIST };

struct snapshot_asked {
	const char *name, *id; /* id: of several that have the name; NULL: any */
	bool disks_only; /* a revert that does not load the memory, for when it does not fit */
};

/* Ends with job_finish(), also when a check fails. ERR_CONFLICT: the name is taken, or another
 * operation on this VM is in progress (the text names it); ERR_NOT_FOUND: no such snapshot. */
void snapshot_run(
	enum snapshot_verb verb, struct vm *vm, const struct snapshot_asked *a, struct job *j);

/* Result of a list, or what a revert would do. result: stolen by the callee; e: why it was refused.
 * Called exactly once, possibly before snapshot_ask() returns. */
typedef void snapshot_listed_fn(void *data, json_t *result, const struct err *e);
void snapshot_ask(enum snapshot_verb verb, struct vm *vm, const struct snapshot_asked *a,
	snapshot_listed_fn *done, void *data);

#endif
