/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "supervisor/core/logfile.h"
#include "supervisor/guest/parts.h"
#include "supervisor/vm/vms.h"

#define BOUND "4m" /* for consoles and stderr together, while no daemon drains them */

enum {
	LOG_MAX = 1 << 20,
	LOG_KEEP = 3,
	STDERR_RESERVE =
		4 * SPOOL_PAGE,	  /* so that QEMU's last message fits even beside full consoles */
	STDERR_RATE = 64 << 10,	  /* bytes a second written to the log */
	STDERR_BURST = 512 << 10, /* bytes of burst */
	HEADING_MAX = 320,
	WARNINGS_MAX = 8,
	RECALL_MAX = 64 << 10, /* bytes of the log that are read after adoption */
};
#define STDERR_PAUSE 0.1 /* seconds: QEMU writes a line in several pieces */

struct output {
	struct vm *vm;
	struct spool spool;
	struct bucket bucket;	/* separate, as consoles may empty theirs */
	struct logfile log;	/* open for one loop iteration */
	bool adopted, headed;	/* headed: its section in the log has begun */
	bool partial;		/* the last line has no newline yet */
	struct bucket consoles; /* shared by all consoles */
	size_t kept;
	char last[SPOOL_PAGE]; /* what was read last, kept bytes */
	json_t *warnings;      /* QEMU's, of its start; NULL: none */
	unsigned untold;       /* warnings beyond those */
};

/* --- the tmpfs --- */

static int output_mount(struct vm *vm, struct err *e)
{
	/* through the fd: this is the run directory, whatever the path points to by now */
	_cleanup_(free_ptr) char *where = xasprintf("/proc/self/fd/%d/out", vm->proc.run_fd);

	if (mkdirat(vm->proc.run_fd, "out", 0700) < 0)
		return err_errno(e, "create directory 'out'");
	if (mount("vmkeep-out", where, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    "size=" BOUND ",nr_inodes=64,mode=700") < 0)
		log_warning(
			vm->name, "its output is not limited: mount a tmpfs: %s", strerror(errno));
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

/* "--- 2026-11-29 19:00:53: text" */
static void output_heading_text(char line[HEADING_MAX], double when, const char *text)
{
	time_t at = (time_t)when;
	char date[32];
	struct tm tm;

	strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", localtime_r(&at, &tm));
	snprintf(line, HEADING_MAX, "--- %s: %s\n", date, text);
}

static void output_heading(struct output *o, double when, const char *text)
{
	char line[HEADING_MAX];

	output_heading_text(line, when, text);
	if (o->partial)
		logfile_append(&o->log, "\n", 1);
	o->partial = false;
	logfile_append(&o->log, line, strlen(line));
}

/* The first output of a process begins a section, with a line that says when it was started. */
static void output_log_open(struct output *o)
{
	struct vm *vm = o->vm;
	struct err e = ERR_INIT;

	vm_observed_log(vm);
	if (o->log.fd >= 0)
		return;
	if (logfile_open(&o->log, vm->daemon->dirs.log_fd, vm->name, "qemu.log", LOG_MAX, LOG_KEEP,
		    &e) < 0)
		log_warning(vm->name, "%s", e.text);
	if (!o->headed)
		output_heading(o, o->adopted ? clock_wall() : vm->proc.started,
			o->adopted ? "QEMU keeps running" : "start");
	o->headed = true;
}

/* The last page explains why QEMU died. */
static void output_remember(struct output *o, const char *bytes, size_t len)
{
	if (len > sizeof o->last) {
		bytes += len - sizeof o->last;
		len = sizeof o->last;
	}
	if (o->kept + len > sizeof o->last) {
		size_t drop = o->kept + len - sizeof o->last;

		memmove(o->last, o->last + drop, o->kept - drop);
		o->kept -= drop;
	}
	memcpy(o->last + o->kept, bytes, len);
	o->kept += len;
}

static size_t output_take(void *data, char *bytes, size_t len)
{
	struct output *o = data;

	output_log_open(o);
	logfile_append(&o->log, bytes, len);
	output_remember(o, bytes, len);
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

	logfile_release(&o->log);
}

/* Space for the last message is always reserved. */
static const struct spool_kind stderr_kind = {
	.reserve = STDERR_RESERVE,
	.pause = STDERR_PAUSE,
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

/* --- what it warned of --- */

static void output_add_warning(struct output *o, const char *line, size_t len)
{
	static const char mark[] = ": warning: ";
	const char *at = memmem(line, len, mark, strlen(mark));
	_cleanup_(free_ptr) char *safe = NULL;
	char text[192];
	size_t i;
	json_t *w;

	if (!at)
		return;
	at += strlen(mark);
	safe = text_escape(at, (size_t)(line + len - at), false);
	text_shorten(text, sizeof text, safe);
	if (!o->warnings)
		o->warnings = json_array();
	json_array_foreach (o->warnings, i, w)
		if (streq(json_string_value(w), text))
			return;
	if (i < WARNINGS_MAX)
		json_array_append_new(o->warnings, json_string(text));
	else
		o->untold++;
}

static void output_find_warnings(struct output *o, const char *text, size_t len)
{
	for (const char *end = text + len, *next; text < end; text = next + 1) {
		next = memchr(text, '\n', (size_t)(end - text));
		next = next ? next : end;
		output_add_warning(o, text, (size_t)(next - text));
	}
}

/* A previous daemon wrote the section of this process: go on with it. */
static void output_recall(struct output *o)
{
	const struct vm *vm = o->vm;
	_cleanup_(free_ptr) char *text = xcalloc(1, RECALL_MAX);
	char heading[HEADING_MAX], *at;
	struct logtail t;
	ssize_t n;

	logtail_open(&t, vm->daemon->dirs.log_fd, vm->name, "qemu.log", UINT_MAX, RECALL_MAX);
	n = t.fd < 0 ? 0 : pread(t.fd, text, (size_t)(t.to - t.from), t.from);
	logtail_release(&t);
	output_heading_text(heading, vm->proc.started, "start");
	at = n > 0 ? memmem(text, (size_t)n, heading, strlen(heading)) : NULL;
	if (!at)
		return;
	o->headed = true;
	at += strlen(heading);
	n -= at - text;
	output_find_warnings(o, at, (size_t)n);
	output_remember(o, at, (size_t)n);
}

/* The guest has not run yet: what QEMU wrote is about its command line and the host. */
static void output_joined(struct vm *vm, void *state, bool fresh)
{
	struct output *o = state;
	size_t n;

	if (!fresh || !o)
		return;
	spool_read(&o->spool);
	output_find_warnings(o, o->last, o->kept);
	n = json_array_size(o->warnings) + o->untold;
	if (n > 1)
		vm_note(vm, "qemu-warning", "QEMU warns: %s (and %zu more: vmkeep log %s qemu)",
			json_string_value(json_array_get(o->warnings, 0)), n - 1, vm->name);
	else if (n)
		vm_note(vm, "qemu-warning", "QEMU warns: %s",
			json_string_value(json_array_get(o->warnings, 0)));
}

static void output_info(const struct vm *vm, void *state, json_t *out)
{
	const struct output *o = state;

	if (o && o->warnings)
		json_object_set(out, "qemu_warnings", o->warnings);
}

static void output_troubles(const struct vm *vm, void *state, trouble_fn *report, void *data)
{
	const struct output *o = state;
	_cleanup_(free_ptr) char *text = NULL;
	size_t n = o ? json_array_size(o->warnings) : 0;

	if (!n)
		return;
	text = xasprintf("QEMU warned at its start: %s%s",
		json_string_value(json_array_get(o->warnings, 0)), n > 1 ? ", and more" : "");
	report(data, TROUBLE_WARNING, text);
}

static void output_attach(struct vm *vm, void **state, enum vm_attach how)
{
	struct output *o;
	struct err e = ERR_INIT;

	if (vm->proc.run_fd < 0)
		return;
	o = *state = xcalloc(1, sizeof *o);
	*o = (struct output){ .vm = vm,
		.adopted = how == VM_ATTACH_ADOPTED,
		.log = LOGFILE_INIT,
		.bucket = BUCKET(STDERR_RATE, STDERR_BURST),
		.consoles = BUCKET(SPOOL_RATE, SPOOL_BURST) };
	o->spool = (struct spool){
		.kind = &stderr_kind, .data = o, .name = "stderr", .bucket = &o->bucket
	};
	if (how == VM_ATTACH_ADOPTED)
		output_recall(o);
	/* one that waits for its restart has left nothing any more */
	if (output_read(vm, &o->spool, OUTPUT_STDERR, &e) < 0 &&
		(how != VM_ATTACH_LEFT || e.class != ERR_NOT_FOUND))
		log_warning(vm->name, "stderr: %s", e.text);
}

/* After the process has ended, a line says why. */
static void output_close(struct vm *vm, void **state, bool ended)
{
	struct output *o;

	if (!*state && ended) /* the start was aborted, or the VM ended while no daemon ran */
		output_attach(vm, state, VM_ATTACH_LEFT);
	o = *state;
	if (!o)
		return;
	spool_close(&o->spool, ended);
	json_decref(o->warnings);
	if (!ended || !o->headed)
		return;
	output_log_open(o);
	output_heading(o, clock_wall(), vm->st.reason);
	logfile_release(&o->log);
}

static size_t output_last_words(struct vm *vm, void **state, char *bytes, size_t len)
{
	struct output *o;
	size_t unread, n;

	if (!*state) /* the jail failed before it had the whole plan */
		output_attach(vm, state, VM_ATTACH_LEFT);
	o = *state;
	if (!o)
		return 0;
	spool_read(&o->spool);
	/* what the rate limit holds back is newer */
	unread = spool_tail(&o->spool, bytes, len);
	n = o->kept < len - unread ? o->kept : len - unread;
	memmove(bytes + n, bytes, unread);
	memcpy(bytes, o->last + o->kept - n, n);
	return n + unread;
}

const struct vm_part output_part = {
	.name = "output",
	.start = output_start,
	.attach = output_attach,
	.joined = output_joined,
	.troubles = output_troubles,
	.info = output_info,
	.last_words = output_last_words,
	.close = output_close,
};
