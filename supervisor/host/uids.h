/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/uids.h - the uids of confined programs, and how daemons share them
 *
 * The range is above what systemd assigns to containers and below 2^31, divided into blocks. Two
 * daemons must never use the same uid, or their guests could signal each other. The daemon of
 * /var/lib/vmkeep has the first two blocks, which contain all uids of earlier versions; any other
 * daemon claims one. After a reboot, files in its state directory (VM identities, network choices)
 * show which block it had.
 *
 * A claim is a file in UIDS_CLAIMS, named after the block. It contains the state directory and is
 * locked while the daemon runs. It remains when the daemon exits, because guests keep running.
 * UIDS_CLAIMS is in /run: guests do not survive a reboot either, so claims need not.
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
	UIDS_SHARED = 2, /* number of blocks that need no claim */
};

#define UIDS_STATE  "/var/lib/vmkeep"
#define UIDS_CLAIMS "/run/vmkeep-uids"

struct uids { /* the uids of one daemon */
	unsigned block;
	uid_t vms, vms_end;	      /* saved in the VM's identity */
	uid_t networks, networks_end; /* saved with the network's choices */
	uid_t relay; /* of all relays: no QEMU can signal them, nor they anything else */
	uid_t probe; /* for a QEMU that is only probed */
	const char *claims, *state;
	int claim; /* the locked file, -1: none */
};

void uids_of_block(struct uids *u, unsigned block);
/* True for any uid that a vmkeepd on this host gives to a confined program. */
bool uids_is_confined(uid_t uid);
/* True for a VM's or network's uid, of any daemon. */
bool uids_is_vm(uid_t uid);
bool uids_is_network(uid_t uid);
/* For a confined uid. */
unsigned uids_block(uid_t uid);
/* True if a VM may keep this uid: all daemons of earlier versions used the first block. */
bool uids_keeps_vm(const struct uids *u, uid_t uid);

/* True if a user or group of this host has one of these ids, or may map it into a container. */
bool uids_of_host(uid_t from, uid_t n);

/* -- uids_kept.c, uids_claim.c -- */

/* Calls with() for each uid that the state directory has saved for a VM or network. */
void uids_kept(int state_fd, void (*with)(void *data, uid_t uid), void *data);
/* Call before the loop runs. claims, state: borrowed. If no claim is possible, a daemon that had a
 * block continues with it; for a daemon without one the result is NULL. */
struct uids *uids_new(const char *claims, int state_fd, const char *state, struct err *e);
/* Checks that the claim is still valid and renews it if it was lost: with the same block, unless
 * another daemon has it by now. Cheap. */
void uids_look(struct uids *u);
void uids_free(struct uids *u); /* NULL is fine */

#endif
