/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/part.h"

#include <assert.h>

int fd_list_add(struct fd_list *l, int fd, int number)
{
	if (fd < 0)
		return fd;
	assert(l->n < PLAN_FDS_MAX);
	l->fd[l->n] = fd;
	l->number[l->n++] = number;
	return 0;
}

void fd_list_release(struct fd_list *l)
{
	while (l->n)
		close(l->fd[--l->n]);
}

/* NULL after the last. */
static const struct vm_part *part_at(const struct vm *vm, size_t i)
{
	return i < vm->daemon->n_parts ? vm->daemon->parts[i] : NULL;
}

void *vm_part_state(const struct vm *vm, const struct vm_part *p)
{
	for (size_t i = 0; part_at(vm, i); i++)
		if (part_at(vm, i) == p)
			return vm->part[i];
	return NULL;
}

void vm_parts_attach(struct vm *vm, enum vm_attach how)
{
	const struct vm_part *p;

	for (size_t i = 0; (p = part_at(vm, i)); i++)
		if (p->attach)
			p->attach(vm, &vm->part[i], how);
}

void vm_parts_greeted(struct vm *vm)
{
	const struct vm_part *p;

	for (size_t i = 0; (p = part_at(vm, i)); i++)
		if (p->greeted)
			p->greeted(vm, vm->part[i]);
}

void vm_parts_joined(struct vm *vm, bool fresh)
{
	const struct vm_part *p;

	for (size_t i = 0; (p = part_at(vm, i)); i++)
		if (p->joined)
			p->joined(vm, vm->part[i], fresh);
}

void vm_parts_state(struct vm *vm)
{
	const struct vm_part *p;

	for (size_t i = 0; (p = part_at(vm, i)); i++)
		if (p->state)
			p->state(vm, vm->part[i]);
}

void vm_parts_event(struct vm *vm, const char *name, const json_t *data)
{
	const struct vm_part *p;

	for (size_t i = 0; (p = part_at(vm, i)); i++)
		if (p->event)
			p->event(vm, vm->part[i], name, data);
}

bool vm_parts_power_off(struct vm *vm, bool ask)
{
	const struct vm_part *p;

	for (size_t i = 0; (p = part_at(vm, i)); i++)
		if (p->power_off && p->power_off(vm, vm->part[i], ask))
			return true;
	return false;
}

size_t vm_parts_last_words(struct vm *vm, char *bytes, size_t len)
{
	const struct vm_part *p;
	size_t n = 0;

	for (size_t i = 0; n == 0 && (p = part_at(vm, i)); i++)
		if (p->last_words)
			n = p->last_words(vm, &vm->part[i], bytes, len);
	return n;
}

void vm_parts_lost(struct vm *vm)
{
	const struct vm_part *p;

	for (size_t i = 0; (p = part_at(vm, i)); i++)
		if (p->lost)
			p->lost(vm, vm->part[i]);
}

void vm_parts_troubles(const struct vm *vm, trouble_fn *report, void *data)
{
	const struct vm_part *p;

	for (size_t i = 0; (p = part_at(vm, i)); i++)
		if (p->troubles && vm_state_has_process(vm->st.state))
			p->troubles(vm, vm->part[i], report, data);
}

void vm_parts_info(const struct vm *vm, json_t *out)
{
	const struct vm_part *p;

	for (size_t i = 0; (p = part_at(vm, i)); i++)
		if (p->info)
			p->info(vm, vm->part[i], out);
}

void vm_parts_close(struct vm *vm, bool ended)
{
	const struct vm_part *p;

	for (size_t i = VM_PARTS_MAX; i-- > 0;) {
		if ((p = part_at(vm, i)) && p->close)
			p->close(vm, &vm->part[i], ended);
		free_ptr(&vm->part[i]);
	}
}
