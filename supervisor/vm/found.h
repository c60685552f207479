/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/found.h - finds guests among the host's processes
 *
 * For guests whose run record is lost. One pass over /proc reads uids only; more is read only of
 * processes in our uid range that no record names.
 */
#ifndef SUPERVISOR_VM_FOUND_H
#define SUPERVISOR_VM_FOUND_H

#include "supervisor/vm/vms.h"
#include "supervisor/vm/whose.h"

struct found_process {
	pid_t pid;
	uint64_t starttime;
	struct whose_process is;
	char owner[WHOSE_NAME]; /* "": no VM, or not decided yet */
	bool hostile;		/* it claims to be another VM */
	bool others;		/* usually a guest of another daemon */
	bool early;		/* still vmkeep-jail */
	bool known;		/* from its record */
};

struct found {
	struct vms *vms;
	struct found_process *at;
	size_t n;
};

/* All processes with a guest's uid. uid: only this one, 0: any. */
void found_pass(struct found *f, struct vms *vms, uid_t uid);
struct found_process *found_pid(struct found *f, pid_t pid);
/* Decides which VM each of the unknown ones belongs to. */
void found_choose(struct found *f);
/* The process of this VM, NULL: none. */
struct found_process *found_of(struct found *f, const char *vm);
void found_release(struct found *f);

/* Does any process have this uid? One system call, no scan of /proc. */
bool found_uid_lives(uid_t uid);
/* A process of another daemon's guest with this uid; 0: none. */
pid_t found_others(struct vms *vms, uid_t uid);

#endif
