/* SPDX-License-Identifier: MIT */
/*
 * Bytes from a client of the control socket, up to the handlers: framing, the shape of the request,
 * its verb, its arguments. What passes the tables must match them, and every refusal must be an
 * error that can be sent to the client.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "qmp/codec.h"
#include "supervisor/control/message.h"
#include "supervisor/control/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_number(const json_t *value, bool integer)
{
	assert(integer ? json_is_integer(value) : json_is_number(value));
	assert(json_number_value(value) >= 0);
}

static void check_accepted(const struct message *m)
{
	const struct api_arg *arg;

	for (size_t i = 0; (arg = api_verb_arg(m->verb, i)); i++) {
		const json_t *value = json_object_get(m->arguments, arg->name);
		const char *text = json_string_value(value);

		assert(value || !arg->required);
		if (!value)
			continue;
		if (arg->type == API_STRING || arg->type == API_NAME)
			assert(text && strlen(text) == json_string_length(value) &&
				!strpbrk(text, "\n\r\t\033\177"));
		if (arg->type == API_NAME)
			assert(*text && strlen(text) <= 63 && !strchr(text, '/'));
		if (arg->type == API_SIZE || arg->type == API_INT || arg->type == API_TIME)
			check_number(value, arg->type != API_TIME);
		if (arg->type == API_BOOL)
			assert(json_is_boolean(value));
	}
}

static void check_refused(const struct err *e)
{
	json_t *o = api_error_json(e);
	struct buf out = BUF_INIT;

	assert(e->number < 0 && e->text[0]);
	assert(json_is_string(json_object_get(o, "desc")));
	assert(codec_encode(o, &out) == 0);
	json_decref(o);
	buf_release(&out);
}

static bool take(struct codec *c)
{
	struct err e = ERR_INIT;
	struct message m;
	json_t *json;

	switch (codec_next(c, &json, &e)) {
	case CODEC_NONE:
		return false;
	case CODEC_BAD:
		check_refused(&e);
		return false;
	case CODEC_MESSAGE:
		break;
	}
	if (message_parse(&m, json, &e) == 0)
		check_accepted(&m);
	else
		check_refused(&e);
	message_release(&m);
	json_decref(json);
	return true;
}

/* The first byte selects the chunk sizes of the others. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t piece = len ? data[0] + 1U : 1;
	struct codec c;

	codec_init(&c, SERVER_REQUEST_MAX);
	for (size_t i = 1; i < len; i += piece) {
		codec_feed(&c, data + i, len - i < piece ? len - i : piece);
		while (take(&c))
			;
	}
	codec_release(&c);
	return 0;
}
