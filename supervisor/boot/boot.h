/* SPDX-License-Identifier: MIT */
/*
 * supervisor/boot/boot.h - starts the VMs with Enable=yes once per boot of the host, in their order
 *
 * RUN/boot holds the boot's id and the names whose turn has not come yet: a daemon that dies in
 * between is followed by one that goes on, and one that starts later starts nothing. Owned by the
 * daemon object while there is something to do; a few starts at a time. Failures that are the
 * host's fault (a path that is not mounted yet) are tried again every few seconds for a while,
 * then as policy has it.
 */
#ifndef SUPERVISOR_BOOT_BOOT_H
#define SUPERVISOR_BOOT_BOOT_H

#include "conf/conf.h"

struct daemon;
struct order_vm;
struct vms;

/* After adoption. */
void boot_begin(struct daemon *d);
void boot_end(struct daemon *d); /* those to come are left to the next daemon */
/* An address was leased: somebody may wait for it. VMs are observed. */
void boot_kick(struct daemon *d);
/* All pending starts; stopping or killing a VM cancels its own. */
void boot_cancel_all(struct daemon *d);

/* After= and Requires= of all VMs, sorted by name; the caller frees it. */
struct order_vm *boot_order(const struct vms *vms);
/* Rings and unknown names in After= and Requires=. */
void boot_check(struct vms *vms, struct conf_problems *p);

#endif
