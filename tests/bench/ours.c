/* SPDX-License-Identifier: MIT */
/* A client of the daemon that records when its events arrived. */
#include "tests/bench/measure.h"

#include "base/mem.h"

void ours_connect(struct ours *o, const char *path, const char *vm)
{
	double when;

	*o = (struct ours){ .vm = vm };
	wire_connect(&o->wire, path);
	json_decref(wire_receive(&o->wire, &when));
}

void ours_look(struct ours *o, const json_t *message, double when)
{
	const json_t *data = json_object_get(message, "data");
	const char *state = json_string_value(json_object_get(data, "state"));

	if (!streq(json_string_value(json_object_get(message, "event")), "VM_STATE") ||
		!streq(json_string_value(json_object_get(data, "name")), o->vm))
		return;
	if (streq(state, "stopped") || streq(state, "failed") || streq(state, "backoff"))
		o->ended = when;
}

json_t *ours_call(struct ours *o, const char *execute, /* stolen */ json_t *arguments, double *when)
{
	json_t *message, *result = NULL;
	int id = ++o->serial;

	wire_send(&o->wire, json_pack("{s:s, s:o, s:i}", "execute", execute, "arguments",
				    arguments ? arguments : json_object(), "id", id));
	while (!result) {
		message = wire_receive(&o->wire, when);
		if (json_object_get(message, "error"))
			give_up("%s: %s", execute,
				json_string_value(json_object_get(
					json_object_get(message, "error"), "desc")));
		ours_look(o, message, *when);
		if (json_integer_value(json_object_get(message, "id")) == id)
			result = json_incref(json_object_get(message, "return"));
		json_decref(message);
	}
	return result;
}

double ours_do(struct ours *o, const char *execute)
{
	double when;

	json_decref(ours_call(o, execute, json_pack("{s:s}", "name", o->vm), &when));
	return when;
}
