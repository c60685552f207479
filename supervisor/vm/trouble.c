/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/trouble.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/revert.h"

/* The first problem, without the path of the directory that all VMs share. */
static char *trouble_invalid(const struct vm *vm)
{
	const char *text = vm->file.problems, *dir = vm->daemon->dirs.config;
	size_t len = strcspn(text, "\n"), more = 0;

	for (const char *p = text; *p; p++)
		more += *p == '\n' && p[1];
	if (strncmp(text, dir, strlen(dir)) == 0 && text[strlen(dir)] == '/') {
		len -= strlen(dir) + 1;
		text += strlen(dir) + 1;
	}
	return more ? xasprintf("invalid: %.*s (and %zu more)", (int)len, text, more)
		    : xasprintf("invalid: %.*s", (int)len, text);
}

/* "invalid: web1.vm:3: Memry: unknown key", "file missing"; NULL: its file is fine. The caller
 * frees it. */
static char *trouble_of_file(const struct vm *vm)
{
	if (vm->file.orphan)
		return xstrdup("file missing");
	return vm->file.problems ? trouble_invalid(vm) : NULL;
}

char *vm_reason_text(const struct vm *vm)
{
	_cleanup_(free_ptr) char *file =
		vm->file.throwaway ? xstrdup("throw-away VM") : trouble_of_file(vm);

	return xasprintf(
		"%s%s%s", file ? file : "", file && vm->st.reason[0] ? "; " : "", vm->st.reason);
}

bool vm_conf_is_known(const struct vm *vm)
{
	return vm->file.have_conf || vm->file.orphan;
}

struct trouble_list {
	trouble_fn *report;
	void *data;
};

static void trouble_add(const struct trouble_list *l, enum trouble how, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void trouble_add(const struct trouble_list *l, enum trouble how, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	text_clean(text);
	l->report(l->data, how, text);
}

/* It is down, though not on request. */
static void trouble_down(const struct vm *vm, const struct trouble_list *l)
{
	double left = vm->st.due - clock_boot();
	const bool start_failed =
		vm->st.ending == VM_END_START_FAILED || vm->st.ending == VM_END_HOST_CAUSE;
	enum trouble how = vm->file.conf.enable != CONF_ENABLE_NO || !start_failed
				   ? TROUBLE_CRITICAL
				   : TROUBLE_WARNING;

	if (vm->revert)
		trouble_add(l, TROUBLE_CRITICAL, "%s", vm->st.reason);
	else if (vm->st.state == VM_FAILED)
		trouble_add(l, TROUBLE_CRITICAL, "failed: %s", vm->st.reason);
	else if (vm->st.state == VM_BACKOFF)
		trouble_add(l, TROUBLE_CRITICAL, "down: %s; restarting in %.0f s", vm->st.reason,
			left > 0 ? left : 0);
	else if (vm->st.missed)
		trouble_add(l, TROUBLE_CRITICAL, "not started with the host: %s", vm->st.reason);
	else if (vm_ending_is_wrong(vm->st.ending) || vm->st.ending == VM_END_HOST_SIGNAL)
		/* whoever typed start has seen it fail */
		trouble_add(l, how, "down: %s", vm->st.reason);
}

static void trouble_up(const struct vm *vm, const struct trouble_list *l)
{
	if (vm->mon.unresponsive > 0)
		trouble_add(l, vm->mon.hostile_since > 0 ? TROUBLE_CRITICAL : TROUBLE_WARNING,
			"unresponsive for %.0f s: %s", clock_boot() - vm->mon.unresponsive,
			vm->mon.trouble);
	if (vm->proc.unkillable)
		trouble_add(l, TROUBLE_CRITICAL, "its process does not end after SIGKILL");
	if (vm->st.state == VM_PAUSED && (vm->mon.io_error || vm_is_tombstone(vm)))
		trouble_add(l, TROUBLE_CRITICAL, "paused: %s", vm->st.reason);
	if (vm->stop.left)
		trouble_add(l, TROUBLE_WARNING,
			"it should have stopped, but ignored the power button and keeps running");
	if (vm->proc.conf_lost)
		trouble_add(l, TROUBLE_WARNING,
			"its run record was lost, so the configuration that it runs with is not known");
}

void vm_troubles(struct vm *vm, trouble_fn *report, void *data)
{
	const struct trouble_list l = { report, data };
	_cleanup_(free_ptr) char *file = trouble_of_file(vm);

	if (file)
		trouble_add(&l, vm->file.orphan ? TROUBLE_WARNING : TROUBLE_CRITICAL, "%s", file);
	if (vm->held.why && proc_is(vm->held.pid, vm->held.starttime))
		trouble_add(&l, TROUBLE_UNKNOWN, "%s", vm->held.why);
	if (vm->identity_problem)
		trouble_add(&l, TROUBLE_CRITICAL, "%s", vm->identity_problem);
	if (vm_state_is_down(vm->st.state))
		trouble_down(vm, &l);
	else if (vm_state_has_process(vm->st.state))
		trouble_up(vm, &l);
	vm_parts_troubles(vm, report, data);
}
