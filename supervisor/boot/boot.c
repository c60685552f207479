/* SPDX-License-Identifier: MIT */
#include "supervisor/boot/private.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/order.h"
#include "supervisor/host/kvm.h"

enum { STARTS_MAX = 4, STAMP_MAX = 1 << 20, EAGER_SECONDS = 600, KVM_SECONDS = 60 };
#define TICK 0.25 /* seconds; only while a start is in progress */

static void boot_fail(struct pending *p, struct vm *vm, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void boot_fail(struct pending *p, struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&p->why, fmt, ap) < 0)
		p->why = NULL;
	va_end(ap);
	/* an unfinished revert is told already, with the command that finishes it */
	if (vm && vm->st.state == VM_STOPPED && !vm->start_error && !vm->file.problems &&
		!vm->revert)
		vm_set_reason(vm, "not started: %s", p->why ? p->why : "");
	log_error(p->name, "not started at boot: %s", p->why ? p->why : "");
	/* the start was refused, or failed for good; any other end has reported itself */
	if (vm && vm->st.state == VM_STOPPED && (vm->start_error || vm->st.ending == VM_END_NONE))
		vm_report_missed(vm, p->why ? p->why : "");
	pending_finish(p, BOOT_FAILED);
}

static long boot_on_the_way(const struct boot *b)
{
	long n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct vm *vm = vms_find(b->daemon->vms, b->pending[i].name);

		n += b->pending[i].phase == BOOT_STARTING && vm && vm->st.state != VM_BACKOFF;
	}
	return n;
}

static void boot_pending_begin(struct pending *p, struct vm *vm)
{
	struct err e = ERR_INIT;

	p->phase = BOOT_STARTING;
	p->begun = daemon_now();
	/* the host is still booting, too */
	vm->st.eager = p->boot->begun + EAGER_SECONDS;
	if (!vm_state_has_process(vm->st.state) && vm_start_at_boot(vm, &e) < 0)
		boot_fail(p, vm, "%s", e.text);
}

/* udev loads KVM's module while we boot: an earlier start would fail, or emulate for ever. */
static bool boot_awaits_kvm(const struct boot *b)
{
	_cleanup_(close_fd) int root = -1;
	struct kvm_seen seen;

	if (daemon_now() - b->begun >= KVM_SECONDS)
		return false;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	kvm_look(root, &seen);
	return kvm_is_awaited(&seen);
}

static bool boot_check_waiting(struct pending *p, struct vm *vm)
{
	struct err why = ERR_INIT;
	enum dep_verdict v = deps_check(p, &why);

	if (v == DEP_REFUSE) {
		boot_fail(p, vm, "%s", why.text);
		return true;
	}
	if (vm_state_has_process(vm->st.state)) {
		v = DEP_GO; /* started manually, or adopted */
	} else if (vm->busy && v == DEP_GO) {
		v = DEP_HOLD;
		err_set(&why, ERR_CONFLICT, "waits for %s", vm->busy);
	} else if (p->boot->awaits_kvm && v == DEP_GO && vm->file.conf.accel != CONF_ACCEL_TCG) {
		v = DEP_HOLD;
		err_set(&why, ERR_NO_RESOURCES,
			"waits for '/dev/kvm': the kernel has not loaded its module yet");
	}
	if (v == DEP_GO && boot_on_the_way(p->boot) < p->boot->starts_max) {
		boot_pending_begin(p, vm);
		return true;
	}
	if (v == DEP_HOLD && vm->st.state == VM_STOPPED)
		vm_set_reason(vm, "%s", why.text);
	return false;
}

static bool boot_check_starting(struct pending *p, struct vm *vm)
{
	if (vm_state_is_live(vm->st.state)) {
		p->phase = BOOT_READYING;
		return true;
	}
	if (vm->st.state == VM_STOPPED || vm->st.state == VM_FAILED) {
		boot_fail(p, vm, "%s", vm->st.reason);
		return true;
	}
	return false;
}

static bool boot_check_readying(struct pending *p, struct vm *vm)
{
	if (!vm_state_has_process(vm->st.state)) {
		p->phase = BOOT_STARTING;
		return true;
	}
	if (ready_check(&p->ready, vm)) {
		pending_finish(p, BOOT_READY);
		return true;
	}
	if (!p->overdue)
		return false;
	log_warning(p->name,
		"runs but is not ready (%s) within %.0f s: what requires it is not started",
		vm->proc.conf.ready_when, (double)vm->proc.conf.timeout_ready_ms / 1000);
	pending_finish(p, BOOT_LATE);
	return true;
}

static bool boot_pending_advance(struct pending *p)
{
	struct vm *vm = pending_is_over(p) ? NULL : vms_find(p->boot->daemon->vms, p->name);

	if (pending_is_over(p))
		return false;
	if (!vm) {
		boot_fail(p, NULL, "its file is gone");
		return true;
	}
	if (p->phase != BOOT_WAITING && !p->overdue &&
		vm->proc.conf.timeout_ready_ms != UINT64_MAX &&
		daemon_now() - p->begun > (double)vm->proc.conf.timeout_ready_ms / 1000)
		p->overdue = true;
	if (p->phase == BOOT_WAITING)
		return boot_check_waiting(p, vm);
	return p->phase == BOOT_STARTING ? boot_check_starting(p, vm) : boot_check_readying(p, vm);
}

static void boot_advance(struct boot *b)
{
	struct daemon *d = b->daemon;
	bool changed = true, over = true, moving = false;

	b->awaits_kvm = boot_awaits_kvm(b);
	while (changed) {
		changed = false;
		for (size_t i = 0; i < b->n; i++)
			changed |= boot_pending_advance(&b->pending[i]);
	}
	for (size_t i = 0; i < b->n; i++) {
		over &= pending_is_over(&b->pending[i]);
		moving |= b->pending[i].phase == BOOT_STARTING ||
			  b->pending[i].phase == BOOT_READYING ||
			  (b->pending[i].phase == BOOT_WAITING && b->awaits_kvm);
	}
	if (!moving)
		loop_timer_stop(&b->tick);
	else if (!loop_timer_is_active(&b->tick))
		loop_timer_start(&b->tick, TICK);
	if (over) {
		log_info(NULL, "boot start complete");
		boot_end(d);
	}
}

static void boot_on_soon(struct loop_task *t)
{
	boot_advance(container_of(t, struct boot, soon));
}

static void boot_on_tick(void *data)
{
	boot_advance(data);
}

static void boot_cancel(struct pending *p)
{
	if (pending_is_over(p))
		return;
	p->why = xstrdup("was stopped");
	pending_finish(p, BOOT_FAILED);
	boot_kick(p->boot->daemon);
}

void boot_cancel_all(struct daemon *d)
{
	for (size_t i = 0; d->boot && i < d->boot->n; i++)
		boot_cancel(&d->boot->pending[i]);
}

static void boot_state(void *data, struct vm *vm)
{
	boot_kick(vm->daemon);
}

/* A verb stopped or killed the VM: cancels its pending start. */
static void boot_wish(void *data, struct vm *vm)
{
	struct pending *p = vm->st.want == VM_WANT_STOPPED ? boot_find(data, vm->name) : NULL;

	if (p)
		boot_cancel(p);
}

/* --- which VMs start --- */

/* Marks it and what it requires. */
static void boot_mark(const struct vms *vms, bool *mark, const char *name)
{
	for (size_t i = 0; i < vms->n; i++) {
		const struct conf_list *needs = &vms->vm[i]->file.conf.requires;

		if (mark[i] || !streq(vms->vm[i]->name, name))
			continue;
		mark[i] = true;
		for (size_t k = 0; k < needs->n; k++)
			boot_mark(vms, mark, needs->item[k]);
	}
}

static bool boot_is_enabled(const struct vm *vm)
{
	const enum conf_enable enable = vm->file.conf.enable;

	return enable == CONF_ENABLE_YES ||
	       (enable == CONF_ENABLE_LAST && vm->st.last == VM_LAST_UP);
}

/* Enable=last starts nothing on a guess. */
static void boot_tell_left_down(const struct vm *vm)
{
	if (vm->file.conf.enable != CONF_ENABLE_LAST || vm_state_has_process(vm->st.state))
		return;
	if (vm->st.last == VM_LAST_DOWN)
		log_info(vm->name, "not started with the host: it was not up before (Enable=last)");
	else if (vm->identity.kept || vm->identity_problem)
		log_warning(vm->name,
			"not started with the host: whether it was up before is not known (Enable=last)");
}

static void boot_mark_wanted(const struct vms *vms, const struct buf *left, bool *mark)
{
	for (size_t i = 0; i < vms->n; i++)
		if (left ? boot_stamp_names(left, vms->vm[i]->name) : boot_is_enabled(vms->vm[i]))
			boot_mark(vms, mark, vms->vm[i]->name);
	for (size_t i = 0; i < vms->n; i++)
		if (!left && !mark[i])
			boot_tell_left_down(vms->vm[i]);
}

static void boot_fail_rings(struct boot *b, const struct vms *vms)
{
	_cleanup_(free_ptr) struct order_vm *order = boot_order(vms);

	for (size_t i = 0; i < vms->n; i++) {
		struct pending *p = boot_find(b, vms->vm[i]->name);
		struct buf ring = BUF_INIT;

		if (p && order_ring(order, vms->n, i, &ring))
			boot_fail(p, vms->vm[i], "dependency cycle in After=/Requires=: %s",
				ring.data);
		buf_release(&ring);
	}
}

static long boot_starts_at_once(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > STARTS_MAX ? STARTS_MAX : n;
}

/* How it ended before the host went down is not how this start ends. */
static void boot_forget_end(struct vm *vm)
{
	free_ptr(&vm->start_error);
	vm->st.ending = VM_END_NONE;
}

static struct boot *boot_new(struct daemon *d, const bool *mark)
{
	struct boot *b = xcalloc(1, sizeof *b);
	struct vms *vms = d->vms;

	b->daemon = d;
	b->begun = daemon_now();
	b->starts_max = boot_starts_at_once();
	b->pending = xcalloc(vms->n + 1, sizeof *b->pending);
	for (size_t i = 0; i < vms->n; i++) {
		struct pending *p = &b->pending[b->n];

		if (!mark[i])
			continue;
		*p = (struct pending){
			.boot = b, .name = xstrdup(vms->vm[i]->name), .ready = READY_INIT
		};
		deps_add(p, &vms->vm[i]->file.conf.requires, true);
		deps_add(p, &vms->vm[i]->file.conf.after, false);
		if (vm_state_is_down(vms->vm[i]->st.state))
			boot_forget_end(vms->vm[i]);
		b->n++;
	}
	b->advance = boot_on_soon;
	loop_timer_init(&b->tick, d->loop.ev, boot_on_tick, b);
	b->observer = (struct vm_observer){ .state = boot_state, .wish = boot_wish, .data = b };
	vms_observe(vms, &b->observer);
	return b;
}

void boot_begin(struct daemon *d)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(STAMP_MAX);
	bool again = boot_stamp_read(d, &text);
	_cleanup_(free_ptr) bool *mark = xcalloc(d->vms->n + 1, sizeof *mark);

	boot_mark_wanted(d->vms, again ? &text : NULL, mark);
	d->boot = boot_new(d, mark);
	if (d->boot->n)
		log_info(NULL, "VMs that %s with the host: %zu",
			again ? "are still to start" : "start", d->boot->n);
	boot_fail_rings(d->boot, d->vms);
	boot_stamp_write(d->boot);
	if (d->boot->n)
		boot_kick(d);
	else
		boot_end(d);
}

void boot_end(struct daemon *d)
{
	struct boot *b = d->boot;

	if (!b)
		return;
	d->boot = NULL;
	vms_unobserve(d->vms, &b->observer);
	loop_cancel(d->loop.ev, &b->soon);
	loop_timer_stop(&b->tick);
	for (size_t i = 0; i < b->n; i++) {
		struct pending *p = &b->pending[i];

		deps_release(p);
		ready_release(&p->ready);
		free(p->why);
		free(p->name);
	}
	free(b->pending);
	free(b);
}
