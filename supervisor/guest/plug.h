/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/plug.h - disks are attached to and detached from a guest that runs
 *
 * A disk is checked and locked as at a start, and described to QEMU by the function that describes it
 * on the command line. The configuration of the process has it from then on, so that everything that
 * asks for the guest's disks finds it; the VM's file does not. A guest that does not release a disk
 * keeps it: nothing of it is touched until QEMU says that the device is gone, also if that comes later.
 */
#ifndef SUPERVISOR_GUEST_PLUG_H
#define SUPERVISOR_GUEST_PLUG_H

#include "supervisor/guest/change.h"

/* The section of a disk that the guest does not have: "[Disk ID]" and its keys. */
struct plug_disk {
	const char *id, *text;
};

/* What attach would refuse of the disk in this configuration, before anything changes. */
int plug_check(const struct vm *vm, const struct conf_vm *to, const char *id, struct err *e);
void plug_attach(
	struct vm *vm, const struct plug_disk *d, struct job *j, change_fn *done, void *data);

/* timeout: in seconds, for the guest. ERR_GUEST_REFUSED: it has not released it, and may do so later. */
int plug_check_detach(const struct vm *vm, const char *id, struct err *e);
void plug_detach(
	struct vm *vm, const char *id, double timeout, struct job *j, change_fn *done, void *data);

#endif
