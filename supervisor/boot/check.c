/* SPDX-License-Identifier: MIT */
/* Checks After= and Requires=, which takes all VMs. */
#include "supervisor/boot/boot.h"

#include <string.h>

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

static bool check_is_in(const struct conf_list *names, const char *name)
{
	for (size_t i = 0; names && i < names->n; i++)
		if (streq(names->item[i], name))
			return true;
	return false;
}

/* was: names that are not looked at, or NULL. */
static void check_names(struct vms *vms, const struct conf_vm *c, const struct conf_list *names,
	const struct conf_list *was, const char *key, struct conf_problems *p)
{
	for (size_t i = 0; i < names->n; i++) {
		const char *name = names->item[i], *near;

		if (check_is_in(was, name) || streq(name, c->name) || vms_find(vms, name) ||
			boot_is_network(vms->daemon, name))
			continue;
		near = vms_nearest(vms, name);
		conf_problem(p, conf_vm_line(c, &c->place, key), key,
			near ? "there is no VM or network '%s', did you mean '%s'?"
			     : "there is no VM or network '%s'",
			name, near);
	}
}

static void check_ring(const struct conf_vm *c, const struct buf *ring, struct conf_problems *p)
{
	const char *key = c->after.n ? "After" : "Requires";

	conf_problem(p, conf_vm_line(c, &c->place, key), key, "dependency cycle%s%s",
		ring ? ": " : "", ring ? ring->data : "");
}

void boot_check(struct vms *vms, struct conf_problems *p)
{
	_cleanup_(free_ptr) struct order_vm *order = boot_order(vms);

	for (size_t i = 0; i < vms->n; i++) {
		const struct conf_vm *c = &vms->vm[i]->file.conf;
		struct buf ring = BUF_INIT;

		check_names(vms, c, &c->after, NULL, "After", p);
		check_names(vms, c, &c->requires, NULL, "Requires", p);
		if (order_ring(order, vms->n, i, &ring))
			check_ring(c, &ring, p);
		buf_release(&ring);
	}
}

/* The place of the VM, which is made if it is not there. */
static size_t check_place(struct order_vm *order, size_t *n, const char *name)
{
	size_t at = order_find(order, *n, name);

	if (at < *n)
		return at;
	for (at = (*n)++; at > 0 && strcmp(order[at - 1].name, name) > 0; at--)
		order[at] = order[at - 1];
	return at;
}

void boot_check_change(struct vms *vms, const struct conf_vm *from, const struct conf_vm *to,
	bool others, struct conf_problems *p)
{
	static const struct conf_list none = { 0 };
	_cleanup_(free_ptr) struct order_vm *order = boot_order(vms);
	struct buf ring = BUF_INIT, unheard = BUF_INIT;
	size_t n = vms->n, at = check_place(order, &n, to->name), former;
	bool was = false;

	if (others) {
		check_names(vms, to, &to->after, from ? &from->after : NULL, "After", p);
		check_names(vms, to, &to->requires, from ? &from->requires : NULL, "Requires", p);
	}
	order[at] = (struct order_vm){ to->name, &none, &none, 0 };
	former = from ? order_find(order, n, from->name) : n;
	if (former < n) {
		order[former] = (struct order_vm){ from->name, &from->after, &from->requires, 0 };
		was = order_ring(order, n, former, &unheard);
		order[former] = (struct order_vm){ from->name, &none, &none, 0 };
	}
	order[at] = (struct order_vm){ to->name, &to->after, &to->requires, 0 };
	if (!was && order_ring(order, n, at, &ring))
		check_ring(to, others ? &ring : NULL, p);
	buf_release(&unheard);
	buf_release(&ring);
}
