/* SPDX-License-Identifier: MIT */
#include "supervisor/host/meminfo.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

enum { TEXT_MAX = 64 << 10, KIB = 1024 };

void meminfo_parse(struct meminfo *m, const char *text)
{
	const struct {
		const char *name;
		uint64_t *value, unit;
	} rows[] = {
		{ "MemTotal:", &m->total, KIB },
		{ "MemAvailable:", &m->available, KIB },
		{ "SwapTotal:", &m->swap, KIB },
		{ "SwapFree:", &m->swap_free, KIB },
		{ "HugePages_Total:", &m->huge_pages, 1 },
		{ "HugePages_Free:", &m->huge_free, 1 },
		{ "Hugepagesize:", &m->huge_size, KIB },
	};

	*m = (struct meminfo){ 0 };
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			if (strncmp(line, rows[i].name, strlen(rows[i].name)) == 0)
				*rows[i].value = strtoull(line + strlen(rows[i].name), NULL, 10) *
						 rows[i].unit;
}

int meminfo_read(struct meminfo *m, struct err *e)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(TEXT_MAX);
	int r = file_read(AT_FDCWD, "/proc/meminfo", &text, e);

	meminfo_parse(m, r == 0 && text.data ? text.data : "");
	return r;
}

int meminfo_fits(const struct meminfo *m, uint64_t bytes, struct err *e)
{
	char wanted[16], free[16], swap[16];

	if (bytes <= m->available || bytes - m->available <= m->swap_free)
		return 0;
	err_set(e, ERR_NO_RESOURCES,
		"Memory: %s exceeds the %s available on this host plus %s of free swap",
		text_size(wanted, sizeof wanted, bytes), text_size(free, sizeof free, m->available),
		text_size(swap, sizeof swap, m->swap_free));
	return err_hint(e, "stop other guests, add memory or swap, or write a smaller Memory=");
}

static bool meminfo_is_unlimited(void)
{
	_cleanup_(buf_release) struct buf mode = BUF_MAX(16);

	return file_read(AT_FDCWD, "/proc/sys/vm/overcommit_memory", &mode, NULL) == 0 &&
	       mode.data && *mode.data == '1';
}

int meminfo_promises(const struct meminfo *m, uint64_t bytes, struct err *e)
{
	char wanted[16], all[16], swap[16];

	if (!m->total || bytes <= m->total || bytes - m->total <= m->swap || meminfo_is_unlimited())
		return 0;
	err_set(e, ERR_NO_RESOURCES,
		"Max: %s exceeds the %s of memory plus %s of swap that this host has",
		text_size(wanted, sizeof wanted, bytes), text_size(all, sizeof all, m->total),
		text_size(swap, sizeof swap, m->swap));
	return err_hint(e, "write a smaller Max= in [Memory], or add memory or swap");
}
