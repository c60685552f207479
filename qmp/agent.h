/* SPDX-License-Identifier: MIT */
/*
 * qmp/agent.h - one connection to a guest agent, the host's end
 *
 * Speaks the dialect of qemu-ga. What the guest sends is hostile input, and what is written while
 * no agent listens is kept by QEMU and answered whenever one comes. So every call begins with 0xFF
 * and guest-sync-delimited with a number of its own; until the answer to that has come all else is
 * thrown away unread, and the command is not sent. One call at a time, the others wait.
 *
 * Every agent_call() is answered once: reply, error, timeout or close, from the loop and never from
 * inside agent_call(). A callback may call or close. Between calls nothing is read: a guest that
 * floods its port stalls itself.
 */
#ifndef QMP_AGENT_H
#define QMP_AGENT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct agent;
struct ev_loop;

enum {
	AGENT_REPLY_MAX = 3 << 20, /* bytes of one reply */
	AGENT_CALLS_MAX = 32,	   /* waiting */
	AGENT_SECONDS = 3,	   /* for the sync, and for an ordinary command */
};

/* fd: a connected, non-blocking stream socket, stolen. patience: seconds for the sync and for an
 * ordinary command, usually AGENT_SECONDS. */
struct agent *agent_new(struct ev_loop *ev, int fd /* stolen */, double patience);

/* result: "return" value, borrowed, NULL on error. ERR_GUEST_REFUSED: the agent's own error, escaped;
 * ERR_TIMEOUT: no answer in time; ERR_UNREACHABLE: the connection is gone; ERR_FAILED: no answer that
 * can be read. */
typedef void agent_reply_fn(void *data, const json_t *result, const struct err *e);

/* The whole takes the patience at most, waiting for its turn included; timeout in seconds, where it
 * is longer, is what the command itself may take beyond. */
void agent_call(struct agent *a, const char *command, json_t *arguments /* stolen, may be NULL */,
	double timeout, agent_reply_fn *reply, void *data);

/* Drops all callbacks of calls made with this data pointer; what is under way is still finished. */
void agent_forget(struct agent *a, const void *data);

/* Found out by calls only: nothing is read between them. Such a one answers no more. */
bool agent_is_lost(const struct agent *a);

/* Completes what waits (from the loop), then frees. NULL is fine. */
void agent_close(struct agent *a);

#endif
