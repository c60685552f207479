/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/found.h - guests among the host's processes
 *
 * For those whose run record is lost. One pass over /proc that looks at uids only; more is looked at of
 * processes in the range of guests that no record names.
 */
#ifndef SUPERVISOR_VM_FOUND_H
#define SUPERVISOR_VM_FOUND_H

#include "supervisor/vm/vms.h"
#include "supervisor/vm/whose.h"

struct found_process {
	pid_t pid;
	uint64_t starttime;
	struct whose_process is;
	char owner[WHOSE_NAME]; /* "": nobody's, or not looked at yet */
	bool hostile;		/* it claims to be another VM's */
	bool others;		/* a guest of another daemon, as a rule */
	bool early;		/* vmkeep-jail still */
	bool known;		/* by its record */
};

struct found {
	struct vms *vms;
	struct found_process *at;
	size_t n;
};

/* All processes with a guest's uid; uid: only these, 0: any. */
void found_pass(struct found *f, struct vms *vms, uid_t uid);
struct found_process *found_pid(struct found *f, pid_t pid);
/* Whose the others are. */
void found_choose(struct found *f);
/* The one of this VM, NULL: none. */
struct found_process *found_of(struct found *f, const char *vm);
void found_release(struct found *f);

/* Does any process have this uid? Takes no time where none has. */
bool found_uid_lives(uid_t uid);
/* Another daemon's guest with this uid; 0: there is none. */
pid_t found_others(struct vms *vms, uid_t uid);

#endif
