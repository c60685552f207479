/* SPDX-License-Identifier: MIT */
/*
 * base/log.h - one sink: the journal's native socket if stderr is the journal, else stderr
 *
 * The caller escapes text that a guest or QEMU chose (text_escape). One call, one line. Nothing
 * here blocks on the log's reader: up to 64 KiB are queued, then lines are dropped and counted,
 * and a line in their place says how many.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR_, LOG_WARNING_, LOG_INFO_, LOG_DEBUG_, LOG_LEVELS };

/* level: the most verbose level written. Opens the journal socket if $JOURNAL_STREAM names
 * stderr. */
void log_open(enum log_level level);
/* Waits up to half a second if lines are queued. log_write() still works afterwards. */
void log_close(void);
int log_level_parse(const char *s, enum log_level *level);

/* vm may be NULL; else it becomes VMKEEP_VM= and "vm NAME: " before the text. */
void log_write(enum log_level level, const char *vm, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes queued lines; false if some remain. stuck is called when the first line has to be
 * queued: flush until the queue is empty. */
bool log_flush(void);
void log_on_stuck(void (*stuck)(void *data), void *data);

#define log_error(vm, ...)   log_write(LOG_ERROR_, vm, __VA_ARGS__)
#define log_warning(vm, ...) log_write(LOG_WARNING_, vm, __VA_ARGS__)
#define log_info(vm, ...)    log_write(LOG_INFO_, vm, __VA_ARGS__)
#define log_debug(vm, ...)   log_write(LOG_DEBUG_, vm, __VA_ARGS__)

#endif
