/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/bases.h - may a VM write to its disks, as far as other VMs' disks are based on
 * them?
 *
 * A disk that has run on a base protects it. One that has not, because it is new, is empty: the disks
 * of a template are protected by Template=yes, whoever is based on them.
 */
#ifndef SUPERVISOR_VM_BASES_H
#define SUPERVISOR_VM_BASES_H

#include "supervisor/vm/vms.h"

/* Refuses what a template is not for. */
int vm_template_check(const struct vm *vm, struct err *e);
/* Refuses to write to an image that another VM has run on as a base. */
int vm_bases_check(const struct vm *vm, const struct conf_vm *c, struct err *e);

/* Names of the other VMs whose Base= lines have a disk of c, whether they ran or not; owned. */
json_t *vm_overlays(const struct vms *vms, const char *name, const struct conf_vm *c);
/* Refuses a change of its configuration that leaves such a VM's base, or that of one which is being
 * made, without its VM. to NULL: it is deleted, or no template any more. Call vms_refresh() before. */
int vm_overlays_check(const struct vms *vms, const char *name, const struct conf_vm *from,
	const struct conf_vm *to, struct err *e);

#endif
