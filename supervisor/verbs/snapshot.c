/* SPDX-License-Identifier: MIT */
/* Snapshot verbs. */
#include "base/mem.h"
#include "supervisor/api/result.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/storage/snapshot.h"

static void snapshot_verb(struct vm *vm, struct request *r, enum snapshot_verb verb)
{
	/* if the client does not wait, verb_job() completes the request and frees it */
	char *name = xstrdup(request_string(r, "snapshot"));
	bool disks_only = request_bool(r, "disks-only", false);
	struct job *j = verb_job(vm->daemon, r, vm);

	snapshot_run(verb, vm, name, disks_only, j);
	free(name);
}

void verb_snapshot_create(struct vm *vm, struct request *r)
{
	snapshot_verb(vm, r, SNAPSHOT_CREATE);
}

/* A refusal is part of the answer, not an error. */
static void verb_snapshot_on_revert_plan(void *data, json_t *result, const struct err *e)
{
	struct request *r = data;

	if (e) {
		result = json_pack("{s:o}", "refused", api_error_json(e));
		json_object_update_new(result, api_table(api_revert_row, json_array()));
	}
	request_return(r, result);
}

void verb_snapshot_revert(struct vm *vm, struct request *r)
{
	if (request_bool(r, "dry-run", false))
		snapshot_ask(SNAPSHOT_REVERT, vm, request_string(r, "snapshot"),
			request_bool(r, "disks-only", false), verb_snapshot_on_revert_plan, r);
	else
		snapshot_verb(vm, r, SNAPSHOT_REVERT);
}

void verb_snapshot_delete(struct vm *vm, struct request *r)
{
	snapshot_verb(vm, r, SNAPSHOT_DELETE);
}

void verb_snapshot_list(struct vm *vm, struct request *r)
{
	snapshot_ask(SNAPSHOT_LIST, vm, "", false, request_answer, r);
}
