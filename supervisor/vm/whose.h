/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/whose.h - which VM a process belongs to, pure
 *
 * For a guest whose run record is lost. What the kernel and vmkeep-jail control decides: its
 * uid, its control group, its private root. The command line only breaks a tie, since a
 * compromised QEMU can write anything there. A process that claims another VM's name is hostile,
 * and never counts as that VM's.
 */
#ifndef SUPERVISOR_VM_WHOSE_H
#define SUPERVISOR_VM_WHOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { WHOSE_NAME = 64 };

struct whose_process {		/* "" means unknown */
	uid_t uid;		/* in our range */
	char group[WHOSE_NAME]; /* the VM its control group is named after */
	char root[WHOSE_NAME];	/* the VM whose run directory is in its private root */
	char name[WHOSE_NAME];	/* from its command line */
	char uuid[37];
};

struct whose_vm {
	const char *name;
	uid_t uid;	  /* 0: identity lost, or never started */
	const char *uuid; /* "" likewise */
};

enum whose { WHOSE_NOBODYS, WHOSE_OWN, WHOSE_HOSTILE };

/* owner: name of the VM, even if it is not in the list. ours: no other daemon uses these uids. */
enum whose whose(const struct whose_process *p, const struct whose_vm *vm, size_t n, bool ours,
	char owner[WHOSE_NAME]);

/* From /proc/PID/cgroup: vmkeep.slice/PREFIX-NAME.scope, or PREFIX/NAME. "": neither. */
void whose_group(const char *text, const char *prefix, char name[WHOSE_NAME]);
/* From the arguments in /proc/PID/cmdline: -name guest=NAME,... and -uuid. */
void whose_claims(const char *words, size_t len, struct whose_process *p);

#endif
