/* SPDX-License-Identifier: MIT */
/* history, reset-failed, forget. */
#include "supervisor/verbs/verb.h"
#include "base/mem.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/forget.h"
#include "supervisor/core/aside.h"
#include "supervisor/core/history.h"

enum { HISTORY_RECORDS = 200 };

void verb_history(struct vm *vm, struct request *r)
{
	size_t last = (size_t)request_int(r, "lines", HISTORY_RECORDS);
	_cleanup_(free_ptr) char *path = vm_path(vm->name, VM_HISTORY);
	int state_fd = vm->daemon->dirs.state_fd;
	struct err e = ERR_INIT;

	aside_clear(state_fd, path, vm->name);
	request_answer(r, history_read(state_fd, path, last, &e), &e);
}

void verb_reset_failed(struct vm *vm, struct request *r)
{
	bool was = vm->st.state == VM_FAILED || vm->st.policy.n > 0 ||
		   (vm->st.state == VM_STOPPED &&
			   (vm->st.missed || vm_ending_is_wrong(vm->st.ending) ||
				   vm->st.ending == VM_END_HOST_SIGNAL));

	if (was)
		vm_reset_failed(vm, request_who(r));
	request_return(
		r, json_pack("{s:s, s:b}", "state", vm_state_name(vm->st.state), "changed", was));
}

void verb_forget(struct daemon *d, struct request *r)
{
	struct err e = ERR_INIT;
	json_t *disks;

	if (vm_forget(d->vms, request_string(r, "name"), request_who(r), &disks, &e) < 0)
		request_error(r, &e);
	else
		request_return(r, json_pack("{s:o}", "disks", disks));
}
