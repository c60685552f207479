/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/meminfo.h - memory of this host, and whether a guest fits
 */
#ifndef SUPERVISOR_HOST_MEMINFO_H
#define SUPERVISOR_HOST_MEMINFO_H

#include <stdint.h>

#include "base/err.h"

struct meminfo { /* in bytes; huge_pages and huge_free are counts */
	uint64_t total, available, swap, swap_free;
	uint64_t huge_pages, huge_free, huge_size;
};

/* Parses the text of /proc/meminfo; missing fields are 0. */
void meminfo_parse(struct meminfo *m, const char *text);
/* Reads the current values. */
int meminfo_read(struct meminfo *m, struct err *e);

/* ERR_NO_RESOURCES if a guest of this size is larger than available memory and free swap together.
 * Anything smaller is at the operator's risk: guests rarely use all their memory. */
int meminfo_fits(const struct meminfo *m, uint64_t bytes, struct err *e);
/* ERR_NO_RESOURCES if the kernel would not even promise that much, [Memory] Max=, to one process:
 * it is more than all memory and swap, and the host does not overcommit without limit. */
int meminfo_promises(const struct meminfo *m, uint64_t bytes, struct err *e);

#endif
