/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/meminfo.h - the memory of this host, and whether a guest's fits
 */
#ifndef SUPERVISOR_HOST_MEMINFO_H
#define SUPERVISOR_HOST_MEMINFO_H

#include <stdint.h>

#include "base/err.h"

struct meminfo { /* bytes; pages: a number */
	uint64_t total, available, swap_free;
	uint64_t huge_pages, huge_free, huge_size;
};

/* From the text of /proc/meminfo; what it does not tell is 0. */
void meminfo_parse(struct meminfo *m, const char *text);
/* Of this host, now. */
int meminfo_read(struct meminfo *m, struct err *e);

/* ERR_NO_RESOURCES when a guest of this size is more than what is available and swap together. Less
 * than that is the operator's risk: guests rarely use all. */
int meminfo_fits(const struct meminfo *m, uint64_t bytes, struct err *e);

#endif
