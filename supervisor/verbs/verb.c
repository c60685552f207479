/* SPDX-License-Identifier: MIT */
#include "supervisor/verbs/verb.h"
#include "supervisor/api/result.h"
#include "supervisor/verbs/verbs.h"
#include "supervisor/vm/trouble.h"

#include <arpa/inet.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/text.h"

struct vm *verb_vm(struct daemon *d, struct request *r)
{
	struct err e = ERR_INIT;
	struct vm *vm = vms_get(d->vms, request_string(r, "name"), &e);

	if (vm)
		return vm;
	/* no other VM is proposed to be stopped in place of a mistyped one */
	if (e.class == ERR_NOT_FOUND && request_verb(r)->traits & API_HARMS)
		err_hint(&e, "vmkeep list shows which VMs there are");
	request_error(r, &e);
	return NULL;
}

static bool verb_is_owner(void *data, const struct conf_list *owner)
{
	return request_owns(data, owner);
}

static bool verb_owns_name(struct daemon *d, const struct request *r, const char *name)
{
	return vms_owned(d->vms, name, verb_is_owner, (void *)(uintptr_t)r);
}

/* Re-reads only files that may be the client's own: there may be a thousand VMs. */
bool verb_owns(struct daemon *d, const struct request *r, const struct vm *vm)
{
	return (vm->file.problems || request_owns(r, &vm->file.conf.owner)) &&
	       verb_owns_name(d, r, vm->name);
}

bool verbs_owns(void *data, const struct request *r, const char *name)
{
	struct daemon *d = data;

	if (name)
		return verb_owns_name(d, r, name);
	vms_refresh(d->vms);
	for (size_t i = 0; i < d->vms->n; i++)
		if (verb_owns(d, r, d->vms->vm[i]))
			return true;
	return false;
}

/* The verb's name in the history. */
static const char *verb_event(const char *verb)
{
	return strncmp(verb, "vm-", 3) == 0 ? verb + 3 : verb;
}

/* Not more than names what was requested: arguments of commands may be secret. */
static char *verb_record_text(const char *argument, const json_t *value)
{
	const char *text;
	char size[32];

	if (json_is_integer(value))
		return xstrdup(text_size(size, sizeof size, (uint64_t)json_integer_value(value)));
	if (json_is_object(value))
		value = json_object_get(value, "execute");
	else if (json_is_array(value))
		value = json_array_get(value, 0);
	text = json_string_value(value);
	return xstrdup(text ? text : json_is_true(value) ? argument : "");
}

void verb_record(struct vm *vm, const struct request *r, const char *argument)
{
	const char *verb = request_verb(r)->execute;
	const json_t *value = json_object_get(request_arguments(r), argument);
	_cleanup_(free_ptr) char *text = verb_record_text(argument, value);

	/* a query: guest-time without sync, or a dry run */
	if ((streq(argument, "sync") && !json_is_true(value)) || request_bool(r, "dry-run", false))
		return;
	vm_history(vm, verb_event(verb), request_who(r), text);
}

/* QEMU, agent and programs quote in their errors what they were given, which may be secret. */
static const char *verb_error_text(const char *verb, const struct err *e)
{
	const struct api_verb *v = api_verb_by_execute(verb);
	enum api_type type = v->arg[0].type;
	bool own = e->class == ERR_WRONG_STATE || e->class == ERR_TIMEOUT;

	return own || (type != API_JSON && type != API_WORDS) ? e->text : api_class(e->class)->name;
}

static void verb_record_failed(
	struct daemon *d, const char *name, const char *verb, const char *who, const struct err *e)
{
	const char *text = verb_error_text(verb, e);
	_cleanup_(free_ptr) char *event = xasprintf("%s-failed", verb_event(verb)),
				 *first = xstrndup(text, strcspn(text, "\n"));
	struct vm *vm = vms_find(d->vms, name);

	if (vm)
		vm_history(vm, event, who, first);
}

static void verb_on_error(void *data, const struct request *r, const struct err *e)
{
	if (!request_bool(r, "dry-run", false))
		verb_record_failed(data, request_string(r, "name"), request_verb(r)->execute,
			request_who(r), e);
}

void verb_record_errors(struct daemon *d, struct request *r)
{
	request_on_error(r, verb_on_error, d);
}

static void verb_job_done(void *data, struct job *j)
{
	struct request *r = data;

	if (j->error)
		request_error(r, j->error);
	else
		request_return(r, json_incref(j->result));
}

/* Nobody waits for the job, so no request tells of its error. */
static void verb_job_done_alone(void *data, struct job *j)
{
	if (j->error && !j->by_state)
		verb_record_failed(j->daemon, j->vm, j->verb, j->who, j->error);
}

/* The job continues without the client. */
static void verb_client_gone(void *data)
{
	struct job *j = data;

	job_on_done(j, verb_job_done_alone, NULL);
}

struct job *verb_job_alone(struct daemon *d, struct request *r, const struct vm *vm)
{
	struct job *j = job_new(d, request_verb(r)->execute, vm ? vm->name : "", request_who(r),
		request_account(r));

	j->bytes = request_pass_cost(r);
	job_on_done(j, verb_job_done_alone, NULL);
	return j;
}

struct job *verb_job(struct daemon *d, struct request *r, const struct vm *vm)
{
	struct job *j = verb_job_alone(d, r, vm);

	if (!request_bool(r, "wait", true)) {
		request_return(r, json_pack("{s:i}", "job", (int)j->id));
		return j;
	}
	job_on_done(j, verb_job_done, r);
	request_on_gone(r, verb_client_gone, j);
	verb_job_started(r, j);
	return j;
}

void verb_job_started(struct request *r, const struct job *j)
{
	request_event(r, "JOB_STARTED",
		json_pack("{s:i, s:s, s:s}", "job", (int)j->id, "verb", j->verb, "name", j->vm));
}

static bool verb_has_guest(struct request *r, const struct vm *vm)
{
	_cleanup_(free_ptr) char *why = vm_reason_text(vm);
	struct err e = ERR_INIT;

	if (vm_state_is_up(vm->st.state))
		return true;
	if (vm_state_has_process(vm->st.state))
		err_set(&e, ERR_WRONG_STATE, "is %s%s%s%s", vm_state_name(vm->st.state),
			*why ? " (" : "", why, *why ? ")" : "");
	else
		err_set(&e, ERR_WRONG_STATE, "is not running%s%s%s%s", *why ? " (" : "",
			strncmp(why, "start failed", 12) == 0 ? "last " : "", why, *why ? ")" : "");
	if (!vm_state_has_process(vm->st.state))
		err_hint(&e,
			vm->start_error || vm->file.problems ? "vmkeep check %s"
							     : "vmkeep start %s",
			vm->name);
	request_error(r, &e);
	return false;
}

/* A snapshot operation is using the disks: only kill may interrupt it. */
static bool verb_is_free(struct request *r, const struct vm *vm)
{
	struct err e = ERR_INIT;

	if (!vm->busy)
		return true;
	err_set(&e, ERR_CONFLICT, "%s is under way", vm->busy);
	err_hint(&e, "vmkeep jobs shows its progress");
	request_error(r, &e);
	return false;
}

struct vm *verb_vm_after(struct daemon *d, const char *name, struct err *e)
{
	if (d->emit)
		return vms_get(d->vms, name, e);
	err_set(e, ERR_FAILED, "the daemon is ending");
	return NULL;
}

bool verb_may(struct request *r, const struct vm *vm)
{
	unsigned needs = request_verb(r)->traits;

	return (!(needs & API_NOT_BUSY) || verb_is_free(r, vm)) &&
	       (!(needs & API_NEEDS_GUEST) || verb_has_guest(r, vm));
}

bool verb_may_keep(struct request *r, const struct vm *vm)
{
	struct err e = ERR_INIT;

	if (!vm->file.throwaway || !(request_verb(r)->traits & API_KEEPS))
		return true;
	err_set(&e, ERR_WRONG_STATE, "is a throw-away VM, which ends with the command in it");
	err_hint(&e, "vmkeep kill %s", vm->name);
	request_error(r, &e);
	return false;
}

int verb_may_lose(const struct vm *vm, struct err *e)
{
	if (!vm->file.have_conf || !vm->file.conf.protect)
		return 0;
	err_set(e, ERR_CONFLICT, "is protected (Protect=yes in [VM])");
	return err_hint(e, "vmkeep set %s VM.Protect=no", vm->name);
}

json_t *verb_address(uint32_t address)
{
	struct in_addr in = { htonl(address) };
	char text[INET_ADDRSTRLEN];

	return address ? json_string(inet_ntop(AF_INET, &in, text, sizeof text)) : json_null();
}
