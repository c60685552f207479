/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/core/logfile.h"
#include "supervisor/guest/parts.h"

#define BOUND "4m" /* for consoles and stderr together, while no daemon drains them */

enum {
	LOG_MAX = 1 << 20,
	LOG_KEEP = 3,
	STDERR_RESERVE =
		4 * SPOOL_PAGE,	  /* so that QEMU's last message fits even beside full consoles */
	STDERR_RATE = 64 << 10,	  /* bytes a second written to the log */
	STDERR_BURST = 512 << 10, /* bytes of burst */
};

struct output {
	struct vm *vm;
	struct spool spool;
	struct bucket bucket;	/* separate, as consoles may empty theirs */
	struct logfile log;	/* open for one loop iteration */
	bool over, partial;	/* partial: the last line has no newline yet */
	struct bucket consoles; /* shared by all consoles */
};

/* --- the tmpfs --- */

static int output_mount(struct vm *vm, struct err *e)
{
	/* through the fd: this is the run directory, whatever the path points to by now */
	_cleanup_(free_ptr) char *where = xasprintf("/proc/self/fd/%d/out", vm->proc.run_fd);

	if (mkdirat(vm->proc.run_fd, "out", 0700) < 0)
		return err_errno(e, "make directory 'out'");
	if (mount("vmkeep-out", where, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    "size=" BOUND ",nr_inodes=64,mode=700") < 0)
		log_warning(
			vm->name, "its output has no bound: mount a tmpfs: %s", strerror(errno));
	return 0;
}

int output_make(const struct vm *vm, const char *name, struct err *e)
{
	int fd = openat(
		vm->proc.run_fd, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? err_errno(e, "make '%s'", name) : fd;
}

int output_read(struct vm *vm, struct spool *s, const char *file, struct err *e)
{
	int fd = openat(vm->proc.run_fd, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	s->fd = -1;
	if (fd < 0)
		return err_errno(e, "open '%s'", file);
	s->vm = vm->name;
	s->ev = vm->daemon->loop.ev;
	s->watches = vm->daemon->watches;
	if (!s->bucket)
		s->bucket = &((struct output *)vm_part_state(vm, &output_part))->consoles;
	return spool_open(s, fd, e);
}

/* --- stderr --- */

/* Starts a log section with a line that says when and why. */
static void output_log_open(struct output *o)
{
	struct vm *vm = o->vm;
	struct err e = ERR_INIT;
	time_t now = (time_t)clock_wall();
	char when[32], line[320];
	struct tm tm;

	if (o->log.fd >= 0)
		return;
	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
	if (logfile_open(&o->log, vm->daemon->dirs.log_fd, vm->name, "qemu.log", LOG_MAX, LOG_KEEP,
		    &e) < 0)
		log_warning(vm->name, "%s", e.text);
	snprintf(line, sizeof line, "--- %s: %s\n", when, o->over ? vm->st.reason : "QEMU goes on");
	logfile_append(&o->log, line, strlen(line));
}

static size_t output_take(void *data, char *bytes, size_t len)
{
	struct output *o = data;

	output_log_open(o);
	logfile_append(&o->log, bytes, len);
	o->partial = bytes[len - 1] != '\n';
	return len;
}

static void output_lost(void *data, uint64_t bytes)
{
	struct output *o = data;
	char line[96];

	output_log_open(o);
	snprintf(line, sizeof line, "--- at least %llu bytes before this were dropped\n",
		(unsigned long long)bytes);
	logfile_append(&o->log, line, strlen(line));
}

static void output_settle(void *data)
{
	struct output *o = data;

	if (o->partial)
		logfile_append(&o->log, "\n", 1);
	o->partial = false;
	logfile_release(&o->log);
}

/* The last page stays in the file to explain why QEMU died, and space for it is always reserved. */
static const struct spool_kind stderr_kind = {
	.patience = 256 << 10,
	.tail = SPOOL_PAGE,
	.reserve = STDERR_RESERVE,
	.take = output_take,
	.lost = output_lost,
	.settle = output_settle,
};

static int output_start(struct vm *vm, void **state, struct fd_list *fds, struct err *e)
{
	int fd = output_mount(vm, e);

	if (fd == 0)
		fd = output_make(vm, OUTPUT_STDERR, e);
	if (fd < 0)
		return fd;
	fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, STDERR_RESERVE);
	fd_list_add(fds, fd, STDERR_FILENO);
	return 0;
}

static void output_attach(struct vm *vm, void **state, enum vm_attach how)
{
	struct output *o;
	struct err e = ERR_INIT;

	if (vm->proc.run_fd < 0)
		return;
	o = *state = xcalloc(1, sizeof *o);
	*o = (struct output){ .vm = vm,
		.log = LOGFILE_INIT,
		.bucket = BUCKET(STDERR_RATE, STDERR_BURST),
		.consoles = BUCKET(SPOOL_RATE, SPOOL_BURST) };
	o->spool = (struct spool){
		.kind = &stderr_kind, .data = o, .name = "stderr", .bucket = &o->bucket
	};
	if (output_read(vm, &o->spool, OUTPUT_STDERR, &e) < 0)
		log_warning(vm->name, "stderr: %s", e.text);
}

/* After the process has ended, the rest of stderr goes to LOG/NAME/qemu.log with a line that says
 * why. */
static void output_close(struct vm *vm, void **state, bool ended)
{
	struct output *o;

	if (!*state && ended) /* the start was aborted, or the VM ended while no daemon ran */
		output_attach(vm, state, VM_ATTACH_LEFT);
	o = *state;
	if (!o)
		return;
	o->over = ended;
	spool_close(&o->spool, ended);
}

static size_t output_last_words(struct vm *vm, void **state, char *bytes, size_t len)
{
	struct output *o;

	if (!*state) /* the jail failed before it had the whole plan */
		output_attach(vm, state, VM_ATTACH_LEFT);
	o = *state;
	return o ? spool_tail(&o->spool, bytes, len) : 0;
}

const struct vm_part output_part = {
	.name = "output",
	.start = output_start,
	.attach = output_attach,
	.last_words = output_last_words,
	.close = output_close,
};
