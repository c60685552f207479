/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/prefix.h - how this daemon's things are called where those of others are too
 *
 * "vmkeep", and with another run directory than /run/vmkeep something of it behind: two daemons on one
 * host must not meet in a control group or a table of nft.
 */
#ifndef SUPERVISOR_HOST_PREFIX_H
#define SUPERVISOR_HOST_PREFIX_H

#include <stdint.h>

enum { HOST_PREFIX_MAX = 32 };

/* Only what is behind "vmkeep" in it: "" for the usual run directory. Static memory. */
const char *host_owner(const char *run_dir);
void host_prefix(char prefix[HOST_PREFIX_MAX], const char *run_dir);

#endif
