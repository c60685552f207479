/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/balloon.h"

#include "supervisor/guest/parts.h"

static void balloon_on_queried(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;

	if (!e)
		vm->mon.balloon = memory_parse(&vm->proc.conf, result);
}

static void balloon_greeted(struct vm *vm, void *state)
{
	if (vm->proc.conf.balloon && !vm->proc.is_child)
		vm_call(vm, "query-balloon", NULL, balloon_on_queried);
}

static void balloon_joined(struct vm *vm, void *state, bool fresh)
{
	if (!fresh)
		memory_restore(vm);
	else if (vm->proc.conf.memory_max > vm->proc.conf.memory)
		vm_call(vm, "balloon",
			json_pack("{s:I}", "value", (json_int_t)vm->proc.conf.memory), NULL);
}

static void balloon_event(struct vm *vm, void *state, const char *name, const json_t *data)
{
	json_int_t actual = memory_parse(&vm->proc.conf, data);

	if (!vm->proc.conf.balloon || !streq(name, "BALLOON_CHANGE") || actual == vm->mon.balloon ||
		!vm_event_bearable(vm))
		return;
	vm->mon.balloon = actual;
	if (actual)
		daemon_event(vm->daemon, "BALLOON_CHANGE",
			json_pack("{s:s, s:I}", "name", vm->name, "actual", actual));
}

static void balloon_info(const struct vm *vm, void *state, json_t *out)
{
	if (vm->mon.balloon)
		json_object_set_new(out, "balloon", json_integer(vm->mon.balloon));
}

const struct vm_part balloon_part = {
	.name = "balloon",
	.greeted = balloon_greeted,
	.joined = balloon_joined,
	.event = balloon_event,
	.info = balloon_info,
};
