/* SPDX-License-Identifier: MIT */
#include "supervisor/host/prefix.h"

#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

#define RUN_DIR "/run/vmkeep"

/* FNV-1a of the run directory */
void host_prefix(char prefix[HOST_PREFIX_MAX], const char *run_dir)
{
	uint32_t hash = 2166136261;

	for (const char *s = run_dir; *s; s++)
		hash = (hash ^ (unsigned char)*s) * 16777619;
	if (streq(run_dir, RUN_DIR))
		snprintf(prefix, HOST_PREFIX_MAX, "vmkeep");
	else
		snprintf(prefix, HOST_PREFIX_MAX, "vmkeep%08x", hash);
}

const char *host_owner(const char *run_dir)
{
	static char prefix[HOST_PREFIX_MAX];

	host_prefix(prefix, run_dir);
	return prefix + sizeof "vmkeep" - 1;
}
