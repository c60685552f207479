/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/launch.h"

int vm_firmware(const struct conf_vm *c, const struct probe *p, struct firmware **out, struct err *e)
{
	const char *machine = probe_machine(p, c->machine);
	int r;

	*out = NULL;
	if (!firmware_wanted(c))
		return 0;
	r = firmware_choose(out, machine ? machine : c->machine, c->secure_boot, e);
	return r < 0 ? err_wrap(e, r, "UEFI firmware") : 0;
}

int vm_argv_context(struct vm *vm, const struct conf_vm *c, const struct probe *p, enum conf_accel accel,
	bool paste, struct arena *a, struct argv_context *ctx, struct firmware **firmware, struct err *e)
{
	const struct daemon *d = vm->daemon;
	char(*tap)[16] = arena_alloc(a, (c->nics ? c->nics : 1) * sizeof *tap);
	int r = vm_firmware(c, p, firmware, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < c->nics; i++)
		snprintf(tap[i], sizeof tap[i], "vk-%.9s.%u", vm->name, (unsigned)i % 100);
	for (size_t i = 0; i < vm->proc.nics && i < c->nics; i++)
		if (vm->proc.nic[i].tap.name[0])
			memcpy(tap[i], vm->proc.nic[i].tap.name, sizeof tap[i]);
	*ctx = (struct argv_context){ .paste = paste,
		.accel = accel,
		.image_dir = d->image_dir,
		.run_dir = arena_printf(a, "%s/vms/%s", d->dirs.run, vm->name),
		.nvram = *firmware ? arena_printf(a, "%s/vms/%s/nvram.qcow2", d->dirs.state, vm->name) : NULL,
		.firmware = *firmware,
		.tap = (const char(*)[16])tap };
	return 0;
}
