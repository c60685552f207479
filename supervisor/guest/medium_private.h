/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/medium_private.h - private to guest/medium*.c
 */
#ifndef SUPERVISOR_GUEST_MEDIUM_PRIVATE_H
#define SUPERVISOR_GUEST_MEDIUM_PRIVATE_H

#include "supervisor/guest/change.h"
#include "supervisor/guest/medium.h"
#include "supervisor/qemu/device.h"

struct enter;

/* One side of a change: what a drive has, or is to have. */
struct medium {
	struct conf_disk disk; /* path NULL: nothing; strings in the arena */
	char node[DEVICE_NODE_MAX];
};

struct medium_op {
	struct change change; /* first */
	struct arena arena;
	char drive[80]; /* its id in QEMU */
	struct medium from, to;
	struct enter *enter;
	struct loop_timer timer;
	double timeout;
	bool force;
	/* what has been done, and is undone if it fails */
	bool locked, added, opened, removed;
	bool open; /* the tray, by QEMU's event */
	bool waits;
};

/* --- medium_file.c: the files behind it --- */

/* Copies a disk into the arena, without its bases. */
void medium_copy(struct conf_disk *to, const struct conf_disk *from, struct arena *a);
/* "files" of the plan for this medium; NULL: there is none. */
json_t *medium_files(const struct vm *vm, const struct medium *m);
json_t *medium_node(const struct vm *vm, const struct medium *m, struct err *e);
/* QEMU is to close it and its locks, then it leaves the guest's private root, unless another drive
 * or disk has it, or keep does. */
void medium_discard(struct medium_op *op, const struct medium *m, const struct medium *keep);
/* The run record and the configuration of the process. */
void medium_note(struct vm *vm, const struct medium_op *op);
extern const char medium_kind[]; /* of its entries in the run record */
void medium_settle(struct vm *vm, const struct medium *m);
/* From the record; false: there is none, or it is damaged. */
bool medium_recall(struct medium_op *op, const struct vm *vm, const char *drive);
struct conf_disk *medium_drive(const struct vm *vm, const char *id);

#endif
