/* SPDX-License-Identifier: MIT */
/*
 * supervisor/boot/down.h - vmkeepd as no daemon: the host is on its way down, and ours is gone
 */
#ifndef SUPERVISOR_BOOT_DOWN_H
#define SUPERVISOR_BOOT_DOWN_H

#include <stdint.h>

struct daemon;

/* All guests down, then networks; a line for each on standard output. Nobody is listened to. ms: 0 is what
 * vmkeep.conf says. Ends the process where it is not over long after that. */
void down_run(struct daemon *d, uint64_t ms);

/* What vmkeep.conf says, in seconds, for vmkeep-shutdown. Returns the exit code. */
int down_print_time(const char *config);

#endif
