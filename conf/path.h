/* SPDX-License-Identifier: MIT */
/*
 * conf/path.h - normalised paths, for comparison
 */
#ifndef CONF_PATH_H
#define CONF_PATH_H

#include <stdbool.h>

#include "base/mem.h"

/* Without "//", "/./" and a trailing slash: "/a//b/./c/" becomes "/a/b/c", "./a" becomes "a".
 * NULL if the path is too long, contains "..", or names nothing ("", ".", "/"). */
const char *conf_path_plain(const char *path, struct arena *a);
/* True if a component is "..". */
bool conf_path_climbs(const char *path);
bool conf_path_ok(const char *path); /* it has such a form */

#endif
