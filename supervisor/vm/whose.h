/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/whose.h - which VM a process belongs to, pure
 *
 * For a guest whose run record is lost. What the kernel and vmkeep-jail keep decides: its uid, its
 * control group, its private root. Its command line only chooses where these leave a choice: a
 * taken-over QEMU can write there whatever it likes. One that claims another VM's name is hostile,
 * and never that VM's.
 */
#ifndef SUPERVISOR_VM_WHOSE_H
#define SUPERVISOR_VM_WHOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { WHOSE_NAME = 64 };

struct whose_process {		/* texts are "" where nothing is known */
	uid_t uid;		/* in the range of guests */
	char group[WHOSE_NAME]; /* the VM that its control group is named after */
	char root[WHOSE_NAME];	/* the VM whose run directory its private root shows */
	char name[WHOSE_NAME];	/* what its command line says */
	char uuid[37];
};

struct whose_vm {
	const char *name;
	uid_t uid;	  /* 0: its identity is lost, or it never ran */
	const char *uuid; /* "" likewise */
};

enum whose { WHOSE_NOBODYS, WHOSE_OWN, WHOSE_HOSTILE };

/* owner: the VM's name, also of one that is not in the list. ours: no other daemon uses these uids. */
enum whose whose(const struct whose_process *p, const struct whose_vm *vm, size_t n, bool ours,
	char owner[WHOSE_NAME]);

/* From /proc/PID/cgroup: vmkeep.slice/PREFIX-NAME.scope, or PREFIX/NAME. "": neither. */
void whose_group(const char *text, const char *prefix, char name[WHOSE_NAME]);
/* From the words of /proc/PID/cmdline: -name guest=NAME,... and -uuid. */
void whose_claims(const char *words, size_t len, struct whose_process *p);

#endif
