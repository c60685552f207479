/* SPDX-License-Identifier: MIT */
#include "supervisor/boot/boot.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "conf/order.h"
#include "supervisor/guest/ready.h"
#include "supervisor/vm/observe.h"
#include "supervisor/vm/vms.h"

enum { STARTS_MAX = 4, STAMP_MAX = 1 << 20, EAGER_SECONDS = 600, RETRY_SECONDS = 5 };
#define TICK 0.25 /* seconds; only while somebody is on the way */

enum phase {
	WAITING,  /* for others */
	STARTING, /* also while it is tried again */
	READYING, /* it runs; ReadyWhen= is not met yet */
	READY,
	LATE, /* runs, and was not ready in time */
	FAILED
};

struct turn;

struct dep { /* one name in After= or Requires= */
	struct turn *turn;
	char *name;
	bool required;
	struct network_wait *net;
	bool asked, stands;
	char *error;
};

struct turn { /* one VM's */
	struct boot *boot;
	char *name;
	enum phase phase;
	char *why; /* of FAILED */
	double begun;
	bool overdue; /* TimeoutReadySec= has passed since it was begun */
	struct ready ready;
	struct dep *dep;
	size_t deps;
};

struct boot {
	struct daemon *daemon;
	struct vm_observer observer;
	struct turn *turn; /* sorted by name */
	size_t n;
	double begun;
	long starts_max;
	struct loop_task soon;
	ev_timer tick;
};

/* --- the stamp --- */

static bool is_over(const struct turn *t)
{
	return t->phase == READY || t->phase == LATE || t->phase == FAILED;
}

static void stamp_write(const struct boot *b)
{
	const struct daemon *d = b->daemon;
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	buf_printf(&text, "%s\n", d->boot_id);
	for (size_t i = 0; i < b->n; i++)
		if (!is_over(&b->turn[i]))
			buf_printf(&text, "%s\n", b->turn[i].name);
	if (file_replace(d->dirs.run_fd, "boot", 0600, text.data, text.len, false, &e) < 0)
		log_error(NULL, "stamp of this boot: %s", e.text);
	buf_release(&text);
}

/* What of this boot was left to do: NULL and false when the stamp is another boot's, or none. */
static bool stamp_read(const struct daemon *d, struct buf *text)
{
	char id[PROC_BOOT_ID] = "";

	if (file_read(d->dirs.run_fd, "boot", text, NULL) < 0 || !text->data)
		return false;
	snprintf(id, sizeof id, "%.*s", (int)strcspn(text->data, "\n"), text->data);
	return strchr(text->data, '\n') && proc_same_boot(id, d->boot_id);
}

static bool stamp_names(const struct buf *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text->data; (line = strchr(line, '\n'));)
		if (strncmp(++line, name, len) == 0 && line[len] == '\n')
			return true;
	return false;
}

/* --- turns --- */

static struct turn *turn_find(struct boot *b, const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (streq(b->turn[i].name, name))
			return &b->turn[i];
	return NULL;
}

static void finish(struct turn *t, enum phase phase)
{
	t->phase = phase;
	ready_release(&t->ready);
	stamp_write(t->boot);
}

static void fail(struct turn *t, struct vm *vm, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void fail(struct turn *t, struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&t->why, fmt, ap) < 0)
		t->why = NULL;
	va_end(ap);
	if (vm && vm->st.state == VM_STOPPED && !vm->start_error)
		vm_set_reason(vm, "not started: %s", t->why ? t->why : "");
	log_error(t->name, "not up with the host: %s", t->why ? t->why : "");
	finish(t, FAILED);
}

static void network_done(void *data, const struct err *e)
{
	struct dep *dep = data;

	dep->net = NULL;
	dep->stands = !e;
	if (e)
		dep->error = xstrdup(e->text);
	boot_kick(dep->turn->boot->daemon);
}

enum verdict { GO, HOLD, REFUSE };

static enum verdict look_vm(const struct dep *dep, const struct turn *other, char why[160])
{
	switch (other->phase) {
	case READY:
		return GO;
	case LATE:
		snprintf(why, 160, "'%s' runs but is not ready", dep->name);
		return dep->required ? REFUSE : GO;
	case FAILED:
		snprintf(why, 160, "'%s': %s", dep->name, other->why ? other->why : "failed");
		return dep->required ? REFUSE : GO;
	case WAITING:
	case STARTING:
	case READYING:
		break;
	}
	snprintf(why, 160, "waits for '%s'", dep->name);
	return other->overdue && !dep->required ? GO : HOLD;
}

static enum verdict look_network(struct dep *dep, char why[160])
{
	struct networks *ns = dep->turn->boot->daemon->networks;

	if (!dep->asked) {
		dep->asked = true;
		dep->net = networks_need(ns, dep->name, network_done, dep);
	}
	if (dep->error && dep->required) {
		snprintf(why, 160, "network '%s': %s", dep->name, dep->error);
		return REFUSE;
	}
	snprintf(why, 160, "waits for network '%s'", dep->name);
	return dep->stands || dep->error ? GO : HOLD;
}

static enum verdict look_dep(struct dep *dep, char why[160])
{
	struct daemon *d = dep->turn->boot->daemon;
	struct turn *other = turn_find(dep->turn->boot, dep->name);

	if (other)
		return look_vm(dep, other, why);
	/* not enabled, or its turn was before this daemon's time */
	if (vms_find(d->vms, dep->name)) {
		snprintf(why, 160, "'%s' is not up", dep->name);
		return dep->required && !vm_state_has_process(vms_find(d->vms, dep->name)->st.state)
			       ? REFUSE
			       : GO;
	}
	return look_network(dep, why);
}

static long on_the_way(const struct boot *b)
{
	long n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct vm *vm = vms_find(b->daemon->vms, b->turn[i].name);

		n += b->turn[i].phase == STARTING && vm && vm->st.state != VM_BACKOFF;
	}
	return n;
}

static void begin(struct turn *t, struct vm *vm)
{
	struct err e = ERR_INIT;

	t->phase = STARTING;
	t->begun = daemon_now();
	if (!vm_state_has_process(vm->st.state) && vm_start_at_boot(vm, &e) < 0)
		fail(t, NULL, "%s", e.text);
}

static bool look_waiting(struct turn *t, struct vm *vm)
{
	enum verdict all = GO;
	char why[160], held[160] = "";

	for (size_t i = 0; i < t->deps; i++) {
		enum verdict v = look_dep(&t->dep[i], why);

		if (v == REFUSE) {
			fail(t, vm, "%s", why);
			return true;
		}
		if (v == HOLD && all == GO)
			memcpy(held, why, sizeof held);
		all = v == HOLD ? HOLD : all;
	}
	if (vm_state_has_process(vm->st.state)) {
		all = GO; /* somebody started it by hand, or it was adopted */
	} else if (vm->busy && all == GO) {
		all = HOLD;
		snprintf(held, sizeof held, "waits for %s", vm->busy);
	}
	if (all == GO && on_the_way(t->boot) < t->boot->starts_max) {
		begin(t, vm);
		return true;
	}
	if (all == HOLD && vm->st.state == VM_STOPPED)
		vm_set_reason(vm, "%s", held);
	return false;
}

static bool look_starting(struct turn *t, struct vm *vm)
{
	double now = daemon_now();

	if (vm_state_is_live(vm->st.state)) {
		t->phase = READYING;
		return true;
	}
	if (vm->st.state == VM_STOPPED || vm->st.state == VM_FAILED) {
		fail(t, vm, "%s", vm->st.reason);
		return true;
	}
	/* the host is still getting up, too */
	if (vm->st.state == VM_BACKOFF && vm->st.ending == VM_END_HOST_CAUSE &&
		now - t->boot->begun < EAGER_SECONDS && clock_boot() - vm->st.since_boot >= RETRY_SECONDS)
		vm_event(vm, VM_EV_TIMER, NULL);
	return false;
}

static bool look_readying(struct turn *t, struct vm *vm)
{
	if (!vm_state_has_process(vm->st.state)) {
		t->phase = STARTING;
		return true;
	}
	if (ready_look(&t->ready, vm)) {
		finish(t, READY);
		return true;
	}
	if (!t->overdue)
		return false;
	log_warning(t->name, "runs but is not ready: %s", vm->proc.conf.ready_when);
	finish(t, LATE);
	return true;
}

static bool advance(struct turn *t)
{
	struct vm *vm = is_over(t) ? NULL : vms_find(t->boot->daemon->vms, t->name);

	if (is_over(t))
		return false;
	if (!vm) {
		fail(t, NULL, "its file is gone");
		return true;
	}
	if (t->phase != WAITING && !t->overdue && vm->proc.conf.timeout_ready_ms != UINT64_MAX &&
		daemon_now() - t->begun > (double)vm->proc.conf.timeout_ready_ms / 1000)
		t->overdue = true;
	if (t->phase == WAITING)
		return look_waiting(t, vm);
	return t->phase == STARTING ? look_starting(t, vm) : look_readying(t, vm);
}

static void look(struct boot *b)
{
	struct daemon *d = b->daemon;
	bool changed = true, over = true, moving = false;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < b->n; i++)
			changed |= advance(&b->turn[i]);
	}
	for (size_t i = 0; i < b->n; i++) {
		over &= is_over(&b->turn[i]);
		moving |= b->turn[i].phase == STARTING || b->turn[i].phase == READYING;
	}
	if (moving && !ev_is_active(&b->tick))
		ev_timer_again(d->loop.ev, &b->tick);
	else if (!moving)
		ev_timer_stop(d->loop.ev, &b->tick);
	if (over) {
		log_info(NULL, "all VMs that start with the host had their turn");
		boot_end(d);
	}
}

static void on_tick(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev, (void)revents;
	look(w->data);
}

static void on_soon(struct loop_task *t)
{
	look(container_of(t, struct boot, soon));
}

void boot_kick(struct daemon *d)
{
	if (d->boot)
		loop_later(d->loop.ev, &d->boot->soon, on_soon);
}

static void boot_cancel(struct turn *t)
{
	if (is_over(t))
		return;
	t->why = xstrdup("was stopped");
	finish(t, FAILED);
	boot_kick(t->boot->daemon);
}

void boot_cancel_all(struct daemon *d)
{
	for (size_t i = 0; d->boot && i < d->boot->n; i++)
		boot_cancel(&d->boot->turn[i]);
}

static void boot_state(void *data, struct vm *vm)
{
	(void)data;
	boot_kick(vm->daemon);
}

/* Stopped or killed by somebody: its pending start is cancelled. */
static void boot_wish(void *data, struct vm *vm)
{
	struct turn *t = vm->st.want == VM_WANT_STOPPED ? turn_find(data, vm->name) : NULL;

	if (t)
		boot_cancel(t);
}

/* --- whose turn it is --- */

static void add_deps(struct turn *t, const struct conf_list *names, bool required)
{
	t->dep = xrealloc(t->dep, t->deps + names->n, sizeof *t->dep);
	for (size_t i = 0; i < names->n; i++)
		t->dep[t->deps++] =
			(struct dep){ .name = xstrdup(names->item[i]), .required = required };
}

static bool marked(const struct vms *vms, const bool *mark, const char *name)
{
	for (size_t i = 0; i < vms->n; i++)
		if (mark[i] && streq(vms->vm[i]->name, name))
			return true;
	return false;
}

/* Enabled, and what these require. */
static void mark_wanted(const struct vms *vms, const struct buf *left, bool *mark)
{
	bool more = true;

	for (size_t i = 0; i < vms->n; i++)
		mark[i] = left ? stamp_names(left, vms->vm[i]->name) : vms->vm[i]->file.conf.enable;
	while (more) {
		more = false;
		for (size_t i = 0; i < vms->n; i++)
			for (size_t k = 0; mark[i] && k < vms->vm[i]->file.conf.requires.n; k++) {
				const char *name = vms->vm[i]->file.conf.requires.item[k];

				for (size_t o = 0; o < vms->n && !marked(vms, mark, name); o++)
					if (streq(vms->vm[o]->name, name))
						more = mark[o] = true;
			}
	}
}

static void fail_rings(struct boot *b, const struct vms *vms)
{
	struct order_vm *order = boot_order(vms);

	for (size_t i = 0; i < vms->n; i++) {
		struct turn *t = turn_find(b, vms->vm[i]->name);
		struct buf ring = BUF_INIT;

		if (t && order_ring(order, vms->n, i, &ring))
			fail(t, vms->vm[i], "After= and Requires= go in a ring: %s", ring.data);
		buf_release(&ring);
	}
	free(order);
}

static long starts_at_once(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > STARTS_MAX ? STARTS_MAX : n;
}

static struct boot *boot_new(struct daemon *d, const bool *mark)
{
	struct boot *b = xcalloc(1, sizeof *b);
	struct vms *vms = d->vms;

	b->daemon = d;
	b->begun = daemon_now();
	b->starts_max = starts_at_once();
	b->turn = xcalloc(vms->n + 1, sizeof *b->turn);
	for (size_t i = 0; i < vms->n; i++) {
		struct turn *t = &b->turn[b->n];

		if (!mark[i])
			continue;
		*t = (struct turn){
			.boot = b, .name = xstrdup(vms->vm[i]->name), .ready = READY_INIT
		};
		add_deps(t, &vms->vm[i]->file.conf.requires, true);
		add_deps(t, &vms->vm[i]->file.conf.after, false);
		for (size_t k = 0; k < t->deps; k++)
			t->dep[k].turn = t;
		b->n++;
	}
	ev_timer_init(&b->tick, on_tick, 0, TICK);
	b->tick.data = b;
	b->observer = (struct vm_observer){ .state = boot_state, .wish = boot_wish, .data = b };
	vms_observe(vms, &b->observer);
	return b;
}

void boot_begin(struct daemon *d)
{
	struct buf text = BUF_MAX(STAMP_MAX);
	bool again = stamp_read(d, &text);
	bool *mark = xcalloc(d->vms->n + 1, sizeof *mark);

	mark_wanted(d->vms, again ? &text : NULL, mark);
	d->boot = boot_new(d, mark);
	if (d->boot->n)
		log_info(NULL, "%zu VMs %s with the host", d->boot->n,
			again ? "are still to start" : "start");
	fail_rings(d->boot, d->vms);
	stamp_write(d->boot);
	if (d->boot->n)
		boot_kick(d);
	else
		boot_end(d);
	free(mark);
	buf_release(&text);
}

void boot_end(struct daemon *d)
{
	struct boot *b = d->boot;

	if (!b)
		return;
	d->boot = NULL;
	vms_unobserve(d->vms, &b->observer);
	loop_cancel(d->loop.ev, &b->soon);
	ev_timer_stop(d->loop.ev, &b->tick);
	for (size_t i = 0; i < b->n; i++) {
		struct turn *t = &b->turn[i];

		for (size_t k = 0; k < t->deps; k++) {
			network_wait_cancel(t->dep[k].net);
			free(t->dep[k].name);
			free(t->dep[k].error);
		}
		ready_release(&t->ready);
		free(t->dep);
		free(t->why);
		free(t->name);
	}
	free(b->turn);
	free(b);
}
