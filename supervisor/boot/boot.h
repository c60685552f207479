/* SPDX-License-Identifier: MIT */
/*
 * supervisor/boot/boot.h - starts VMs with the host, by Enable=, once per boot and in order
 *
 * RUN/boot contains the boot id and the names of the pending starts: if the daemon dies in
 * between, the next one continues; a daemon started later starts nothing. The daemon object owns
 * it while starts are pending; a few run at a time. Failures caused by the host (a path that is
 * not mounted yet) are retried every few seconds for a while, then as policy says.
 */
#ifndef SUPERVISOR_BOOT_BOOT_H
#define SUPERVISOR_BOOT_BOOT_H

#include "conf/conf.h"

struct daemon;
struct order_vm;
struct vms;

/* After adoption. */
void boot_begin(struct daemon *d);
void boot_end(struct daemon *d); /* leaves pending starts to the next daemon */
/* An address was leased, which somebody may wait for. State changes of VMs arrive by observer. */
void boot_kick(struct daemon *d);
/* Cancels all pending starts; stopping or killing a VM cancels its own. */
void boot_cancel_all(struct daemon *d);

/* After= and Requires= of all VMs, sorted by name; the caller frees it. */
struct order_vm *boot_order(const struct vms *vms);
/* A daemon that runs nothing has no networks, but their files. */
bool boot_is_network(const struct daemon *d, const char *name);
/* Reports dependency cycles and unknown names in After= and Requires=. */
void boot_check(struct vms *vms, struct conf_problems *p);
/* What that would report of a VM if its files changed so, and does not yet. from: NULL: a new VM. others:
 * the names of other VMs may be told, and whether there are such. */
struct conf_vm;
void boot_check_change(struct vms *vms, const struct conf_vm *from, const struct conf_vm *to,
	bool others, struct conf_problems *p);

#endif
