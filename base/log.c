/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <endian.h>

#include "base/mem.h"
#include "base/text.h"

enum { LOG_LINE_MAX = 4096 };

static const struct {
	const char *name;
	int priority; /* syslog(3)'s, as the journal wants it */
} levels[] = {
	[LOG_ERROR_] = { "error", 3 },
	[LOG_WARNING_] = { "warning", 4 },
	[LOG_INFO_] = { "info", 6 },
	[LOG_DEBUG_] = { "debug", 7 },
};
_Static_assert(ARRAY_SIZE(levels) == LOG_LEVELS, "a level has no name");

/* The only state of the program that belongs to no object: where its one log goes. */
static struct {
	enum log_level level;
	int journal;
} sink = { LOG_INFO_, -1 };

int log_level_parse(const char *s, enum log_level *level)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (streq(levels[i].name, s)) {
			*level = (enum log_level)i;
			return 0;
		}
	return -1;
}

enum log_level log_level(void)
{
	return sink.level;
}

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stderr that it connected. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
		fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_open(enum log_level level)
{
	sink.level = level;
	if (sink.journal < 0 && stderr_is_journal())
		sink.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void log_close(void)
{
	close_fd(&sink.journal);
}

/* The journal's native protocol: KEY=value lines; a value with newlines is KEY, newline, 64 bit
 * little-endian length, value. We always use the second form for the message. */
static bool send_journal(enum log_level level, const char *vm, const char *line)
{
	static const struct sockaddr_un journal = { .sun_family = AF_UNIX,
		.sun_path = "/run/systemd/journal/socket" };
	char head[160];
	uint64_t len = htole64(strlen(line));
	int n = snprintf(head, sizeof head, "PRIORITY=%d\nSYSLOG_IDENTIFIER=vmkeepd\n%s%s%sMESSAGE\n",
		levels[level].priority, vm ? "VMKEEP_VM=" : "", vm ? vm : "", vm ? "\n" : "");
	struct iovec part[] = {
		{ head, (size_t)n },
		{ &len, sizeof len },
		{ (void *)(uintptr_t)line, strlen(line) },
		{ (void *)(uintptr_t) "\n", 1 },
	};
	struct msghdr m = { .msg_name = (void *)(uintptr_t)&journal, .msg_namelen = sizeof journal,
		.msg_iov = part, .msg_iovlen = ARRAY_SIZE(part) };

	return sink.journal >= 0 && sendmsg(sink.journal, &m, MSG_NOSIGNAL) >= 0;
}

void log_write(enum log_level level, const char *vm, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;
	int n = 0;

	if (level > sink.level)
		return;
	if (vm)
		n = snprintf(line, sizeof line, "vm %s: ", vm);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
	va_end(ap);
	for (char *p = line; *p; p++)
		if (*p == '\n')
			*p = '|';
	text_clean(line); /* a guest's or a QEMU's words may be in it */
	if (!send_journal(level, vm, line))
		fprintf(stderr, "vmkeepd: %s: %s\n", levels[level].name, line);
}
