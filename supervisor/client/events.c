/* SPDX-License-Identifier: MIT */
/* vmkeep events: one line per event, until interrupted, or only the first. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/value.h"

static void events_add_time(struct buf *b, const json_t *stamp)
{
	time_t when = (time_t)json_integer_value(json_object_get(stamp, "seconds"));
	int ms = (int)(json_integer_value(json_object_get(stamp, "microseconds")) / 1000);
	char text[32] = "-";
	struct tm tm;

	if (localtime_r(&when, &tm))
		strftime(text, sizeof text, "%F %T", &tm);
	buf_printf(b, "%s.%03d", text, ms);
}

/* "2026-01-02 03:04:05.678  VM_STATE  web1  state=running from=starting" */
static void events_add_event(struct buf *b, const json_t *event)
{
	const json_t *what = json_object_get(event, "event");
	json_t *data = json_object_get(event, "data"), *v;
	_cleanup_(free_ptr) char *name = value_text(NULL, what);
	_cleanup_(free_ptr) char *object = value_text(NULL, json_object_get(data, "name"));
	const char *key;

	events_add_time(b, json_object_get(event, "timestamp"));
	buf_printf(b, "  %-13s  %s", name, object);
	json_object_foreach (data, key, v) {
		_cleanup_(free_ptr) char *text = value_text(value_field(api_memory, key), v);

		if (streq(key, "name") || json_is_null(v) || streq(json_string_value(v), ""))
			continue;
		buf_printf(b, " %s=%s", key, text);
	}
	buf_addc(b, '\n');
}

static void events_print_event(struct command *c, const json_t *event)
{
	if (c->json)
		codec_encode(event, &c->out);
	else if (!c->quiet)
		events_add_event(&c->out, event);
	command_flush(c);
}

int events_run(struct command *c)
{
	bool follow = !json_is_false(json_object_get(c->args->arguments, "follow")), last = false;
	struct err e = ERR_INIT;
	json_t *message;
	int r;

	r = calls_begin(c);
	if (r)
		return r;
	while (!last) {
		switch (conn_receive(&c->conn, -1, NULL, &message, &e)) {
		case CONN_MESSAGE:
			if (json_object_get(message, "event")) {
				events_print_event(c, message);
				last = !follow;
			}
			json_decref(message);
			break;
		case CONN_TIMEOUT:
		case CONN_INTERRUPTED:
			break;
		case CONN_FAILED:
			return errors_print(NULL, &e);
		}
	}
	return 0;
}
