/* SPDX-License-Identifier: MIT */
/* Passes a command to QEMU itself, bypassing all checks. Files that it names can be shown to QEMU first. */
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/guest/enter.h"
#include "supervisor/qemu/device.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/vm/dirs.h"

#define QMP_TIMEOUT 30.0 /* seconds */

struct raw {
	struct request *request;
	struct daemon *daemon;
	char *vm, *execute, *without;
	json_t *arguments;
	double timeout;
	struct enter *enter; /* NULL: no file goes in */
	json_t *result;
	struct err error;
};

static void qmp_end(struct raw *raw)
{
	request_answer(raw->request, raw->error.number ? NULL : json_incref(raw->result),
		raw->error.number ? &raw->error : NULL);
	json_decref(raw->result);
	json_decref(raw->arguments);
	free(raw->vm);
	free(raw->execute);
	free(raw->without);
	free(raw);
}

static json_t *qmp_files(const char *path, bool write)
{
	return json_pack("[{s:s, s:o, s:s, s:b, s:s, s:b}]", "kind", "disk", "what",
		json_sprintf("file '%s'", path), "path", path, "write", write, "format", "raw",
		"format_written", 1);
}

static void qmp_on_dropped(void *data)
{
	qmp_end(data);
}

static void qmp_on_left(void *data, const struct err *e)
{
	struct raw *raw = data;

	if (e)
		err_copy(&raw->error, e);
	qmp_end(raw);
}

static void qmp_reply(void *data, const json_t *result, const struct err *e)
{
	struct raw *raw = data;
	struct vm *vm = vms_find(raw->daemon->vms, raw->vm);

	if (e)
		err_copy(&raw->error, e);
	raw->result = result ? json_deep_copy(result) : NULL;
	if (raw->enter && e) {
		enter_drop(raw->enter, qmp_on_dropped, raw);
		return;
	}
	if (raw->enter)
		enter_keep(raw->enter);
	if (raw->without && !e && vm)
		leave_begin(vm, qmp_files(raw->without, false), qmp_on_left, raw);
	else
		qmp_end(raw);
}

static void qmp_send(struct raw *raw, struct vm *vm)
{
	struct err e = ERR_INIT;

	if (!vm || !vm->mon.qmp) {
		err_set(&e, ERR_TIMEOUT,
			"QEMU's monitor does not answer: the command was not sent");
		qmp_reply(raw, NULL, &e);
		return;
	}
	log_info(vm->name, "qmp %s by %s", raw->execute, request_who(raw->request));
	/* these change the VM's state, and the history records who did it */
	if (streq(raw->execute, "quit") || streq(raw->execute, "stop") ||
		streq(raw->execute, "cont"))
		vm_set_requester(vm, request_who(raw->request));
	qmp_call(vm->mon.qmp, raw->execute, json_incref(raw->arguments), -1, raw->timeout,
		qmp_reply, raw);
}

static void qmp_on_entered(void *data, struct enter *x, const int *lock, const struct err *e)
{
	struct raw *raw = data;

	raw->enter = x;
	if (e) {
		err_copy(&raw->error, e);
		qmp_end(raw);
		return;
	}
	qmp_send(raw, vms_find(raw->daemon->vms, raw->vm));
}

/* A disk that leaves would lose its locks, while QEMU writes to it. */
static int qmp_may_leave(const struct vm *vm, const char *path, struct err *e)
{
	const struct conf_vm *c = &vm->proc.conf;
	_cleanup_(free_ptr) char *nvram = vm_state_path(vm, VM_NVRAM);

	for (size_t i = 0; i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];

		if (!device_disk_has(d, vm->daemon->image_dir, path))
			continue;
		err_set(e, ERR_CONFLICT, "%s '%s' has '%s'", d->cdrom ? "drive" : "disk", d->id,
			path);
		return d->cdrom ? err_hint(e, "vmkeep cd %s eject --id %s first", vm->name, d->id)
				: e->number;
	}
	return streq(path, nvram) ? err_set(e, ERR_CONFLICT, "the firmware has '%s'", path) : 0;
}

static int qmp_may(const struct vm *vm, const char *execute, const char *with, const char *without,
	struct err *e)
{
	if (!execute)
		return err_set(e, ERR_USAGE, "not a QMP command: it has no \"execute\"");
	if ((with && *with != '/') || (without && *without != '/'))
		return err_set(e, ERR_USAGE, "'%s' is not an absolute path",
			with && *with != '/' ? with : without);
	return without ? qmp_may_leave(vm, without, e) : 0;
}

static void qmp_begin(struct raw *raw, struct vm *vm, const char *with)
{
	if (!with)
		qmp_send(raw, vm);
	else if (!enter_begin(vm, qmp_files(with, request_bool(raw->request, "writable", false)),
			 NULL, qmp_on_entered, raw, &raw->error))
		qmp_end(raw);
}

void verb_qmp(struct vm *vm, struct request *r)
{
	const json_t *command = json_object_get(request_arguments(r), "command"), *arguments;
	const char *execute = json_string_value(
		json_is_string(command) ? command : json_object_get(command, "execute"));
	const char *with = request_string(r, "with-file"),
		   *without = request_string(r, "without-file");
	struct err e = ERR_INIT;
	struct raw *raw;

	if (qmp_may(vm, execute, with, without, &e) < 0) {
		request_error(r, &e);
		return;
	}
	arguments = json_object_get(command, "arguments");
	raw = xcalloc(1, sizeof *raw);
	*raw = (struct raw){ .request = r,
		.daemon = vm->daemon,
		.vm = xstrdup(vm->name),
		.execute = xstrdup(execute),
		.without = without ? xstrdup(without) : NULL,
		.arguments = arguments ? json_deep_copy(arguments) : NULL,
		.timeout = request_time(r, "timeout", QMP_TIMEOUT) };
	qmp_begin(raw, vm, with);
}
