/* SPDX-License-Identifier: MIT */
/* Reads a VM's state directory: identity, and the mark of an unfinished revert. */

#include "base/log.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/ended.h"
#include "supervisor/vm/revert.h"
#include "supervisor/vm/vms.h"

static void vms_identity_settle(struct vms *vms, struct vm *vm, int fd)
{
	vm_revert_read(vm, fd);
	vm_revert_report(vm);
	/* its file was gone and another VM got its uid: it gets a new one when it starts */
	if (vm->identity.uid && vms_uid_taken(vms, vm->identity.uid, vm))
		vm->identity.uid = 0;
}

void vms_read_identity(struct vms *vms, struct vm *vm)
{
	_cleanup_(close_fd) int fd = vm_state_open(vms->daemon, vm->name);
	struct err e = ERR_INIT;

	if (fd < 0)
		return;
	if (identity_load(&vm->identity, fd, &e) < 0) {
		log_error(vm->name, "%s", e.text);
		vm->identity_problem = xstrdup(e.text);
	}
	ended_read(vm, fd);
	vms_identity_settle(vms, vm, fd);
}

void vms_read_identity_again(struct vms *vms, struct vm *vm)
{
	struct identity now = IDENTITY_INIT;
	_cleanup_(close_fd) int fd = vm_state_open(vms->daemon, vm->name);
	struct err e = ERR_INIT;

	if (fd < 0 || identity_load(&now, fd, &e) < 0 || !now.kept) {
		identity_release(&now);
		return;
	}
	log_info(vm->name, "its identity is readable again");
	identity_release(&vm->identity);
	vm->identity = now;
	free_ptr(&vm->identity_problem);
	vms_identity_settle(vms, vm, fd);
	vm->file.stamp = 0; /* its file may refer to the UUID */
}
