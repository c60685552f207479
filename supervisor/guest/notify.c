/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/notify.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/qemu/argv.h"
#include "supervisor/guest/output.h"
#include "supervisor/guest/ready.h"
#include "supervisor/vm/vm.h"

#define PAUSE 0.1 /* seconds between two looks: what a guest says is written down at most so often */

struct notify {
	struct vm *vm;
	struct spool spool;
	bool changed; /* in this turn */
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

/* Whole lines only, but for one that is too long. */
static size_t notify_take(void *data, char *chunk, size_t len)
{
	struct notify *n = data;
	char *line = chunk, *end;

	while ((end = memchr(line, '\n', len - (size_t)(line - chunk)))) {
		*end = '\0';
		hear_line(n->vm, line, &n->changed);
		line = end + 1;
	}
	return line == chunk && len >= SPOOL_PAGE ? len : (size_t)(line - chunk);
}

static void notify_lost(void *data, uint64_t bytes)
{
	(void)data, (void)bytes; /* the daemon's log says so */
}

static void notify_settle(void *data)
{
	struct notify *n = data;

	if (n->changed)
		vm_record_write(n->vm);
	n->changed = false;
}

static const struct spool_kind notify_kind = {
	.pause = PAUSE,
	.take = notify_take,
	.lost = notify_lost,
	.settle = notify_settle,
};

void notify_open(struct vm *vm)
{
	struct notify *n;
	struct err e = ERR_INIT;

	if (vm->proc.run_fd < 0 || !argv_wants_notify(&vm->proc.conf))
		return;
	n = vm->notify = xcalloc(1, sizeof *n);
	n->vm = vm;
	n->spool = (struct spool){ .kind = &notify_kind, .data = n, .name = "what the guest says of itself" };
	if (output_read(vm, &n->spool, NOTIFY_FILE, &e) < 0)
		log_warning(vm->name, "%s: %s", n->spool.name, e.text);
}

void notify_free(struct vm *vm)
{
	if (!vm->notify)
		return;
	spool_close(&vm->notify->spool, false);
	free(vm->notify);
	vm->notify = NULL;
}

bool notify_restart(struct vm *vm)
{
	if (!vm->notify)
		return false;
	/* QEMU wrote it before it told of the reset */
	spool_read(&vm->notify->spool);
	if (!vm->ready_seen && !vm->ready_status[0])
		return false;
	ready_forget(vm);
	vm_record_write(vm);
	return true;
}
