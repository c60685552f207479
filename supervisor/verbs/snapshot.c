/* SPDX-License-Identifier: MIT */
/* Snapshots of a VM's disks. */
#include "base/mem.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/storage/snapshot.h"

typedef void snapshot_verb_fn(struct vm *vm, const char *name, struct job *j);

static void snapshot_verb(void *data, struct request *r, const char *verb, snapshot_verb_fn *run)
{
	struct vm *vm = verb_vm(data, r);
	struct job *j;
	char *name;

	if (!vm)
		return;
	/* a client that does not wait is answered by verb_job(), and its request is gone then */
	name = xstrdup(request_string(r, "snapshot"));
	j = verb_job(data, r, verb, vm->name);
	vm_history(vm, verb, j->who, name);
	run(vm, name, j);
	free(name);
}

void verb_snapshot_create(void *data, struct request *r)
{
	snapshot_verb(data, r, "snapshot-create", snapshot_create);
}

/* What would refuse it is an answer, not an error. */
static void on_revert_plan(void *data, json_t *result, const struct err *e)
{
	struct request *r = data;

	if (e)
		result = json_pack("{s:o, s:[s,s,s], s:[]}", "refused", api_error_json(e),
			"columns", "disk", "path", "created", "rows");
	request_return(r, result);
}

void verb_snapshot_revert(void *data, struct request *r)
{
	struct vm *vm;

	if (request_bool(r, "dry-run", false)) {
		vm = verb_vm(data, r);
		if (vm)
			snapshot_revert_plan(vm, request_string(r, "snapshot"), on_revert_plan, r);
		return;
	}
	snapshot_verb(data, r, "snapshot-revert", snapshot_revert);
}

void verb_snapshot_delete(void *data, struct request *r)
{
	snapshot_verb(data, r, "snapshot-delete", snapshot_delete);
}

static void on_list(void *data, json_t *result, const struct err *e)
{
	struct request *r = data;

	if (e)
		request_error(r, e);
	else
		request_return(r, result);
}

void verb_snapshot_list(void *data, struct request *r)
{
	struct vm *vm = verb_vm(data, r);

	if (vm)
		snapshot_list(vm, on_list, r);
}
