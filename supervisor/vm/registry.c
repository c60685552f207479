/* SPDX-License-Identifier: MIT */
/* VMs by name, and observers; at the bottom of this folder, for every file. */
#include "supervisor/vm/vms.h"

/* The index of name, or where it would be inserted. */
static size_t registry_place(const struct vms *vms, const char *name, bool *found)
{
	size_t from = 0, to = vms->n;

	*found = false;
	while (from < to && !*found) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(name, vms->vm[middle]->name);

		*found = order == 0;
		if (order <= 0)
			to = middle;
		else
			from = middle + 1;
	}
	return to;
}

struct vm *vms_find(const struct vms *vms, const char *name)
{
	bool found;
	size_t i = registry_place(vms, name, &found);

	return found ? vms->vm[i] : NULL;
}

void vms_insert(struct vms *vms, struct vm *vm)
{
	bool found;
	size_t i = registry_place(vms, vm->name, &found);

	GROW(vms->vm, vms->n, vms->cap);
	memmove(vms->vm + i + 1, vms->vm + i, (vms->n++ - i) * sizeof(struct vm *));
	vms->vm[i] = vm;
}

void vms_remove(struct vms *vms, const struct vm *vm)
{
	bool found;
	size_t i = registry_place(vms, vm->name, &found);

	memmove(vms->vm + i, vms->vm + i + 1, (--vms->n - i) * sizeof(struct vm *));
}

const char *vms_dir(const struct vms *vms, const char *name)
{
	const struct daemon_dirs *dirs = &vms->daemon->dirs;
	const struct vm *vm = vms_find(vms, name);

	return vm && vm->file.throwaway ? dirs->throwaways : dirs->config;
}

/* --- observers --- */

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

void vm_observed_log(struct vm *vm)
{
	for (const struct vm_observer *o = vm->daemon->vms->observers; o; o = o->next)
		if (o->log)
			o->log(o->data, vm);
}
