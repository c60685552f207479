/* SPDX-License-Identifier: MIT */
/*
 * reboot: a guest that could not start again is left running. Everything that `check` looks at is
 * checked first; then the reboot is recorded as the VM's desired state, so it is carried out even
 * if this client or daemon goes away.
 */
#include "base/mem.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/verbs/verbs.h"

static int reboot_begin(struct vm *vm, const struct request *r, struct err *e)
{
	return vm_reboot(vm, request_time(r, "timeout", -1), request_who(r), e);
}

/* The first problem that would prevent a start, as an error; 0: none. */
static int reboot_refused(const struct conf_problems *p, struct err *e)
{
	_cleanup_(buf_release) struct buf text = BUF_INIT;
	const struct conf_problem *first = NULL;
	size_t n = 0;

	for (size_t i = p->n; i-- > 0;)
		if (!p->item[i].warning) {
			first = &p->item[i];
			n++;
		}
	if (!first)
		return 0;
	conf_problem_print(first, &text);
	err_set(e, ERR_INVALID_CONFIG, "would not start again: %s", text.data);
	if (n > 1)
		err_wrap(e, 0, "%zu problems, the first", n);
	return err_hint(e,
		"it was left running; vmkeep check shows all problems; stop and start skip this check");
}

static void reboot_checked(struct daemon *d, struct request *r, const struct conf_problems *p)
{
	struct err e = ERR_INIT;
	struct vm *vm;

	if (reboot_refused(p, &e) < 0) {
		request_error(r, &e);
		return;
	}
	/* everything may have changed during the check */
	vm = verb_vm(d, r);
	if (vm && verb_may(r, vm))
		verb_life(vm, r, reboot_begin, VM_GOAL_AGAIN);
}

void verb_reboot(struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;

	/* already requested: join it */
	if (vm->st.want == VM_WANT_RESTART && vm_state_has_process(vm->st.state)) {
		verb_life(vm, r, NULL, VM_GOAL_AGAIN);
		return;
	}
	if (!verb_may(r, vm))
		return;
	if (vm_may_start(vm, true, &e) < 0) {
		err_wrap(&e, 0, "would not start again");
		err_hint(&e, "it was left running");
		request_error(r, &e);
		return;
	}
	verb_look(vm->daemon, r, vm->name, reboot_checked);
}

/* --- operations started by a previous daemon --- */

static void verb_reboot_took_up_done(void *data, const struct err *e)
{
	job_finish(data, NULL, e);
}

void verbs_take_up(struct daemon *d)
{
	struct account *root = account_of(&d->accounts, 0, true);

	for (size_t i = 0; i < d->vms->n; i++) {
		struct vm *vm = d->vms->vm[i];
		bool again = vm->st.want == VM_WANT_RESTART;
		const char *who = again ? vm->st.again : "a previous daemon";
		struct job *j;

		if (vm->st.state != VM_STOPPING && vm->st.state != VM_QUITTING)
			continue;
		j = job_new(d,
			again			      ? "vm-reboot"
			: vm->st.state == VM_STOPPING ? "vm-stop"
						      : "vm-kill",
			vm->name, who, root);
		vm_wait(vm, again ? VM_GOAL_AGAIN : VM_GOAL_DOWN, 0, verb_reboot_took_up_done, j);
	}
	account_unref(root);
}
