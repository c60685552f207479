/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"

/* A text that a client or QEMU had a hand in may be cut inside a character. */
json_t *api_text(const char *text)
{
	json_t *s = json_string(text);

	if (!s) {
		_cleanup_(free_ptr) char *safe = text_escape(text, strlen(text), true);

		s = json_string(safe);
	}
	return s;
}

json_t *api_error_json(const struct err *e)
{
	json_t *o = json_object();

	json_object_set_new(o, "class", json_string(api_class(e->class)->name));
	json_object_set_new(o, "desc", api_text(e->text));
	if (e->hint[0])
		json_object_set_new(o, "hint", api_text(e->hint));
	return o;
}
