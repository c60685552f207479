/* SPDX-License-Identifier: MIT */
/*
 * supervisor/storage/snapshot.h - QEMU's internal snapshots, of a guest that is off or runs
 *
 * The disks' own qcow2 hold them, with memory where the guest runs. Every check that QEMU leaves out
 * is made here (facts: it silently leaves out a disk that is not named, and a load of a tag that is
 * not there stops the guest): all writable disks are qcow2 and named, UEFI variables included, the
 * tag is there or is not there, and after a load that failed the guest is never let go again.
 */
#ifndef SUPERVISOR_STORAGE_SNAPSHOT_H
#define SUPERVISOR_STORAGE_SNAPSHOT_H

#include <jansson.h>

#include "supervisor/core/job.h"
#include "supervisor/vm/vm.h"

enum snapshot_verb { SNAPSHOT_CREATE, SNAPSHOT_REVERT, SNAPSHOT_DELETE, SNAPSHOT_LIST };

/* Ends with job_finish(), also on the first failed check. ERR_CONFLICT: the name is taken, or
 * another operation on this VM is under way (it is named); ERR_NOT_FOUND: no such snapshot. */
void snapshot_run(enum snapshot_verb verb, struct vm *vm, const char *name, struct job *j);

/* A list, or what a revert would do. result: stolen by the callee, or e: why it is refused. Called once,
 * from the loop. */
typedef void snapshot_listed_fn(void *data, json_t *result, const struct err *e);
void snapshot_ask(enum snapshot_verb verb, struct vm *vm, const char *name,
	snapshot_listed_fn *done, void *data);

#endif
