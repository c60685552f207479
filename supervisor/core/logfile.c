/* SPDX-License-Identifier: MIT */
#include "supervisor/core/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum { TAIL_CHUNK = 16 << 10 };

static int logfile_open_end(struct logfile *l)
{
	struct stat st;

	/* non-blocking: a FIFO in its place fails instead of waiting for a reader */
	l->fd = openat(l->dirfd, l->name,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return -errno;
	/* a device, or a FIFO with a reader, is not a log */
	if (!S_ISREG(st.st_mode)) {
		close_fd(&l->fd);
		errno = ENXIO;
		return -errno;
	}
	l->size = (uint64_t)st.st_size;
	return 0;
}

int logfile_open(struct logfile *l, int log_fd, const char *vm, const char *name, uint64_t max,
	unsigned keep, struct err *e)
{
	if (mkdirat(log_fd, vm, 0750) < 0 && errno != EEXIST)
		return err_errno(e, "make log directory '%s'", vm);
	l->dirfd = openat(log_fd, vm, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	l->name = xstrdup(name);
	l->max = max;
	l->written = 0;
	l->keep = keep;
	if (l->dirfd < 0 || logfile_open_end(l) < 0)
		return err_errno(e, "open log '%s/%s'", vm, name);
	return 0;
}

/* name.KEEP-1 -> name.KEEP, .. , name -> name.1 */
static void logfile_rotate(struct logfile *l)
{
	for (unsigned i = l->keep; i > 0; i--) {
		_cleanup_(free_ptr) char *from =
			i > 1 ? xasprintf("%s.%u", l->name, i - 1) : xstrdup(l->name);
		_cleanup_(free_ptr) char *to = xasprintf("%s.%u", l->name, i);

		renameat(l->dirfd, from, l->dirfd, to);
	}
	if (l->keep == 0)
		unlinkat(l->dirfd, l->name, 0);
	close_fd(&l->fd);
	if (logfile_open_end(l) < 0)
		log_warning(NULL, "open log '%s': %s", l->name, strerror(errno));
}

void logfile_append(struct logfile *l, const void *data, size_t len)
{
	if (l->fd < 0)
		return;
	if (l->max && l->size && l->size + len > l->max)
		logfile_rotate(l);
	/* a full disk only loses log output */
	if (l->fd < 0 || file_write_all(l->fd, data, len) < 0)
		return;
	l->size += len;
	l->written += len;
}

void logfile_release(struct logfile *l)
{
	close_fd(&l->fd);
	close_fd(&l->dirfd);
	free(l->name);
	l->name = NULL;
}

/* --- the last lines ---------------------------------------------------------------------- */

/* The start of the last lines in data, or 0. The newline at the end of the last line does not
 * count. */
static ssize_t logfile_logtail_begin(const char *data, ssize_t n, unsigned *lines, bool last)
{
	ssize_t at = last ? n - 1 : n;

	for (; at > 0; at--)
		if (data[at - 1] == '\n' && --*lines == 0)
			break;
	return at;
}

void logtail_open(
	struct logtail *t, int log_fd, const char *vm, const char *name, unsigned lines, size_t max)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", vm, name);
	char chunk[TAIL_CHUNK];
	struct stat st;
	off_t first;

	*t = (struct logtail)LOGTAIL_INIT;
	t->fd = openat(log_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (t->fd < 0 || fstat(t->fd, &st) < 0 || !S_ISREG(st.st_mode) || lines == 0)
		return;
	t->from = t->to = st.st_size;
	first = st.st_size > (off_t)max ? st.st_size - (off_t)max : 0;
	while (t->from > first && lines) {
		off_t len = t->from - first < TAIL_CHUNK ? t->from - first : TAIL_CHUNK;
		ssize_t n = pread(t->fd, chunk, (size_t)len, t->from - len);

		if (n < len)
			break;
		t->from -= len - logfile_logtail_begin(chunk, n, &lines, t->from == t->to);
	}
}

int logtail_flush(struct logtail *t, int socket)
{
	char chunk[TAIL_CHUNK];

	while (t->from < t->to) {
		off_t len = t->to - t->from < TAIL_CHUNK ? t->to - t->from : TAIL_CHUNK;
		ssize_t n = pread(t->fd, chunk, (size_t)len, t->from);

		if (n <= 0)
			t->to = t->from;
		else
			n = send(socket, chunk, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0)
			return 0;
		t->from += n;
	}
	close_fd(&t->fd);
	return 0;
}

void logtail_release(struct logtail *t)
{
	close_fd(&t->fd);
	*t = (struct logtail)LOGTAIL_INIT;
}
