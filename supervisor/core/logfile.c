/* SPDX-License-Identifier: MIT */
#include "supervisor/core/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

static int open_end(struct logfile *l)
{
	struct stat st;

	l->fd = openat(l->dirfd, l->name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return -errno;
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
	l->keep = keep;
	if (l->dirfd < 0 || open_end(l) < 0)
		return err_errno(e, "open log '%s/%s'", vm, name);
	return 0;
}

/* name.KEEP-1 -> name.KEEP, .. , name -> name.1 */
static void rotate(struct logfile *l)
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
	if (open_end(l) < 0)
		log_warning(NULL, "open log '%s': %s", l->name, strerror(errno));
}

void logfile_append(struct logfile *l, const void *data, size_t len)
{
	if (l->fd < 0)
		return;
	if (l->max && l->size && l->size + len > l->max)
		rotate(l);
	/* a full disk costs the log, nothing else */
	if (l->fd >= 0 && file_write_all(l->fd, data, len) == 0)
		l->size += len;
}

void logfile_release(struct logfile *l)
{
	close_fd(&l->fd);
	close_fd(&l->dirfd);
	free(l->name);
	l->name = NULL;
}

void logfile_tail(int log_fd, const char *vm, const char *name, unsigned lines, struct buf *out)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", vm, name);
	_cleanup_(close_fd) int fd = openat(log_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *data;
	ssize_t n, from;
	size_t room;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || lines == 0)
		return;
	room = out->max && (uint64_t)st.st_size > out->max ? out->max : (size_t)st.st_size;
	data = buf_reserve(out, room);
	n = data ? pread(fd, data, room, st.st_size - (off_t)room) : -1;
	if (n <= 0)
		return;
	/* the newline that ends the last line counts for none */
	for (from = n - 1; from > 0; from--)
		if (data[from - 1] == '\n' && --lines == 0)
			break;
	memmove(data, data + from, (size_t)(n - from));
	buf_commit(out, (size_t)(n - from));
}
