/* SPDX-License-Identifier: MIT */
/*
 * base/proc.h - what the kernel tells of a process, in proc(5)
 *
 * Pid, start time and boot id together name one process for ever. These files are the kernel's memory:
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
	uint64_t starttime; /* clock ticks since the boot */
	uint64_t ticks;	    /* of a processor that it used */
};

/* Of a process or a thread; false: there is none. */
bool proc_stat(pid_t pid, struct proc_stat *s);

/* 0: it has ended. */
uint64_t proc_starttime(pid_t pid);
/* Is this pid still the process that started then? */
bool proc_is(pid_t pid, uint64_t starttime);

/* Grows while the process computes, reads or writes; 0: nothing is known of it. */
uint64_t proc_work(pid_t pid);

enum { PROC_BOOT_ID = 37 };
/* "" where it cannot be read. */
void proc_boot_id(char id[PROC_BOOT_ID]);
/* Are these two the same boot, as far as one can tell? Where one of them is "" pid and start time say it. */
bool proc_same_boot(const char *a, const char *b);

#endif
