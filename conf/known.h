/* SPDX-License-Identifier: MIT */
/*
 * conf/known.h - the keys that a version knows, as a text that it leaves to older ones
 *
 *   vmkeep 0.2.0
 *   VM.Memory
 *   ...
 */
#ifndef CONF_KNOWN_H
#define CONF_KNOWN_H

#include <stdbool.h>

#include "base/buf.h"

enum { CONF_KNOWN_MAX = 64 << 10, CONF_VERSION_MAX = 32 };

/* Of a VM's file, for this version. */
void conf_known_put(struct buf *b, const char *version);
/* Was the text written by a version that is newer than this one? */
bool conf_known_is_newer(const char *text, const char *version);
/* key NULL: the section. True: *version knows it. */
bool conf_known_has(
	const char *text, const char *section, const char *key, char version[CONF_VERSION_MAX]);

#endif
