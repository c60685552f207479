/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/balloon.h"
#include "supervisor/verbs/verb.h"

enum { MEMORY_SECONDS = 60 };

void verb_set_memory(struct vm *vm, struct request *r)
{
	uint64_t bytes = (uint64_t)request_int(r, "size", 0);
	bool force = request_bool(r, "force", false);
	double timeout = request_time(r, "timeout", MEMORY_SECONDS);

	memory_set(vm, bytes, force, timeout, verb_job(vm->daemon, r, vm));
}
