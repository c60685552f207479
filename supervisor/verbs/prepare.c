/* SPDX-License-Identifier: MIT */
/*
 * template prepare: a script, run by the guest agent, removes what must not be the same in two guests;
 * then Template=yes is written, then the guest shuts down. Killed before that line is written, the VM
 * is an ordinary one, which makes again what was removed when it boots; after it, a template that
 * still runs. Both times the command can be repeated.
 */
#include "base/base64.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/guest/agent.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/verb.h"

enum { PREPARE_SECONDS = 300, SAID_MAX = 400 };

static const char script[] =
	"set -e\n"
	"if command -v cloud-init >/dev/null; then cloud-init clean --logs; fi\n"
	"rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /var/lib/systemd/random-seed\n"
	"if [ -e /etc/machine-id ]; then : >/etc/machine-id; fi\n"
	"if ! [ -L /var/lib/dbus/machine-id ]; then rm -f /var/lib/dbus/machine-id; fi\n"
	"sync\n"
	"if command -v fstrim >/dev/null; then fstrim -a 2>/dev/null || :; fi\n";

struct prepare {
	struct daemon *daemon;
	struct job *job;
	char vm[64];
	struct edit_by by;
};

static void prepare_finish(struct prepare *p, const struct err *e)
{
	const struct vm *vm = p->daemon->emit ? vms_find(p->daemon->vms, p->vm) : NULL;
	struct err own;

	job_finish(p->job,
		e ? NULL
		  : json_pack("{s:s}", "state", vm ? vm_state_name(vm->st.state) : "stopped"),
		e ? verb_guest_error(e, &own) : NULL);
	edit_by_release(&p->by);
	free(p);
}

/* NULL also when the daemon is ending and parts of it are gone. */
static struct vm *prepare_vm(const struct prepare *p, struct err *e)
{
	struct vm *vm = p->daemon->emit ? vms_find(p->daemon->vms, p->vm) : NULL;

	if (!vm)
		err_set(e, ERR_NOT_FOUND, "is gone");
	return vm;
}

/* --- off --- */

static void prepare_on_down(void *data, const struct err *e)
{
	struct prepare *p = data;
	struct err own = ERR_INIT;

	if (e) {
		err_copy(&own, e);
		err_wrap(&own, own.number, "it is a template now, but still runs");
	}
	prepare_finish(p, e ? &own : NULL);
}

static void prepare_on_written(void *data, const struct err *failed)
{
	struct prepare *p = data;
	struct err e = ERR_INIT;
	struct vm *vm = failed ? NULL : prepare_vm(p, &e);

	if (failed)
		prepare_finish(p, failed);
	else if (!vm || vm_stop(vm, -1, p->job->who, &e) < 0)
		prepare_on_down(p, &e);
	else
		vm_wait(vm, VM_GOAL_DOWN, 0, prepare_on_down, p);
}

static json_t *prepare_words(void)
{
	return json_pack("[s, s]", "VM.Enable=no", "VM.Template=yes");
}

static void prepare_write(struct prepare *p)
{
	struct err e = ERR_INIT;
	struct vm *vm = prepare_vm(p, &e);

	if (!vm)
		prepare_finish(p, &e);
	else
		edit_set(vm, prepare_words(), &p->by, prepare_on_written, p);
}

/* --- the script --- */

/* The end of what it wrote to standard error. */
static void prepare_explain(const json_t *status, struct err *e)
{
	const char *text = json_string_value(json_object_get(status, "err-data"));
	const json_int_t code = json_integer_value(json_object_get(status, "exitcode"));
	struct buf said = BUF_INIT;
	_cleanup_(free_ptr) char *safe = NULL;
	size_t from;

	if (text && base64_is(text))
		base64_decode(text, &said);
	while (said.len && strchr("\n ", said.data[said.len - 1]))
		said.len--;
	from = said.len > SAID_MAX ? said.len - SAID_MAX : 0;
	safe = text_escape(said.data ? said.data + from : "", said.len - from, false);
	err_set(e, ERR_GUEST_REFUSED,
		"nothing was changed here: the script ended in the guest with exit status %d%s%s",
		(int)code, *safe ? ", and said: " : "", safe);
	buf_release(&said);
}

static void prepare_on_ended(void *data, const json_t *status, const struct err *failed)
{
	struct prepare *p = data;
	const json_t *code = json_object_get(status, "exitcode");
	struct err e = ERR_INIT;

	if (failed) {
		prepare_finish(p, failed);
	} else if (json_is_integer(code) && json_integer_value(code) == 0) {
		job_progress(p->job, 0, 0, "shutting it down");
		prepare_write(p);
	} else {
		prepare_explain(status, &e);
		prepare_finish(p, &e);
	}
}

void verb_prepare(struct vm *vm, struct request *r)
{
	struct daemon *d = vm->daemon;
	struct prepare *p;
	struct edit_by by;
	struct err e = ERR_INIT;

	edit_by_init(&by, r);
	/* before anything is done: could the line be written? */
	if (edit_may_set(vm, prepare_words(), &by, &e) < 0) {
		request_error(r, &e);
		edit_by_release(&by);
		return;
	}
	vm = verb_vm(d, r); /* the files were read again */
	if (!vm) {
		edit_by_release(&by);
		return;
	}
	p = xcalloc(1, sizeof *p);
	*p = (struct prepare){ .daemon = vm->daemon, .by = by };
	snprintf(p->vm, sizeof p->vm, "%s", vm->name);
	p->job = verb_job(vm->daemon, r, vm);
	job_progress(p->job, 0, 0, "cleaning up in the guest");
	if (vm_agent_run(vm, json_pack("[s, s, s]", "/bin/sh", "-c", script),
		    request_time(r, "timeout", PREPARE_SECONDS), prepare_on_ended, p, &e) < 0)
		prepare_finish(p, &e);
}
