/* SPDX-License-Identifier: MIT */
/*
 * conf/renamed.h - keys that had another name, or that are gone
 *
 * A file that worked goes on working: an old key is read, with a warning, for two releases. Its row
 * goes when `until` is released.
 */
#ifndef CONF_RENAMED_H
#define CONF_RENAMED_H

#include "conf/conf.h"

struct conf_renamed {
	const char *section, *key; /* as it was */
	/* As it is: another key; to_section NULL: in the same section, else in one without an id.
	 * to_key NULL: it has no effect any more. */
	const char *to_section, *to_key;
	const char *since,
		*until; /* the release that renamed it, the first that does not know it */
};

/* Ends with a row without a section. Tests put in a table of their own. */
extern const struct conf_renamed *conf_renamed_keys;

const struct conf_renamed *conf_renamed_find(const char *section, const char *key); /* or NULL */
void conf_renamed_warn(const struct conf_renamed *r, const struct conf_place *place,
	const char *key, struct conf_problems *p);

#endif
