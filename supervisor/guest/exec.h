/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/exec.h - a command in a guest, its input and output as a stream
 *
 * keeper.h says how it runs in the guest, exec_client.c what its client sees. At most one request
 * to the agent is in flight for all commands of a VM, which take turns, so that other users of the
 * agent get theirs. What is held here for a command is one piece of output and one of input,
 * charged to its client: a piece is taken from the guest only when the one before has left.
 *
 * When the client leaves, the command is ended. When the VM is paused or its file systems are
 * frozen, the agent cannot answer, and everything waits.
 */
#ifndef SUPERVISOR_GUEST_EXEC_H
#define SUPERVISOR_GUEST_EXEC_H

#include <jansson.h>

#include "base/buf.h"

struct hold;
struct job;
struct vm;

/* Types of frames; each is followed by its length, four bytes, big-endian, and its content. */
enum exec_frame {
	EXEC_FRAME_OUT = 'o',	 /* to the client: standard output */
	EXEC_FRAME_ERR = 'e',	 /* standard error */
	EXEC_FRAME_INPUT = 'i',	 /* it may send one piece of input; from the client: this is it */
	EXEC_FRAME_SIGNAL = 's', /* from the client: "TERM" or "KILL" */
	EXEC_FRAME_END = 'x',	 /* to the client, the last one: {"exit"}, or {"error"} */
};

struct exec_options {
	int fd;		   /* the client's connection, non-blocking, stolen */
	struct hold *hold; /* stolen */
	const struct buf *leftover;
	json_t *command; /* array of strings, stolen */
	struct job *job; /* ends with the command */
	double timeout;	 /* seconds; 0: none */
};

/* The VM's agent port must be open. */
void exec_start(struct vm *vm, const struct exec_options *o);

#endif
