/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/nic_plug_private.h - private to guest/nic_plug*.c
 */
#ifndef SUPERVISOR_GUEST_NIC_PLUG_PRIVATE_H
#define SUPERVISOR_GUEST_NIC_PLUG_PRIVATE_H

#include "supervisor/core/keep.h"
#include "supervisor/guest/nic_plug.h"

#define NIC_PLUG_KIND "nic" /* of its entries among the changes in the run record */

/* NULL: the process has no such NIC. Valid until the next one comes or goes. */
struct conf_nic *nic_plug_conf(struct vm *vm, const char *id);
struct vm_nic *nic_plug_nic(struct vm *vm, const char *id);
void nic_plug_copy(struct conf_nic *to, const struct conf_nic *from, struct arena *a);
/* step: "in", "out", or "stays" of one that the guest has not released in time; NULL: nothing is under
 * way. Writes the configuration of the process, too. */
void nic_plug_note(struct vm *vm, const char *device, const char *step);
/* Writes the identity durably: see keep(). */
int nic_plug_save(struct vm *vm, keep_fn *done, void *data, struct err *e);
/* The process has it from now on, and the identity must know it. */
void nic_plug_list(struct vm *vm, const struct conf_nic *nic);
/* It has not; what was made for it on the host goes. */
void nic_plug_unlist(struct vm *vm, const char *id, const char *device);

#endif
