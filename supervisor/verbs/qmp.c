/* SPDX-License-Identifier: MIT */
/* Passes a command to QEMU itself, bypassing all checks. */
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/verbs/verb.h"

#define QMP_TIMEOUT 30.0 /* seconds */

static void qmp_reply(void *data, const json_t *result, const struct err *e)
{
	request_answer(data, result ? json_deep_copy(result) : NULL, e);
}

void verb_qmp(struct vm *vm, struct request *r)
{
	const json_t *command;
	const char *execute;
	json_t *arguments;
	struct err e = ERR_INIT;

	command = json_object_get(request_arguments(r), "command");
	execute = json_string_value(
		json_is_string(command) ? command : json_object_get(command, "execute"));
	if (!execute || !vm->mon.qmp) {
		if (!execute)
			err_set(&e, ERR_USAGE, "not a QMP command: it has no \"execute\"");
		else
			err_set(&e, ERR_TIMEOUT,
				"QEMU's monitor does not answer: the command was not sent");
		request_error(r, &e);
		return;
	}
	log_info(vm->name, "qmp %s by %s", execute, request_who(r));
	/* these change the VM's state, and the history records who did it */
	if (streq(execute, "quit") || streq(execute, "stop") || streq(execute, "cont"))
		vm_set_requester(vm, request_who(r));
	arguments = json_object_get(command, "arguments");
	qmp_call(vm->mon.qmp, execute, arguments ? json_deep_copy(arguments) : NULL, -1,
		request_time(r, "timeout", QMP_TIMEOUT), qmp_reply, r);
}
