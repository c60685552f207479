/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/vms.h - all VMs of the daemon
 *
 * One per .vm file, and one per process of ours whose file is gone (orphan). Sorted by name.
 */
#ifndef SUPERVISOR_VM_VMS_H
#define SUPERVISOR_VM_VMS_H

#include "supervisor/vm/vm.h"

struct vms {
	struct daemon *daemon;
	struct vm **vm; /* sorted by name */
	size_t n, room;
	int watch;	   /* of the configuration directory */
	bool changed;	   /* a file there was written, made or removed since vms_reload() */
	uint32_t uid_next; /* 0: not known yet */
	struct vm_observer *observers;
};

struct vms *vms_new(struct daemon *d);
/* Frees all VMs; processes go on. The empty set stays for those who look for theirs once more. */
void vms_clear(struct vms *vms);
void vms_free(struct vms *vms);

/* Reads all files; problems are told, VMs with such files keep their old meaning. */
void vms_reload(struct vms *vms, struct conf_problems *p);

/* vms_reload() when something in the configuration directory changed. */
void vms_refresh(struct vms *vms);
/* State directories that were opened for a check or a snapshot of a VM that is off. */
void vms_close_idle(struct vms *vms);

/* Time was lost, ours or the host's (base/loop.h): what goes by the host's time all the same is set anew. */
void vms_lost(struct vms *vms);

/* A network gave out an address: somebody may wait for it. */
void vms_leased(struct vms *vms);

/* --- registry.c --- */
struct vm *vms_find(struct vms *vms, const char *name);
void vms_insert(struct vms *vms, struct vm *vm /* stolen */);
void vms_remove(struct vms *vms, const struct vm *vm); /* the caller's again */

/* Called in the middle of the change: it takes a note or arms a timer, and does its work from the loop. It neither
 * changes VMs nor adds or removes observers meanwhile. */
struct vm_observer { /* the observer's memory; members may be NULL */
	void (*state)(void *data,
		struct vm *vm); /* changed; or the operation that kept it busy is over */
	void (*wish)(void *data, struct vm *vm); /* somebody asked for vm->st.want */
	void (*reload)(void *data);		 /* all files were read again */
	void *data;
	struct vm_observer *next;
};

void vms_observe(struct vms *vms, struct vm_observer *o);
void vms_unobserve(struct vms *vms, const struct vm_observer *o);

/* for vm/ */
void vm_observed_state(struct vm *vm);
void vm_observed_wish(struct vm *vm);
void vms_observed_reload(struct vms *vms);

/* --- vms.c --- */
/* As vms_find(), looking at the VM's files again: new, changed and removed ones count at once.
 * ERR_NOT_FOUND with the nearest name. */
struct vm *vms_get(struct vms *vms, const char *name, struct err *e);
/* As vms_get(), but changes nothing: has it a file, or a process? */
bool vms_exists(struct vms *vms, const char *name, struct err *e);
/* Its files are as they were when they were read, and right. */
bool vms_is_current(const struct vms *vms, const struct vm *vm);
/* Asks about Owner= of its file as it is now; false also where there is none. */
struct conf_list;
bool vms_owned(struct vms *vms, const char *name,
	bool (*is)(void *data, const struct conf_list *owner), void *data);
/* From its state directory, which may be another one since. vms_identity.c */
void vms_read_identity(struct vms *vms, struct vm *vm);
/* One that was lost or damaged may have been put back from a backup. */
void vms_read_identity_again(struct vms *vms, struct vm *vm);
/* The VM of this name; where there is none a new one, empty, with the identity it had. */
struct vm *vms_add(struct vms *vms, const char *name);

/* For the end of an orphan: frees it when nothing is left of it. Not from inside its own event. */
void vms_forget(struct vms *vms, struct vm *vm);

/* Gives it a uid of ours that no VM has or had, nor a user of the host or of its containers. The one that it has is
 * kept, for access lists may name it, unless another daemon gives it, as after a state directory was copied, or a
 * guest of another daemon runs with it. uids.c */
int vm_need_uid(struct vm *vm, struct err *e);
/* Another VM than this one has it. */
bool vms_uid_taken(const struct vms *vms, uid_t uid, const struct vm *but);

#endif
