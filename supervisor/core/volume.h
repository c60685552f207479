/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/volume.h - asks the program of a store for its volumes
 *
 * A store of Type=program has block devices in place of files. Its program, which vmkeep.conf
 * names, is run for each request by vmkeep-jail (role "store"), with a deadline:
 *
 *   PROGRAM VERB PATH POOL -- [NAME [BYTES | SNAPSHOT]]
 *
 * vmkeepd(8) describes the verbs. A program that is missing, hangs or fails costs only the VM
 * that needs it now.
 */
#ifndef SUPERVISOR_CORE_VOLUME_H
#define SUPERVISOR_CORE_VOLUME_H

#include <stdint.h>

#include "base/err.h"
#include "conf/daemon.h"

struct daemon;

enum volume_answer {
	VOLUME_DONE,
	VOLUME_NONE,   /* there is no such volume or snapshot */
	VOLUME_EXISTS, /* there is one already */
	VOLUME_FAILED
};

struct volume_request {
	const struct conf_store *store;
	const char *verb, *name, *more; /* name, more: NULL if the verb has none */
};

/* said: the first line that it printed, if that was all, else "". e: NULL if VOLUME_DONE. */
typedef void volume_fn(
	void *data, enum volume_answer answer, const char *said, const struct err *e);

/* done is called once, from the loop, unless it is cancelled. NULL on failure. */
struct volume_call;
struct volume_call *volume_ask(struct daemon *d, const struct volume_request *r, volume_fn *done,
	void *data, struct err *e);
void volume_cancel(struct volume_call *c); /* kills the program; NULL is fine */

/* What 'usage' printed: bytes, and percent of the metadata, -1 if it has none. */
bool volume_usage(const char *said, uint64_t *size, uint64_t *room, int *metadata);

#endif
