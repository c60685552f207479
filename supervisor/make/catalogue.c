/* SPDX-License-Identifier: MIT */
#include "supervisor/make/catalogue.h"

#include "base/mem.h"
#include "supervisor/core/daemon.h"

struct image_asked *catalogue_ask(struct daemon *d, image_fn *done, void *data, struct err *e)
{
	return image_ask(d,
		json_pack("{s:s, s:[s, o]}", "do", "catalogue", "dirs", VMKEEP_DATADIR "/images.d",
			json_sprintf("%s/images.d", d->dirs.config)),
		done, data, e);
}

const json_t *catalogue_entry(const json_t *answer, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(answer, "entries"), i, entry)
		if (streq(json_string_value(json_object_get(entry, "name")), name))
			return entry;
	return NULL;
}
