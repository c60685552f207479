/* SPDX-License-Identifier: MIT */
/*
 * ReadyWhen=notify: status messages from the guest
 *
 * The guest writes lines as for sd_notify(3) to the virtio port org.vmkeep.notify.0. QEMU appends
 * them to a file on the VM's tmpfs, as it does for consoles: messages sent while no daemon runs
 * wait there, and a guest that floods the port stalls nothing. READY=1 and STATUS= are used,
 * everything else is ignored. A message is in the run record before it leaves the file.
 */
#include "supervisor/guest/parts.h"

#include "base/log.h"
#include "base/text.h"
#include "supervisor/qemu/argv.h"
#include "supervisor/guest/output.h"
#include "supervisor/guest/ready.h"

#define PAUSE \
	0.1 /* seconds between two reads: limits how often a guest can make us write the record */

static const char notify_file[] = "out/notify"; /* relative to the run directory */

struct notify {
	struct vm *vm;
	struct spool spool;
	bool changed; /* in this loop iteration */
};

static void notify_parse_line(struct vm *vm, char *line, bool *changed)
{
	if (streq(line, "READY=1")) {
		ready_is(vm);
	} else if (strncmp(line, "STATUS=", 7) == 0) {
		snprintf(vm->proc.ready_status, sizeof vm->proc.ready_status, "%s", line + 7);
		text_clean(vm->proc.ready_status);
		*changed = true;
	}
}

/* Parses whole lines only, and discards a line longer than SPOOL_PAGE. */
static size_t notify_take(void *data, char *chunk, size_t len)
{
	struct notify *n = data;
	char *line = chunk, *end;

	while ((end = memchr(line, '\n', len - (size_t)(line - chunk)))) {
		*end = '\0';
		notify_parse_line(n->vm, line, &n->changed);
		line = end + 1;
	}
	return line == chunk && len >= SPOOL_PAGE ? len : (size_t)(line - chunk);
}

static void notify_lost(void *data, uint64_t bytes)
{
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

static int notify_start(struct vm *vm, void **state, struct fd_list *fds, struct err *e)
{
	if (!argv_wants_notify(&vm->proc.conf))
		return 0;
	return fd_list_add(fds, output_make(vm, notify_file, e), ARGV_FD_NOTIFY);
}

static void notify_attach(struct vm *vm, void **state, enum vm_attach how)
{
	struct notify *n;
	struct err e = ERR_INIT;

	if (how == VM_ATTACH_LEFT || vm->proc.run_fd < 0 || !argv_wants_notify(&vm->proc.conf))
		return;
	n = *state = xcalloc(1, sizeof *n);
	n->vm = vm;
	n->spool = (struct spool){
		.kind = &notify_kind, .data = n, .name = "status that the guest reports"
	};
	if (output_read(vm, &n->spool, notify_file, &e) < 0)
		log_warning(vm->name, "%s: %s", n->spool.name, e.text);
}

static void notify_close(struct vm *vm, void **state, bool ended)
{
	struct notify *n = *state;

	if (n)
		spool_close(&n->spool, false);
}

/* The guest reboots: discard what it reported before. */
static void notify_event(struct vm *vm, void *state, const char *name, const json_t *data)
{
	struct notify *n = state;

	if (!n || !streq(name, "RESET"))
		return;
	/* whatever the guest wrote before the reset is already in the file */
	spool_read(&n->spool);
	if (!vm->proc.ready_seen && !vm->proc.ready_status[0])
		return;
	vm->proc.ready_seen = false;
	vm->proc.ready_status[0] = '\0';
	vm_record_write(vm);
	/* resets are free, the writes they cause are limited */
	vm_event_bearable(vm);
}

static void notify_info(const struct vm *vm, void *state, json_t *out)
{
	if (!state)
		return;
	json_object_set_new(out, "ready", json_boolean(vm->proc.ready_seen));
	json_object_set_new(out, "status", json_string(vm->proc.ready_status));
}

const struct vm_part notify_part = {
	.name = "notify",
	.start = notify_start,
	.attach = notify_attach,
	.event = notify_event,
	.info = notify_info,
	.close = notify_close,
};
