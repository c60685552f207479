/* SPDX-License-Identifier: MIT */
/*
 * supervisor/boot/down.h - vmkeepd --shutdown-all: the host is shutting down, and the daemon is
 * not running
 */
#ifndef SUPERVISOR_BOOT_DOWN_H
#define SUPERVISOR_BOOT_DOWN_H

#include <stdint.h>

struct daemon;

/* Shuts down all guests, then the networks, and prints one line per guest. No control socket. ms
 * 0: the time in vmkeep.conf. Kills the process if it takes much longer than that. */
void down_run(struct daemon *d, uint64_t ms);

/* Prints the time in vmkeep.conf, in seconds, for vmkeep-shutdown. Returns the exit code. */
int down_print_time(const char *config);

#endif
