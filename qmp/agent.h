/* SPDX-License-Identifier: MIT */
/*
 * qmp/agent.h - one connection to a guest agent, the host's end
 *
 * Speaks qemu-ga's dialect. Guest input is hostile, and QEMU keeps what was written while no
 * agent was listening and delivers it whenever one starts. So every call begins with 0xFF and a
 * guest-sync-delimited with a number of its own. Until the answer to that arrives, all other
 * input is discarded unread and the command is not sent. One call at a time, the others wait.
 *
 * Every agent_call() is answered once: reply, error, timeout or close, from the loop and never
 * from inside agent_call(). A callback may call or close. Nothing is read between calls: a guest
 * that floods its port only stalls itself.
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

/* result: "return" value, borrowed, NULL on error. ERR_GUEST_REFUSED: the agent's own error,
 * escaped; ERR_TIMEOUT: no answer in time, and if number is -EBUSY the
 * command was not even sent; ERR_UNREACHABLE: the connection is lost; ERR_FAILED:
 * malformed answer. */
typedef void agent_reply_fn(void *data, const json_t *result, const struct err *e);

/* Waiting, sync and command share patience seconds. If timeout, in seconds, is longer, the
 * command gets that much from when it is sent. */
void agent_call(struct agent *a, const char *command, json_t *arguments /* stolen, may be NULL */,
	double timeout, agent_reply_fn *reply, void *data);

/* Calls made with this data pointer: the one that was sent gets this many seconds from now, others
 * when they are sent. INFINITY: as long as it takes, for a guest that does not run now. */
void agent_extend(struct agent *a, const void *data, double seconds);

/* Drops all callbacks of calls made with this data pointer; a command in flight still completes. */
void agent_forget(struct agent *a, const void *data);

/* Only detected during a call, since nothing is read in between. A lost connection answers no
 * more. */
bool agent_is_lost(const struct agent *a);

/* Completes all pending calls (from the loop), then frees. NULL is fine. */
void agent_close(struct agent *a);

#endif
