/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <endian.h>

#include "base/mem.h"
#include "base/text.h"

/* A line fits into one atomic pipe write. */
enum { LOG_TEXT_MAX = PIPE_BUF - 32, BACKLOG_MAX = 64 << 10, LAST_WORDS_MS = 500 };

static const struct {
	const char *name;
	int priority; /* syslog(3) priority, as the journal expects it */
} levels[] = {
	[LOG_ERROR_] = { "error", 3 },
	[LOG_WARNING_] = { "warning", 4 },
	[LOG_INFO_] = { "info", 6 },
	[LOG_DEBUG_] = { "debug", 7 },
};
_Static_assert(ARRAY_SIZE(levels) == LOG_LEVELS, "a level has no name");

/* A line waiting for earlier ones to be written. */
struct line {
	struct line *next;
	enum log_level level;
	size_t size; /* of the whole struct */
	unsigned long
		lost; /* log lines lost if this one is dropped: itself, or the number it reports */
	char *vm;     /* or NULL; points into text */
	char text[];  /* the line, NUL, the VM's name, NUL */
};

/* The only global state of the program: its one log sink. */
static struct {
	enum log_level level;
	int journal, own; /* own: stderr's pipe or terminal, reopened non-blocking; or -1 */
	struct line *first, *last;
	size_t used, done; /* bytes of all lines; bytes of the first one already written */
	unsigned long dropped;
	void (*stuck)(void *data);
	void *stuck_data;
} sink = { .level = LOG_INFO_, .journal = -1, .own = -1 };

enum outcome { OUT, STUCK, LOST };

int log_level_parse(const char *s, enum log_level *level)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (streq(levels[i].name, s)) {
			*level = (enum log_level)i;
			return 0;
		}
	return -1;
}

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stderr that it connected. */
static bool log_stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* O_NONBLOCK belongs to the open file description, which other processes share: a shell whose
 * terminal we made non-blocking would misbehave. So reopen pipes and terminals. */
static int log_open_own(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0 || (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)))
		return -1;
	return open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void log_open(enum log_level level)
{
	sink.level = level;
	if (sink.journal < 0 && log_stderr_is_journal())
		sink.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sink.own < 0)
		sink.own = log_open_own();
}

/* The journal's native protocol: KEY=value lines; a value with newlines is KEY, newline, 64-bit
 * little-endian length, value. We always use the second form for the message. */
static bool log_send_journal(enum log_level level, const char *vm, const char *line)
{
	static const struct sockaddr_un journal = { .sun_family = AF_UNIX,
		.sun_path = "/run/systemd/journal/socket" };
	char head[160];
	uint64_t len = htole64(strlen(line));
	int n = snprintf(head, sizeof head,
		"PRIORITY=%d\nSYSLOG_IDENTIFIER=vmkeepd\n%s%s%sMESSAGE\n", levels[level].priority,
		vm ? "VMKEEP_VM=" : "", vm ? vm : "", vm ? "\n" : "");
	struct iovec part[] = {
		{ head, (size_t)n },
		{ &len, sizeof len },
		{ (void *)(uintptr_t)line, strlen(line) },
		{ (void *)(uintptr_t)"\n", 1 },
	};
	struct msghdr m = { .msg_name = (void *)(uintptr_t)&journal,
		.msg_namelen = sizeof journal,
		.msg_iov = part,
		.msg_iovlen = ARRAY_SIZE(part) };

	return sink.journal >= 0 && sendmsg(sink.journal, &m, MSG_NOSIGNAL) >= 0;
}

/* Never blocks: sockets take MSG_DONTWAIT, regular files do not block, and anything that could
 * not be reopened is polled first. */
static ssize_t log_write_stderr(const char *text, size_t len)
{
	struct pollfd p = { STDERR_FILENO, POLLOUT, 0 };
	ssize_t n;

	if (sink.own >= 0)
		return write(sink.own, text, len);
	n = send(STDERR_FILENO, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 || errno != ENOTSOCK)
		return n;
	if (poll(&p, 1, 0) == 1)
		return write(STDERR_FILENO, text, len);
	errno = EAGAIN;
	return -1;
}

/* done: bytes of the line already written, updated. */
static enum outcome log_deliver(
	enum log_level level, const char *vm, const char *text, size_t *done)
{
	char line[PIPE_BUF];
	int len = snprintf(line, sizeof line, "vmkeepd: %s: %s\n", levels[level].name, text);

	if (*done == 0 && log_send_journal(level, vm, text))
		return OUT;
	/* a journal that is only slow takes the rest later; one that is missing never will */
	if (*done == 0 && sink.journal >= 0 && (errno == EAGAIN || errno == ENOBUFS))
		return STUCK;
	while (*done < (size_t)len) {
		ssize_t n = log_write_stderr(line + *done, (size_t)len - *done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == ENOBUFS ? STUCK : LOST;
		*done += (size_t)n;
	}
	return OUT;
}

static void log_backlog_add(
	enum log_level level, const char *vm, const char *text, unsigned long lost)
{
	size_t len = strlen(text) + 1, size = sizeof(struct line) + len + (vm ? strlen(vm) + 1 : 0);
	struct line *l = xcalloc(1, size);

	l->level = level;
	l->size = size;
	l->lost = lost;
	memcpy(l->text, text, len);
	if (vm)
		l->vm = strcpy(l->text + len, vm);
	if (sink.last)
		sink.last->next = l;
	else
		sink.first = l;
	sink.last = l;
	sink.used += size;
}

static void log_backlog_drop_first(void)
{
	struct line *l = sink.first;

	sink.first = l->next;
	if (!sink.first)
		sink.last = NULL;
	sink.used -= l->size;
	sink.done = 0;
	free(l);
}

/* Logs how many lines were dropped at this point. */
static void log_tell_dropped(void)
{
	char text[80];

	if (!sink.dropped)
		return;
	snprintf(text, sizeof text, "%lu line%s dropped here: the log was not being read",
		sink.dropped, sink.dropped == 1 ? " was" : "s were");
	log_backlog_add(LOG_WARNING_, NULL, text, sink.dropped);
	sink.dropped = 0;
}

bool log_flush(void)
{
	for (;;) {
		enum outcome how;

		if (!sink.first)
			log_tell_dropped();
		if (!sink.first)
			return true;
		how = log_deliver(sink.first->level, sink.first->vm, sink.first->text, &sink.done);
		if (how == STUCK)
			return false;
		if (how == LOST)
			sink.dropped += sink.first->lost;
		log_backlog_drop_first();
		/* reported with the next line, if that one gets through */
		if (how == LOST && !sink.first)
			return true;
	}
}

static void log_line(enum log_level level, const char *vm, const char *text)
{
	const bool before = sink.first != NULL;

	if (!log_flush() && sink.used > BACKLOG_MAX - sizeof(struct line) - PIPE_BUF) {
		sink.dropped++;
		return;
	}
	if (sink.first)
		log_tell_dropped();
	log_backlog_add(level, vm, text, 1);
	if (!log_flush() && !before && sink.stuck)
		sink.stuck(sink.stuck_data);
}

void log_write(enum log_level level, const char *vm, const char *fmt, ...)
{
	char line[LOG_TEXT_MAX];
	va_list ap;
	int n = 0, error = errno;

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
	text_clean(line); /* may contain text from a guest or QEMU */
	log_line(level, vm, line);
	errno = error;
}

void log_on_stuck(void (*stuck)(void *data), void *data)
{
	sink.stuck = stuck;
	sink.stuck_data = data;
	if (sink.first && stuck)
		stuck(data);
}

/* Gives a slow reader half a second to take the final lines; does not wait for one that reads
 * nothing. */
void log_close(void)
{
	struct pollfd p = { sink.own >= 0 ? sink.own : STDERR_FILENO, POLLOUT, 0 };

	if (!log_flush() && poll(&p, 1, LAST_WORDS_MS) == 1)
		log_flush();
	while (sink.first)
		log_backlog_drop_first();
	sink.dropped = 0;
	close_fd(&sink.journal);
	close_fd(&sink.own);
}
