/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/progress.h - the progress line on the terminal
 *
 * Shown only for operations that take noticeable time, redrawn at most ten times a second and
 * erased before other output. Off if stderr is not a terminal.
 */
#ifndef SUPERVISOR_CLIENT_PROGRESS_H
#define SUPERVISOR_CLIENT_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct progress {
	bool on, shown;
	int64_t began_ms, drawn_ms;
	char text[128]; /* "web1: writing memory" */
	double percent; /* negative: unknown */
};

int64_t progress_now_ms(void);
void progress_init(struct progress *p, bool on);
/* The text until the first event, borrowed for the call. */
void progress_text(struct progress *p, const char *target, const char *text);
/* data of a JOB_PROGRESS event. */
void progress_event(struct progress *p, const json_t *data);
/* Draws when due; returns milliseconds to the next time, -1: never. */
int progress_tick(struct progress *p, int64_t now_ms);
void progress_erase(struct progress *p);
/* The line, for a terminal of this width; pure. */
void progress_line(struct buf *b, const struct progress *p, int64_t now_ms, size_t width);

#endif
