/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/parts.h"

#include "supervisor/qemu/firmware.h"
#include "supervisor/vm/dirs.h"

/* The UEFI variables; the start step "nvram" creates the file. */
static const struct vm_part_file *parts_nvram(const struct conf_vm *c)
{
	static const struct vm_part_file file = { VM_NVRAM, "uefi", "pflash1" };

	return firmware_wanted(c) ? &file : NULL;
}

static const struct vm_part nvram_part = { .name = "nvram", .state_file = parts_nvram };

/* In start order: a part comes after those whose files or functions it uses. */
const struct vm_part *const guest_parts[] = {
	&output_part,
	&ready_part,
	&console_part,
	&display_part,
	&agent_part,
	&exec_part,
	&notify_part,
	&balloon_part,
	&space_part,
	&vsock_part,
	&nvram_part,
	&medium_part,
	&cable_part,
	&plug_part,
	&nic_plug_part,
};
const size_t guest_parts_n = sizeof guest_parts / sizeof(void *);
_Static_assert(
	sizeof guest_parts / sizeof(void *) <= VM_PARTS_MAX, "a VM has no slot for each part");
