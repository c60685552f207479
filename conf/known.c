/* SPDX-License-Identifier: MIT */
#include "conf/known.h"

#include <stdio.h>
#include <string.h>

#include "conf/schema.h"

void conf_known_put(struct buf *b, const char *version)
{
	buf_printf(b, "vmkeep %s\n", version);
	for (size_t i = 0; i < conf_vm_schema.sections; i++)
		for (size_t k = 0; k < conf_vm_schema.section[i].keys; k++)
			buf_printf(b, "%s.%s\n", conf_vm_schema.section[i].name,
				conf_vm_schema.section[i].key[k].name);
}

static bool known_version(const char *text, char version[CONF_VERSION_MAX])
{
	return sscanf(text, "vmkeep %31[0-9a-zA-Z.~+-]\n", version) == 1;
}

bool conf_known_is_newer(const char *text, const char *version)
{
	char its[CONF_VERSION_MAX];

	return known_version(text, its) && strverscmp(its, version) > 0;
}

bool conf_known_has(
	const char *text, const char *section, const char *key, char version[CONF_VERSION_MAX])
{
	_cleanup_(free_ptr) char *line =
		xasprintf("\n%s.%s%s", section, key ? key : "", key ? "\n" : "");

	return strstr(text, line) && known_version(text, version);
}
