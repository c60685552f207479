/* SPDX-License-Identifier: MIT */
/*
 * supervisor/boot/private.h - pending starts of this boot, shared by the files of this folder
 *
 *   boot.c    advances them          deps.c  their dependencies
 *   queue.c   the list, and RUN/boot
 */
#ifndef SUPERVISOR_BOOT_PRIVATE_H
#define SUPERVISOR_BOOT_PRIVATE_H

#include "supervisor/boot/boot.h"
#include "supervisor/guest/ready.h"
#include "supervisor/vm/vms.h"

enum boot_phase {
	BOOT_WAITING,  /* for dependencies */
	BOOT_STARTING, /* also between retries of the start */
	BOOT_READYING, /* runs; ReadyWhen= is not met yet */
	BOOT_READY,
	BOOT_LATE, /* runs, but was not ready in time */
	BOOT_FAILED
};

enum dep_network { DEP_UNKNOWN, DEP_REQUESTED, DEP_UP, DEP_DOWN };

struct pending;

struct dep { /* one name in After= or Requires= */
	struct pending *pending;
	char *name;
	bool required;
	/* if the name is a network's */
	enum dep_network network;
	struct network_wait *wait; /* of DEP_REQUESTED */
	char *problem;		   /* of DEP_DOWN */
};

struct pending { /* one VM's start */
	struct boot *boot;
	char *name;
	enum boot_phase phase;
	char *why; /* of BOOT_FAILED */
	double begun;
	bool overdue; /* TimeoutReadySec= has passed since begun */
	struct ready ready;
	struct dep *dep;
	size_t deps;
};

struct boot {
	struct daemon *daemon;
	struct vm_observer observer;
	struct pending *pending; /* sorted by name */
	size_t n;
	double begun;
	bool awaits_kvm; /* the module of KVM may still come */
	long starts_max;
	struct loop_task soon;
	void (*advance)(struct loop_task *soon);
	struct loop_timer tick;
};

/* --- queue.c --- */
struct pending *boot_find(struct boot *b, const char *name);
bool pending_is_over(const struct pending *p);
void pending_finish(struct pending *p, enum boot_phase phase);
void boot_stamp_write(const struct boot *b);
/* Reads what was pending in this boot; false: no stamp, or of another boot. */
bool boot_stamp_read(const struct daemon *d, struct buf *text);
bool boot_stamp_names(const struct buf *text, const char *name);

/* --- deps.c --- */
enum dep_verdict { DEP_GO, DEP_HOLD, DEP_REFUSE };
void deps_add(struct pending *p, const struct conf_list *names, bool required);
void deps_release(struct pending *p);
/* why: for DEP_HOLD the first unmet dependency, for DEP_REFUSE the reason. Brings up the
 * networks it needs. */
enum dep_verdict deps_check(struct pending *p, struct err *why);

#endif
