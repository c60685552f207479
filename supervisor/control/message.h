/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/message.h - client messages, checked against the tables, and events; pure
 */
#ifndef SUPERVISOR_CONTROL_MESSAGE_H
#define SUPERVISOR_CONTROL_MESSAGE_H

#include <jansson.h>

#include "base/err.h"
#include "supervisor/api/api.h"

enum {
	MESSAGE_ID_MAX = 1024
}; /* bytes of an id: it is kept as long as the request, and repeated */

struct message {
	const struct api_verb *verb;
	json_t *id;	   /* any value; NULL: none */
	json_t *arguments; /* an object, checked */
};

/* Takes references to parts of json, on failure too if there is an id. ERR_USAGE if it is not a
 * valid request. */
int message_parse(struct message *m, const json_t *json, struct err *e);
void message_release(struct message *m);

/* {"event", "data", "timestamp"}, as QMP writes it. data: stolen; NULL: {}. */
json_t *message_event(const char *name, json_t *data);

#endif
