/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/core/logfile.h"
#include "supervisor/core/watch.h"
#include "supervisor/vm/vm.h"

#define BOUND "4m" /* consoles and stderr together, while nobody drains them */

enum {
	PAGE = 4096,
	RESERVED = 4 * PAGE,	/* of stderr: last words are heard although consoles filled the rest */
	PATIENCE = 256 << 10,	/* bytes of stderr until the daemon moves them */
	PIECE_MAX = 64 << 10,	/* bytes that it then keeps */
	PIECES_SECONDS = 1,	/* at most one in this time; what is between is dropped */
	LOG_MAX = 1 << 20,
	LOG_KEEP = 3,
};

struct output {
	int fd; /* of stderr, to read and to punch */
	int watch;
	off_t drained;
	double last; /* daemon_now() of the last piece */
};

/* --- the tmpfs --- */

int output_mount(struct vm *vm, struct err *e)
{
	/* through the descriptor: whatever the path became meanwhile, this is the run directory */
	_cleanup_(free_ptr) char *where = xasprintf("/proc/self/fd/%d/out", vm->run_fd);

	if (mkdirat(vm->run_fd, "out", 0700) < 0)
		return err_errno(e, "make directory 'out'");
	if (mount("vmkeep-out", where, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    "size=" BOUND ",nr_inodes=64,mode=700") < 0)
		log_warning(vm->name, "its output has no bound: mount a tmpfs: %s", strerror(errno));
	return 0;
}

int output_make(const struct vm *vm, const char *name, struct err *e)
{
	int fd = openat(vm->run_fd, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, "make '%s'", name);
	if (streq(name, OUTPUT_STDERR))
		fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, RESERVED);
	return fd;
}

off_t output_first_data(int fd)
{
	off_t at = lseek(fd, 0, SEEK_DATA);
	char chunk[PAGE];
	ssize_t n, zeros = 0;

	if (at < 0)
		return lseek(fd, 0, SEEK_END);
	n = pread(fd, chunk, sizeof chunk, at);
	while (zeros < n && chunk[zeros] == '\0')
		zeros++;
	return at + zeros;
}

/* --- stderr --- */

static void log_line(struct logfile *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void log_line(struct logfile *l, const char *fmt, ...)
{
	char line[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	logfile_append(l, line, strlen(line));
}

/* At most PIECE_MAX bytes, under a line that says when. */
static void append_log(struct vm *vm, const char *why, off_t from, off_t to)
{
	struct logfile l = LOGFILE_INIT;
	struct err e = ERR_INIT;
	off_t skipped = to - from > PIECE_MAX ? to - from - PIECE_MAX : 0;
	time_t now = time(NULL);
	char when[32], chunk[8192];
	struct tm tm;
	ssize_t n;

	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
	if (logfile_open(&l, vm->daemon->dirs.log_fd, vm->name, "qemu.log", LOG_MAX, LOG_KEEP, &e) < 0)
		log_warning(vm->name, "%s", e.text);
	log_line(&l, "--- %s: %s\n", when, why);
	if (skipped)
		log_line(&l, "--- %lld bytes before this were dropped\n", (long long)skipped);
	for (from += skipped; from < to; from += n) {
		size_t want = (size_t)(to - from) < sizeof chunk ? (size_t)(to - from) : sizeof chunk;

		n = pread(vm->output->fd, chunk, want, from);
		if (n <= 0)
			break;
		logfile_append(&l, chunk, (size_t)n);
		if (from + n == to && chunk[n - 1] != '\n')
			logfile_append(&l, "\n", 1);
	}
	logfile_release(&l);
}

static void on_stderr(void *data)
{
	struct vm *vm = data;
	struct output *o = vm->output;
	struct stat st;
	off_t to;

	if (fstat(o->fd, &st) < 0)
		return;
	if (st.st_size < o->drained) /* QEMU may cut the file as it likes */
		o->drained = st.st_size;
	if (st.st_size - o->drained < PATIENCE)
		return;
	to = (st.st_size - PAGE) & ~(off_t)(PAGE - 1);
	if (daemon_now() - o->last >= PIECES_SECONDS) {
		append_log(vm, "QEMU goes on", o->drained, to);
		o->last = daemon_now();
	}
	fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, to);
	fallocate(o->fd, FALLOC_FL_KEEP_SIZE, to, RESERVED);
	o->drained = to;
}

void output_open(struct vm *vm)
{
	struct output *o;
	struct err e = ERR_INIT;
	int fd = vm->run_fd < 0 ? -1 :
				  openat(vm->run_fd, OUTPUT_STDERR, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	o = vm->output = xcalloc(1, sizeof *o);
	*o = (struct output){ .fd = fd, .drained = output_first_data(fd), .last = -PIECES_SECONDS };
	o->watch = watch_add(vm->daemon->watches, fd, IN_MODIFY, on_stderr, vm, &e);
	if (o->watch < 0)
		log_warning(vm->name, "stderr: %s", e.text);
	on_stderr(vm);
}

void output_free(struct vm *vm)
{
	if (!vm->output)
		return;
	watch_remove(vm->daemon->watches, vm->output->watch);
	close(vm->output->fd);
	free(vm->output);
	vm->output = NULL;
}

void output_keep(struct vm *vm)
{
	struct stat st;

	if (!vm->output) /* the VM was not started after all, or ended while no daemon ran */
		output_open(vm);
	if (vm->output && fstat(vm->output->fd, &st) == 0 && st.st_size > vm->output->drained)
		append_log(vm, vm->reason, vm->output->drained, st.st_size);
	output_free(vm);
}
