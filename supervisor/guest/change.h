/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/change.h - what changes of the hardware of a guest that runs have in common
 *
 * A change is a chain of QMP commands, and of files that go into the guest's private root or leave
 * it. It lives at most as long as its QMP session and holds no pointer to the VM, which may be freed
 * before the session reports its end. If a step fails, its owner undoes what was done.
 *
 * What is under way is in the run record, one entry for each device, so that the next daemon
 * finishes or undoes it, by what QEMU says that it has.
 */
#ifndef SUPERVISOR_GUEST_CHANGE_H
#define SUPERVISOR_GUEST_CHANGE_H

#include "supervisor/core/job.h"
#include "supervisor/vm/vm.h"

struct change;

struct change_ops {
	/* A step failed: undoes what was done, and calls change_end(). With c->lost, nobody knows
	 * whether QEMU has executed the last command, and nothing is undone. */
	void (*fail)(struct change *c, const struct err *e);
	/* May be NULL. */
	void (*event)(struct change *c, const char *name, const json_t *data);
	/* Frees the memory, including c. */
	void (*free)(struct change *c);
};

/* done is called once, from the loop; e NULL: success. */
typedef void change_fn(void *data, const struct err *e);

struct change { /* the first member of its owner, which is the data of its calls */
	const struct change_ops *ops;
	struct qmp *q;
	struct qmp_listener listener;
	struct daemon *daemon;
	char vm[64];
	char device[80]; /* its id in QEMU; "": none */
	struct change *next;
	struct job *job; /* NULL: continues a change of an earlier daemon */
	struct err error;
	bool lost; /* whether QEMU has executed the last command is not known */
	bool ended;
	unsigned pending; /* processes that take files out */
	change_fn *done;
	void *data;
};

/* The monitor must be connected. done may be NULL. */
void change_begin(struct change *c, const struct change_ops *ops, struct vm *vm, const char *device,
	struct job *j, change_fn *done, void *data);
/* Until it is freed. */
bool change_under_way(const struct vm *vm, const char *device);
/* NULL: the session has ended, or is another one. */
struct vm *change_vm(const struct change *c);
/* Of a reply. False: the change has failed, and may be gone. What a silent QEMU has done is found out
 * when it answers again. */
bool change_goes_on(struct change *c, const struct err *e);
/* No further reply or event comes. With c->error, if there is one. Calls done and free, at the latest
 * when nothing is pending: another change of the same file must not find what is on its way out. */
void change_end(struct change *c);
/* Another process has begun; each is followed by change_settled(). */
void change_waits(struct change *c);
void change_settled(struct change *c);
/* A process that takes files out, with the files' plan, stolen; NULL: none. */
void change_take_out(struct change *c, json_t *files);
/* No reply matters: QEMU executes commands in order. */
void change_send(struct change *c, const char *command, json_t *arguments /* stolen */);

/* The configuration that the guest runs with, and a section more, or other keys of one. A disk in it is
 * placed in its store as vmkeep.conf says now. */
int change_compose(const struct vm *vm, const char *text, struct conf_vm *to, struct err *e);
/* From now on the guest runs with this one: swapped, and written beside the run record. */
void change_settle(struct vm *vm, struct conf_vm *to);

/* What is under way with this device, in the run record; doc NULL: nothing. */
void change_note(struct vm *vm, const char *device, json_t *doc /* stolen */);
const json_t *change_noted(const struct vm *vm, const char *device);
/* The device of any such entry of this kind ("kind" in its doc), or NULL. */
const char *change_noted_any(const struct vm *vm, const char *kind);
/* In an entry, true: the device's place is being saved in the identity. */
#define CHANGE_ARRIVES "arrives"
/* ERR_CONFLICT: another device arrives. Who saves the identity last would undo what the other saved. */
int change_may_arrive(const struct vm *vm, struct err *e);

#endif
