/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/parts.h - everything attached to a guest, see vm/part.h
 */
#ifndef SUPERVISOR_GUEST_PARTS_H
#define SUPERVISOR_GUEST_PARTS_H

#include "supervisor/vm/part.h"

/* One per file. output comes first in the table: the others create files in its directory. */
extern const struct vm_part agent_part, balloon_part, cable_part, console_part, display_part,
	exec_part, medium_part, nic_plug_part, notify_part, output_part, plug_part, ready_part,
	space_part, vsock_part;

extern const struct vm_part *const guest_parts[];
extern const size_t guest_parts_n;

#endif
