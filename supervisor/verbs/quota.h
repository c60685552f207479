/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/quota.h - [Quota] in vmkeep.conf: how much a user may own
 *
 * Counts the VMs whose Owner= has the user, from their files, whoever made them and whether they run
 * or not, and for disks their trash. Operators and root have no quota; to others, a vmkeep.conf that was
 * never valid allows nothing. A change that is being written counts already.
 */
#ifndef SUPERVISOR_VERBS_QUOTA_H
#define SUPERVISOR_VERBS_QUOTA_H

#include "supervisor/control/request.h"
#include "supervisor/core/daemon.h"

struct peer;

struct quota_use {
	uint64_t vms, cpus, memory, disk;
};

/* Embedded in a change from quota_claim() until its result is in the daemon's configuration. */
struct quota_claim {
	struct quota_claim *next;
	const char *vm;	   /* borrowed */
	struct peer *peer; /* NULL: none */
	struct quota_use use;
};

/* May this client's VM be as `to` says? from: what it was; NULL: new, or about to start, which is
 * refused to a user who is over the quota already. ERR_NO_RESOURCES. */
int quota_check(struct daemon *d, enum api_role role, const struct peer *peer, const char *vm,
	const struct conf_vm *from, const struct conf_vm *to, struct err *e);
/* Has the user a bound on disks? Then what a deleted VM leaves must go to the trash, which counts. */
bool quota_bounds_disk(const struct daemon *d, enum api_role role, const struct peer *peer);
/* Disks of a VM with these owners were moved to the trash, of that size together by its file. */
void quota_trash_add(struct daemon *d, const json_t *owner, uint64_t bytes, double now);
uint64_t quota_trash(const struct daemon *d, const struct peer *peer);
/* From now on it counts, for a client who has a quota. */
void quota_claim(struct quota_claim *q, enum api_role role, struct peer *peer, const char *vm,
	const struct conf_vm *to);
void quota_release(struct quota_claim *q);

#endif
