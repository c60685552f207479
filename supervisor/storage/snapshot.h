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

/* Each ends with job_finish(), also on the first failed check. ERR_CONFLICT: the name is taken, or
 * another operation on this VM is under way (it is named); ERR_NOT_FOUND: no such snapshot. */
void snapshot_create(struct vm *vm, const char *name, struct job *j);
void snapshot_revert(struct vm *vm, const char *name, struct job *j);
void snapshot_delete(struct vm *vm, const char *name, struct job *j);

/* What a revert would do, or e: why it would be refused. Otherwise as snapshot_list(). */
void snapshot_revert_plan(struct vm *vm, const char *name,
	void (*done)(void *data, json_t *result, const struct err *e), void *data);
/* result: columns and rows (stolen by the callee), or e. Called once, from the loop. */
void snapshot_list(
	struct vm *vm, void (*done)(void *data, json_t *result, const struct err *e), void *data);

#endif
