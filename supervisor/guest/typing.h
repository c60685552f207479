/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/typing.h - input typed into a guest's serial port
 *
 * The port's socket is connected only while somebody types: a client that does not read stalls the
 * guest after 279 characters, and this one always reads.
 */
#ifndef SUPERVISOR_GUEST_TYPING_H
#define SUPERVISOR_GUEST_TYPING_H

#include "supervisor/vm/vm.h"

enum { TYPING_MAX = 4096 }; /* bytes typed that the guest has not read yet */

struct typing {
	struct vm *vm;
	const char *serial; /* port name, borrowed */
	int fd;		    /* -1: not connected */
	ev_io in, out;
	struct loop_timer calm; /* pause before the next read from the guest */
	struct buf bytes;
};

void typing_init(struct typing *t, struct vm *vm, const char *serial);
/* If the guest reads no input, bytes that no longer fit are dropped, as on a real UART. */
void typing_send(struct typing *t, const char *data, size_t len);
/* True if QEMU has read everything: it discards unread input when the client disconnects. */
bool typing_is_taken(const struct typing *t);
void typing_close(struct typing *t);

#endif
