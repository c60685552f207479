/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/observe.h - what other rooms learn of all VMs
 *
 * An observer is called in the middle of the change: it takes a note or arms a timer, and does its
 * work from the loop. It neither changes VMs nor adds or removes observers meanwhile.
 */
#ifndef SUPERVISOR_VM_OBSERVE_H
#define SUPERVISOR_VM_OBSERVE_H

struct vm;
struct vms;

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

/* --- for vm/ --- */
void vm_observed_state(struct vm *vm);
void vm_observed_wish(struct vm *vm);
void vms_observed_reload(struct vms *vms);

#endif
