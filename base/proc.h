/* SPDX-License-Identifier: MIT */
/*
 * base/proc.h - process information from proc(5)
 *
 * Pid, start time and boot id together identify a process forever. These files are kernel memory:
 * reading them does not block.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
	char state; /* R, S, D, T, t, Z, X */
	pid_t parent;
	unsigned long threads;
	uint64_t starttime; /* clock ticks since boot */
	uint64_t ticks;	    /* CPU time used, in clock ticks */
};

/* Of a process or a thread; false if there is none. */
bool proc_stat(pid_t pid, struct proc_stat *s);

/* 0 if it has exited. */
uint64_t proc_starttime(pid_t pid);
/* True if pid is still the process with that start time. */
bool proc_is(pid_t pid, uint64_t starttime);

/* Grows while the process uses CPU time or does I/O; 0 if unknown. */
uint64_t proc_work(pid_t pid);

enum { PROC_BOOT_ID = 37 };
/* "" if it cannot be read. */
void proc_boot_id(char id[PROC_BOOT_ID]);
/* The same boot, as far as known? An unknown id ("") matches any: pid and start time must do
 * then. */
bool proc_same_boot(const char *a, const char *b);

#endif
