/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/watch.h"
#include "supervisor/vm/argv.h"
#include "supervisor/vm/output.h"
#include "supervisor/vm/ready.h"
#include "supervisor/vm/vm.h"

enum {
	LINE_MAX_ = 4096, /* a longer line is taken for several */
	SHARE = 64 << 10, /* bytes of one turn of the loop */
};

struct notify {
	struct vm *vm;
	int fd; /* of the file, to read and to punch */
	int watch;
	off_t heard;
	ev_timer more; /* took a share, and goes on in another turn */
};

static void hear_line(struct vm *vm, char *line, bool *changed)
{
	if (streq(line, "READY=1")) {
		ready_is(vm);
	} else if (strncmp(line, "STATUS=", 7) == 0) {
		snprintf(vm->ready_status, sizeof vm->ready_status, "%s", line + 7);
		text_clean(vm->ready_status);
		*changed = true;
	}
}

/* Whole lines only, but for one that is too long. Returns how many bytes were taken. */
static size_t hear_chunk(struct vm *vm, char *chunk, size_t len, bool *changed)
{
	char *line = chunk, *end;

	while ((end = memchr(line, '\n', len - (size_t)(line - chunk)))) {
		*end = '\0';
		hear_line(vm, line, changed);
		line = end + 1;
	}
	return line == chunk && len == LINE_MAX_ ? len : (size_t)(line - chunk);
}

/* A share of what is there; true: there may be more. */
static bool hear(struct notify *n)
{
	char chunk[LINE_MAX_];
	off_t from = n->heard;
	bool changed = false;
	ssize_t got;
	size_t taken = 1;

	while (n->heard - from < SHARE && taken &&
		(got = pread(n->fd, chunk, sizeof chunk, n->heard)) > 0) {
		taken = hear_chunk(n->vm, chunk, (size_t)got, &changed);
		n->heard += (off_t)taken;
	}
	if (changed)
		vm_record_write(n->vm);
	/* from the start: a page is given back only as a whole, and this may be the rest of one */
	if (n->heard > from)
		fallocate(n->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, n->heard);
	return n->heard - from >= SHARE;
}

static void hear_in_turns(struct notify *n)
{
	if (hear(n))
		ev_timer_start(n->vm->daemon->loop.ev, &n->more);
}

static void on_change(void *data)
{
	hear_in_turns(data);
}

static void on_more(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)ev, (void)revents;
	hear_in_turns(t->data);
}

void notify_open(struct vm *vm)
{
	struct notify *n;
	struct err e = ERR_INIT;
	int fd;

	if (vm->run_fd < 0 || !argv_wants_notify(&vm->running))
		return;
	fd = openat(vm->run_fd, NOTIFY_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		log_warning(vm->name, "open '%s': %s", NOTIFY_FILE, strerror(errno));
		return;
	}
	n = vm->notify = xcalloc(1, sizeof *n);
	*n = (struct notify){ .vm = vm, .fd = fd, .heard = output_first_data(fd) };
	ev_timer_init(&n->more, on_more, 0, 0);
	n->more.data = n;
	n->watch = watch_add(vm->daemon->watches, fd, IN_MODIFY, on_change, n, &e);
	if (n->watch < 0)
		log_warning(vm->name, "what the guest says of itself: %s", e.text);
	hear_in_turns(n);
}

void notify_free(struct vm *vm)
{
	struct notify *n = vm->notify;

	if (!n)
		return;
	watch_remove(vm->daemon->watches, n->watch);
	ev_timer_stop(vm->daemon->loop.ev, &n->more);
	close(n->fd);
	free(n);
	vm->notify = NULL;
}

void notify_restart(struct vm *vm)
{
	if (!vm->notify)
		return;
	/* QEMU wrote it before it told of the reset */
	hear(vm->notify);
	ready_forget(vm);
	vm_record_write(vm);
}
