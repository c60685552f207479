/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/typing.h - what somebody types into a serial port of a guest
 *
 * Its socket is connected while somebody does: a client that does not read stalls the guest after 279
 * characters, and this one always reads.
 */
#ifndef SUPERVISOR_GUEST_TYPING_H
#define SUPERVISOR_GUEST_TYPING_H

#include "supervisor/vm/vm.h"

enum { TYPING_MAX = 4096 }; /* bytes typed that the guest has not taken */

struct typing {
	struct vm *vm;
	const char *serial; /* its name, borrowed */
	int fd;		    /* -1: nobody types */
	ev_io in, out;
	struct loop_timer calm; /* until more of what the guest sends is read */
	struct buf bytes;
};

void typing_init(struct typing *t, struct vm *vm, const char *serial);
/* A guest that takes no input loses what no longer fits, as a real UART would. */
void typing_send(struct typing *t, const char *data, size_t len);
/* QEMU throws away what it has not read when its client hangs up: has it read all? */
bool typing_is_taken(const struct typing *t);
void typing_close(struct typing *t);

#endif
