/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/prefix.h - prefix of host-wide names: cgroups, nft tables
 *
 * "vmkeep", followed by a hash of the run directory unless that is /run/vmkeep: two daemons on one
 * host must not share a cgroup or nft table.
 */
#ifndef SUPERVISOR_HOST_PREFIX_H
#define SUPERVISOR_HOST_PREFIX_H

#include <stdint.h>

enum { HOST_PREFIX_MAX = 32 };

/* The part after "vmkeep" only: "" for the default run directory. Static memory. */
const char *host_owner(const char *run_dir);
void host_prefix(char prefix[HOST_PREFIX_MAX], const char *run_dir);

#endif
