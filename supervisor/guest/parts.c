/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/parts.h"

#include "supervisor/guest/agent.h"
#include "supervisor/guest/balloon.h"
#include "supervisor/guest/console.h"
#include "supervisor/guest/display.h"
#include "supervisor/guest/notify.h"
#include "supervisor/guest/output.h"
#include "supervisor/guest/ready.h"
#include "supervisor/guest/space.h"
#include "supervisor/guest/vsock.h"
#include "supervisor/vm/vm.h"

/* In the order in which they are made; what others write to or report to stands before them. */
const struct vm_part *const guest_parts[] = {
	&output_part,
	&ready_part,
	&console_part,
	&display_part,
	&agent_part,
	&notify_part,
	&balloon_part,
	&space_part,
	&vsock_part,
};
const size_t guest_parts_n = sizeof guest_parts / sizeof(void *);
_Static_assert(
	sizeof guest_parts / sizeof(void *) <= VM_PARTS_MAX, "a VM has no slot for each part");
