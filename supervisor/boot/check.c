/* SPDX-License-Identifier: MIT */
/* Checks After= and Requires=, which takes all VMs. */
#include "supervisor/boot/boot.h"
#include "conf/load.h"
#include "conf/order.h"
#include "supervisor/vm/vms.h"

struct order_vm *boot_order(const struct vms *vms)
{
	struct order_vm *order = xcalloc(vms->n + 1, sizeof *order);

	for (size_t i = 0; i < vms->n; i++)
		order[i] = (struct order_vm){ vms->vm[i]->name, &vms->vm[i]->file.conf.after,
			&vms->vm[i]->file.conf.requires, vms->vm[i]->file.conf.timeout_stop_ms };
	return order;
}

bool boot_is_network(const struct daemon *d, const char *name)
{
	return d->networks ? networks_exists(d->networks, name, NULL)
			   : streq(name, "default") || conf_network_stamp(d->dirs.config, name);
}

static void check_names(struct vms *vms, const struct vm *vm, const struct conf_list *names,
	const char *key, struct conf_problems *p)
{
	for (size_t i = 0; i < names->n; i++) {
		const char *name = names->item[i], *near;

		if (vms_find(vms, name) || boot_is_network(vms->daemon, name))
			continue;
		near = vms_nearest(vms, name);
		conf_problem(p, &vm->file.conf.place, key,
			near ? "there is no VM or network '%s', did you mean '%s'?"
			     : "there is no VM or network '%s'",
			name, near);
	}
}

void boot_check(struct vms *vms, struct conf_problems *p)
{
	_cleanup_(free_ptr) struct order_vm *order = boot_order(vms);

	for (size_t i = 0; i < vms->n; i++) {
		const struct vm *vm = vms->vm[i];
		struct buf ring = BUF_INIT;

		check_names(vms, vm, &vm->file.conf.after, "After", p);
		check_names(vms, vm, &vm->file.conf.requires, "Requires", p);
		if (order_ring(order, vms->n, i, &ring))
			conf_problem(p, &vm->file.conf.place,
				vm->file.conf.after.n ? "After" : "Requires",
				"dependency cycle: %s", ring.data);
		buf_release(&ring);
	}
}
