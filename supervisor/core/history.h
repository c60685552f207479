/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/history.h - STATE/vms/NAME/history: what happened to a VM, who requested it, why
 *
 * One line per record: Unix time, event, requester, reason, separated by tabs. Fields are escaped,
 * so that nothing chosen by a guest or a caller can forge a line. When the file exceeds
 * HISTORY_MAX, older records are dropped, by replacing the file atomically. Requested events have
 * their own share of it, so that a guest, which can cause any number of records, cannot push them
 * out. Lines that do not parse as records (the version, a line cut short by a power loss) are
 * skipped.
 */
#ifndef SUPERVISOR_CORE_HISTORY_H
#define SUPERVISOR_CORE_HISTORY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

enum { /* bytes */
	HISTORY_MAX = 256 << 10,
	HISTORY_ASKED = 128 << 10, /* share kept for requested events when older ones are dropped */
	HISTORY_OWN = 64 << 10,	   /* share kept for all other events */
	HISTORY_FIELD_MAX = 1024,
};

struct history_record {
	double time;	   /* wall clock */
	const char *event; /* "start", "crashed" */
	const char *who;   /* the requester; "", NULL or "policy": nobody */
	const char *why;   /* the reason; may be "" or NULL */
};

/* Was the event requested by somebody, as opposed to policy? */
bool history_is_asked(const char *who);
void history_line(const struct history_record *r, struct buf *out);
/* path: the history file, in an existing directory. A full disk only loses the record. */
int history_append(int dirfd, const char *path, const struct history_record *r, struct err *e);
/* The last records of a history's text, oldest first: columns and rows time, event, who, reason. */
json_t *history_table(const char *text, size_t len, size_t last);
json_t *history_read(int dirfd, const char *path, size_t last, struct err *e);

#endif
