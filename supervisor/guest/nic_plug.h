/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/nic_plug.h - NICs are plugged into a guest that runs, and taken out of it
 *
 * The configuration of the process has a NIC from the moment on at which its tap may exist until the
 * guest has released it and QEMU has closed the tap; the run record has what is under way. An
 * unwilling guest keeps its NIC, which goes when the guest releases it later.
 */
#ifndef SUPERVISOR_GUEST_NIC_PLUG_H
#define SUPERVISOR_GUEST_NIC_PLUG_H

#include "supervisor/guest/change.h"

/* done is called once, possibly before this returns. nic: borrowed. j: told what happens, and may be
 * cancelled while a network or the guest is waited for. */
void nic_plug_attach(
	struct vm *vm, const struct conf_nic *nic, struct job *j, change_fn *done, void *data);
/* timeout: seconds that the guest may take; then ERR_GUEST_REFUSED. */
void nic_plug_detach(
	struct vm *vm, const char *id, double timeout, struct job *j, change_fn *done, void *data);

#endif
