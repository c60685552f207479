/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/uids.h - the uids that confined programs get, and who else may have one
 *
 * Above what systemd hands out to containers. VMs from UIDS_FIRST on (kept with the VM's identity),
 * networks' dnsmasq from UIDS_NETWORKS on (kept with what was chosen for the network). All relays have
 * one: no VM's QEMU can signal any, and they can signal nobody.
 */
#ifndef SUPERVISOR_HOST_UIDS_H
#define SUPERVISOR_HOST_UIDS_H

#include <stdbool.h>
#include <sys/types.h>

enum {
	UIDS_FIRST = 1879048192,
	UIDS_NETWORKS = UIDS_FIRST + 65536,
	UIDS_RELAY = UIDS_NETWORKS + 4096,
	UIDS_PROBE, /* a QEMU that is only asked what it can */
	UIDS_END
};

/* A user or group of this host has it, or may map it into a container. */
bool uids_of_host(uid_t uid);

#endif
