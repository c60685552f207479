/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/uids.h - the uids that confined programs get, and who else may have one
 *
 * Above what systemd hands out to containers and below 2^31, in blocks. Two daemons never give the
 * same uid, or their guests could signal each other: the daemon of /var/lib/vmkeep has the first
 * two blocks, where all uids of earlier versions are, and any other claims one. What files of its
 * state directory keep (a VM's identity, what was chosen for a network) says after a boot which one
 * it had.
 *
 * A claim is a file in UIDS_CLAIMS, named after the block, that tells the state directory and is
 * locked while the daemon lives. It stays when the daemon ends, for guests go on. UIDS_CLAIMS is in
 * /run: guests do not outlive a boot either, and what is gone by then leaves nothing behind.
 */
#ifndef SUPERVISOR_HOST_UIDS_H
#define SUPERVISOR_HOST_UIDS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

enum {
	UIDS_FIRST = 1879048192, /* 0x70000000 */
	UIDS_BLOCK = 65536,
	UIDS_BLOCKS = 256,
	UIDS_END = UIDS_FIRST + UIDS_BLOCKS * UIDS_BLOCK,
	UIDS_SHARED = 2, /* blocks before this one are not claimed */
};

#define UIDS_STATE  "/var/lib/vmkeep"
#define UIDS_CLAIMS "/run/vmkeep-uids"

struct uids { /* what one daemon gives */
	unsigned block;
	uid_t vms, vms_end;	      /* kept with the VM's identity */
	uid_t networks, networks_end; /* kept with what was chosen for the network */
	uid_t relay; /* of all relays: no QEMU can signal any, and they can signal nobody */
	uid_t probe; /* of a QEMU that is only asked what it can */
	const char *claims, *state;
	int claim; /* the locked file, -1: none */
};

void uids_of_block(struct uids *u, unsigned block);
/* Any program's that a vmkeepd of this host confined. */
bool uids_is_confined(uid_t uid);
/* A VM's or a network's, whichever daemon gave it. */
bool uids_is_vm(uid_t uid);
bool uids_is_network(uid_t uid);
/* Of one that is confined. */
unsigned uids_block(uid_t uid);
/* May a VM keep it? All daemons of earlier versions gave those of the first block. */
bool uids_keeps_vm(const struct uids *u, uid_t uid);

/* A user or group of this host has it, or may map it into a container. */
bool uids_of_host(uid_t from, uid_t n);

/* -- uids_kept.c, uids_claim.c -- */

/* Calls with each uid that the state directory keeps for a VM or a network. */
void uids_kept(int state_fd, void (*with)(void *data, uid_t uid), void *data);
/* Before the loop runs. claims, state: borrowed. Where no claim can be made, a daemon that had a
 * block goes on with that; for one that had none it is NULL. */
struct uids *uids_new(const char *claims, int state_fd, const char *state, struct err *e);
/* Looks whether the claim still stands, and claims again where it was lost: the same block, unless
 * another daemon has it by now. Takes no time. */
void uids_look(struct uids *u);
void uids_free(struct uids *u); /* NULL is fine */

#endif
