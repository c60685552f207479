/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/history.h - STATE/vms/NAME/history: what happened to a VM, who asked, why
 *
 * One line per record: Unix time, event, who, why, with tabs between. Fields are escaped, so that
 * nothing a guest or a caller chose can forge a line. Past HISTORY_MAX older records are dropped,
 * whole file or not at all. What somebody asked for has a share of its own there: a guest, which can
 * make as many records as it likes, pushes out none of these. Lines that do not read as records (the
 * version, one cut short by a power loss) are passed over.
 */
#ifndef SUPERVISOR_CORE_HISTORY_H
#define SUPERVISOR_CORE_HISTORY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

enum { /* bytes */
	HISTORY_MAX = 256 << 10,
	HISTORY_ASKED = 128 << 10, /* of it, for what somebody asked for */
	HISTORY_OWN = 64 << 10,	   /* and for all else, when older ones are dropped */
	HISTORY_FIELD_MAX = 1024,
};

struct history_record {
	double time;	   /* the wall clock's */
	const char *event; /* "start", "crashed" */
	const char *who;   /* who asked; "", NULL or "policy": nobody */
	const char *why;   /* likewise */
};

/* Did somebody ask, and not policy? */
bool history_is_asked(const char *who);
void history_line(const struct history_record *r, struct buf *out);
/* path: of the history, whose directory is there. A full disk costs the record, nothing else. */
int history_append(int dirfd, const char *path, const struct history_record *r, struct err *e);
/* The last so many records of a history's text, oldest first: columns and rows time, event, who,
 * reason. */
json_t *history_table(const char *text, size_t len, size_t last);
json_t *history_read(int dirfd, const char *path, size_t last, struct err *e);

#endif
