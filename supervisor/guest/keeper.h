/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/keeper.h - how a command runs in a guest, in terms of guest-exec; pure
 *
 * The agent has no streams: guest-exec runs a program, and returns its output when it has ended. So
 * the first call starts a shell in the guest, the keeper, which runs the command on three anonymous
 * pipes. Each piece of output is a dd on a pipe of the keeper, each piece of input a cat: nothing
 * is written to the guest's disks, and a full pipe stalls its writer. A fourth pipe takes messages
 * for the keeper's other half, the watcher: it signals the command, and ends it when nobody has
 * renewed the lease for about 40 seconds of the guest's time, as when this daemon was killed.
 *
 * The first line of the output is the watcher's pid; a mark, random for each command, and the exit
 * code follow the command's last byte in both pipes. A program that the command left behind may
 * keep a pipe open; it is not waited for.
 */
#ifndef SUPERVISOR_GUEST_KEEPER_H
#define SUPERVISOR_GUEST_KEEPER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	KEEPER_PIECE = 32 << 10, /* bytes of one piece of input or output */
	KEEPER_RENEW = 10,	 /* seconds between renewals of the lease */
};

/* Descriptors of the keeper; KEEPER_IN belongs to the watcher. */
enum keeper_pipe { KEEPER_IN = 6, KEEPER_OUT, KEEPER_ERR, KEEPER_CONTROL };

/* Messages to the watcher, the most urgent one first. */
enum keeper_message {
	KEEPER_QUIT,   /* all output has been read */
	KEEPER_HANGUP, /* SIGHUP, a second later SIGKILL, and the keeper ends too */
	KEEPER_KILL,
	KEEPER_TERM,
	KEEPER_EOF, /* of the input */
	KEEPER_LEASE,
	KEEPER_MESSAGES
};

struct keeper_mark {
	char text[33];
};
void keeper_mark_init(struct keeper_mark *m);

/* Arguments of guest-exec; owned by the caller. */
json_t *keeper_start(const struct keeper_mark *m, const json_t *command);
json_t *keeper_read(json_int_t keeper, enum keeper_pipe pipe);
json_t *keeper_write(json_int_t watcher, const void *data, size_t len);
json_t *keeper_tell(json_int_t keeper, enum keeper_message message);

/* What was read from a pipe and not passed on: it may be the beginning of the mark. */
struct keeper_tail {
	struct buf held;
	bool ended;
	int code; /* of the command, once ended */
};

/* Takes the next piece and adds to out what the command wrote. */
int keeper_take(struct keeper_tail *t, const struct keeper_mark *m, const struct buf *piece,
	struct buf *out, struct err *e);
void keeper_tail_release(struct keeper_tail *t);

#endif
