/* SPDX-License-Identifier: MIT */
#include "conf/renamed.h"

#include <stddef.h>
#include <string.h>

static const struct conf_renamed keys[] = {
	{ 0 }, /* none yet */
};

const struct conf_renamed *conf_renamed_keys = keys;

const struct conf_renamed *conf_renamed_find(const char *section, const char *key)
{
	for (const struct conf_renamed *r = conf_renamed_keys; r->section; r++)
		if (strcmp(r->section, section) == 0 && strcmp(r->key, key) == 0)
			return r;
	return NULL;
}

void conf_renamed_warn(const struct conf_renamed *r, const struct conf_place *place,
	const char *key, struct conf_problems *p)
{
	if (!r->to_key)
		conf_warning(p, place, key,
			"has no effect since vmkeep %s, and is an error from %s on", r->since,
			r->until);
	else
		conf_warning(p, place, key,
			"is '%s' in [%s] since vmkeep %s; the old name is an error from %s on",
			r->to_key, r->to_section ? r->to_section : r->section, r->since, r->until);
}
