/* SPDX-License-Identifier: MIT */
#include "supervisor/control/message.h"

#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static int message_check_members(const json_t *json, struct err *e)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
		if (streq(key, "execute") || streq(key, "arguments") || streq(key, "id"))
			continue;
		err_set(e, ERR_USAGE, "unknown member '%.64s' in a request", key);
		return err_hint(e, "a request has the members execute, arguments and id");
	}
	return 0;
}

static int message_find_verb(struct message *m, const json_t *json, struct err *e)
{
	const json_t *execute = json_object_get(json, "execute");
	const char *name = json_string_value(execute), *nearest;

	if (!name) {
		err_set(e, ERR_USAGE, "a request needs a string \"execute\"");
		return err_hint(e, "as in {\"execute\": \"vm-list\"}");
	}
	m->verb = api_verb_by_execute(name);
	if (m->verb && strlen(name) == json_string_length(execute))
		return 0;
	m->verb = NULL;
	nearest = api_verb_nearest(name);
	err_set(e, ERR_USAGE, "unknown verb '%.64s'", name);
	if (nearest)
		return err_hint(e, "did you mean '%s'?", nearest);
	return err_hint(e, "query-schema lists the verbs");
}

int message_parse(struct message *m, const json_t *json, struct err *e)
{
	json_t *arguments = json_object_get(json, "arguments");
	int r;

	*m = (struct message){ .id = json_incref(json_object_get(json, "id")) };
	if (!json_is_object(json))
		return err_set(e, ERR_USAGE, "a request must be an object");
	if (json_dumpb(m->id, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) > MESSAGE_ID_MAX) {
		json_decref(m->id);
		m->id = NULL;
		return err_set(e, ERR_USAGE, "the id of a request may have at most %d bytes",
			MESSAGE_ID_MAX);
	}
	r = message_check_members(json, e);
	if (r < 0)
		return r;
	r = message_find_verb(m, json, e);
	if (r < 0)
		return r;
	if (arguments && !json_is_object(arguments))
		return err_set(e, ERR_USAGE, "\"arguments\" is not an object");
	m->arguments = arguments ? json_incref(arguments) : json_object();
	return api_check_arguments(m->verb, m->arguments, e);
}

void message_release(struct message *m)
{
	json_decref(m->id);
	json_decref(m->arguments);
	*m = (struct message){ 0 };
}

json_t *message_event(const char *name, json_t *data)
{
	double now = clock_wall();
	json_int_t seconds = (json_int_t)now;

	return json_pack("{s:s, s:o, s:{s:I, s:I}}", "event", name, "data",
		data ? data : json_object(), "timestamp", "seconds", seconds, "microseconds",
		(json_int_t)((now - (double)seconds) * 1e6));
}
