/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/observe.h"

#include "supervisor/vm/vms.h"

void vms_observe(struct vms *vms, struct vm_observer *o)
{
	o->next = vms->observers;
	vms->observers = o;
}

void vms_unobserve(struct vms *vms, const struct vm_observer *o)
{
	for (struct vm_observer **p = &vms->observers; *p; p = &(*p)->next)
		if (*p == o) {
			*p = o->next;
			return;
		}
}

void vm_observed_state(struct vm *vm)
{
	for (const struct vm_observer *o = vm->daemon->vms->observers; o; o = o->next)
		if (o->state)
			o->state(o->data, vm);
}

void vm_observed_wish(struct vm *vm)
{
	for (const struct vm_observer *o = vm->daemon->vms->observers; o; o = o->next)
		if (o->wish)
			o->wish(o->data, vm);
}

void vms_observed_reload(struct vms *vms)
{
	for (const struct vm_observer *o = vms->observers; o; o = o->next)
		if (o->reload)
			o->reload(o->data);
}
