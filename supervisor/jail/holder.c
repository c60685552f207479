/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/holder.c - finds out who is using a file or a block device
 *
 * Walks /proc and /sys, which takes milliseconds, so only call it after a conflict is certain.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

static void holder_put_escaped(
	char who[HOLDER_TEXT], const char *before, const char *name, const char *after)
{
	_cleanup_(free_ptr) char *safe = text_escape(name, strcspn(name, "\n"), false);

	snprintf(who, HOLDER_TEXT, "%s%.400s%s", before, safe, after);
}

/* In ascending order. Readers without a lock do not count. */
enum use { HOLDER_NONE, HOLDER_LOCKS, HOLDER_WRITES };

static enum use holder_use_of(int process, const char *fd)
{
	char path[64], text[1024];
	const char *flags;

	snprintf(path, sizeof path, "fdinfo/%.32s", fd);
	file_peek(process, path, text, sizeof text);
	flags = strstr(text, "flags:");
	if (flags && strtoul(flags + 6, NULL, 8) & O_ACCMODE)
		return HOLDER_WRITES;
	return strstr(text, "lock:") ? HOLDER_LOCKS : HOLDER_NONE;
}

static bool holder_same(int dir, const char *name, const struct stat *st)
{
	struct statx x;

	/* use cached attributes, without asking a file server */
	if (statx(dir, name, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &x) < 0)
		return false;
	if (S_ISBLK(st->st_mode))
		return S_ISBLK(x.stx_mode) &&
		       makedev(x.stx_rdev_major, x.stx_rdev_minor) == st->st_rdev;
	return x.stx_ino == st->st_ino && makedev(x.stx_dev_major, x.stx_dev_minor) == st->st_dev;
}

static enum use holder_process_use(int process, const struct stat *st)
{
	_cleanup_(close_dir) DIR *d = file_open_dir(process, "fd", 0);
	enum use most = HOLDER_NONE, use;
	const struct dirent *entry;

	while (d && most != HOLDER_WRITES && (entry = readdir(d))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
			!holder_same(dirfd(d), entry->d_name, st))
			continue;
		use = holder_use_of(process, entry->d_name);
		most = use > most ? use : most;
	}
	return most;
}

/* Is it one of our guests? Gets the full name, which comm truncates, from the arguments -name
 * guest=NAME,... */
static bool holder_is_guest(int process, const char *comm, char *name, size_t size)
{
	static const char before[] = "guest=";
	char words[4096 + sizeof before] = "";

	file_peek(process, "cmdline", words, 4096);
	for (const char *w = words; strncmp(comm, "vmkeep:", 7) == 0 && *w; w += strlen(w) + 1)
		if (streq(w, "-name") && strncmp(w + 6, before, strlen(before)) == 0) {
			w += 6 + strlen(before);
			snprintf(name, size, "%.*s", (int)strcspn(w, ","), w);
			return true;
		}
	return false;
}

static void holder_put_process(char who[HOLDER_TEXT], int process, const char *pid)
{
	char comm[64], name[64], after[64];

	file_peek(process, "comm", comm, sizeof comm);
	if (holder_is_guest(process, comm, name, sizeof name)) {
		snprintf(after, sizeof after, "' (pid %.20s)", pid);
		holder_put_escaped(who, "VM '", name, after);
	} else {
		snprintf(after, sizeof after, " (pid %.20s)", pid);
		holder_put_escaped(who, "", comm, after);
	}
}

/* Finds the first process that writes the file, else the first that locks it; ignores uses below
 * least. */
static bool holder_find_process(const struct stat *st, enum use least, char who[HOLDER_TEXT])
{
	_cleanup_(close_dir) DIR *d = opendir("/proc");
	enum use most = HOLDER_NONE, use;
	const struct dirent *entry;

	while (d && most != HOLDER_WRITES && (entry = readdir(d))) {
		_cleanup_(close_fd) int process = -1;

		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
			continue;
		process = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		use = process < 0 ? HOLDER_NONE : holder_process_use(process, st);
		if (use < least || use <= most)
			continue;
		holder_put_process(who, process, entry->d_name);
		most = use;
	}
	return most != HOLDER_NONE;
}

/* mountinfo: id parent MAJOR:MINOR root MOUNTPOINT ... */
static bool holder_find_mount(const struct stat *st, char who[HOLDER_TEXT])
{
	_cleanup_(close_file) FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_(free_ptr) char *line = NULL;
	unsigned int major, minor;
	size_t size = 0;
	char where[400];
	bool found = false;

	while (f && !found && getline(&line, &size, f) > 0)
		found = sscanf(line, "%*d %*d %u:%u %*s %399s", &major, &minor, where) == 3 &&
			makedev(major, minor) == st->st_rdev;
	if (found)
		holder_put_escaped(who, "a file system mounted on ", where, "");
	return found;
}

/* Logical volumes, RAID etc. are listed in the holders directory. */
static bool holder_find_stacked(const struct stat *st, char who[HOLDER_TEXT])
{
	_cleanup_(close_dir) DIR *d = NULL;
	const struct dirent *entry;
	char path[64];

	snprintf(path, sizeof path, "/sys/dev/block/%u:%u/holders", major(st->st_rdev),
		minor(st->st_rdev));
	d = opendir(path);
	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.') {
			holder_put_escaped(who, "the device ", entry->d_name, "");
			return true;
		}
	return false;
}

static bool holder_find_loop(const struct stat *st, char who[HOLDER_TEXT])
{
	_cleanup_(close_dir) DIR *d = opendir("/sys/block");
	const struct dirent *entry;
	char path[300], file[4096];

	while (d && (entry = readdir(d))) {
		if (strncmp(entry->d_name, "loop", 4) != 0)
			continue;
		snprintf(path, sizeof path, "%.255s/loop/backing_file", entry->d_name);
		file_peek(dirfd(d), path, file, sizeof file);
		file[strcspn(file, "\n")] = '\0';
		if (file[0] && holder_same(AT_FDCWD, file, st)) {
			holder_put_escaped(who, "the device ", entry->d_name, "");
			return true;
		}
	}
	return false;
}

bool holder_writes(const struct stat *st)
{
	char who[HOLDER_TEXT];

	return holder_find_process(st, HOLDER_WRITES, who) || holder_find_loop(st, who);
}

void holder_find(const struct stat *st, bool writers, char who[HOLDER_TEXT])
{
	bool device = S_ISBLK(st->st_mode);

	if (holder_find_process(st, writers ? HOLDER_WRITES : HOLDER_LOCKS, who))
		return;
	if (device ? holder_find_mount(st, who) || holder_find_stacked(st, who)
		   : holder_find_loop(st, who))
		return;
	snprintf(who, HOLDER_TEXT,
		device ? "the kernel (swap, RAID or a mounted partition)"
		       : "the kernel or another host (swap, an export)");
}
