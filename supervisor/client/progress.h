/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/progress.h - one line on the terminal that says that something goes on
 *
 * Appears only for what takes longer than a blink, is redrawn at most ten times a second and is
 * erased before anything else is printed. Off when stderr is no terminal.
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
	double percent; /* negative: nobody knows */
};

int64_t progress_now_ms(void);
void progress_init(struct progress *p, bool on);
/* What goes on before the first event tells better, borrowed for the call. */
void progress_text(struct progress *p, const char *target, const char *text);
/* data of a JOB_PROGRESS event. */
void progress_event(struct progress *p, const json_t *data);
/* Draws when it is time to; returns milliseconds to the next time, -1: never. */
int progress_tick(struct progress *p, int64_t now_ms);
void progress_erase(struct progress *p);
/* The line, for a terminal of that width; pure. */
void progress_line(struct buf *b, const struct progress *p, int64_t now_ms, size_t width);

#endif
