/* SPDX-License-Identifier: MIT */
/* Snapshot verbs. */
#include "base/mem.h"
#include "supervisor/api/result.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/storage/snapshot.h"

static struct snapshot_asked verb_snapshot_asked(struct request *r)
{
	return (struct snapshot_asked){ .name = request_string(r, "snapshot"),
		.id = request_string(r, "id"),
		.disks_only = request_bool(r, "disks-only", false) };
}

static void snapshot_verb(struct vm *vm, struct request *r, enum snapshot_verb verb)
{
	/* if the client does not wait, verb_job() completes the request and frees it */
	struct snapshot_asked a = verb_snapshot_asked(r);
	_cleanup_(free_ptr) char *name = xstrdup(a.name), *id = a.id ? xstrdup(a.id) : NULL;
	struct job *j = verb_job(vm->daemon, r, vm);

	a.name = name;
	a.id = id;
	snapshot_run(verb, vm, &a, j);
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
	const struct snapshot_asked a = verb_snapshot_asked(r);

	struct err e = ERR_INIT;

	if (verb_may_lose(vm, &e) < 0) {
		if (request_bool(r, "dry-run", false))
			verb_snapshot_on_revert_plan(r, NULL, &e);
		else
			request_error(r, &e);
	} else if (request_bool(r, "dry-run", false))
		snapshot_ask(SNAPSHOT_REVERT, vm, &a, verb_snapshot_on_revert_plan, r);
	else
		snapshot_verb(vm, r, SNAPSHOT_REVERT);
}

void verb_snapshot_delete(struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;

	if (verb_may_lose(vm, &e) < 0)
		request_error(r, &e);
	else
		snapshot_verb(vm, r, SNAPSHOT_DELETE);
}

void verb_snapshot_list(struct vm *vm, struct request *r)
{
	snapshot_ask(SNAPSHOT_LIST, vm, &(struct snapshot_asked){ .name = "" }, request_answer, r);
}
