/* SPDX-License-Identifier: MIT */
/*
 * base/log.h - one sink: the journal's own datagram when stderr is the journal, else stderr
 *
 * Texts that a guest or QEMU chose are escaped by the caller (text_escape). One call, one line.
 * Nothing here waits for who reads the log: 64 KiB are kept for them, then lines are dropped and counted,
 * and a line tells how many where they are missing.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR_, LOG_WARNING_, LOG_INFO_, LOG_DEBUG_, LOG_LEVELS };

/* level: what is written at most. Opens the journal socket when $JOURNAL_STREAM names stderr. */
void log_open(enum log_level level);
/* Waits for half a second at most, where lines are kept. log_write() still works after it. */
void log_close(void);
int log_level_parse(const char *s, enum log_level *level);

/* vm may be NULL; else it becomes VMKEEP_VM= and "vm NAME: " in front of the text. */
void log_write(enum log_level level, const char *vm, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes what is kept; false: some of it still is. stuck is called when the first line has to be kept:
 * somebody should flush until it is gone. */
bool log_flush(void);
void log_on_stuck(void (*stuck)(void *data), void *data);

#define log_error(vm, ...)   log_write(LOG_ERROR_, vm, __VA_ARGS__)
#define log_warning(vm, ...) log_write(LOG_WARNING_, vm, __VA_ARGS__)
#define log_info(vm, ...)    log_write(LOG_INFO_, vm, __VA_ARGS__)
#define log_debug(vm, ...)   log_write(LOG_DEBUG_, vm, __VA_ARGS__)

#endif
