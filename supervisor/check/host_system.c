/* SPDX-License-Identifier: MIT */
/* Checks of memory, disk space, clocks and security modules. */
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/check/host.h"
#include "supervisor/host/meminfo.h"

enum {
	SMALL_TEXT = 256,
	MEMINFO_TEXT = 8192,
	SHORT = 20, /* warn below 1/20 of the memory */
	FULL = 85   /* warn from this many percent of a file system on */
};

void host_cgroups(const struct host_facts *f, struct host_row *row)
{
	static const char *const wanted[] = { "cpu", "io", "memory", "pids" };
	char text[SMALL_TEXT], padded[SMALL_TEXT + 2], word[16], missing[64] = "";

	if (!host_read(f, "sys/fs/cgroup/cgroup.controllers", text, sizeof text)) {
		if (host_exists(f, "sys/fs/cgroup/memory") ||
			host_exists(f, "sys/fs/cgroup/unified"))
			host_row(row, HOST_PASS, NULL, "version 1");
		else
			host_row(row, HOST_WARN, "mount -t cgroup2 none /sys/fs/cgroup",
				"not mounted: guests run without limits on CPU, memory and I/O");
		return;
	}
	snprintf(padded, sizeof padded, " %s ", text);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		size_t len = strlen(missing);

		snprintf(word, sizeof word, " %s ", wanted[i]);
		if (!strstr(padded, word))
			snprintf(missing + len, sizeof missing - len, "%s%s", len ? ", " : "",
				wanted[i]);
	}
	if (missing[0])
		host_row(row, HOST_WARN,
			"the kernel was built or started (cgroup_disable=) without them",
			"version 2 without %s", missing);
	else
		host_row(row, HOST_PASS, NULL, "version 2");
}

static bool host_system_memory_of(const struct host_facts *f, struct meminfo *m)
{
	char text[MEMINFO_TEXT];
	bool there = host_read(f, "proc/meminfo", text, sizeof text);

	meminfo_parse(m, text);
	return there;
}

void host_memory(const struct host_facts *f, struct host_row *row)
{
	char available[16], total[16];
	struct meminfo m;

	if (!host_system_memory_of(f, &m))
		return;
	text_size(available, sizeof available, m.available);
	text_size(total, sizeof total, m.total);
	if (m.available < m.total / SHORT)
		host_row(row, HOST_WARN, "stop something, or add memory", "%s of %s available",
			available, total);
	else
		host_row(row, HOST_PASS, NULL, "%s of %s available", available, total);
}

void host_huge_pages(const struct host_facts *f, struct host_row *row)
{
	struct meminfo m;
	char size[16];

	if (!host_system_memory_of(f, &m))
		return;
	if (m.huge_pages)
		host_row(row, HOST_PASS, NULL, "%llu of %llu free, %s each",
			(unsigned long long)m.huge_free, (unsigned long long)m.huge_pages,
			text_size(size, sizeof size, m.huge_size));
	else
		host_row(row, HOST_PASS, NULL, "none reserved, which guests do not need");
}

static void host_system_room(const struct store_seen *s, struct host_row *row)
{
	_cleanup_(free_ptr) char *quoted = text_shell_quote(s->path),
				 *cure = xasprintf("findmnt -T %s shows how it is mounted", quoted);
	char room[16], size[16], trash[16], held[48] = "";

	text_size(room, sizeof room, s->room);
	text_size(size, sizeof size, s->size);
	if (s->trash)
		snprintf(held, sizeof held, ", %s of deleted disks in .trash",
			text_size(trash, sizeof trash, s->trash));
	if (!s->size)
		host_row(row, HOST_WARN, "does it exist, and is its file system mounted?",
			"'%s' is %s", s->path, store_state_name(s->state));
	else if (s->read_only)
		host_row(row, HOST_PASS, NULL, "'%s' is read-only", s->path);
	else if (s->state == STORE_READ_ONLY)
		host_row(row, HOST_WARN, cure, "'%s' is read-only", s->path);
	else
		host_row(row, store_used(s) >= FULL ? HOST_WARN : HOST_PASS,
			store_used(s) >= FULL
				? "free space: guests whose disks cannot grow are paused"
				: NULL,
			"%s of %s left in '%s'%s", room, size, s->path, held);
}

/* Guests do not need any access: each has its own files mounted individually. */
static void host_system_access(const struct store_seen *s, struct host_row *row)
{
	_cleanup_(free_ptr) char *quoted = text_shell_quote(s->path), *cure = NULL;

	if (!s->mode)
		return;
	if (s->owner) {
		cure = xasprintf("chown root %s", quoted);
		host_row(row, HOST_WARN, cure,
			"'%s' belongs to uid %u, which can replace the images in it", s->path,
			s->owner);
	} else if (s->mode & 077) {
		cure = xasprintf("chmod 0700 %s", quoted);
		host_row(row, HOST_WARN, cure,
			"'%s' has mode %04o: users other than root can reach images in it, and lock those that they may read",
			s->path, s->mode);
	} else {
		host_row(row, HOST_PASS, NULL, "'%s' is accessible only to its owner", s->path);
	}
}

void host_room(const struct host_facts *f, struct host_row *row)
{
	host_system_room(&f->store[0], row);
}

void host_image_access(const struct host_facts *f, struct host_row *row)
{
	host_system_access(&f->store[0], row);
}

/* When a thin pool is full, its volumes fail writes, or all are read-only. */
static void host_system_pool(const struct store_seen *s, struct host_row *row)
{
	const bool full = store_used(s) >= FULL || s->metadata >= FULL;
	char room[16], size[16], metadata[48] = "";

	if (s->metadata >= 0)
		snprintf(metadata, sizeof metadata, ", %d %% of its metadata used", s->metadata);
	if (!s->size)
		host_row(row, HOST_WARN, NULL, "%s", s->why ? s->why : store_state_name(s->state));
	else
		host_row(row, full ? HOST_WARN : HOST_PASS,
			full ? "free space: guests whose disks cannot grow are paused" : NULL,
			"%s of %s left in '%s'%s", text_size(room, sizeof room, s->room),
			text_size(size, sizeof size, s->size), s->path, metadata);
}

/* Media that everybody may read are usual in a read-only one. */
void host_store(const struct store_seen *s, struct host_row *row)
{
	if (s->program) {
		host_system_pool(s, row);
		return;
	}
	host_system_room(s, row);
	if (row->verdict == HOST_PASS && (s->owner || (!s->read_only && (s->mode & 077))))
		host_system_access(s, row);
}

void host_clock_source(const struct host_facts *f, struct host_row *row)
{
	static const char *const slow[] = { "hpet", "acpi_pm", "jiffies", "pit" };
	char text[64];

	if (!host_read(f, "sys/devices/system/clocksource/clocksource0/current_clocksource", text,
		    sizeof text))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
		if (streq(text, slow[i])) {
			host_row(row, HOST_WARN,
				"the kernel stopped using tsc, dmesg shows why; a BIOS upgrade often fixes it",
				"%s, which is slow for host and guests", text);
			return;
		}
	host_row(row, HOST_PASS, NULL, "%s", text);
}

void host_time_sync(const struct host_facts *f, struct host_row *row)
{
	struct timex t = { 0 };

	if (adjtimex(&t) == TIME_ERROR || t.status & STA_UNSYNC)
		host_row(row, HOST_WARN,
			"apt install chrony, or systemctl enable --now systemd-timesyncd",
			"no time synchronisation is running, but guests start with the host's time");
	else
		host_row(row, HOST_PASS, NULL, "synchronised");
}

void host_security(const struct host_facts *f, struct host_row *row)
{
	char text[16];

	if (host_read(f, "sys/fs/selinux/enforce", text, sizeof text) && text[0] == '1')
		host_row(row, HOST_WARN,
			"ausearch -m avc -ts recent shows what it denies, if anything",
			"SELinux is enforcing, and vmkeep has no policy for it");
	else if (host_read(f, "sys/module/apparmor/parameters/enabled", text, sizeof text) &&
		 text[0] == 'Y')
		host_row(row, HOST_PASS, NULL, "AppArmor is active; vmkeep needs no profile");
	else
		host_row(row, HOST_PASS, NULL,
			"none active; guests are isolated by uids, namespaces and seccomp");
}
