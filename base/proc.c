/* SPDX-License-Identifier: MIT */
#include "base/proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

bool proc_stat(pid_t pid, struct proc_stat *s)
{
	char path[64], text[4096], *p;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file_peek(AT_FDCWD, path, text, sizeof text);
	/* the name in parentheses may contain anything, so fields count from after it; the state
	 * is field 3 */
	p = strrchr(text, ')');
	p = p && p[1] == ' ' ? p + 2 : NULL;
	if (p)
		s->state = *p;
	s->ticks = 0;
	for (int field = 3; p && field < 22; field++) {
		if (field == 14 || field == 15)
			s->ticks += strtoull(p, NULL, 10);
		if (field == 4)
			s->parent = (pid_t)strtol(p, NULL, 10);
		if (field == 20)
			s->threads = strtoul(p, NULL, 10);
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (p)
		s->starttime = strtoull(p, NULL, 10);
	return p;
}

uint64_t proc_starttime(pid_t pid)
{
	struct proc_stat s;

	/* a zombie runs no guest, but its remaining threads hold its files and locks */
	return proc_stat(pid, &s) && (!strchr("ZX", s.state) || s.threads > 1) ? s.starttime : 0;
}

bool proc_is(pid_t pid, uint64_t starttime)
{
	return pid > 0 && starttime && proc_starttime(pid) == starttime;
}

uint64_t proc_work(pid_t pid)
{
	static const char *const counters[] = { "rchar: ", "wchar: ", "syscr: ", "syscw: " };
	struct proc_stat s = { 0 };
	uint64_t sum = 0;
	char path[64], text[4096];

	snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
	file_peek(AT_FDCWD, path, text, sizeof text);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		const char *at = strstr(text, counters[i]);

		sum += at ? strtoull(at + strlen(counters[i]), NULL, 10) : 0;
	}
	return sum + (proc_stat(pid, &s) ? s.ticks : 0);
}

void proc_boot_id(char id[PROC_BOOT_ID])
{
	file_peek(AT_FDCWD, "/proc/sys/kernel/random/boot_id", id, PROC_BOOT_ID);
}

bool proc_same_boot(const char *a, const char *b)
{
	return !*a || !*b || strcmp(a, b) == 0;
}
