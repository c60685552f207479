/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/vms.h - all VMs of the daemon
 *
 * One per .vm file, and one per process of ours whose file is gone (orphan).
 */
#ifndef SUPERVISOR_VM_VMS_H
#define SUPERVISOR_VM_VMS_H

#include "supervisor/vm/vm.h"

struct vms {
	struct daemon *daemon;
	struct vm **vm; /* sorted by name */
	size_t n, cap;
	int watch; /* on the configuration directory; <= 0: there is none */
	dev_t dev; /* of that directory */
	ino_t ino;
	bool changed;	   /* that directory changed since vms_reload() */
	uint32_t uid_next; /* 0: unknown */
	struct vm_observer *observers;
};

struct vms *vms_new(struct daemon *d);
/* Frees all VMs; processes keep running. The (empty) registry itself stays valid for late
 * callbacks. */
void vms_clear(struct vms *vms);
void vms_free(struct vms *vms);

/* Reads all files. A VM whose file has problems keeps its last valid configuration. */
void vms_reload(struct vms *vms, struct conf_problems *p);

/* vms_reload() when something in the configuration directory changed. */
void vms_refresh(struct vms *vms);
/* Closes state directories that a check or snapshot opened for stopped VMs. */
void vms_close_idle(struct vms *vms);

/* The daemon or the host was suspended (base/loop.h): resets what depends on the host's clock. */
void vms_lost(struct vms *vms);

/* A network leased an address: checks pending waits. */
void vms_leased(struct vms *vms);

/* --- registry.c --- */
struct vm *vms_find(const struct vms *vms, const char *name);
void vms_insert(struct vms *vms, struct vm *vm /* stolen */);
void vms_remove(struct vms *vms, const struct vm *vm); /* the caller owns vm again */
/* The directory that the VM's file is in, or would be in. */
const char *vms_dir(const struct vms *vms, const char *name);

/* Called in the middle of a change: a callback may set a flag or arm a timer, and does its work
 * from the loop. It must not change VMs, nor add or remove observers. */
struct vm_observer { /* owned by the observer; members may be NULL */
	void (*state)(void *data,
		struct vm *vm); /* it changed, or the operation in vm->busy is finished */
	void (*wish)(void *data, struct vm *vm); /* vm->st.want was set */
	void (*reload)(void *data);		 /* all files were read again */
	void (*log)(void *data, struct vm *vm);	 /* its qemu.log grows */
	void *data;
	struct vm_observer *next;
};

void vms_observe(struct vms *vms, struct vm_observer *o);
void vms_unobserve(struct vms *vms, const struct vm_observer *o);

/* internal to vm/ */
void vm_observed_state(struct vm *vm);
void vm_observed_wish(struct vm *vm);
void vms_observed_reload(struct vms *vms);
/* for the part that writes it */
void vm_observed_log(struct vm *vm);

/* --- vms.c --- */
/* As vms_find(), but checks the VM's files first, so that new, changed and removed ones count at
 * once. ERR_NOT_FOUND with the nearest name. */
struct vm *vms_get(struct vms *vms, const char *name, struct err *e);
/* As vms_get(), but changes nothing: is there a file or a process? */
bool vms_exists(struct vms *vms, const char *name, struct err *e);
/* Its files are valid and unchanged since they were read. */
bool vms_is_current(const struct vms *vms, const struct vm *vm);
/* The VM that is probably meant, or NULL. */
const char *vms_nearest(const struct vms *vms, const char *name);
/* Evaluates Owner= of the file as it is now; false if there is none. */
struct conf_list;
bool vms_owned(struct vms *vms, const char *name,
	bool (*is)(void *data, const struct conf_list *owner), void *data);
/* Reads it from the state directory, which may have been replaced. vms_identity.c */
void vms_read_identity(struct vms *vms, struct vm *vm);
/* A lost or damaged identity may have been restored from a backup. */
void vms_read_identity_again(struct vms *vms, struct vm *vm);
/* The VM of this name; if there is none, a new empty one with the identity in its state
 * directory. */
struct vm *vms_add(struct vms *vms, const char *name);

/* An orphan ended: removes and frees it. Not from inside its own event. */
void vms_forget(struct vms *vms, struct vm *vm);

/* Assigns a uid of our range that no VM has or had, and no user of the host or its containers.
 * Keeps an existing uid, since ACLs may name it, unless it belongs to another daemon (after a
 * copied state directory) or another daemon's guest runs with it. uids.c */
int vm_need_uid(struct vm *vm, struct err *e);
/* A VM other than `but` has this uid. */
bool vms_uid_taken(const struct vms *vms, uid_t uid, const struct vm *but);

#endif
