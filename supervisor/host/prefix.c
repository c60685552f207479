/* SPDX-License-Identifier: MIT */
#include "supervisor/host/prefix.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"

#define RUN_DIR "/run/vmkeep"

void host_prefix(char prefix[HOST_PREFIX_MAX], const char *run_dir)
{
	if (streq(run_dir, RUN_DIR))
		snprintf(prefix, HOST_PREFIX_MAX, "vmkeep");
	else
		snprintf(prefix, HOST_PREFIX_MAX, "vmkeep%08x",
			text_hash32(run_dir, strlen(run_dir)));
}

const char *host_owner(const char *run_dir)
{
	static char prefix[HOST_PREFIX_MAX];

	host_prefix(prefix, run_dir);
	return prefix + sizeof "vmkeep" - 1;
}
